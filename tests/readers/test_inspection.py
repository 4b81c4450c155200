"""What inspect says of a file, and what it draws."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.inspection import described, inspect_file, plot_parts, report_lines
from mmspec_ds.readers.part import Part
from mmspec_ds.readers.spectrum_drawing import GROUP_COLOURS, LABELLED_PEAKS, PANELS, UNKNOWN_COLOUR, draw
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    ElectronIonisationMS,
    HSQCPeak,
    HydrogenNMR,
    Infrared,
    Multiplet,
    Spectrum,
    TandemMS,
)
from mmspec_ds.spectra.registry import REGISTRY

FILES = Path(__file__).parent / "files"
PNG = b"\x89PNG\r\n\x1a\n"

SPECTRA: tuple[Spectrum, ...] = (
    HydrogenNMR((Multiplet(3.6, 3.7, 3.5, "q", 2), Multiplet(1.2, 1.3, 1.1, "t", 3))),
    CarbonNMR((128.0, 58.0, 18.0), (None, 2, 3)),
    Infrared(np.array([0.0, 1.0, 0.5, 0.1])),
    TandemMS(np.array([50.0, 60.0, 195.0]), np.array([40.0, 100.0, 7.0]), "positive", 20.0, 195.1, "[M+H]+", 1),
    HSQC((HSQCPeak(58.0, 3.6, 2, -2.0), HSQCPeak(18.0, 1.2, 3, 3.0), HSQCPeak(128.0, 7.2))),
    ElectronIonisationMS(np.array([29.0, 43.0]), np.array([40.0, 100.0]), 70.0),
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
        "    MS/MS of m/z 195.0877, [M+H]+, charge +1, positive 20 eV: 6 peaks from 42.0338 to 195.0877,"
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
    assert plot_parts([part], path) == 6
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
    draw(SPECTRA[3], Part("a:0", (SPECTRA[3],)), axes)
    (stems,) = axes.collections
    ends = np.array([segment[1] for segment in stems.get_segments()])
    np.testing.assert_allclose(ends, [[50, 40], [60, 100], [195, 7]])
    assert [text.get_text() for text in axes.texts] == ["60.0000", "50.0000", "195.0000"]
    assert len(axes.texts) <= LABELLED_PEAKS
    assert axes.get_legend().get_texts()[0].get_text() == "[M+H]+"


def test_every_instrument_is_drawn_and_described() -> None:
    instruments = {modality for modality, one in REGISTRY.items() if one.is_instrument}
    assert instruments == {spectrum.modality for spectrum in SPECTRA}
    assert [described(spectrum) for spectrum in SPECTRA] == [
        "1H NMR, 2 multiplets, 5 H: 3.60 (q, 2H), 1.20 (t, 3H)",
        "13C NMR, 3 lines: 128.0, 58.0 (CH2), 18.0 (CH3)",
        "IR, 4 points from 400 to 4000 cm-1, absorbance",
        "MS/MS of m/z 195.1000, [M+H]+, charge +1, positive 20 eV: 3 peaks from 50.0000 to 195.0000,"
        " the strongest at 60.0000",
        "HSQC, 3 cross peaks (13C/1H): 58.0/3.60 (2H), 18.0/1.20 (3H), 128.0/7.20",
        "EI-MS, 70 eV: 2 peaks from 29.0000 to 43.0000, the strongest at 43.0000",
    ]


def colours_by_name(axes: Any) -> dict[str, Any]:
    from matplotlib.colors import to_hex

    return {one.get_label(): to_hex(one.get_edgecolor()[0]) for one in axes.collections}


def test_carbon_lines_are_coloured_by_their_hydrogens() -> None:
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draw(SPECTRA[1], Part("a:0", (SPECTRA[1],)), axes)
    expected = {"CH3": GROUP_COLOURS[3], "CH2": GROUP_COLOURS[2], "unknown": UNKNOWN_COLOUR}
    assert colours_by_name(axes) == {name: to_hex(colour) for name, colour in expected.items()}
    places = {one.get_label(): [s[0][0] for s in one.get_segments()] for one in axes.collections}
    assert places == {"CH3": [18.0], "CH2": [58.0], "unknown": [128.0]}
    low, high = axes.get_xlim()
    assert low > high, "ppm runs from high to low"


def test_cross_peaks_are_points_on_two_reversed_axes() -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draw(SPECTRA[4], Part("a:0", (SPECTRA[4],)), axes)
    points = {one.get_label(): one.get_offsets().tolist() for one in axes.collections}
    assert points == {"3 H": [[1.2, 18.0]], "2 H": [[3.6, 58.0]], "unknown": [[7.2, 128.0]]}
    hollow = {one.get_label(): not len(one.get_facecolor()) for one in axes.collections}
    assert hollow == {"3 H": False, "2 H": True, "unknown": False}, "CH2 is negative in an edited HSQC"
    for low, high in (axes.get_xlim(), axes.get_ylim()):
        assert low > high
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("1H shift (ppm)", "13C shift (ppm)")
