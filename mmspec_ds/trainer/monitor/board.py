"""The TensorBoard side of a run: curves, their layout, pictures, texts, settings with the final figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mmspec_ds.trainer.monitor.layout import Layout
from mmspec_ds.trainer.run_settings import RunSettings

FOLDER = "tensorboard"


class Board:
    """A run's TensorBoard folder.

    Args:
        folder: of the run.
        layout: of the curves.
        resume_at: a resumed run's step. TensorBoard drops what it holds of later steps, pictures too; that of
            the checkpoint itself stays.
    """

    def __init__(self, folder: Path, layout: Layout, resume_at: int = 0) -> None:
        # A first part says where it starts as well: TensorBoard takes the first such mark for a beginning, and
        # drops nothing for it.
        self._writer = SummaryWriter(folder / FOLDER, purge_step=resume_at + 1 if resume_at else 0)
        self._writer.add_custom_scalars(layout)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write a point of each curve, by tag."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, step)

    def picture(self, step: int, tag: str, image: Image.Image) -> None:
        """Write a picture at a step."""
        self._writer.add_image(tag, np.asarray(image), step, dataformats="HWC")

    def text(self, step: int, tag: str, markdown: str) -> None:
        """Write a text in Markdown at a step."""
        self._writer.add_text(tag, markdown, step)

    def final(self, step: int, run: RunSettings, figures: Mapping[str, float]) -> None:
        """Write the final figures, and a row of them with the run's settings for the page "HParams"."""
        self.scalars(step, figures)
        for summary in hparams(run.hyperparameters(), dict(figures)):
            self._writer._get_file_writer().add_summary(summary)

    def flush(self) -> None:
        """Write out what is buffered."""
        self._writer.flush()

    def close(self) -> None:
        """Write out and close the files."""
        self._writer.close()
