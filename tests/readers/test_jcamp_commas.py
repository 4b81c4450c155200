"""JCAMP-DX with decimal commas, and files that hold a curve and its list of peaks."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared

PLACES = np.linspace(4000.5, 500.5, 701)
VALUES = sum(h / (1 + ((PLACES - at) / 12) ** 2) for at, h in ((2955.0, 0.4), (1715.0, 1.1), (1190.0, 0.7)))
TOLD = "the commas in the table are read as decimal marks"
LABELS = "##TITLE=a\n##JCAMP-DX=4.24\n##DATA TYPE=INFRARED SPECTRUM\n##XUNITS=1/CM\n##YUNITS=ABSORBANCE\n"
POINTS = "##NPOINTS=701\n"
RANGE = "##FIRSTX=4000,5\n##LASTX=500,5\n"


def comma(number: float, digits: int) -> str:
    return f"{number:.{digits}f}".replace(".", ",")


def rows(digits_x: int, digits_y: int, factor: float = 1.0) -> str:
    return "\n".join(
        " ".join([comma(PLACES[at], digits_x), *(comma(y * factor, digits_y) for y in VALUES[at : at + 8])])
        for at in range(0, len(PLACES), 8)
    )


def pairs(between: str) -> str:
    return "\n".join(f"{comma(x, 1)}{between}{comma(y, 5)}" for x, y in zip(PLACES, VALUES))


CURVES = {
    "X": f"{RANGE}{POINTS}##XFACTOR=1,0\n##YFACTOR=0,00001\n##XYDATA=(X++(Y..Y))\n{rows(1, 0, 1e5)}\n",
    "X and Y": f"{RANGE}{POINTS}##XYDATA=(X++(Y..Y))\n{rows(1, 5)}\n",
    "X and Y, whole labels": f"##FIRSTX=4000.5\n##LASTX=500.5\n{POINTS}##XYDATA=(X++(Y..Y))\n{rows(1, 5)}\n",
    "pairs": f"{RANGE}{POINTS}##XYPOINTS=(XY..XY)\n{pairs(' ')}\n",
    "pairs, semicolons": f"{RANGE}{POINTS}##XYPOINTS=(XY..XY)\n{pairs('; ')}\n",
    "pairs, comma and blank": f"{POINTS}##XYPOINTS=(XY..XY)\n{pairs(', ')}\n",
    "pairs without labels": f"##XYPOINTS=(XY..XY)\n{pairs(' ')}\n",
}


@pytest.mark.parametrize("kind", CURVES)
def test_curves_with_decimal_commas(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jdx"
    path.write_text(f"{LABELS}{CURVES[kind]}##END=\n")
    (part,) = read_file(path)
    assert isinstance(part, Part), str(part)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, Infrared)
    grid = np.linspace(400, 4000, 1800)
    expected = np.interp(grid, PLACES[::-1], VALUES[::-1])
    inside = (grid > 501) & (grid < 4000)
    np.testing.assert_allclose(spectrum.absorbance[inside], expected[inside], atol=2e-4)
    assert TOLD in part.remarks


def test_commas_between_whole_numbers_still_part_them(tmp_path: Path) -> None:
    """The same digits as pairs "x,y": 701 points are declared, and 701 there are."""
    path = tmp_path / "a.jdx"
    lines = "\n".join(f"{x:.0f},{y * 1e4:.0f}" for x, y in zip(np.linspace(4000, 500, 701), VALUES))
    path.write_text(f"{LABELS}{POINTS}##YFACTOR=0.0001\n##XYPOINTS=(XY..XY)\n{lines}\n##END=\n")
    (part,) = read_file(path)
    assert isinstance(part, Part), str(part)
    assert TOLD not in part.remarks
    assert isinstance(part.spectra[0], Infrared)
    assert part.spectra[0].absorbance.max() == pytest.approx(1.1, abs=0.01)


NMR = "##TITLE=a\n##JCAMP-DX=5.00\n##DATA TYPE=NMR PEAK TABLE\n##.OBSERVE NUCLEUS=^{nucleus}\n##XUNITS=PPM\n"


@pytest.mark.parametrize(
    ("labels", "table"),
    [
        ("##.OBSERVE FREQUENCY=75,5\n", "168,41 30\n62,12 90\n13,83 95"),
        ("", "168,41 30\n62,12 90\n13,83 95"),
        ("##NPOINTS=3\n", "168,41 30,5\n62,12 90,1\n13,83 95,0"),
        ("", "168,41 30,5\n62,12 90,1\n13,83 95,0"),
        ("", "168,41; 30,5\n62,12; 90,1\n13,83; 95,0"),
        ("", "168.41, 30\n62.12, 90\n13.83, 95"),
        ("", "168.41,30 62.12,90 13.83,95"),
    ],
)
def test_peak_tables_with_decimal_commas(labels: str, table: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jdx"
    path.write_text(f"{NMR.format(nucleus='13C')}{labels}##PEAK TABLE=(XY..XY)\n{table}\n##END=\n")
    (part,) = read_file(path)
    assert isinstance(part, Part), str(part)
    assert part.spectra == (CarbonNMR((168.41, 62.12, 13.83)),)
    assert (TOLD in part.remarks) == ("168," in table)


def test_assignments_with_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "a.jdx"
    table = "(4,26; 2; q; <J= 7.2 Hz>)\n(1,35; 3; t; <1>)"
    head = NMR.format(nucleus="1H").replace("TABLE", "ASSIGNMENTS")
    path.write_text(f"{head}##PEAK ASSIGNMENTS=(XYMA)\n{table}\n##END=\n")
    (part,) = read_file(path)
    assert isinstance(part, Part), str(part)
    assert isinstance(part.spectra[0], HydrogenNMR)
    found = [(m.centroid_ppm, m.category, m.hydrogens, m.j_hz) for m in part.spectra[0].multiplets]
    assert found == [(4.26, "q", 2, (7.2,)), (1.35, "t", 3, ())]


BANDS = (
    "##TITLE=peaks\n##JCAMP-DX=5.00\n##DATA TYPE={kind}\n##DATA CLASS=PEAKTABLE\n##XUNITS=1/CM\n"
    "##YUNITS=ABSORBANCE\n##NPOINTS=3\n##PEAKTABLE= (XY..XY)\n2955, 0.4\n1715, 1.1\n1190, 0.7\n##END=\n"
)


@pytest.mark.parametrize(
    "kind", ["INFRARED PEAK TABLE", "INFRAREDPEAKTABLE", "INFRARED SPECTRUM", "IR PEAK TABLE"]
)
def test_a_list_of_bands_is_not_a_curve(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jdx"
    path.write_text(BANDS.format(kind=kind))
    (item,) = read_file(path)
    assert isinstance(item, Rejected)
    assert item.fault
    assert item.reason == "a table of 3 lines of IR bands, not a curve: expected XYDATA or XYPOINTS"


@pytest.mark.parametrize("kind", ["INFRARED PEAK TABLE", "INFRAREDPEAKTABLE", "INFRARED SPECTRUM"])
@pytest.mark.parametrize("first", [True, False], ids=["curve first", "peaks first"])
def test_the_curve_of_a_link_is_read_and_its_peaks_left_out(kind: str, first: bool, tmp_path: Path) -> None:
    curve = f"{LABELS}{CURVES['X and Y']}##END=\n"
    blocks = [curve, BANDS.format(kind=kind)][:: 1 if first else -1]
    path = tmp_path / "a.jdx"
    path.write_text("##TITLE=a\n##DATA TYPE=LINK\n##BLOCKS=2\n" + "".join(blocks) + "##END=\n")
    items = list(read_file(path))
    (part,) = [item for item in items if isinstance(item, Part)]
    (left_out,) = [item for item in items if isinstance(item, Rejected)]
    assert "1 further list of IR peaks in the file left out" in part.remarks
    assert left_out.reason == "IR peaks, left out for the curve in the same file"
    assert not left_out.fault
