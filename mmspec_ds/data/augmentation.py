"""New noise and other spellings for the samples of a batch, each time that they are drawn.

What happens to a sample depends on the seed of the run, the number of the batch and the sample's own index, not
on the batch around it.

Axes: B samples, M modalities.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import create_model, model_validator

from mmspec_ds.data.collate import kept_modalities
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.molecules.smiles import random_smiles, tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.settings import Settings, nearest
from mmspec_ds.spectra.packed import IntArray, PackedIds
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings, block_of
from mmspec_ds.spectra.token_noise import Draws

_BLOCKS: dict[str, Any] = {one.name: (type(one.noise), one.noise) for one in REGISTRY.values()}
_Composed: Any = create_model("_Composed", __base__=Settings, **_BLOCKS)


PROFILES: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "simulator": {
        "h_nmr": {"shift_ppm": 0.2, "missing_peak": 0.02, "false_peak": 0.02, "unresolved": 0.02},
        "c_nmr": {"shift_ppm": 2.0, "missing_peak": 0.02, "false_peak": 0.02, "attached_unknown": 0.1},
        "hsqc": {
            "carbon_ppm": float(np.hypot(2.0, 0.3)),
            "hydrogen_ppm": float(np.hypot(0.2, 0.01)),
            "missing_peak": 0.02,
            "false_peak": 0.02,
            "hydrogens_unknown": 0.1,
            "intensity": 0.3,
        },
        # The simulator's 1800 points, each 0.01 off, are interpolated: two of them share a point of a token.
        "ir": {"noise": 0.01 * (2 / 3) ** 0.5, "slope": 0.02},
        "ms": {"mz_ppm": 5.0, "intensity": 0.15, "missing_peak": 0.02, "false_peak": 0.02},
    }
}
"""Noise by a name. `simulator` is the default noise of `mmspec simulate`, for data that were simulated without
noise; a test compares both."""


class AugmentSettings(_Composed):
    """Noise that is drawn anew in each epoch: a block for each modality, under its name, or the name of one of
    PROFILES; by default none.

    A block has `missing`, the probability with which a sample lacks the whole modality. Of the instruments that
    a sample has, one always stays.
    """

    @model_validator(mode="before")
    @classmethod
    def _of_profile(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in PROFILES:
            raise ValueError(f"no noise is named {value!r}: {nearest(value, PROFILES, 'names')}")
        return PROFILES[value]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def augmented(
    dataset: SpectraDataset,
    indices_B: IntArray,
    seeds: tuple[int, int],
    settings: AugmentSettings,
    compression: CompressionSettings,
) -> SpectraDataset:
    """The samples of a batch with new noise.

    Args:
        dataset: those samples alone, compressed.
        indices_B: their places in all the training data.
        seeds: of the run, and the number of the batch.
        settings: what noise.
        compression: the settings with which the tokens were made.
    """
    modalities = list(dataset.tokens)
    counts_BM = np.stack([packed.counts for packed in dataset.tokens.values()], axis=1)
    missing_M = np.array([getattr(settings, REGISTRY[modality].name).missing for modality in modalities])
    draws = Draws.of(indices_B, *seeds, 0)
    chance_BM = np.stack([draws.rows() for _ in modalities], axis=1)
    kept_BM = kept_modalities(counts_BM, modalities, missing_M, chance_BM)
    tokens = {}
    for at, (modality, packed) in enumerate(dataset.tokens.items()):
        entry = REGISTRY[modality]
        noise, block = getattr(settings, entry.name), block_of(entry, compression)
        draws = Draws.of(indices_B, *seeds, 1 + modality)
        tokens[modality] = entry.with_noise(packed.where(kept_BM[:, at]), block, noise, draws)
    return replace(dataset, tokens=tokens)


def respelled(
    dataset: SpectraDataset,
    indices_B: IntArray,
    seeds: tuple[int, int],
    probability: float,
    vocabulary: Vocabulary,
    most_tokens: int,
) -> SpectraDataset:
    """The samples of a batch, some with another SMILES of the same molecule as their target.

    Args:
        dataset: those samples alone.
        indices_B, seeds: see `augmented`.
        probability: of another spelling.
        vocabulary: of the targets. A spelling that it cannot write is not used.
        most_tokens: of a spelling, without begin and end; longer ones are not used.
    """
    assert dataset.targets is not None
    draws = Draws.of(indices_B, *seeds, 1 + len(REGISTRY))
    chosen_B, seed_B = draws.rows() < probability, (draws.rows() * 2**31).astype(np.int64)
    rows: list[Any] = [
        dataset.targets.values[start:end] for start, end in pairwise(dataset.targets.offsets.tolist())
    ]
    for at in np.flatnonzero(chosen_B).tolist():
        smiles = dataset.smiles[at]
        assert smiles is not None
        ids = vocabulary.encode(tokenize_smiles(random_smiles(smiles, int(seed_B[at]))))
        if len(ids) <= most_tokens and Vocabulary.UNK not in ids:
            rows[at] = [Vocabulary.BOS, *ids, Vocabulary.EOS]
    return replace(dataset, targets=PackedIds.of(rows))
