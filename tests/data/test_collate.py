"""Vectorised collation against a loop over samples and tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmspec_ds.data.batch import PADDING
from mmspec_ds.data.collate import collate, kept_modalities
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.spectra.packed import PackedIds, PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import ContinuousField, DiscreteField, TokenSchema

SCHEMAS = {
    Modality.H_NMR: TokenSchema(discrete=(DiscreteField("shift", 100), DiscreteField("hydrogens", 9))),
    Modality.IR: TokenSchema(continuous=tuple(ContinuousField(name) for name in "abcd"), ordered=True),
    Modality.MS: TokenSchema(discrete=(DiscreteField("polarity", 2),), continuous=(ContinuousField("mz"),)),
}


def dataset_of(counts_NM, target_lengths=None, schemas=SCHEMAS):
    """Samples with the given numbers of tokens and arbitrary contents."""
    rng = np.random.default_rng(len(counts_NM))
    tokens = {}
    for column, (modality, schema) in enumerate(schemas.items()):
        offsets = offsets_of([row[column] for row in counts_NM])
        tokens[modality] = PackedTokens(
            rng.integers(0, 2, (offsets[-1], len(schema.discrete))).astype(np.int16),
            rng.random((offsets[-1], len(schema.continuous))).astype(np.float32),
            offsets,
        )
    targets = None
    if target_lengths is not None:
        targets = PackedIds.of([[1, *rng.integers(4, 30, n).tolist(), 2] for n in target_lengths])
    names = tuple(f"sample {at}" for at in range(len(counts_NM)))
    return SpectraDataset(names, (None,) * len(names), tokens, schemas, targets)


def naive(dataset, indices):
    """What `collate` promises, one sample and token at a time: modalities [B, S], targets [B, L], and per
    modality a list of (place, order, discrete, continuous)."""
    rows, lists = [], {modality: [] for modality in dataset.tokens}
    for at in indices:
        row = []
        for modality, packed in dataset.tokens.items():
            start, stop = packed.offsets[at], packed.offsets[at + 1]
            for order, item in enumerate(range(start, stop)):
                entry = (len(rows), len(row), order, packed.discrete[item], packed.continuous[item])
                lists[modality].append(entry)
                row.append(int(modality))
        rows.append(row)
    width = max(map(len, rows))
    modality_BS = [row + [PADDING] * (width - len(row)) for row in rows]
    targets = [dataset.targets.subset(np.array([at])).values.tolist() for at in indices]
    longest = max(map(len, targets))
    return modality_BS, [row + [0] * (longest - len(row)) for row in targets], lists, width


samples = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(counts=samples.map(lambda rows: [*rows, (1, 0, 0)]), data=st.data())
def test_equals_the_naive_layout(counts, data):
    lengths = data.draw(st.lists(st.integers(0, 6), min_size=len(counts), max_size=len(counts)))
    dataset = dataset_of(counts, lengths)
    # The last sample is always there: a batch of nothing but empty samples cannot come out of reading.
    indices = [*data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=6)), len(counts) - 1]
    batch = collate(dataset, indices)
    modality_BS, target_BL, lists, width = naive(dataset, indices)

    assert batch.spectra.modality_BS.tolist() == modality_BS
    assert batch.target_BL.tolist() == target_BL
    assert batch.weight_B.tolist() == [1.0] * len(indices)
    assert batch.ids == tuple(f"sample {at}" for at in indices)
    for modality, entries in lists.items():
        part = batch.spectra.tokens[modality]
        assert part.place_T.tolist() == [sample * width + place for sample, place, *_ in entries]
        assert part.order_T.tolist() == [order for _, _, order, *_ in entries]
        assert part.discrete_TF.tolist() == [discrete.tolist() for *_, discrete, _ in entries]
        assert part.continuous_TF.tolist() == [continuous.tolist() for *_, continuous in entries]


def test_a_batch_by_hand():
    dataset = dataset_of([(1, 0, 2), (0, 1, 0)], [3, 1])
    batch = collate(dataset, [1, 0, 1], weights=[1, 1, 0])
    assert batch.spectra.modality_BS.tolist() == [[2, -1, -1], [0, 3, 3], [2, -1, -1]]
    assert batch.spectra.mask_BS.tolist() == [[True, False, False], [True] * 3, [True, False, False]]
    assert batch.spectra.tokens[Modality.H_NMR].place_T.tolist() == [3]
    assert batch.spectra.tokens[Modality.IR].place_T.tolist() == [0, 6]
    assert batch.spectra.tokens[Modality.MS].place_T.tolist() == [4, 5]
    assert batch.spectra.tokens[Modality.MS].order_T.tolist() == [0, 1]
    assert batch.target_BL.shape == (3, 5)
    assert batch.target_BL[0, 3:].tolist() == [0, 0]
    assert batch.weight_B.tolist() == [1, 1, 0]


def test_types_are_those_of_the_contract():
    batch = collate(dataset_of([(1, 1, 1)], [2]), [0], weights=[1])
    assert batch.spectra.modality_BS.dtype == batch.target_BL.dtype == torch.int64
    assert batch.weight_B.dtype == torch.float32
    for part in batch.spectra.tokens.values():
        assert part.place_T.dtype == part.order_T.dtype == part.discrete_TF.dtype == torch.int64
        assert part.continuous_TF.dtype == torch.float32


def test_a_modality_without_tokens_is_still_there():
    batch = collate(dataset_of([(2, 0, 0)], [1]), [0])
    assert list(batch.spectra.tokens) == list(SCHEMAS)
    assert batch.spectra.tokens[Modality.IR].continuous_TF.shape == (0, 4)
    assert batch.spectra.tokens[Modality.MS].discrete_TF.shape == (0, 1)


def test_without_targets_there_are_no_columns():
    assert collate(dataset_of([(1, 0, 0), (1, 1, 0)]), [0, 1]).target_BL.shape == (2, 0)


def test_dropout_leaves_out_whole_modalities_and_never_all():
    dataset = dataset_of([(2, 3, 4)] * 400, [1] * 400)
    batch = collate(dataset, range(400), modality_dropout=0.5, rng=np.random.default_rng(0))
    counts = torch.stack([(batch.spectra.modality_BS == m).sum(1) for m in SCHEMAS], dim=1)
    assert {tuple(row) for row in counts.tolist()} == {
        (a, b, c) for a in (0, 2) for b in (0, 3) for c in (0, 4) if a or b or c
    }
    # Each modality stays with probability 1/2, and 1/3 of the 1/8 where all would go: 13/24. 5 sigma of 400.
    kept = (counts > 0).double().mean(0)
    assert torch.all((kept - 13 / 24).abs() < 5 * (13 / 24 * 11 / 24 / 400) ** 0.5)
    for modality, part in batch.spectra.tokens.items():
        assert (batch.spectra.modality_BS.flatten()[part.place_T] == modality).all()


def test_dropout_is_seeded():
    dataset = dataset_of([(2, 3, 4)] * 20, [1] * 20)
    one, two, other = (
        collate(dataset, range(20), modality_dropout=0.5, rng=np.random.default_rng(seed)).spectra.modality_BS
        for seed in (5, 5, 6)
    )
    assert torch.equal(one, two)
    assert one.shape != other.shape or not torch.equal(one, other)


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=20),
    probability=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_what_a_sample_has_is_never_lost_altogether(counts, probability, seed):
    counts_BM = np.array(counts)
    order = [Modality.H_NMR, Modality.MS, Modality.FORMULA]
    chance_BM = np.random.default_rng(seed).random(counts_BM.shape)
    kept_BM = kept_modalities(counts_BM, order, np.array([probability, probability, 0.0]), chance_BM)
    instruments = counts_BM[:, :2]
    np.testing.assert_array_equal((instruments * kept_BM[:, :2]).any(1), instruments.any(1))
    assert kept_BM[:, 2].all()


@pytest.mark.parametrize(
    ("indices", "options"), [([], {}), ([0], {"modality_dropout": 0.5})], ids=["no sample", "no generator"]
)
def test_misuse_is_refused(indices, options):
    with pytest.raises(ValueError):
        collate(dataset_of([(1, 1, 1)], [1]), indices, **options)
