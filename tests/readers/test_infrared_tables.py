"""IR tables with decimal commas, marks of thousands, and more values than columns."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import Infrared, Modality

PLACES = np.linspace(3999.5, 400.25, 1200)
VALUES = 0.03 + sum(h / (1 + ((PLACES - at) / 12) ** 2) for at, h in ((2955.0, 0.4), (1715.0, 1.1)))


def table(form: str, header: str = "", places: np.ndarray = PLACES) -> str:
    def cell(number: float, digits: int, mark: str) -> str:
        return f"{number:{',' if mark == '3' else ''}.{digits}f}".replace(".", "," if mark == "," else ".")

    mark, between, quote = form[0], form[1], form[2:]
    lines = [
        f"{quote}{cell(x, 2, mark)}{quote}{between}{quote}{cell(y, 4, mark)}{quote}"
        for x, y in zip(places, VALUES)
    ]
    return (header + "\n" if header else "") + "\n".join(lines) + "\n"


FILES = {
    "comma and comma": table(",,", "cm-1,A"),
    "comma and comma, no header": table(",,"),
    "comma and comma, other words": "sample\nacetone film\n\n" + table(",,", "Wavenumber (cm-1),Absorbance"),
    "comma and semicolon": table(",;", "cm-1;A"),
    "comma and tab": table(",\t", "cm-1\tA"),
    "comma and blank": table(", "),
    "quoted": table(',,"', '"cm-1","A"'),
    "thousands, quoted": table('3,"', "cm-1,A"),
    "thousands and tab": table("3\t", "cm-1\tA"),
    "points": table(".,", "cm-1,A"),
    "a line of sep": "sep=;\n" + table(",;", "cm-1;A"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("modality", [None, Modality.IR])
def test_marks_and_separators(kind: str, modality: Modality | None, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(FILES[kind])
    if kind != "thousands and tab":
        assert find_format(path).name == "ir-table"
    (part,) = read_file(path, modality)
    assert isinstance(part, Part), str(part)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, Infrared)
    grid = np.linspace(400, 4000, 1800)
    inside = (grid > 401) & (grid < 3999)
    expected = np.interp(grid, PLACES[::-1], VALUES[::-1])
    np.testing.assert_allclose(spectrum.absorbance[inside], expected[inside], atol=2e-3)
    told = "the comma is read as the decimal mark and the separator (decimals in column 1 and 2)"
    assert (told in part.remarks) == kind.startswith("comma and comma")


WHOLE = np.linspace(3999, 400, 1200).round()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "cm-1,A\n" + "".join(f"{x:.0f},0,{y * 1000:04.0f}\n" for x, y in zip(WHOLE, VALUES)),
            "cannot be told apart",
        ),
        ("".join(f"{x:.0f},0,{y * 1000:04.0f}\n" for x, y in zip(WHOLE, VALUES)), "cannot be told apart"),
        (
            "cm-1;A\n" + "".join(f"{x:.0f};{y:.3f};7\n" for x, y in zip(WHOLE, VALUES)),
            "3 values, but the header names 2",
        ),
        (
            "cm-1,A\n" + "".join(f"{x:.0f},{y:.3f},7\n" for x, y in zip(WHOLE, VALUES)),
            "3 values, but the header names 2",
        ),
        (table(",,", "cm-1,A") + "399,5,0\n", "are not 2 columns with decimal commas"),
        (table(".,") + "399.5,0.2,0.1\n", "3 values, but the first row has 2"),
    ],
)
def test_more_values_than_columns_are_noticed(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    (item,) = read_file(path, Modality.IR)
    assert isinstance(item, Rejected), item
    assert words in item.reason
    assert len(str(item).splitlines()) == 1
