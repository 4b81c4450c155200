"""A trained retrieval model from its folder, a run or an export: records in, vectors out. DeepSpeed is not
needed.

Axes: N records, W width of a vector.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.spectra.records import Record
from mmspec_ds.systems.retrieval.factory import make_encoding, make_model
from mmspec_ds.systems.retrieval.model import Encoding, RetrievalModel, embed_rows
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
from mmspec_ds.systems.run_file import load_whole_run_of
from mmspec_ds.trainer.weights import WEIGHTS, load_state, read_weights

RECORDS_AT_ONCE = 1024
LANGUAGE_MODEL = "language_model"
"""A folder, or a link to one, with the pretrained model beside the weights of a run or an export; without it
the path in the settings is used."""


@dataclass(frozen=True)
class TrainedEmbedder:
    """A model in evaluation mode; see `library.entry.Embedder`.

    Attributes:
        run: the settings.
        model, encoding: what gives the vectors.
        identity: a checksum of the weights, and of the settings on which vectors depend.
        batch: records that are embedded at a time.
    """

    run: RetrievalRun
    model: RetrievalModel[Any]
    encoding: Encoding[Any]
    identity: str
    batch: int = 64

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.run.name

    @property
    def width(self) -> int:
        """Width of the vectors, W."""
        return self.model.width

    def embed(self, records: Sequence[Record], progress: Callable[[int], None] | None = None) -> FloatMatrix:
        """The vectors float32 [N, W] of length 1, see `Embedder`; zeros for what the model cannot read. The
        device is that of the model."""
        device = next(self.model.parameters()).device
        found = np.zeros((len(records), self.width), dtype=np.float32)
        for start in range(0, len(records), RECORDS_AT_ONCE):
            rows = self.encoding.encode(records[start : start + RECORDS_AT_ONCE])
            end = start + len(rows)
            everything = np.arange(len(rows), dtype=np.int64)
            found[start:end] = embed_rows(
                self.model, self.encoding, rows, everything, batch=self.batch, device=device
            )
            if progress is not None:
                progress(end)
        return found


def load_embedder(folder: str | Path, language: Path | None = None) -> TrainedEmbedder:
    """Read a trained run of this system, or an export. Where there is a manifest, as in an export, the files
    must have its checksums.

    Args:
        folder: of the run or the export.
        language: the folder of the pretrained language model, where the run does not tell it.

    Raises:
        DataError: no such folder, or a file of it is missing, was altered or does not fit.
        ConfigError: a configuration that this version cannot read, or a model of another system.
    """
    folder = Path(folder)
    run = load_whole_run_of(folder, RetrievalRun, (WEIGHTS,))
    base = language or folder / LANGUAGE_MODEL
    if run.language is not None and base.is_dir():
        run = run.model_copy(update={"language": run.language.at(base)})
    model = make_model(run)
    tensors, about = read_weights(folder / WEIGHTS)
    load_state(model, tensors, folder / WEIGHTS)
    return TrainedEmbedder(run, model.eval(), make_encoding(run), identity_of(run, about["sha256"]))


def identity_of(run: RetrievalRun, weights: str) -> str:
    """A checksum of what vectors depend on: the checksum of the weights, and the settings of model and
    input."""
    content = run.model_dump(
        mode="json", include={"encoder", "model", "moe", "language"}, exclude={"language": {"base"}}
    )
    read = {"modalities", "compression", "collision_energy"}
    content["data"] = run.data.model_dump(mode="json", include=read)
    return hashlib.sha256(json.dumps([weights, content], sort_keys=True).encode()).hexdigest()
