"""Records with random contents, for measurements that depend on the lengths of records alone.

Axes: N samples, M modalities, T tokens of one modality, F fields.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.packed import PackedIds, PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema


def generated_dataset(
    lengths: npt.ArrayLike,
    shares: Mapping[Modality, float],
    schemas: Mapping[Modality, TokenSchema],
    *,
    targets: int,
    vocabulary: int,
    seed: int = 0,
) -> SpectraDataset:
    """Return a dataset of random records.

    Args:
        lengths: spectrum tokens of each record, [N].
        shares: of the modalities among the tokens of a record.
        schemas: the fields of each modality's tokens.
        targets: SMILES tokens that the decoder reads of each record, BOS included.
        vocabulary: SMILES tokens, specials included.
        seed: of the contents.
    """
    rng = np.random.default_rng(seed)
    length_N = np.asarray(lengths, dtype=np.int64)
    bounds_M = np.cumsum([shares.get(modality, 0.0) for modality in schemas])
    edges_NM = np.round(length_N[:, None] * bounds_M / bounds_M[-1]).astype(np.int64)
    counts_NM = np.diff(edges_NM, prepend=0, axis=1)
    tokens = {}
    for (modality, schema), counts_N in zip(schemas.items(), counts_NM.T):
        total = int(counts_N.sum())
        discrete_TF = np.empty((total, len(schema.discrete)), dtype=np.int16)
        for at, field in enumerate(schema.discrete):
            discrete_TF[:, at] = rng.integers(field.size, size=total)
        continuous_TF = rng.random((total, len(schema.continuous)), dtype=np.float32)
        tokens[modality] = PackedTokens(discrete_TF, continuous_TF, offsets_of(counts_N))
    first = len(Vocabulary.SPECIALS)
    bodies = rng.integers(first, max(vocabulary, first + 1), (len(length_N), max(1, targets - 1))).tolist()
    return SpectraDataset(
        ids=tuple(f"generated {number}" for number in range(len(length_N))),
        smiles=(None,) * len(length_N),
        tokens=tokens,
        schemas=schemas,
        targets=PackedIds.of([[Vocabulary.BOS, *body, Vocabulary.EOS] for body in bodies]),
    )
