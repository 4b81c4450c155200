"""Decimal marks of a table of samples, and cells that hold no value."""

import math

import pytest

from mmspec_ds.readers.number_cells import MarksFault, decimal_mark, is_missing, numbers_of


@pytest.mark.parametrize(
    ("cells", "mark", "values"),
    [
        (["1.5", "2", "-0.25", "1e3"], ".", [1.5, 2.0, -0.25, 1000.0]),
        (["1,5", "2", "-0,25"], ",", [1.5, 2.0, -0.25]),
        (["0,123", "1,234"], ",", [0.123, 1.234]),  # no group of thousands begins with 0
        (["1.234,5", "1.234", "7"], ",", [1234.5, 1234.0, 7.0]),
        (["1,234.5", "1,234", "7.5"], ".", [1234.5, 1234.0, 7.5]),
        (["1.234", "12.345"], ".", [1.234, 12.345]),  # points alone are decimal marks
        (["−1.5", "2 "], ".", [-1.5, 2.0]),
    ],
)
def test_marks_that_can_be_told(cells: list[str], mark: str, values: list[float]) -> None:
    assert decimal_mark([cells]) == mark
    assert list(numbers_of(cells, mark).values) == values


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1,234", "2,345"], "may be decimal marks or part thousands"),
        (["1.5", "2,5"], r"numbers with points \(1.5\) and with commas \(2,5\)"),
        (["2,5", "1.234"], "expected one decimal mark"),  # 1.234 may be 1234
        (["1.5", "1,234"], "expected one decimal mark"),  # 1,234 may be 1.234
    ],
)
def test_marks_that_cannot_be_told_are_refused(cells: list[str], told: str) -> None:
    with pytest.raises(MarksFault, match=told):
        decimal_mark([cells])


def test_the_settings_decide() -> None:
    assert decimal_mark([["1,234"]], "comma") == ","
    assert list(numbers_of(["1,234"], ",").values) == [1.234]
    assert list(numbers_of(["1,234"], decimal_mark([["1,234"]], "point")).values) == [1234.0]


def test_marks_are_those_of_all_columns() -> None:
    assert decimal_mark([["1,234", "2,345"], ["0,5", "7"]]) == ","


def test_cells_without_a_number() -> None:
    column = numbers_of(["1.5", "", "NA", "<LOD", "< 0.05", "12..5", "1e999", "trace", "1_000"], ".")
    assert column.values[0] == 1.5
    assert all(math.isnan(value) for value in column.values[1:])
    assert (column.numbers, column.limits, column.words) == (1, (3, 4), (5, 6, 7, 8))
    assert not column.is_numeric


@pytest.mark.parametrize(
    ("cell", "missing"), [("", True), (" n.d. ", True), ("#N/A", True), ("0", False), ("C", False)]
)
def test_missing(cell: str, missing: bool) -> None:
    assert is_missing(cell) is missing
