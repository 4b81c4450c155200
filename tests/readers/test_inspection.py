"""What inspect says of a file, and what it draws."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.inspection import PANELS, inspect_file, plot_parts, report_lines
from mmspec_ds.readers.part import ADDUCT, PRECURSOR_MZ, Part
from mmspec_ds.readers.spectrum_drawing import DRAWINGS, LABELLED_PEAKS, draw
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Multiplet, Spectrum, TandemMS

FILES = Path(__file__).parent / "files"
PNG = b"\x89PNG\r\n\x1a\n"

SPECTRA: tuple[Spectrum, ...] = (
    HydrogenNMR((Multiplet(3.6, 3.7, 3.5, "q", 2), Multiplet(1.2, 1.3, 1.1, "t", 3))),
    CarbonNMR((58.0, 18.0)),
    Infrared(np.array([0.0, 1.0, 0.5, 0.1])),
    TandemMS(np.array([50.0, 60.0, 195.0]), np.array([40.0, 100.0, 7.0])),
)


def test_a_page_of_a_file_with_a_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "two.mgf"
    path.write_text(
        (FILES / "gnps.mgf").read_text() + "BEGIN IONS\nMSLEVEL=1\n50 1\nEND IONS\nBEGIN IONS\nEND IONS\n"
    )
    lines = list(report_lines(inspect_file(path, keep=1)))
    assert lines == [
        str(path),
        "  format    MGF",
        "  records   3 read, 1 rejected, 1 passed over",
        "  spectra   3 MS/MS",
        "  MS/MS     1 at negative 10 eV, 2 at positive 20 eV",
        "  passed over",
        "    1 x a spectrum of MS level 1; MS/MS is level 2",
        "  remarks",
        "    1 x collision energy Ramp 5-15 eV understood as 10.0 eV (mean of 5 and 15)",
        "    1 x no collision energy, taken as 20 eV",
        "  rejected",
        "    record 4, line 48: no peaks",
        "  two.mgf:0  caffeine 20 eV, [M+H]+, 20, C8H10N4O2, CN1C=NC2=C1C(=O)N(C)C(=O)N2C",
        "    MS/MS of m/z 195.0877, positive 20 eV: 6 peaks from 42.0338 to 195.0877,"
        " the strongest at 138.0662",
    ]


def test_all_modalities_are_described() -> None:
    lines = list(report_lines(inspect_file(FILES / "pyarrow.parquet", keep=1)))
    assert "    1H NMR, 2 multiplets, 5 H: 3.60 (q, 2H), 1.20 (t, 3H)" in lines
    assert "    13C NMR, 2 lines: 58.0, 18.0" in lines
    assert "    IR, 4 points from 400 to 4000 cm-1, absorbance" in lines


def test_a_cut_file_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    content = (FILES / "psims.mzML").read_bytes()
    path = tmp_path / "cut.mzML"
    path.write_bytes(content[: content.index(b'id="scan=4"')])
    found = inspect_file(path)
    assert (found.parts, found.passed_over) == (2, 1)
    assert "damaged or truncated XML" in str(found.fault)


def test_a_drawing_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "all.png"
    part = Part("a:0", SPECTRA, metadata={"name": "$odd_name$"})
    assert plot_parts([part], path) == 4
    assert path.read_bytes().startswith(PNG)
    assert [one.name for one in tmp_path.iterdir()] == ["all.png"]


def test_a_drawing_has_a_limit_and_needs_something(tmp_path: Path) -> None:
    assert plot_parts([Part("a:0", SPECTRA)] * 5, tmp_path / "many.png") == PANELS
    with pytest.raises(DataError, match="nothing to draw"):
        plot_parts([], tmp_path / "none.png")
    with pytest.raises(DataError, match=r"here\.png: cannot be written"):
        plot_parts([Part("a:0", SPECTRA)], tmp_path / "not" / "here.png")


def test_what_is_drawn_is_what_was_read() -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    part = Part("a:0", (SPECTRA[3],), metadata={PRECURSOR_MZ: 195.1, ADDUCT: "[M+H]+"})
    draw(SPECTRA[3], part, axes)
    (stems,) = axes.collections
    ends = np.array([segment[1] for segment in stems.get_segments()])
    np.testing.assert_allclose(ends, [[50, 40], [60, 100], [195, 7]])
    assert [text.get_text() for text in axes.texts] == ["60.0000", "50.0000", "195.0000"]
    assert len(axes.texts) <= LABELLED_PEAKS
    assert axes.get_legend().get_texts()[0].get_text() == "[M+H]+"
    assert set(DRAWINGS) == {type(spectrum) for spectrum in SPECTRA}
