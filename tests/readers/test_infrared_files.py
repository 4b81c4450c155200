"""IR tables as programs export them, and the drawings of curves."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part
from mmspec_ds.readers.spectrum_drawing import draw
from mmspec_ds.spectra.records import Infrared, Modality

GRID = np.linspace(400, 4000, 1800)


def bands(wavenumber: np.ndarray) -> np.ndarray:
    """0.02 and two bands, 80 cm-1 wide."""
    return 0.02 + 0.9 / (1 + ((wavenumber - 1742) / 40) ** 2) + 0.5 / (1 + ((wavenumber - 2984) / 40) ** 2)


def only(path: Path, modality: Modality | None = None) -> Part:
    (item,) = read_file(path, modality)
    assert isinstance(item, Part), str(item)
    return item


def absorbance(part: Part) -> np.ndarray:
    (spectrum,) = part.spectra
    assert isinstance(spectrum, Infrared)
    return spectrum.absorbance


def test_the_sound_files_agree(sound_files: Path) -> None:
    """Per cent transmittance with a header and words before, absorbance with decimal commas and none."""
    percent, plain = only(sound_files / "ir_percent.csv"), only(sound_files / "ir_plain.txt")
    assert_allclose(absorbance(percent), absorbance(plain), atol=2e-5)
    assert percent.metadata[keys.NAME] == "ethyl acetate"
    assert plain.remarks[0].startswith("the axis has no unit: cm-1 guessed")
    assert plain.remarks[1].startswith("the values have no unit: absorbance guessed")
    assert GRID[int(absorbance(plain).argmax())] == pytest.approx(1742, abs=2)


AXIS = np.arange(400.0, 4001.0, 2.0)

EXPORTS = {
    "cm-1 and A": ("cm-1,A\n", ",", lambda x: x, lambda a: a),
    "descending by semicolon": ("Wavenumber [cm^-1];Absorbance\n", ";", lambda x: x[::-1], lambda a: a[::-1]),
    "%T by tab": ("cm-1\t%T\n", "\t", lambda x: x, lambda a: 100 * 10**-a),
    "transmittance to one": ("XUNITS,1/CM\nYUNITS,TRANSMITTANCE\n", ",", lambda x: x, lambda a: 10**-a),
    "no header": ("", ",", lambda x: x, lambda a: a),
    "no header, transmittance": ("", " ", lambda x: x, lambda a: 100 * 10**-a),
    "micrometers": ("wavelength (um),absorbance\n", ",", lambda x: 1e4 / x, lambda a: a),
    "nanometers": ("nm;Abs\n", ";", lambda x: 1e7 / x, lambda a: a),
    "a unit in a comment": ("# x: wavenumber (cm-1)\n# y: %T\n", ",", lambda x: x, lambda a: 100 * 10**-a),
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_every_export_gives_the_same(kind: str, tmp_path: Path) -> None:
    header, delimiter, axis, values = EXPORTS[kind]
    path = tmp_path / "a.csv"
    rows = zip(axis(AXIS).tolist(), values(bands(AXIS)).tolist())
    path.write_text(header + "".join(f"{x:.8f}{delimiter}{y:.8f}\n" for x, y in rows))
    assert_allclose(absorbance(only(path)), bands(GRID), atol=1e-3)
    assert find_format(path).name == "ir-table"


def test_decimal_commas_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{x:.1f} {y:.6f}\n".replace(".", ",") for x, y in zip(AXIS, bands(AXIS))))
    assert_allclose(absorbance(only(path, Modality.IR)), bands(GRID), atol=1e-3)


def test_the_first_column_of_values_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "n,cm-1,A,B\n" + "".join(f"{i},{x},{y},9\n" for i, (x, y) in enumerate(zip(AXIS, bands(AXIS))))
    )
    part = only(path)
    assert_allclose(absorbance(part), bands(GRID), atol=1e-3)
    assert part.remarks[0] == "2 further columns are not read"


def test_a_million_points(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    axis = np.linspace(400, 4000, 10**6)
    values = bands(axis)
    path.write_text("cm-1,A\n" + "\n".join(f"{x:.4f},{y:.6f}" for x, y in zip(axis.tolist(), values.tolist())))
    assert_allclose(absorbance(only(path)), bands(GRID), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["ntuples_1h.jdx", "difdup_13c.jdx", "link_ir.jdx", "assignments.dx", "h_nmr.csv"]
)
def test_drawings_show_curves_and_what_was_picked(name: str, sound_files: Path) -> None:
    """Shifts and wavenumbers run to the left; every picked line has a tick, every multiplet a label."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    for item in read_file(sound_files / name):
        assert isinstance(item, Part)
        axes = figure().subplots()
        draw(item.spectra[0], item, axes)
        left, right = axes.get_xlim()
        assert left > right
        if name == "ntuples_1h.jdx":
            assert [text.get_text() for text in axes.texts] == ["4.12 q 2H", "2.04 s 3H", "1.26 t 3H"]
            assert len(axes.collections[0].get_segments()) == 8
        if name == "link_ir.jdx":
            assert [line.get_label() for line in axes.lines] == ["measured", "as read"]
