"""Spectra with a part of their tokens or whole channels missing, at test time alone (MM-Spectrum, B.3).

What is left keeps its modality, and an ordered token (an IR window) its place in the spectrum. A missing token
is treated as padding. The draws of a sample depend on the seed and the sample's number alone: they are the same
for every model, and what is missing at one ratio is missing at every larger one.

Axes: B samples, S places, T tokens of one modality.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.data.batch import PADDING, Batch, ModalityTokens, SpectraBatch
from mmspec_ds.spectra.records import Modality

CHANNELS: dict[str, tuple[Modality, ...]] = {
    "nmr": (Modality.H_NMR, Modality.C_NMR, Modality.HSQC),
    "ms": (Modality.MS, Modality.EI),
    "ir": (Modality.IR,),
}
"""The three modalities of the paper. What is no instrument, such as the formula, belongs to none and stays."""

Ratios = Mapping[str, float]
"""By channel, the share that is missing."""

_STREAM = 6
"""Of the random numbers for channels; it was the number of modalities when the first tables were made."""

Kept = dict[Modality, npt.NDArray[np.bool_]]
"""For each modality of a batch the tokens that stay, [T]."""


def mask_tokens(batch: Batch, ratios: Ratios, seed: int, numbers: Sequence[int]) -> Batch:
    """Leave out this share of each sample's tokens of each modality, at random.

    Of n tokens floor(r n + u) go, with u uniform between 0 and 1: r n on average. A sample that would lose all
    keeps the token that would go last of its longest modality.

    Args:
        batch: on the CPU.
        ratios: r of each channel.
        seed: of the draws.
        numbers: of the samples in their dataset, [B].
    """
    sample_of = _samples(batch.spectra)
    kept: Kept = {}
    for modality, sample_T in sample_of.items():
        ratio = _ratio(ratios, modality)
        stays_T = np.ones(len(sample_T), dtype=bool)
        for at, number in enumerate(numbers) if ratio else ():
            own = np.flatnonzero(sample_T == at)
            rng = np.random.default_rng((seed, int(modality), number))
            order, chance = rng.permutation(len(own)), rng.random()
            stays_T[own[order[: int(ratio * len(own) + chance)]]] = False
        kept[modality] = stays_T
    for at, number in enumerate(numbers):
        if any(stays_T[sample_of[modality] == at].any() for modality, stays_T in kept.items()):
            continue
        longest = max(sample_of, key=lambda modality: int((sample_of[modality] == at).sum()))
        own = np.flatnonzero(sample_of[longest] == at)
        if len(own):
            rng = np.random.default_rng((seed, int(longest), number))
            kept[longest][own[rng.permutation(len(own))[-1]]] = True
    return keep(batch, kept)


def remove_channels(batch: Batch, ratios: Ratios, seed: int, numbers: Sequence[int]) -> Batch:
    """Remove whole channels of a sample, each with the probability r. Of the channels that a sample has, the
    one with the largest draw less r always stays. For the arguments see `mask_tokens`."""
    sample_of = _samples(batch.spectra)
    gone: list[set[Modality]] = []
    for at, number in enumerate(numbers):
        draws = np.random.default_rng((seed, _STREAM, number)).random(len(CHANNELS))
        margin = {
            name: draw - ratios.get(name, 0.0)
            for (name, members), draw in zip(CHANNELS.items(), draws)
            if any((sample_of[m] == at).any() for m in members if m in sample_of)
        }
        last = max(margin, key=lambda name: margin[name], default=None)
        gone.append({m for name in margin if margin[name] < 0 and name != last for m in CHANNELS[name]})
    stays = {
        modality: np.array([modality not in gone[at] for at in sample_T], dtype=bool)
        for modality, sample_T in sample_of.items()
    }
    return keep(batch, stays)


def only_channels(batch: Batch, channels: Sequence[str]) -> Batch:
    """Leave out all tokens of the channels that are not named."""
    out = {m for name, members in CHANNELS.items() if name not in channels for m in members}
    kept = {m: np.full(len(part.place_T), m not in out) for m, part in batch.spectra.tokens.items()}
    return keep(batch, kept)


def keep(batch: Batch, kept: Kept) -> Batch:
    """The batch without the other tokens; their places are padding."""
    modality_BS, tokens = batch.spectra.modality_BS.clone(), {}
    for modality, part in batch.spectra.tokens.items():
        stays_T = torch.from_numpy(kept[modality])
        modality_BS.view(-1)[part.place_T[~stays_T]] = PADDING
        fields = (part.place_T, part.order_T, part.discrete_TF, part.continuous_TF)
        tokens[modality] = ModalityTokens(*(one[stays_T] for one in fields))
    return replace(batch, spectra=SpectraBatch(modality_BS, tokens))


def _samples(spectra: SpectraBatch) -> dict[Modality, npt.NDArray[np.int64]]:
    """The sample of each token, [T], by modality."""
    places = spectra.modality_BS.shape[1]
    return {modality: (part.place_T // places).numpy() for modality, part in spectra.tokens.items()}


def _ratio(ratios: Ratios, modality: Modality) -> float:
    return next((ratios.get(name, 0.0) for name, members in CHANNELS.items() if modality in members), 0.0)
