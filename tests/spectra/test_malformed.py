"""Malformed files and rows: each gives one line with file, row and column, or is skipped and counted."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.parquet import ReadReport, available_modalities, read_records, row_groups
from mmspec_ds.spectra.parquet_writer import written_schema
from mmspec_ds.spectra.records import Modality

Row = dict[str, Any]
NAN, INF = math.nan, math.inf


def hydrogen_peak(category: str, centre: float, hydrogens: int, j_values: str | None) -> Row:
    edges = {"rangeMax": centre + 0.1, "rangeMin": centre - 0.1}
    position = {"centroid": centre, "delta": centre}
    return {"category": category, "j_values": j_values, "nH": hydrogens, **position, **edges}


GOOD_ROW: Row = {
    "smiles": "CCO",
    "molecular_formula": "C2H6O",
    "h_nmr_peaks": [hydrogen_peak("q", 3.6, 2, "7.1_"), hydrogen_peak("t", 1.2, 3, None)],
    "c_nmr_peaks": [{"delta (ppm)": 58.0}, {"delta (ppm)": 18.0}],
    "ir_spectra": [0.1, -0.2, 0.5, 0.3],
    **{
        f"msms_{polarity}_{energy}ev": [[29.04, 40.0], [47.05, 100.0]]
        for polarity in ("positive", "negative")
        for energy in (10, 20, 40)
    },
}


@dataclass(frozen=True)
class BadRow:
    """One change that spoils a row, the column that the message must name, and some words of it."""

    id: str
    column: str
    value: Any
    words: str


def multiplet(**changes: Any) -> list[Row]:
    peaks: list[Row] = copy.deepcopy(GOOD_ROW["h_nmr_peaks"])
    peaks[1].update(changes)
    return peaks


def lines(*shifts: float | None) -> list[Row]:
    return [{"delta (ppm)": shift} for shift in shifts]


MS = "msms_negative_20ev"
BAD_ROWS = [
    BadRow("smiles_null", "smiles", None, "missing (null)"),
    BadRow("smiles_empty", "smiles", "", "is empty"),
    BadRow("smiles_syntax", "smiles", "C1CC", "invalid SMILES 'C1CC'"),
    BadRow("smiles_valence", "smiles", "CN(C)(C)(C)C", "valence"),
    BadRow("smiles_newline", "smiles", "CC\nO", "contains a blank"),
    BadRow("formula_words", "molecular_formula", "ethanol", "'ethanol' is not a molecular formula"),
    BadRow("formula_element", "molecular_formula", "C2Xy6", "names Xy"),
    BadRow("h_nmr_empty", "h_nmr_peaks", [], "the list is empty"),
    BadRow("h_nmr_null_multiplet", "h_nmr_peaks", [None], "centroid is missing, NaN or infinite"),
    BadRow("h_nmr_nan", "h_nmr_peaks", multiplet(centroid=NAN), "centroid is missing, NaN or infinite"),
    BadRow("h_nmr_infinite", "h_nmr_peaks", multiplet(rangeMax=INF), "rangeMax is missing, NaN or infinite"),
    BadRow("h_nmr_no_edge", "h_nmr_peaks", multiplet(rangeMin=None), "rangeMin is missing, NaN or infinite"),
    BadRow("h_nmr_too_high", "h_nmr_peaks", multiplet(centroid=77.2), "77.2 ppm is outside -10 to 30 ppm"),
    BadRow("h_nmr_too_low", "h_nmr_peaks", multiplet(rangeMin=-11.0), "-11 ppm is outside"),
    BadRow("h_nmr_edges_swapped", "h_nmr_peaks", multiplet(rangeMax=1.1, rangeMin=1.3), "is below rangeMin"),
    BadRow("h_nmr_negative_count", "h_nmr_peaks", multiplet(nH=-1), "nH is -1"),
    BadRow("h_nmr_no_count", "h_nmr_peaks", multiplet(nH=None), "nH is nan"),
    BadRow("h_nmr_category", "h_nmr_peaks", multiplet(category="dx"), "category 'dx' is unknown"),
    BadRow("h_nmr_no_category", "h_nmr_peaks", multiplet(category=None), "category None is unknown"),
    BadRow("h_nmr_empty_category", "h_nmr_peaks", multiplet(category=""), "category '' is unknown"),
    BadRow("h_nmr_couplings", "h_nmr_peaks", multiplet(j_values="7.1_strong_"), "not numbers separated by _"),
    BadRow("h_nmr_commas", "h_nmr_peaks", multiplet(j_values="7,1"), "are not numbers separated by _"),
    BadRow("h_nmr_negative_coupling", "h_nmr_peaks", multiplet(j_values="-7.1_"), "not negative"),
    BadRow("h_nmr_nan_coupling", "h_nmr_peaks", multiplet(j_values="nan_"), "must be finite"),
    BadRow("c_nmr_empty", "c_nmr_peaks", [], "the list is empty"),
    BadRow("c_nmr_nan", "c_nmr_peaks", lines(58.0, NAN), "is missing, NaN or infinite"),
    BadRow("c_nmr_null", "c_nmr_peaks", lines(58.0, None), "is missing, NaN or infinite"),
    BadRow("c_nmr_too_high", "c_nmr_peaks", lines(5800.0), "5800 ppm is outside -50 to 300 ppm"),
    BadRow("c_nmr_too_low", "c_nmr_peaks", lines(-51.0), "-51 ppm is outside"),
    BadRow("ir_empty", "ir_spectra", [], "the list is empty"),
    BadRow("ir_short", "ir_spectra", [0.1, 0.2, 0.3], "3 points, expected 4"),
    BadRow("ir_long", "ir_spectra", [0.1] * 5, "5 points, expected 4"),
    BadRow("ir_one_point", "ir_spectra", [0.1], "1 points, expected 4"),
    BadRow("ir_nan", "ir_spectra", [0.1, 0.2, NAN, 0.4], "absorbance 2 is missing, NaN or infinite"),
    BadRow("ir_infinite", "ir_spectra", [0.1, -INF, 0.2, 0.4], "absorbance 1 is missing, NaN or infinite"),
    BadRow("ir_null_point", "ir_spectra", [None, 0.2, 0.3, 0.4], "absorbance 0 is missing, NaN or infinite"),
    BadRow("ms_empty", MS, [], "the list is empty"),
    BadRow("ms_single", MS, [[29.04, 40.0], [47.05]], "peak 1 has 1 values"),
    BadRow("ms_triple", MS, [[29.04, 40.0, 1.0]], "peak 0 has 3 values"),
    BadRow("ms_null_peak", MS, [[29.04, 40.0], None], "peak 1 has 0 values"),
    BadRow("ms_flat", MS, [[29.04], [40.0]], "peak 0 has 1 values"),
    BadRow("ms_negative_mz", MS, [[-29.04, 40.0]], "m/z -29.04 of peak 0 must be positive"),
    BadRow("ms_zero_mz", MS, [[29.04, 40.0], [0.0, 1.0]], "m/z 0 of peak 1 must be positive"),
    BadRow("ms_nan_mz", MS, [[29.04, 40.0], [NAN, 1.0]], "m/z of peak 1 is missing, NaN or infinite"),
    BadRow("ms_infinite_mz", MS, [[INF, 1.0]], "m/z of peak 0 is missing, NaN or infinite"),
    BadRow("ms_negative_intensity", MS, [[29.04, -40.0], [47.0, 1.0]], "intensity -40 of peak 0"),
    BadRow("ms_nan_intensity", MS, [[29.04, NAN]], "intensity of peak 0 is missing, NaN or infinite"),
    BadRow("ms_null_intensity", MS, [[29.04, None]], "intensity of peak 0 is missing, NaN or infinite"),
    BadRow("ms_infinite_intensity", MS, [[29.04, INF]], "intensity of peak 0 is missing, NaN or infinite"),
    BadRow("ms_all_zero", MS, [[29.04, 0.0], [47.05, 0.0]], "all intensities are zero"),
]


def write_rows(path: Path, rows: list[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=written_schema()), path)
    return path


def rows_with(bad: BadRow) -> list[Row]:
    rows = [copy.deepcopy(GOOD_ROW) for _ in range(3)]
    rows[1][bad.column] = bad.value
    return rows


def check_line(error: BaseException, *words: str) -> None:
    message = str(error)
    assert "\n" not in message
    assert len(message) < 500
    for word in words:
        assert word in message


def test_the_unspoilt_rows_are_good(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "spectra.parquet", [GOOD_ROW] * 3)
    assert [len(record.spectra) for record in read_records(path)] == [9, 9, 9]


@pytest.mark.parametrize("bad", BAD_ROWS, ids=lambda bad: bad.id)
def test_a_bad_row_is_named(tmp_path: Path, bad: BadRow) -> None:
    path = write_rows(tmp_path / "spectra.parquet", rows_with(bad))
    records = read_records(path)
    assert next(records).id == "spectra.parquet:0"
    with pytest.raises(DataError) as caught:
        next(records)
    check_line(caught.value, str(path), "row 1", f"column {bad.column}", bad.words)
    assert (caught.value.path, caught.value.row, caught.value.column) == (path, 1, bad.column)


@pytest.mark.parametrize("bad", BAD_ROWS, ids=lambda bad: bad.id)
def test_a_bad_row_is_skipped_and_counted(tmp_path: Path, bad: BadRow) -> None:
    path = write_rows(tmp_path / "spectra.parquet", rows_with(bad))
    report = ReadReport()
    records = list(read_records(path, on_invalid="skip", report=report))
    assert [record.id for record in records] == ["spectra.parquet:0", "spectra.parquet:2"]
    assert [len(record.spectra) for record in records] == [9, 9]
    assert (report.rows_read, report.rows_skipped) == (2, 1)
    assert len(report.reasons) == 1
    assert "row 1" in report.reasons[0]


def test_a_row_without_any_spectrum(tmp_path: Path) -> None:
    rows = [GOOD_ROW, {"smiles": "CCO", "molecular_formula": "C2H6O"}]
    path = write_rows(tmp_path / "spectra.parquet", rows)
    with pytest.raises(DataError) as caught:
        list(read_records(path))
    check_line(caught.value, str(path), "row 1", "h_nmr_peaks, c_nmr_peaks", "every spectrum is null")
    report = ReadReport()
    assert len(list(read_records(path, on_invalid="skip", report=report))) == report.rows_read == 1
    assert report.rows_skipped == 1


def test_a_formula_that_is_asked_for_may_not_be_null(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "spectra.parquet", [GOOD_ROW, {**GOOD_ROW, "molecular_formula": None}])
    assert [record.formula for record in read_records(path)] == ["C2H6O", None]
    with pytest.raises(DataError) as caught:
        list(read_records(path, modalities=[Modality.IR, Modality.FORMULA]))
    check_line(caught.value, str(path), "row 1", "column molecular_formula", "missing (null)")


def test_a_truncated_first_row_does_not_spoil_the_others(tmp_path: Path) -> None:
    rows = [{**GOOD_ROW, "ir_spectra": [0.1, 0.2]}, *[GOOD_ROW] * 4]
    report = ReadReport()
    list(read_records(write_rows(tmp_path / "s.parquet", rows), on_invalid="skip", report=report))
    assert (report.rows_read, report.rows_skipped) == (4, 1)


def test_the_length_of_ir_holds_beyond_the_first_batch(tmp_path: Path) -> None:
    rows = [*[GOOD_ROW] * 300, {**GOOD_ROW, "ir_spectra": [0.1] * 3}, GOOD_ROW]
    path = write_rows(tmp_path / "s.parquet", rows)
    with pytest.raises(DataError, match="row 300, column ir_spectra: 3 points, expected 4"):
        list(read_records(path))


def test_only_the_first_reasons_are_kept_but_all_rows_counted(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "s.parquet", [{**GOOD_ROW, "smiles": "X"}] * 300 + [GOOD_ROW])
    report = ReadReport()
    assert len(list(read_records(path, on_invalid="skip", report=report))) == 1
    list(read_records(path, on_invalid="skip", report=report))
    assert (report.rows_read, report.rows_skipped, len(report.reasons)) == (2, 600, 10)


# Files


def edited(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        table = pa.Table.from_pylist([GOOD_ROW] * 3, schema=written_schema())
        pq.write_table(change(table), path)

    return make


def replaced(name: str, column: pa.Array) -> Callable[[Path], None]:
    return edited(lambda table: table.set_column(table.column_names.index(name), name, column))


def truncated(path: Path) -> None:
    write_rows(path, [GOOD_ROW] * 3)
    path.write_bytes(path.read_bytes()[:-100])


def without_head(path: Path) -> None:
    write_rows(path, [GOOD_ROW] * 3)
    path.write_bytes(path.read_bytes()[200:])


def bad_footer(path: Path) -> None:
    write_rows(path, [GOOD_ROW] * 3)
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little")
    content[-8 - footer : -8] = b"\xff" * footer
    path.write_bytes(content)


def bad_text(path: Path) -> None:
    latin = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"\xe9CCO")]
    )
    table = pa.Table.from_pylist([GOOD_ROW], schema=written_schema())
    pq.write_table(table.set_column(0, "smiles", latin), path)


def twice(table: pa.Table) -> pa.Table:
    return table.append_column("smiles", table["smiles"])


BARE_CARBON = pa.array([[{"delta": 5.0}]] * 3)
BAD_FILES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing": (lambda path: None, ("there is no such file",)),
    "folder": (Path.mkdir, ("is a folder",)),
    "empty": (Path.touch, ("the file is empty",)),
    "text": (lambda path: path.write_text("smiles,ir\nCCO,1\n" * 50), ("cannot be read as parquet",)),
    "one_byte": (lambda path: path.write_bytes(b"P"), ("cannot be read as parquet",)),
    "truncated": (truncated, ("cannot be read as parquet",)),
    "without_head": (without_head, ("cannot be read as parquet",)),
    "bad_footer": (bad_footer, ("cannot be read as parquet",)),
    "bad_text": (bad_text, ("cannot be read as parquet",)),
    "no_rows": (edited(lambda table: table.slice(0, 0)), ("the file has no rows",)),
    "no_smiles": (edited(lambda table: table.drop_columns(["smiles"])), ("column smiles", "missing")),
    "no_h_nmr": (edited(lambda t: t.drop_columns(["h_nmr_peaks"])), ("column h_nmr_peaks", "(the file has")),
    "no_c_nmr": (edited(lambda t: t.drop_columns(["c_nmr_peaks"])), ("column c_nmr_peaks", "ir_spectra")),
    "no_ir": (edited(lambda t: t.drop_columns(["ir_spectra"])), ("column ir_spectra", "h_nmr_peaks")),
    "no_ms": (edited(lambda t: t.select(t.column_names[:5])), ("column msms_{positive,negative}", "missing")),
    "smiles_twice": (edited(twice), ("column smiles", "there twice")),
    "smiles_numbers": (replaced("smiles", pa.array([1, 2, 3])), ("column smiles", "int64, expected text")),
    "ir_text": (replaced("ir_spectra", pa.array(["1 2"] * 3)), ("column ir_spectra", "list of numbers")),
    "ir_list_of_text": (
        replaced("ir_spectra", pa.array([["1"]] * 3)),
        ("column ir_spectra", "list of numbers"),
    ),
    "ms_flat": (replaced(MS, pa.array([[50.0, 1.0]] * 3)), (f"column {MS}", "list of pairs of numbers")),
    "h_nmr_shifts": (replaced("h_nmr_peaks", pa.array([[7.2]] * 3)), ("column h_nmr_peaks", "rangeMax")),
    "c_nmr_field": (replaced("c_nmr_peaks", BARE_CARBON), ("column c_nmr_peaks", "delta (ppm)")),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("on_invalid", ["raise", "skip"])
def test_a_bad_file_is_named_and_never_skipped(tmp_path: Path, name: str, on_invalid: Any) -> None:
    path = tmp_path / "spectra.parquet"
    make, words = BAD_FILES[name]
    make(path)
    with pytest.raises(DataError) as caught:
        list(read_records(path, on_invalid=on_invalid))
    check_line(caught.value, str(path), *words)
    assert caught.value.path == path


@pytest.mark.parametrize("name", ["missing", "folder", "empty", "text", "truncated", "no_rows"])
@pytest.mark.parametrize("function", [row_groups, available_modalities])
def test_a_glance_at_a_bad_file_is_as_clear(tmp_path: Path, name: str, function: Callable[[Path], Any]) -> None:
    path = tmp_path / "spectra.parquet"
    make, words = BAD_FILES[name]
    make(path)
    with pytest.raises(DataError) as caught:
        function(path)
    check_line(caught.value, str(path), *words)


def test_a_path_that_the_system_refuses(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    with pytest.raises(DataError, match=r"cannot be read as parquet: .*too long"):
        read_records(path)


def test_a_file_level_fault_shows_before_the_first_record(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read_records(tmp_path / "none.parquet")
