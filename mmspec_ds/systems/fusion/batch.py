"""What a fusion model is given: pieces, the tokens of one modality of one sample each, and what is to be told.

Axes: B samples, M modalities, P pieces, S places of a piece, W intensities of a token, C classes or groups.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.data.batch import PADDING
from mmspec_ds.spectra.packed import IntArray, places
from mmspec_ds.systems.fusion.tokens import Points

BoolMatrix = npt.NDArray[np.bool_]

SAVED = 512
"""Padded places that a pass of its own must save: its calls take about the time of so many."""


@dataclass(frozen=True)
class Pieces:
    """The padded tokens of P pieces.

    Attributes:
        position_PS, second_PS, values_PSW, extent_PS, sign_PS, axis_PS, form_PS: see `tokens.Points`; int64
            where these are int8.
        modality_PS: the number of the piece's modality, PADDING where there is no token, int64.
        sample_P, modality_P: the row of the piece's sample in the batch, and its modality, int64.
        counts_P: the number of tokens of each piece, on the host.
        hidden_PS: True for tokens whose intensities are to be predicted; None outside of pretraining.
    """

    position_PS: Tensor
    second_PS: Tensor
    values_PSW: Tensor
    extent_PS: Tensor
    sign_PS: Tensor
    axis_PS: Tensor
    form_PS: Tensor
    modality_PS: Tensor
    sample_P: Tensor
    modality_P: Tensor
    counts_P: IntArray
    hidden_PS: Tensor | None = None

    @property
    def mask_PS(self) -> Tensor:
        """True where there is a token."""
        return self.modality_PS != PADDING

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Pieces":
        """The same with every tensor changed, such as moved to a device."""
        held = {one.name: getattr(self, one.name) for one in fields(self)}
        changed: dict[str, Any] = {name: change(one) for name, one in held.items() if isinstance(one, Tensor)}
        return replace(self, **changed)

    def of_like_lengths(self) -> list["Pieces"]:
        """The same pieces parted by their lengths, so that short ones are not padded to the longest: one part
        where that would save little."""
        parts = of_like_lengths(self.counts_P)
        return [self] if len(parts) == 1 else [self._some(rows_R) for rows_R in parts]

    def _some(self, rows_R: IntArray) -> "Pieces":
        """The pieces of some rows, without places that none of them needs."""
        counts_R = self.counts_P[rows_R]
        at_R = torch.from_numpy(rows_R).to(self.modality_P.device, non_blocking=True)
        length = max(1, int(counts_R.max(initial=0)))

        def chosen(tensor: Tensor) -> Tensor:
            needed = tensor if tensor.ndim == 1 else tensor[:, :length]
            return needed.index_select(0, at_R)

        return replace(self.mapped(chosen), counts_P=counts_R)


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
    """The pieces of some samples that have any tokens, padded to the longest.

    Args:
        modalities: of each of the M modalities, a piece for each of the B samples.
        hidden: of each modality, True for each of its tokens that is to be predicted.
    """
    counts_MB = np.stack([one.counts for one in modalities])
    modality_P, sample_P = np.nonzero(counts_MB)
    counts_P = counts_MB[modality_P, sample_P]
    length = max(1, int(counts_P.max(initial=0)))
    # Pieces follow each other as their tokens do, modality by modality.
    at_T = np.repeat(np.arange(len(counts_P)) * length, counts_P) + places(counts_P)
    points = Points.joined(modalities)
    size = (len(counts_P), length)

    def padded(values_T: npt.NDArray[np.generic], filler: float, dtype: torch.dtype) -> Tensor:
        flat = torch.full((size[0] * length, *values_T.shape[1:]), filler, dtype=dtype)
        flat[torch.from_numpy(at_T)] = torch.from_numpy(np.ascontiguousarray(values_T)).to(dtype)
        return flat.view(*size, *values_T.shape[1:])

    of_token_T: IntArray = np.repeat(modality_P, counts_P).astype(np.int64)
    return Pieces(
        position_PS=padded(points.position_T, 0.0, torch.float64),
        second_PS=padded(points.second_T, float("nan"), torch.float64),
        values_PSW=padded(points.values_TW, 0.0, torch.float32),
        extent_PS=padded(points.extent_T, 0.0, torch.float32),
        sign_PS=padded(points.sign_T, 0.0, torch.float32),
        axis_PS=padded(points.axis_T, 0, torch.int64),
        form_PS=padded(points.form_T, 0, torch.int64),
        modality_PS=padded(of_token_T, PADDING, torch.int64),
        sample_P=torch.from_numpy(sample_P.astype(np.int64)),
        modality_P=torch.from_numpy(modality_P.astype(np.int64)),
        counts_P=counts_P.astype(np.int64),
        hidden_PS=None if hidden is None else padded(np.concatenate(hidden), 0, torch.bool),
    )
