"""Proposals for the records of files, in pieces, with a line for every record that cannot be read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmspec_ds.evaluation.trained import TrainedModel


def predict_files(
    trained: TrainedModel, files: Sequence[Path], *, beam: int, n_best: int
) -> Iterator[dict[str, Any]]:
    raise NotImplementedError
