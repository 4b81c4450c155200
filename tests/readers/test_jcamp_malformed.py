"""Malformed JCAMP-DX files: one line that names file and record, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.jcamp_text import A_LINE, LONGEST_BLOCK, Block
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.readers.source import Line
from mmspec_ds.spectra.records import Modality

IR_LABELS = {
    "TITLE": "a",
    "JCAMP-DX": "4.24",
    "DATA TYPE": "INFRARED SPECTRUM",
    "XUNITS": "1/CM",
    "YUNITS": "ABSORBANCE",
    "XFACTOR": "1",
    "YFACTOR": "0.001",
    "FIRSTX": "400",
    "LASTX": "4000",
    "NPOINTS": "37",
}
NMR_LABELS = {
    "TITLE": "a",
    "JCAMP-DX": "5.01",
    "DATA TYPE": "NMR SPECTRUM",
    ".OBSERVE FREQUENCY": "100",
    ".OBSERVE NUCLEUS": "^13C",
    "XUNITS": "PPM",
    "FIRSTX": "200",
    "LASTX": "0",
    "NPOINTS": "201",
}


def rows(first: int, step: int, count: int, value: Callable[[int], object] = lambda i: 10 + i % 7) -> str:
    wide = 10
    starts = range(0, count, wide)
    return "\n".join(
        " ".join([str(first + step * start), *(str(value(i)) for i in range(start, min(start + wide, count)))])
        for start in starts
    )


def infrared(table: str | None = None, end: str = "##END=\n", **changes: str | None) -> bytes:
    labels = {**IR_LABELS, **{name.replace("_", " "): text for name, text in changes.items()}}
    text = "".join(f"##{name}= {value}\n" for name, value in labels.items() if value is not None)
    return f"{text}##XYDATA= (X++(Y..Y))\n{rows(400, 100, 37) if table is None else table}\n{end}".encode()


def carbon(table: str | None = None, changes: dict[str, str | None] | None = None) -> bytes:
    labels = {**NMR_LABELS, **(changes or {})}
    text = "".join(f"##{name}= {value}\n" for name, value in labels.items() if value is not None)
    peak = rows(200, -1, 201, lambda i: 1000 if i == 60 else i % 3)
    return f"{text}##XYDATA= (X++(Y..Y))\n{peak if table is None else table}\n##END=\n".encode()


def ntuples(**changes: str) -> bytes:
    labels = {
        name: NMR_LABELS[name] for name in ("TITLE", "DATA TYPE", ".OBSERVE FREQUENCY", ".OBSERVE NUCLEUS")
    }
    labels |= {"SYMBOL": "X, R, I", "VAR_DIM": "201, 201, 201", "UNITS": "PPM, A, A", "FIRST": "200, 0, 0"}
    labels |= {"LAST": "0, 0, 0", "FACTOR": "1, 1, 1", "PAGE": "N=1", "DATA_TABLE": "(X++(R..R)), XYDATA"}
    text = "".join(f"##{name}= {value}\n" for name, value in (labels | changes).items())
    return f"{text}{rows(200, -1, 201, lambda i: 1000 if i == 60 else i % 3)}\n##END=\n".encode()


def peaks(kind: str, form: str, lines: str, **changes: str) -> bytes:
    labels = {**NMR_LABELS, "DATA TYPE": kind, "FIRSTX": "1", "NPOINTS": "3", **changes}
    text = "".join(f"##{name}= {value}\n" for name, value in labels.items())
    return f"{text}##{kind.removeprefix('NMR ')}= {form}\n{lines}\n##END=\n".encode()


TABLE, ASSIGNMENTS = "NMR PEAK TABLE", "NMR PEAK ASSIGNMENTS"

JCAMP = {
    "a sound one": (infrared(), ""),
    "another sound one": (carbon(), ""),
    "a third": (ntuples(), ""),
    "cut off in the table": (infrared(end="")[:-60], "points, but NPOINTS is 37, and no ##END: cut off"),
    "cut off in the labels": (
        b"##TITLE= a\n##JCAMP-DX= 4.24\n##DATA TYPE= INFRARED SP",
        "no XYDATA in the block (tables: none)",
    ),
    "nothing but a title": (b"##TITLE= a\n", "no DATA TYPE and no table"),
    "no table": (b"##TITLE= a\n##DATA TYPE= INFRARED SPECTRUM\n##END=\n", "no XYDATA in the block"),
    "an empty table": (infrared(table=""), "the data table is empty"),
    "more points than said": (infrared(NPOINTS="12"), "37 points, but NPOINTS is 12"),
    "no number of points": (infrared(NPOINTS="many"), "##NPOINTS= 'many' is not a number"),
    "a bomb of points": (infrared(NPOINTS="99999999999"), "NPOINTS 1e+11, expected 1 to 4194304"),
    "negative points": (infrared(NPOINTS="-5"), "NPOINTS -5, expected 1"),
    "a bomb of repetitions": (infrared(table="400A0Y999999999"), "more than 4194304 points"),
    "one place": (infrared(LASTX="400"), "FIRSTX and LASTX are both 400"),
    "infinite place": (infrared(FIRSTX="1e999"), "##FIRSTX= '1e999' is not a number"),
    "a lost line": (
        infrared(table=rows(400, 100, 10) + "\n" + rows(2400, 100, 27)),
        "from where its points should be: a line is lost or damaged",
    ),
    "a wrong DELTAX": (infrared(table="400 " + "1 2 " * 18 + "3", DELTAX="7"), "DELTAX is 7, but FIRSTX"),
    "a foreign letter": (infrared(table="400 1 2 x"), "is not a line of packed numbers"),
    "a wrong check": (infrared(table="400A0JJ\n402A9J"), "damaged"),
    "all NaN": (infrared(table=rows(400, 100, 37, lambda i: "?")), "0 points with a value"),
    "all equal": (infrared(table=rows(400, 100, 37, lambda i: 5)), "all values between the ends"),
    "micrometers called cm-1": (
        infrared(FIRSTX="2.5", LASTX="25", table="1" + " 1 2" * 18 + " 3"),
        "is the unit",
    ),
    "reflectance": (infrared(YUNITS="REFLECTANCE"), "'REFLECTANCE', expected absorbance or transmittance"),
    "transmittance of nothing": (
        infrared(YUNITS="TRANSMITTANCE", table=rows(400, 100, 37, lambda i: -i)),
        "no transmittance is positive",
    ),
    "a form that is not read": (infrared().replace(b"(X++(Y..Y))", b"(R++(A..A))x"), ""),
    "no form": (infrared().replace(b"(X++(Y..Y))", b"what"), "a table of form 'what' is not read"),
    "a zero byte": (infrared().replace(b" 12 ", b" \0 "), "zero byte"),
    "a FID": (carbon(changes={"DATA TYPE": "NMR FID"}), "an FID: process it to a spectrum first"),
    "two dimensions": (carbon(changes={"NUMDIM": "2"}), "of more than one dimension"),
    "fluorine": (carbon(changes={".OBSERVE NUCLEUS": "^19F"}), "the nucleus is '^19F', not 1H or 13C"),
    "no nucleus": (carbon(changes={".OBSERVE NUCLEUS": None}), "no .OBSERVE NUCLEUS: is it 1H or 13C?"),
    "no frequency": (carbon(changes={".OBSERVE FREQUENCY": None}), ".OBSERVE FREQUENCY is missing"),
    "frequency zero": (carbon(changes={".OBSERVE FREQUENCY": "0"}), ".OBSERVE FREQUENCY is missing"),
    "frequency in Hz": (
        carbon(changes={".OBSERVE FREQUENCY": "100000000"}),
        "is 1e+08 MHz, expected 1 to 2000",
    ),
    "places in seconds": (carbon(changes={"XUNITS": "SECONDS"}), "an FID"),
    "places in tesla": (carbon(changes={"XUNITS": "TESLA"}), "XUNITS is 'TESLA', expected HZ or PPM"),
    "shifts of thousands": (
        carbon(changes={"FIRSTX": "20200", "LASTX": "20000"}),
        "not a 13C spectrum: is the unit right?",
    ),
    "a reference beyond": (
        carbon(changes={"XUNITS": "HZ", ".SHIFT REFERENCE": "INTERNAL, TMS, 9999, 0"}),
        ".SHIFT REFERENCE names point 9999 of 201",
    ),
    "a flat curve": (carbon(table=rows(200, -1, 201, lambda i: 3)), "all intensities are equal"),
    "huge intensities": (carbon(table=rows(200, -1, 201, lambda i: f"{i}e200")), "intensities up to 2e+202"),
    "too short a curve": (carbon(table=rows(200, -4, 51), changes={"NPOINTS": "51"}), "a curve of 51 points"),
    "pages of nothing": (ntuples(DATA_TABLE="(T2++(Q..Q))"), "NTUPLES without a page of X++(R..R)"),
    "symbols of nothing": (ntuples(SYMBOL="T, Q"), "NTUPLES without a page"),
    "a factor of letters": (ntuples(FACTOR="a, b, c"), "'a' is not a number"),
    "half a pair": (peaks(TABLE, "(XY..XY)", "1 2 3"), "not a list of 2 numbers each"),
    "peaks of letters": (peaks(TABLE, "(XY..XY)", "1 a 2 3 4 5"), "'a' is not a number"),
    "too few peaks": (peaks(TABLE, "(XY..XY)", "1 1"), "1 peak, but NPOINTS is 3"),
    "a shift of 900": (
        peaks(TABLE, "(XY..XY)", "1 1 2 1 900 1"),
        "a 13C shift of 900 ppm, expected -50 to 300",
    ),
    "an infinite shift": (peaks(TABLE, "(XY..XY)", "1 1 2 1 1e999 1"), "a 13C shift of inf ppm"),
    "a shift that is none": (peaks(TABLE, "(XY..XY)", "1 1 2 1 ? 1"), "a 13C shift of nan ppm"),
    "an entry without its bracket": (peaks(ASSIGNMENTS, "(XYA)", "(1, 2, <3>"), "without its closing bracket"),
    "an entry of one number": (peaks(ASSIGNMENTS, "(XYA)", "(1)"), "is not an entry (X, Y, ...)"),
    "an entry outside brackets": (peaks(ASSIGNMENTS, "(XYA)", "1, 2, <3>)"), "is not an entry (X, Y, ...)"),
    "no entry": (peaks(ASSIGNMENTS, "(XYA)", ""), "no entry in the assignments"),
    "assignments in Hz": (peaks(ASSIGNMENTS, "(XYA)", "(1, 2, <3>)", XUNITS="HZ"), "expected PPM"),
    "blocks in blocks": (b"##TITLE= a\n##DATA TYPE= LINK\n" * 40, "blocks in blocks, more than 16 deep"),
    "ultraviolet": (
        infrared(DATA_TYPE="UV/VIS SPECTRUM"),
        "the block is UV/VIS SPECTRUM, not IR or NMR",
    ),
}


def one_rejected(path: Path, modality: Modality | None, words: str, count: int = 1) -> None:
    items = list(read_file(path, modality))
    assert len(items) == count
    item = items[0]
    assert isinstance(item, Rejected)
    assert words in item.reason
    assert str(item).startswith(f"{path}, record 0")
    assert len(str(item).splitlines()) == 1


@pytest.mark.parametrize("case", JCAMP)
def test_malformed_jcamp(case: str, tmp_path: Path) -> None:
    content, words = JCAMP[case]
    path = tmp_path / "a.jdx"
    path.write_bytes(content)
    if case == "a zero byte":
        with pytest.raises(DataError, match="zero byte"):
            list(read_file(path))
    elif words:
        one_rejected(path, None, words)
    else:
        (item,) = read_file(path)
        assert isinstance(item, Part), str(item)


def test_utf_16_and_latin_1_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jdx"
    path.write_bytes(infrared(TITLE="Benzaldéhyde").decode().encode("utf-16"))
    (item,) = read_file(path)
    assert isinstance(item, Part)
    assert item.metadata["name"] == "Benzaldéhyde"
    path.write_bytes(infrared(TITLE="Benzaldéhyde").decode().encode("latin-1"))
    (item,) = read_file(path)
    assert isinstance(item, Part)
    assert item.metadata["name"] == "Benzaldéhyde"


def test_a_block_of_too_many_short_lines_is_not_held() -> None:
    """A line of one digit counts 65 bytes of 128 MiB: after two million of them the block is let go."""
    block = Block(1)
    block.add_table("XYDATA", "(X++(Y..Y))", 2)
    line = Line(3, "1")
    held = 0
    while not block.too_long:
        block.add_line(line)
        held += 1
    assert held == LONGEST_BLOCK // (A_LINE + 1) + 1
    assert block.tables[0].lines == []
