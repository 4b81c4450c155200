"""The benchmark of adapters on MALDI-TOF spectra: no spot on both sides, and figures by hand."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.systems.fusion.data import FusionData
from mmspec_ds.systems.fusion.tokens import Points, TokenSettings
from tests.readers.flex_writer import counts_of, write_flex
from tests.systems.fusion.test_benchmark_runs import script


def data_of(spots: int = 4) -> FusionData:
    """Two species of so many spots of three spectra each."""
    names = [f"{species}/{spot}" for species in "ab" for spot in range(spots) for _ in range(3)]
    pieces = Points.joined([Points.nothing(1)] * len(names))
    target_NC = np.repeat(np.eye(2, dtype=np.float32), 3 * spots, axis=0)
    return FusionData(tuple(map(str, range(len(names)))), (pieces,), target_NC, tuple(names))


def test_spots_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    maldi, data = script("maldi_adapters", monkeypatch), data_of()
    seen = set()
    for split in range(5):
        for single, count in ((False, 12), (True, 4)):
            learnt, measured = maldi.parted(data, 2, split, single=single)
            spots = [{data.groups[at] for at in some} for some in (learnt, measured)]
            assert not spots[0] & spots[1]
            assert (len(learnt), len(spots[0]), len(measured), len(spots[1])) == (count, 4, 12, 4)
            assert data.target_NC[learnt].sum(0).tolist() == [count / 2] * 2
        seen.add(frozenset(spots[0]))
    assert len(seen) > 1


def test_a_spot_is_told_by_the_mean_of_its_spectra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means of 0.7, 0.4 for a, 0.45 and 0.2 for b: three of four are right, and three of four pairs."""
    maldi, data = script("maldi_adapters", monkeypatch), data_of(2)
    first_N = np.array([0.9, 0.9, 0.3, 0.4, 0.4, 0.4, 0.45, 0.45, 0.45, 0.0, 0.0, 0.6])
    told = maldi.of_spots(np.stack([first_N, 1 - first_N], axis=1), data)
    assert told == {"accuracy": 75.0, "auc": 0.75}


def test_spectra_are_tokens_at_their_bins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maldi = script("maldi_adapters", monkeypatch)
    for species, own in (("coli", 6260.6), ("cloacae", 7345.7)):
        counts = counts_of({4475.5: 20_000.0, own: 9000.0})
        write_flex(tmp_path / species / "0_A1" / "1" / "1SLin", counts)
    data, schema, heights_NF = maldi.read_spectra(tmp_path, TokenSettings(patch=2, max_peaks=2))
    assert (schema.names, schema.kind, data.groups) == (
        ("cloacae", "coli"),
        "classes",
        ("cloacae/0_A1", "coli/0_A1"),
    )
    (pieces,) = data.pieces
    assert pieces.counts.tolist() == [2, 2]
    np.testing.assert_allclose(pieces.position_T, [4475.5, 7345.7, 4475.5, 6260.6], rtol=1e-4)
    assert pieces.values_TW[[0, 2], 0].tolist() == [1.0, 1.0]
    assert (heights_NF.max(1) == 1.0).all()
    # counts 9000 to 20,000 over the baseline: the root of them, less that of the baseline
    assert 0.5 < pieces.values_TW[1, 0] < 0.8
