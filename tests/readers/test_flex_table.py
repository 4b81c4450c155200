"""MALDI-TOF spectra of a folder as a table of samples, and what inspect says and draws of it."""

import math
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.flex_inspection import flex_lines, flex_panels, inspect_flex
from mmspec_ds.readers.flex_table import bin_centre, bin_of, read_flex_table
from mmspec_ds.readers.sample_columns import Layout
from mmspec_ds.readers.sample_table import read_sample_table
from mmspec_ds.readers.spectrum_drawing import plot_panels
from tests.readers.flex_writer import counts_of, write_flex

COMMON = {4336.2: 20_000.0, 9645.3: 9000.0}


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two species of two spots with two spectra each: m/z 6000 is of the one, 7000 of the other."""
    folder = tmp_path_factory.mktemp("plate")
    for species, own in (("coli", 6000.0), ("cloacae", 7000.0)):
        for spot in (1, 2):
            for number in (1, 2):
                counts = counts_of({**COMMON, own: 15_000.0}, seed=10 * spot + number)
                write_flex(folder / species / f"0_A{spot}" / str(number) / "1SLin", counts)
    return folder


def test_bins_by_hand() -> None:
    """Bin n is from 100 (1 + w)^n to 100 (1 + w)^(n + 1); the first at or above 5000 for w = 0.002 is 1957."""
    assert [bin_of(100 * 1.002**n * (1 + 1e-9), 2000) for n in (0, 1, 1957)] == [0, 1, 1957]
    assert bin_of(5000.0, 2000) == math.floor(math.log(50) / math.log(1.002)) == 1957
    low, high = 100 * 1.002**1957, 100 * 1.002**1958
    assert low < 5000 < high
    assert bin_centre(1957, 2000) == pytest.approx(math.sqrt(low * high), rel=1e-12)
    assert (high - low) / low == pytest.approx(2000e-6, rel=1e-9)


def test_a_table_of_peaks(plate: Path) -> None:
    table = read_sample_table(plate, Layout(describing=("class",)))
    assert table.names == tuple(f"{one}/0_A{n}" for one in ("cloacae", "coli") for n in (1, 1, 2, 2))
    assert table.columns["class"] == ("cloacae",) * 4 + ("coli",) * 4
    assert table.columns["number"] == ("1", "2") * 4
    assert table.columns["spot"] == ("F9",) * 8
    assert table.axis.unit == "m/z"
    assert table.axis.position_F is not None
    found = {}
    for mz in (*COMMON, 6000.0, 7000.0):
        (at,) = np.flatnonzero(np.abs(table.axis.position_F / mz - 1) < 1e-3)
        found[mz] = (table.values_NF[:, at] > 0).tolist()
    assert found[4336.2] == found[9645.3] == [True] * 8
    assert found[6000.0] == [False] * 4 + [True] * 4
    assert found[7000.0] == [True] * 4 + [False] * 4
    assert "8 MALDI-TOF spectra of 4 samples (Bruker flex, linear mode)" in " ".join(table.remarks)


def test_bins_do_not_depend_on_other_samples(plate: Path) -> None:
    """What is measured of a spot is the same, whatever lies beside it."""
    whole = read_flex_table(plate, 2000.0)
    part = read_flex_table(plate / "coli", 2000.0)
    assert part.features is not None
    assert whole.features is not None
    assert set(part.features) < set(whole.features)
    for name in part.features:
        assert whole.columns[name][4:] == part.columns[name]
    assert "class" not in part.columns, "the folder that was read says no class"


def test_wider_bins_are_fewer(plate: Path) -> None:
    counts = [len(read_flex_table(plate, width).features or ()) for width in (100.0, 2000.0, 50_000.0)]
    assert counts[0] > counts[1] >= counts[2] >= 4


def test_damaged_spectra_cost_themselves_alone(tmp_path: Path) -> None:
    write_flex(tmp_path / "a" / "1" / "1SLin", counts_of(COMMON))
    write_flex(tmp_path / "b" / "1" / "1SLin", counts_of(COMMON), {"$DW": "0"})
    table = read_flex_table(tmp_path, 2000.0)
    assert table.names == ("a",)
    assert "1 folder left out: b/1/1SLin: DW in acqu is 0" in table.remarks[-1]
    with pytest.raises(DataError, match=r"no spectrum can be used: 1/1SLin: DW in acqu is 0"):
        read_flex_table(tmp_path / "b", 2000.0)
    flat = write_flex(tmp_path / "c" / "1" / "1SLin", np.full(20_000, 7))
    with pytest.raises(DataError, match="none of 1 spectra has a peak"):
        read_flex_table(flat, 2000.0)


def test_what_inspect_says(plate: Path, tmp_path: Path) -> None:
    write_flex(tmp_path / "broken", counts_of(COMMON), {"$DW": "0"})
    lines = list(flex_lines(inspect_flex(plate, keep=1)))
    assert lines[1:6] == [
        "  format    Bruker flex: MALDI-TOF curves of samples, not of single molecules",
        "  spectra   8 read, 0 rejected; of 4 samples",
        "  kind      MALDI-TOF, linear mode",
        "  m/z       1962.2 to 18988.8, 20000 points",
        next(line for line in lines if line.startswith("  peaks     ")),
    ]
    assert "  classes   cloacae 2, coli 2 (samples by the folder about theirs)" in lines
    assert lines[-2] == "  cloacae/0_A1/1  spot F9, 2014-05-06T13:03:42.324+02:00"
    assert "20000 points from m/z 1962.2 to 18988.8:" in lines[-1]
    assert "the strongest at 4336." in lines[-1]
    with pytest.raises(DataError, match="no MALDI-TOF spectrum can be read: DW in acqu is 0"):
        inspect_flex(tmp_path / "broken")


def test_a_drawing(plate: Path, tmp_path: Path) -> None:
    panels = flex_panels(inspect_flex(plate, keep=3))
    assert [panel.title.split("  ")[:2] for panel in panels] == [
        ["cloacae/0_A1/1", "MALDI-TOF linear"],
        ["cloacae/0_A1/2", "MALDI-TOF linear"],
        ["cloacae/0_A2/1", "MALDI-TOF linear"],
    ]
    assert plot_panels(panels, tmp_path / "a.png") == 3
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
