"""What is spoilt in a batch: as much as is asked, drawn from a sample's seed alone."""

from typing import Literal

import numpy as np
import pytest

from mmspec_ds.spectra.axes import Axis
from mmspec_ds.systems.fusion.corruption import CorruptionSettings, choose, with_noise
from mmspec_ds.systems.fusion.data import make_batch
from mmspec_ds.systems.fusion.evaluate import spoilt_scores
from mmspec_ds.systems.fusion.factory import make_model
from mmspec_ds.systems.fusion.tokens import patches, peaks
from mmspec_ds.systems.fusion.trained import TrainedFusion
from tests.systems.fusion.conftest import SCHEMA, make_data, make_run

ROWS = np.arange(400)
SEEDS = [(0, 1, row) for row in range(400)]
HAS = np.array([[True, row % 4 > 0] for row in range(400)])


def test_the_share_and_the_kinds() -> None:
    settings = CorruptionSettings(share=0.5)
    found = choose(ROWS, HAS, settings, SEEDS)
    asis = np.where(HAS, ROWS[:, None], -1)
    noisy = found.noisy_BM.any(1)
    missing = ((found.row_BM == -1) & HAS).any(1)
    shuffled = ((found.row_BM != asis) & (found.row_BM >= 0)).any(1)
    assert not (noisy & missing).any()
    assert not (shuffled & missing).any()
    for kind, share in ((noisy, 1 / 6), (shuffled, 1 / 6), (missing, 3 / 4 / 6)):
        assert kind.mean() == pytest.approx(share, abs=0.06)
    assert (found.row_BM >= 0).any(1).all(), "one modality always stays"
    assert HAS[found.row_BM[:, 1][found.row_BM[:, 1] >= 0], 1].all(), "from samples that have it"
    again = choose(ROWS[200:], HAS, settings, SEEDS[200:])
    np.testing.assert_array_equal(again.row_BM, found.row_BM[200:])
    alone = choose(ROWS, HAS, CorruptionSettings(share=1.0, kinds=("noise",)), SEEDS, column=1)
    np.testing.assert_array_equal(alone.noisy_BM, np.stack([np.zeros(400, bool), HAS[:, 1]], axis=1))
    nothing = choose(ROWS, HAS, CorruptionSettings(), SEEDS)
    np.testing.assert_array_equal(nothing.row_BM, asis)


def test_noise_moves_peaks_and_not_features() -> None:
    rng = np.random.default_rng(0)
    place, height = np.linspace(10, 100, 500), np.linspace(0, 1, 500)
    found = with_noise(peaks(place, height, Axis.C_PPM, 2), 1.0, rng)
    assert np.std(found.position_T - place) == pytest.approx(40 * 0.05, rel=0.1)
    assert (found.values_TW[:, 0] >= 0).all()
    assert not found.values_TW[:, 1].any(), "a peak has one intensity"
    table = peaks(place, np.linspace(-2, 2, 500), Axis.MZ, 2)
    spoilt = with_noise(table, 0.5, rng)
    np.testing.assert_array_equal(spoilt.position_T, place)
    added = spoilt.values_TW[:, 0] - table.values_TW[:, 0]
    assert added.std() == pytest.approx(0.5 * np.linspace(-2, 2, 500).std(), rel=0.1)
    curve = patches(place, height, Axis.WAVENUMBER, 5)
    np.testing.assert_array_equal(with_noise(curve, 1.0, rng).position_T, curve.position_T)


def test_a_batch_is_what_its_choice_says() -> None:
    data = make_data(make_run(), 40)
    rows = np.array([1, 2, 3])
    plain = make_batch(data, rows)
    missing = CorruptionSettings(share=1.0, kinds=("missing",))
    spoilt = make_batch(data, rows, corruption=missing, seeds_B=[(0, row) for row in range(3)], column=0)
    assert plain.pieces.present_BM.tolist() == [[True, True]] * 3
    assert spoilt.pieces.present_BM.tolist() == [[False, True]] * 3
    shuffled = CorruptionSettings(share=1.0, kinds=("shuffled",))
    other = make_batch(data, rows, corruption=shuffled, seeds_B=[(0, row) for row in range(3)], column=1)
    first = int(plain.pieces.counts_P[:3].sum())
    np.testing.assert_array_equal(other.pieces.steps_T[:first], plain.pieces.steps_T[:first])
    assert other.pieces.steps_T[first:].tolist() != plain.pieces.steps_T[first:].tolist()
    assert other.target_BC.equal(plain.target_BC)


@pytest.mark.parametrize(
    ("kind", "rate", "spoilt", "sound"),
    [
        ("noise", 0.0, np.nan, 20 / 35),
        ("noise", 1.0, 20 / 35, np.nan),
        # The five that have nothing else keep it. They are not spoilt.
        ("missing", 1.0, np.nan, 1.0),
    ],
)
def test_weights_where_a_modality_is_spoilt(
    kind: Literal["noise", "missing"], rate: float, spoilt: float, sound: float
) -> None:
    """Late fusion weighs alike: of 40 samples 30 have both modalities and 5 the 13C spectrum alone."""
    run = make_run(fusion={"kind": "late_mean"})
    trained = TrainedFusion(run, SCHEMA, make_model(run, SCHEMA), "")
    (found,) = spoilt_scores(trained, make_data(run, 40), "c_nmr", [rate], [kind])
    assert found.weight_spoilt == pytest.approx(spoilt, nan_ok=True)
    assert found.weight_sound == pytest.approx(sound, nan_ok=True)
