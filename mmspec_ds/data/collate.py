"""From samples of a dataset to the batch that a model is given, without a loop over samples or tokens.

Axes: B samples, M modalities of the dataset, S places of the padded sequence, T tokens of one modality in the
batch, F fields, L target tokens.
"""

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.data.batch import PADDING, Batch, ModalityTokens, SpectraBatch
from mmspec_ds.data.dataset import Samples, SpectraDataset
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.packed import IntArray, PackedIds, PackedTokens, counts_at, ranges
from mmspec_ds.spectra.records import FloatArray, Modality
from mmspec_ds.spectra.registry import REGISTRY


def collate(
    samples: Samples,
    indices: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    modality_dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Batch:
    """The batch of some samples: each one's tokens in the order of the modalities, padded to the longest.

    Every modality of the dataset is in the batch, if with no token: what a model does, and which of its
    parameters have a gradient, must not depend on what a batch happens to hold.

    Args:
        samples: where they are.
        indices: their places in it, [B].
        weights: of each in the loss, [B]; 1 without.
        modality_dropout: the probability with which a whole modality of a sample is left out.
        rng: source of chance for that.

    Returns:
        A batch on the CPU; `target_BL` has no columns where the dataset has no targets.

    Raises:
        ValueError: no index, or dropout without `rng`.
    """
    dataset, chosen = samples.fetch(indices)
    if not len(chosen):
        raise ValueError("a batch needs at least one sample")
    counts_BM = np.stack([counts_at(packed.offsets, chosen) for packed in dataset.tokens.values()], axis=1)
    if modality_dropout > 0:
        if rng is None:
            raise ValueError("modality dropout needs a random generator")
        modalities = list(dataset.tokens)
        dropout_M = np.array([modality_dropout * REGISTRY[one].is_instrument for one in modalities])
        counts_BM = counts_BM * kept_modalities(counts_BM, modalities, dropout_M, rng.random(counts_BM.shape))
    weight_B = np.ones(len(chosen)) if weights is None else np.asarray(weights)
    return Batch(
        spectra=lay_out(dataset, chosen, counts_BM),
        target_BL=torch.from_numpy(_pad(dataset.targets, chosen)),
        weight_B=torch.from_numpy(weight_B.astype(np.float32)),
        ids=tuple(dataset.ids[at] for at in chosen),
    )


def kept_modalities(
    counts_BM: IntArray, modalities: list[Modality], dropout_M: FloatArray, chance_BM: FloatArray
) -> npt.NDArray[np.bool_]:
    """Which modalities of each sample stay, bool [B, M].

    Each is left out where its number in `chance_BM`, from 0 to 1, is below its probability in `dropout_M`. Of
    the instruments that a sample has, that with the largest difference always stays. What is not an instrument,
    such as the formula, does not count as the one that stays.
    """
    instrument_M = np.array([REGISTRY[modality].is_instrument for modality in modalities])
    kept_BM = chance_BM >= dropout_M
    present_BM = (counts_BM > 0) & instrument_M
    last_B = np.where(present_BM, chance_BM - dropout_M, -2.0).argmax(axis=1)
    kept_BM[np.arange(len(kept_BM)), last_B] |= present_BM.any(axis=1)
    return kept_BM


def lay_out(dataset: SpectraDataset, chosen: IntArray, counts_BM: IntArray | None = None) -> SpectraBatch:
    """The tokens of the samples at the places `chosen`, each given its place: a sample's modalities follow one
    another, each in its own order. `counts_BM` says how many of each are laid out; by default all."""
    if counts_BM is None:
        counts_BM = np.stack([counts_at(packed.offsets, chosen) for packed in dataset.tokens.values()], axis=1)
    length = int(counts_BM.sum(axis=1).max())
    starts_BM = np.cumsum(counts_BM, axis=1) - counts_BM + length * np.arange(len(chosen))[:, None]
    modality_X = np.full(len(chosen) * length, PADDING, dtype=np.int64)
    tokens = {}
    for at, (modality, packed) in enumerate(dataset.tokens.items()):
        counts_B = counts_BM[:, at]
        place_T = ranges(starts_BM[:, at], counts_B)
        modality_X[place_T] = modality
        tokens[modality] = _gather(packed, packed.offsets[chosen], counts_B, place_T)
    return SpectraBatch(torch.from_numpy(modality_X.reshape(len(chosen), length)), tokens)


def _gather(packed: PackedTokens, starts_B: IntArray, counts_B: IntArray, place_T: IntArray) -> ModalityTokens:
    """The tokens of one modality, sample by sample."""
    source_T = ranges(starts_B, counts_B)
    return ModalityTokens(
        place_T=torch.from_numpy(place_T),
        order_T=torch.from_numpy(ranges(np.zeros_like(counts_B), counts_B)),
        discrete_TF=torch.from_numpy(packed.discrete[source_T].astype(np.int64)),
        continuous_TF=torch.from_numpy(packed.continuous[source_T]),
    )


def _pad(targets: PackedIds | None, chosen: IntArray) -> IntArray:
    """Target ids [B, L], PAD after each row's end."""
    if targets is None:
        return np.zeros((len(chosen), 0), dtype=np.int64)
    counts_B = counts_at(targets.offsets, chosen)
    length = int(counts_B.max())
    padded_X = np.full(len(chosen) * length, Vocabulary.PAD, dtype=np.int64)
    padded_X[ranges(length * np.arange(len(chosen)), counts_B)] = targets.subset(chosen).values
    return padded_X.reshape(len(chosen), length)
