"""What a fusion model is given: pieces, the tokens of one modality of one sample each, and what is to be told.

Axes: B samples, M modalities, P pieces, S places of a piece, T tokens, W intensities of a token, F real
numbers of a token, N = P * S places, C classes or groups, R some pieces.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.data.batch import PADDING
from mmspec_ds.spectra.axes import POSITION_STEP, Axis
from mmspec_ds.spectra.packed import IntArray, offsets_of, places, ranges
from mmspec_ds.systems.fusion.tokens import Points

BoolMatrix = npt.NDArray[np.bool_]

SAVED = 512
"""Padded places that a pass of its own must save: its calls take about the time of so many."""
STEPS_A = np.array([POSITION_STEP[one] for one in Axis])
"""By which positions on each axis are divided."""


@dataclass(frozen=True)
class Pieces:
    """P pieces: their tokens laid end to end, and where each has its place among P * S, padded to the longest.

    Attributes:
        steps_T: the position of each token in steps of its axis (`spectra.axes.STEP`), float64.
        second_T: its second coordinate, see `tokens.Points`.
        numbers_TF: what else it says: its W intensities, log(1 + extent) and the sign, see there; float32.
        axis_T, form_T: see there; int64.
        at_T: its place, int64.
        modality_PS: the number of the piece's modality, PADDING where there is no token, int64.
        sample_P: the row of the piece's sample in the batch, int64.
        vector_P: the place of its vector among those of all samples' modalities, B * M, int64.
        present_BM: which modalities a sample has, bool.
        counts_P: the number of tokens of each piece, on the host.
        two_axes: whether any token has a second coordinate, on the host.
        hidden_T: True for tokens whose intensities are to be predicted; None outside of pretraining.
    """

    steps_T: Tensor
    second_T: Tensor
    numbers_TF: Tensor
    axis_T: Tensor
    form_T: Tensor
    at_T: Tensor
    modality_PS: Tensor
    sample_P: Tensor
    vector_P: Tensor
    present_BM: Tensor
    counts_P: IntArray
    two_axes: bool
    hidden_T: Tensor | None = None

    @property
    def values_TW(self) -> Tensor:
        """The intensities of each token."""
        return self.numbers_TF[:, :-2]

    @property
    def mask_PS(self) -> Tensor:
        """True where there is a token."""
        return self.modality_PS != PADDING

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Pieces":
        """The same with every tensor changed, such as moved to a device."""
        changed: dict[str, Any] = {name: change(one) for name, one in self._tensors().items()}
        return replace(self, **changed)

    def of_like_lengths(self) -> list["Pieces"]:
        """The same pieces parted by their lengths, so that short ones are not padded to the longest: one part
        where that would save little."""
        if self.modality_PS.numel() <= SAVED:
            return [self]
        parts = of_like_lengths(self.counts_P)
        return [self] if len(parts) == 1 else [self._some(rows_R) for rows_R in parts]

    def _some(self, rows_R: IntArray) -> "Pieces":
        """The pieces of some rows, without places that none of them needs."""
        counts_R = self.counts_P[rows_R]
        length = max(1, int(counts_R.max(initial=0)))
        tokens_R = ranges(offsets_of(self.counts_P)[rows_R], counts_R)
        of_tokens, of_pieces, at_T = (
            torch.from_numpy(one).to(self.at_T.device, non_blocking=True)
            for one in (tokens_R, rows_R, places_of(counts_R, length))
        )
        changed: dict[str, Any] = {
            name: one.index_select(0, of_tokens if name.endswith(("_T", "_TF")) else of_pieces)
            for name, one in self._tensors().items()
            if name != "present_BM"
        }
        changed |= {"at_T": at_T, "modality_PS": changed["modality_PS"][:, :length]}
        return replace(self, counts_P=counts_R, **changed)

    def _tensors(self) -> dict[str, Tensor]:
        held = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: one for name, one in held.items() if isinstance(one, Tensor)}


def places_of(counts_P: IntArray, length: int) -> IntArray:
    """The place of each token of pieces that are padded to a length and follow each other, [T]."""
    return np.repeat(np.arange(len(counts_P)) * length, counts_P) + places(counts_P)


def of_like_lengths(counts_P: IntArray) -> list[IntArray]:
    """The rows of pieces in parts that are each padded to their own longest, shortest first. Pieces are parted
    where that saves the most padded places, again and again, as long as it saves at least `SAVED`."""

    def parted(rows_R: IntArray) -> list[IntArray]:
        counts_R = counts_P[rows_R]
        saved = np.arange(1, len(rows_R)) * (counts_R[-1:] - counts_R[:-1])
        if saved.max(initial=0) < SAVED:
            return [rows_R]
        at = int(saved.argmax()) + 1
        return [*parted(rows_R[:at]), *parted(rows_R[at:])]

    return parted(np.argsort(counts_P, kind="stable"))


@dataclass(frozen=True)
class FusionBatch:
    """Samples and what is to be told of them.

    Attributes:
        pieces: of the samples.
        target_BC: 1 for the true class, or for each group that is there, else 0, float32.
        kept_BM: False for modalities that the loss of a training step does without; the model may look at them
            for other ends.
        weight_B: 0 for a sample that only fills up the batch, else 1.
    """

    pieces: Pieces
    target_BC: Tensor
    kept_BM: Tensor
    weight_B: Tensor

    @property
    def samples(self) -> float:
        """The number of samples with a weight."""
        return float(self.weight_B.sum())

    def to(self, device: torch.device) -> "FusionBatch":
        """The same batch on another device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "FusionBatch":
        """The same batch in page-locked memory."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> "FusionBatch":
        tensors = {name: change(getattr(self, name)) for name in ("target_BC", "kept_BM", "weight_B")}
        return replace(self, pieces=self.pieces.mapped(change), **tensors)


def lay_out(modalities: Sequence[Points], hidden: Sequence[npt.NDArray[np.bool_]] | None = None) -> Pieces:
    """The pieces of some samples that have any tokens.

    Args:
        modalities: of each of the M modalities, a piece for each of the B samples.
        hidden: of each modality, True for each of its tokens that is to be predicted.
    """
    counts_MB = np.stack([one.counts for one in modalities])
    modality_P, sample_P = np.nonzero(counts_MB)
    counts_P = counts_MB[modality_P, sample_P].astype(np.int64)
    length = max(1, int(counts_P.max(initial=0)))
    points = Points.joined(modalities)  # modality by modality, as the pieces are
    at_T = torch.from_numpy(places_of(counts_P, length))
    modality_N = torch.full((len(counts_P) * length,), PADDING)
    modality_N[at_T] = torch.from_numpy(np.repeat(modality_P, counts_P))
    more = (np.log1p(points.extent_T), points.sign_T)
    return Pieces(
        steps_T=torch.from_numpy(points.position_T / STEPS_A[points.axis_T]),
        second_T=torch.from_numpy(points.second_T),
        numbers_TF=torch.from_numpy(np.column_stack([points.values_TW, *more])),
        axis_T=torch.from_numpy(points.axis_T).long(),
        form_T=torch.from_numpy(points.form_T).long(),
        at_T=at_T,
        modality_PS=modality_N.view(len(counts_P), length),
        sample_P=torch.from_numpy(sample_P),
        vector_P=torch.from_numpy(sample_P * len(modalities) + modality_P),
        present_BM=torch.from_numpy(counts_MB.T > 0),
        counts_P=counts_P,
        two_axes=not np.isnan(points.second_T).all(),
        hidden_T=None if hidden is None else torch.from_numpy(np.concatenate(hidden)),
    )
