"""Hard negatives: for each molecule those whose vectors are nearest, as the model in training sees them.

Axes: N records, M molecules, H neighbours, W width of a vector.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.spectra.packed import IntArray

LEAD = 8
"""Batches between the search of neighbours and the first that they decide: more than a loader makes in advance,
so that what is in a batch does not depend on how fast it was made."""

_BLOCK = 1024


def nearest_molecules(vectors_NW: FloatMatrix, molecule_N: IntArray, count: int) -> IntArray:
    """The molecules nearest to each by cosine of the mean vectors of their records, itself left out, nearest
    first: int64 [M, H] with H = min(count, M - 1). The time grows with the square of M."""
    molecules = int(molecule_N.max()) + 1
    means = np.zeros((molecules, vectors_NW.shape[1]), dtype=np.float32)
    np.add.at(means, molecule_N, vectors_NW)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    count = min(count, molecules - 1)
    found = np.empty((molecules, count), dtype=np.int64)
    for start in range(0, molecules, _BLOCK):
        cosine = means[start : start + _BLOCK] @ means.T
        rows = np.arange(len(cosine))
        cosine[rows, start + rows] = -np.inf
        found[start : start + _BLOCK] = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
    return found


@dataclass(frozen=True, eq=False)
class Mined:
    """Neighbours of all molecules, and the first batch that they decide; `neighbours_MH` is None before the
    first search."""

    start: int = 0
    neighbours_MH: IntArray | None = None

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint: the table compressed."""
        if self.neighbours_MH is None:
            return {"start": self.start}
        packed = zlib.compress(self.neighbours_MH.astype("<i4").tobytes(), 6)
        table = base64.b64encode(packed).decode("ascii")
        return {"start": self.start, "shape": list(self.neighbours_MH.shape), "table": table}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], start: int) -> Self:
        """What `to_json` wrote, beginning with batch `start`."""
        if "table" not in content:
            return cls(start)
        raw = zlib.decompress(base64.b64decode(content["table"]))
        table: npt.NDArray[np.int32] = np.frombuffer(raw, dtype="<i4").reshape(content["shape"])
        return cls(start, table.astype(np.int64))


@dataclass
class Schedule:
    """Which neighbours decide which batch, and how far the run is.

    Attributes:
        every: updates between two searches; 0 is never.
        updates: made so far.
        batches: micro-batches so far.
    """

    every: int
    updates: int = 0
    batches: int = 0
    _mined: list[Mined] = field(default_factory=lambda: [Mined()])

    def at(self, batch: int) -> Mined:
        """The neighbours that decide a micro-batch."""
        return next(one for one in reversed(self._mined) if one.start <= batch or one is self._mined[0])

    def advance(self, micro_batches: int) -> bool:
        """Count an update; whether neighbours are due."""
        self.updates, self.batches = self.updates + 1, self.batches + micro_batches
        return self.every > 0 and self.updates % self.every == 0

    def add(self, neighbours_MH: IntArray) -> None:
        """Let new neighbours decide the batches from `LEAD` on."""
        current = self._mined.index(self.at(self.batches))
        self._mined = [*self._mined[current:], Mined(self.batches + LEAD, neighbours_MH)]

    def to_json(self, batches_per_round: int) -> dict[str, Any]:
        """For a checkpoint of a run with so many batches a round."""
        mined = [one.to_json() for one in self._mined]
        counts = {"updates": self.updates, "batches": self.batches, "batches_per_round": batches_per_round}
        return {**counts, "mined": mined}

    def load(self, content: Mapping[str, Any], batches_per_round: int) -> None:
        """Go on from a checkpoint, whose batches may have been of another size: their numbers are converted as
        the trainer converts its own."""
        before = content["batches_per_round"]
        self.updates = content["updates"]
        self.batches = content["batches"] * batches_per_round // before
        starts = [one["start"] * batches_per_round // before for one in content["mined"]]
        self._mined = [Mined.from_json(one, at) for one, at in zip(content["mined"], starts)]
