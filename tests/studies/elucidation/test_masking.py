"""Missing tokens and channels at test time."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from mmspec_ds.data.batch import PADDING, Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.spectra.records import Modality
from mmspec_ds.studies.elucidation.measures import MEASURES
from mmspec_ds.studies.elucidation.measures.asking import read_molecules
from mmspec_ds.studies.elucidation.measures.masking import CHANNELS, mask_tokens, only_channels, remove_channels
from mmspec_ds.studies.elucidation.measures.missing import SETTINGS
from tests.studies.elucidation.untrained import Bench
from tests.studies.elucidation.untrained import bench as bench
from tests.studies.elucidation.untrained import simulated as simulated

ALL = {"nmr": 0.6, "ms": 0.6, "ir": 0.6}


@pytest.fixture
def dataset(bench: Bench) -> SpectraDataset:
    return read_molecules(bench.context(bench.model()).trained, bench.data.test, 20)


def counts(batch: Batch) -> dict[Modality, np.ndarray]:
    """Tokens of each sample by modality."""
    modality = batch.spectra.modality_BS.numpy()
    return {m: (modality == m).sum(1) for m in batch.spectra.tokens}


def kept_tokens(batch: Batch) -> set[tuple[int, int, int]]:
    """Sample, modality and place within the modality of each token."""
    places = batch.spectra.modality_BS.shape[1]
    return {
        (int(place) // places, int(m), int(order))
        for m, part in batch.spectra.tokens.items()
        for place, order in zip(part.place_T, part.order_T)
    }


def test_the_ratios_are_those_of_table_2() -> None:
    assert SETTINGS["S4"] == {"nmr": 0.6, "ms": 0.1, "ir": 0.1}
    assert SETTINGS["S5"] == {"nmr": 0.1, "ms": 0.6, "ir": 0.1}
    assert SETTINGS["S6"] == {"nmr": 0.1, "ms": 0.1, "ir": 0.6}
    assert [set(SETTINGS[name].values()) for name in ("S0", "S1", "S2", "S3")] == [{0.0}, {0.1}, {0.3}, {0.6}]


def test_each_modality_loses_its_share_of_tokens(dataset: SpectraDataset) -> None:
    whole = collate(dataset, np.arange(20))
    lost = {m: [] for m in whole.spectra.tokens}
    for seed in range(30):
        masked = mask_tokens(whole, {"ms": 0.3, "ir": 0.6}, seed, range(20))
        for m, left in counts(masked).items():
            gone = counts(whole)[m] - left
            ratio = {Modality.MS: 0.3, Modality.IR: 0.6}.get(m, 0.0)
            exact = ratio * counts(whole)[m]
            assert (np.abs(gone - exact) < 1).all(), "to the nearest token"
            lost[m].append(gone.sum() / counts(whole)[m].sum())
    assert np.mean(lost[Modality.MS]) == pytest.approx(0.3, abs=0.02)
    assert np.mean(lost[Modality.IR]) == pytest.approx(0.6, abs=0.02)
    assert max(lost[Modality.H_NMR]) == max(lost[Modality.C_NMR]) == 0


@pytest.mark.parametrize("change", [mask_tokens, remove_channels])
def test_what_is_left_is_unchanged(dataset: SpectraDataset, change: Callable[..., Batch]) -> None:
    whole = collate(dataset, np.arange(20))
    masked = change(whole, ALL, 0, range(20))
    assert kept_tokens(masked) < kept_tokens(whole)
    layout = masked.spectra.modality_BS.view(-1)
    for m, part in masked.spectra.tokens.items():
        before = whole.spectra.tokens[m]
        assert (layout[part.place_T] == m).all()
        where = {int(place): row for row, place in enumerate(before.place_T)}
        rows = [where[int(place)] for place in part.place_T]
        assert torch.equal(part.order_T, before.order_T[rows]), "an IR window keeps its place in the spectrum"
        assert torch.equal(part.discrete_TF, before.discrete_TF[rows])
        assert torch.equal(part.continuous_TF, before.continuous_TF[rows])
    assert int((layout != PADDING).sum()) == len(kept_tokens(masked))


@pytest.mark.parametrize("change", [mask_tokens, remove_channels])
def test_more_is_missing_at_a_larger_ratio(dataset: SpectraDataset, change: Callable[..., Batch]) -> None:
    whole = collate(dataset, np.arange(20))
    some, more, most = (
        kept_tokens(change(whole, dict.fromkeys(CHANNELS, ratio), 0, range(20))) for ratio in (0.1, 0.3, 0.6)
    )
    assert most < more < some


@pytest.mark.parametrize("change", [mask_tokens, remove_channels])
def test_a_sample_is_masked_alike_in_every_batch(dataset: SpectraDataset, change: Callable[..., Batch]) -> None:
    together = change(collate(dataset, np.arange(20)), ALL, 3, range(20))
    alone = change(collate(dataset, [7]), ALL, 3, [7])
    assert {(m, order) for sample, m, order in kept_tokens(together) if sample == 7} == {
        (m, order) for _, m, order in kept_tokens(alone)
    }
    other = change(collate(dataset, np.arange(20)), ALL, 4, range(20))
    assert kept_tokens(other) != kept_tokens(together)


@pytest.mark.parametrize("change", [mask_tokens, remove_channels])
def test_no_sample_loses_everything(dataset: SpectraDataset, change: Callable[..., Batch]) -> None:
    masked = change(collate(dataset, np.arange(20)), dict.fromkeys(CHANNELS, 1.0), 0, range(20))
    left = sum(counts(masked).values())
    assert (left > 0).all()
    if change is mask_tokens:
        assert (left == 1).all()
    else:
        groups = [
            {name for name, ms in CHANNELS.items() if sum(counts(masked).get(m, np.zeros(20))[at] for m in ms)}
            for at in range(20)
        ]
        assert {len(one) for one in groups} == {1}


def test_channels_go_with_their_probability_and_whole(dataset: SpectraDataset) -> None:
    whole, gone = collate(dataset, np.arange(20)), np.zeros(3)
    for seed in range(200):
        left = counts(remove_channels(whole, {"nmr": 0.1, "ms": 0.6, "ir": 0.1}, seed, range(20)))
        nmr = left[Modality.H_NMR] + left[Modality.C_NMR]
        both = counts(whole)[Modality.H_NMR] + counts(whole)[Modality.C_NMR]
        assert (np.isin(nmr, [0]) | (nmr == both)).all(), "1H and 13C are one channel"
        gone += [(nmr == 0).mean(), (left[Modality.MS] == 0).mean(), (left[Modality.IR] == 0).mean()]
    # Of 4,000 draws 4 sigma are 0.03; all three go at once in 0.6 %, and then one stays.
    assert gone / 200 == pytest.approx([0.1, 0.6, 0.1], abs=0.03)


def test_only_some_channels(dataset: SpectraDataset) -> None:
    left = counts(only_channels(collate(dataset, np.arange(20)), ("ms", "nmr")))
    assert left[Modality.IR].sum() == 0
    assert (left[Modality.MS] > 0).all()
    assert (left[Modality.C_NMR] > 0).all()


def test_a_masked_token_is_as_if_it_had_never_been(bench: Bench, dataset: SpectraDataset) -> None:
    """A model reads the spectra without a channel, laid out anew, as it reads the masked ones."""
    model = bench.context(bench.folder / "sparse").trained.model
    chosen: Sequence[int] = range(6)
    masked = only_channels(collate(dataset, chosen), ("nmr", "ir"))
    modalities = (Modality.H_NMR, Modality.C_NMR, Modality.IR)
    anew = collate(dataset.only(modalities), chosen)
    with torch.no_grad():
        one, other = model(masked).logits_BLV, model(anew).logits_BLV
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_measures_name_settings_and_subsets(bench: Bench) -> None:
    context = bench.context(bench.model(), evaluate=12)
    found = MEASURES["missing"](context)
    assert list(found["tokens"]) == list(found["channels"]) == list(SETTINGS)
    assert found["tokens"]["S0"] == found["channels"]["S0"]
    assert all(len(one["ranks"]) == found["n"] == 12 for one in found["tokens"].values())
    subsets = MEASURES["modality_subsets"](context)["subsets"]
    assert list(subsets) == ["nmr", "ms", "ir", "nmr+ms", "nmr+ir", "ms+ir", "nmr+ms+ir"]
    assert subsets["nmr+ms+ir"]["ranks"] == found["tokens"]["S0"]["ranks"], "the same spectra"
