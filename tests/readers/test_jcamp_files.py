"""JCAMP-DX files: the sound ones beside the tests, what other libraries read of ours, the round trip."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.jcamp import read_jcamp
from mmspec_ds.readers.part import Item, Part, Rejected
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Modality, Multiplet
from tests.readers.jcamp_writer import write_jcamp

ETHYL_ACETATE = [("q", 2, 4.12, (7.14,)), ("s", 3, 2.04, ()), ("t", 3, 1.26, (7.14,))]


def parts(path: Path, modality: Modality | None = None) -> list[Part]:
    items: list[Item] = list(read_file(path, modality))
    assert all(isinstance(item, Part) for item in items), items
    return [item for item in items if isinstance(item, Part)]


def check_ethyl_acetate(spectrum: object) -> None:
    assert isinstance(spectrum, HydrogenNMR)
    assert len(spectrum.multiplets) == 3
    for found, (category, hydrogens, shift, couplings) in zip(spectrum.multiplets, ETHYL_ACETATE):
        assert (found.category, found.hydrogens) == (category, hydrogens)
        assert found.centroid_ppm == pytest.approx(shift, abs=2e-4)
        assert found.j_hz == pytest.approx(couplings, abs=0.02)


def test_ntuples_of_real_and_imaginary_part(sound_files: Path) -> None:
    """Hz counted from 0 at one end, shifts by .SHIFT REFERENCE; the solvent and TMS are left out."""
    (part,) = parts(sound_files / "ntuples_1h.jdx")
    check_ethyl_acetate(part.spectra[0])
    assert part.metadata[keys.SOLVENT] == "CDCl3"
    assert part.metadata[keys.FREQUENCY_MHZ] == 400.13
    assert part.trace is not None
    assert len(part.trace.axis) == 8192
    assert part.trace.picked is not None
    assert len(part.trace.picked) == 8


def test_carbon_curve_in_difdup(sound_files: Path) -> None:
    (part,) = parts(sound_files / "difdup_13c.jdx")
    assert isinstance(part.spectra[0], CarbonNMR)
    assert part.spectra[0].shifts_ppm == pytest.approx((171.36, 60.49, 21.04, 14.19), abs=0.01)
    assert part.formula == "C4H8O2"


def test_linked_infrared_blocks(sound_files: Path) -> None:
    """One block in per cent transmittance from 4000 down in SQZ, one in absorbance by micrometers in PAC: the
    same bands."""
    first, second = parts(sound_files / "link_ir.jdx")
    grid = np.linspace(400, 4000, 1800)
    expected = 0.02 + sum(
        height / (1 + ((grid - place) / width) ** 2)
        for place, height, width in (
            *((1742, 1.1, 12), (1240, 1.0, 18), (1048, 0.5, 12)),
            *((2984, 0.2, 20), (1374, 0.35, 12)),
        )
    )
    for part, near in ((first, 0.03), (second, 0.12)):  # 4 cm-1 a point, and up to 39 at the short end
        spectrum = part.spectra[0]
        assert isinstance(spectrum, Infrared)
        assert_allclose(spectrum.absorbance, expected, atol=near)
    assert first.formula == "C4H8O2"
    assert "axis turned from um into cm-1" in second.remarks


def test_assignments_and_peak_tables(sound_files: Path) -> None:
    hydrogen, carbon = parts(sound_files / "assignments.dx")
    assert isinstance(hydrogen.spectra[0], HydrogenNMR)
    found = [(m.category, m.hydrogens, m.centroid_ppm) for m in hydrogen.spectra[0].multiplets]
    assert found == [(category, hydrogens, shift) for category, hydrogens, shift, _ in ETHYL_ACETATE]
    assert carbon.spectra == (CarbonNMR((171.36, 60.49, 21.04, 14.19)),)


def test_a_modality_that_was_not_asked_for_is_no_fault(sound_files: Path) -> None:
    items = list(read_jcamp(sound_files / "assignments.dx", Modality.C_NMR))
    assert isinstance(items[1], Part)
    assert isinstance(items[0], Rejected)
    assert not items[0].fault
    assert items[0].reason == "is 1H NMR, not 13C NMR"


BLOCK = """##TITLE= {title}
##JCAMP-DX= 5.01
##DATA TYPE= {kind}
##.OBSERVE FREQUENCY= 400
##.OBSERVE NUCLEUS= ^1H
##XUNITS= PPM
{rest}
##END=
"""
TABLE = "##NPOINTS= 3\n##PEAK TABLE= (XY..XY)\n1.0, 1\n1.02, 2\n1.04, 1"


def test_a_peak_table_of_hydrogen_lines_is_grouped(tmp_path: Path) -> None:
    """8 Hz apart at 400 MHz, 1:2:1."""
    path = tmp_path / "a.jdx"
    path.write_text(BLOCK.format(title="a", kind="NMR PEAK TABLE", rest=TABLE))
    (part,) = parts(path)
    assert isinstance(part.spectra[0], HydrogenNMR)
    (found,) = part.spectra[0].multiplets
    assert (found.category, found.j_hz) == ("t", (8.0,))


def test_of_several_blocks_of_one_nucleus_the_best_is_read(tmp_path: Path) -> None:
    named = "##NPOINTS= 1\n##PEAK ASSIGNMENTS= (XYMA)\n(1.02, 3, T, <1>)"
    blocks = [
        BLOCK.format(title="table", kind="NMR PEAK TABLE", rest=TABLE),
        BLOCK.format(title="named", kind="NMR PEAK ASSIGNMENTS", rest=named),
    ]
    path = tmp_path / "a.jdx"
    path.write_text("##TITLE= a\n##DATA TYPE= LINK\n##BLOCKS= 2\n" + "".join(blocks) + "##END=\n")
    table, assigned = list(read_jcamp(path))
    assert isinstance(assigned, Part)
    assert isinstance(table, Rejected)
    assert not table.fault
    assert table.reason == "1H NMR peaks, left out for the more telling list in the same file"


@pytest.mark.parametrize(
    ("end", "text"), [("CR", "\r"), ("CRLF", "\r\n"), ("LF", "\n")], ids=lambda one: repr(one)
)
def test_line_ends_marks_and_comments(sound_files: Path, tmp_path: Path, end: str, text: str) -> None:
    content = (sound_files / "assignments.dx").read_text().replace("##END=", "##END= $$ the end")
    path = tmp_path / "a.dx"
    path.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", text).encode())
    assert [type(part.spectra[0]).__name__ for part in parts(path)] == ["HydrogenNMR", "CarbonNMR"]


HYDROGEN = HydrogenNMR(
    (
        Multiplet(7.2612345, 7.3, 7.2, "ddd", 1, (1.234, 5.0, 8.125)),
        Multiplet(3.71, 3.727, 3.693, "s", 3),
        Multiplet(1.5, 1.7, 1.3, "m", 12),
        Multiplet(0.1 + 0.2, 0.4, 0.2, "hept", 1, (6.9,)),
    )
)
CARBON = CarbonNMR((171.361234, 60.49, 14.1))
INFRARED = Infrared(np.random.default_rng(0).normal(0.3, 0.2, 1800))


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    """All digits of all kinds, title and formula."""
    path = tmp_path / "a.jdx"
    metadata = {keys.NAME: "a title $$ with ##marks", keys.SOLVENT: "CDCl3", keys.FREQUENCY_MHZ: 400.13}
    written = [
        Part("a:0", (HYDROGEN,), metadata=metadata),
        Part("a:1", (CARBON,), formula="C4H8O2"),
        Part("a:2", (INFRARED,)),
    ]
    assert write_jcamp(path, written) == 3
    assert find_format(path).name == "jcamp"
    found = [item for item in read_file(path) if isinstance(item, Part)]
    assert [item.spectra[0].modality for item in found] == [Modality.H_NMR, Modality.C_NMR, Modality.IR]
    assert found[0].spectra[0] == HYDROGEN
    assert found[1].spectra[0] == CARBON
    infrared = found[2].spectra[0]
    assert isinstance(infrared, Infrared)
    assert infrared.absorbance.tolist() == INFRARED.absorbance.tolist()
    assert found[0].metadata[keys.NAME] == "a title $ $ with # #marks"
    assert found[0].metadata[keys.FREQUENCY_MHZ] == 400.13
    assert found[1].formula == "C4H8O2"
    assert all(len(line) <= 80 for line in path.read_text().splitlines())
    assert list(tmp_path.iterdir()) == [path]


def test_the_library_jcamp_reads_what_is_written(tmp_path: Path) -> None:
    import jcamp

    infrared, carbon = tmp_path / "ir.jdx", tmp_path / "c.jdx"
    write_jcamp(infrared, [Part("a", (INFRARED,))])
    write_jcamp(carbon, [Part("a", (CARBON,))])
    read = jcamp.readfile(str(infrared))
    assert_allclose(read["x"], np.linspace(400, 4000, 1800))
    assert_allclose(read["y"], INFRARED.absorbance, rtol=1e-12)
    assert read["yunits"] == "ABSORBANCE"
    assert jcamp.readfile(str(carbon))["x"].tolist() == list(CARBON.shifts_ppm)


def test_the_lines_written_beside_are_the_first_order_ones(tmp_path: Path) -> None:
    """The ddd of one hydrogen: eight lines of an eighth, places by the couplings at 400.13 MHz."""
    path = tmp_path / "a.jdx"
    ddd = HydrogenNMR((HYDROGEN.multiplets[0],))
    write_jcamp(path, [Part("a", (ddd,), metadata={keys.FREQUENCY_MHZ: 400.0})])
    table = path.read_text().partition("##PEAK TABLE= (XY..XY)\n")[2].splitlines()[:8]
    places = sorted(float(line.split(",")[0]) for line in table)
    shifts = [a * 1.234 + b * 5.0 + c * 8.125 for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)]
    assert_allclose(places, sorted(7.2612345 + shift / 400 for shift in shifts), atol=1e-6)
    assert [float(line.split(",")[1]) for line in table] == [0.125] * 8


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no NMR or IR spectrum"):
        write_jcamp(tmp_path / "a.jdx", [])
    assert not list(tmp_path.iterdir())


def test_a_million_points_are_read_in_seconds(tmp_path: Path) -> None:
    """2^20 points of 13C in SQZ, one line of 400 Hz width in the middle."""
    count = 2**20
    places = np.arange(count)
    values = np.rint(1e6 / (1 + ((places - count / 2) / 20) ** 2)).astype(int)
    rows = [
        f"{start} " + " ".join(map(str, values[start : start + 16].tolist())) for start in range(0, count, 16)
    ]
    labels = BLOCK.format(title="big", kind="NMR SPECTRUM", rest="").replace("##END=\n", "")
    axis = f"##FIRSTX= 220\n##LASTX= -20\n##XFACTOR= {-240 / (count - 1)}\n##NPOINTS= {count}\n"
    axis += "##XYDATA= (X++(Y..Y))\n"
    path = tmp_path / "big.jdx"
    path.write_text(labels.replace("^1H", "^13C") + axis + "\n".join(rows) + "\n##END=\n")
    (part,) = parts(path)
    assert isinstance(part.spectra[0], CarbonNMR)
    assert part.spectra[0].shifts_ppm == pytest.approx((100.0,), abs=0.001)
    assert math.isfinite(part.spectra[0].shifts_ppm[0])


def curve_of_one_line(hz: list[float], reference: str) -> str:
    """A 13C curve of 400 points from 2000 to 400 Hz at 100 MHz, with lines at some places in Hz."""
    places = np.linspace(2000, 400, 401)
    values = sum(1e5 / (1 + ((places - place) / 4) ** 2) for place in hz)
    rows = [
        f"{places[i]:g} " + " ".join(f"{value:.0f}" for value in values[i : i + 10]) for i in range(0, 401, 10)
    ]
    return (
        BLOCK.format(title="a", kind="NMR SPECTRUM", rest=reference)
        .replace("^1H", "^13C")
        .replace("= 400\n", "= 100\n")
        .replace("PPM", "HZ")
        .replace(
            "##END=", "##FIRSTX= 2000\n##LASTX= 400\n##NPOINTS= 401\n##XYDATA= (X++(Y..Y))\n" + "\n".join(rows)
        )
        + "##END=\n"
    )


@pytest.mark.parametrize(
    ("reference", "shift"),
    [
        ("", 12.0),
        ("##.SHIFT REFERENCE= INTERNAL, TMS, 0, 0", 12.0),
        ("##.SHIFT REFERENCE= INTERNAL, CDCl3, 1, 120", 112.0),
        ("##.SHIFT REFERENCE= INTERNAL, CDCl3, 401, 10", 18.0),
        ("##.SHIFT REFERENCE= (INTERNAL, CDCl3, 0, 120)", 112.0),
        ("##$OFFSET= 120", 12.0),  # a stale one: the axis does not count from 0
    ],
)
def test_shift_references(reference: str, shift: float, tmp_path: Path) -> None:
    """The line at 1200 Hz is 12 ppm, or 8 ppm below the first point, or 8 above the last."""
    path = tmp_path / "a.jdx"
    path.write_text(curve_of_one_line([1200.0], reference))
    (part,) = parts(path)
    assert isinstance(part.spectra[0], CarbonNMR)
    assert part.spectra[0].shifts_ppm == pytest.approx((shift,), abs=0.01)
