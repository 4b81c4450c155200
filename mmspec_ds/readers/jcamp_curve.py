"""The curve of a JCAMP-DX block: places and values out of XYDATA, XYPOINTS or NTUPLES, every check made."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mmspec_ds.readers.jcamp_tables import (
    MOST_POINTS,
    Ordinates,
    decode_ordinates,
    decode_pairs,
    has_decimal_commas,
    with_decimal_points,
)
from mmspec_ds.readers.jcamp_text import Block, Table
from mmspec_ds.readers.part import RecordFault, counted, one_line
from mmspec_ds.readers.source import Line
from mmspec_ds.spectra.records import FloatArray

Decoded = TypeVar("Decoded")

_STEP_SHARE = 0.01  # by which DELTAX may differ from what FIRSTX, LASTX and NPOINTS say
_PLACE_SHARE = 0.002  # of the whole range, by which the X of a line may be off: programs round it
_LEAST_LINES = 3  # of a table, for its X to say anything
_NUMBERS = ("FIRSTX", "LASTX", "DELTAX", "XFACTOR", "YFACTOR", "FIRSTY", "MAXX", "MINX", "MAXY", "MINY")
_NTUPLES = ("SYMBOL", "VARDIM", "UNITS", "FIRST", "LAST", "FACTOR")


@dataclass(frozen=True, slots=True)
class BlockCurve:
    """Places and values as the file orders them, both [n], the unit of the places as written, and remarks."""

    x: FloatArray
    y: FloatArray
    x_unit: str
    y_unit: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Labels of a table: first and last X, factors, number of points; None for a missing label."""

    first: float | None
    last: float | None
    x_factor: float
    y_factor: float
    points: float | None
    step: float | None = None


def read_curve(block: Block) -> BlockCurve:
    """The curve of a block; of NTUPLES the real part.

    Raises:
        RecordFault: there is none, it is damaged or cut off, or labels and table contradict each other.
    """
    if "SYMBOL" in block.labels and any(table.label == "DATATABLE" for table in block.tables):
        return _from_ntuples(block)
    table = next((t for t in block.tables if t.label in ("XYDATA", "XYPOINTS", "PEAKTABLE")), None)
    if table is None:
        kinds = ", ".join(sorted({t.label for t in block.tables})) or "none"
        raise RecordFault(f"no XYDATA in the block (tables: {kinds})", line=block.line)
    units = block.text("XUNITS"), block.text("YUNITS")
    axis = _Axis(
        block.number("FIRSTX"),
        block.number("LASTX"),
        _factor(block.number("XFACTOR")),
        _factor(block.number("YFACTOR")),
        block.number("NPOINTS"),
        block.number("DELTAX"),
    )
    return _decoded(block, table, axis, units)


def _factor(number: float | None) -> float:
    return 1.0 if number is None or number == 0 else number


def _from_ntuples(block: Block) -> BlockCurve:
    columns = {name: [part.strip() for part in block.labels.get(name, "").split(",")] for name in _NTUPLES}
    symbols = [symbol.upper() for symbol in columns["SYMBOL"]]
    table = next((t for t in block.tables if t.label == "DATATABLE" and _form(t).startswith("(X++(R")), None)
    table = table or next((t for t in block.tables if _form(t).startswith("(X++(Y")), None)
    if table is None or "X" not in symbols:
        forms = ", ".join(one_line(t.form, 20) for t in block.tables[:4])
        raise RecordFault(f"NTUPLES without a page of X++(R..R) (pages: {forms})", line=block.line)
    x = symbols.index("X")
    y = symbols.index("R") if "R" in symbols else symbols.index("Y") if "Y" in symbols else x

    def number(name: str, place: int) -> float | None:
        column = columns[name]
        text = column[place] if place < len(column) else ""
        return Block(block.line, {name: text}).number(name)

    axis = _Axis(
        number("FIRST", x),
        number("LAST", x),
        _factor(number("FACTOR", x)),
        _factor(number("FACTOR", y)),
        number("VARDIM", x),
    )
    units = [columns["UNITS"][place] if place < len(columns["UNITS"]) else "" for place in (x, y)]
    return _decoded(block, table, axis, (units[0], units[1]))


def _form(table: Table) -> str:
    return "".join(table.form.upper().split())


def _decoded(block: Block, table: Table, axis: _Axis, units: tuple[str, str]) -> BlockCurve:
    if axis.points is not None and not 0 < axis.points <= MOST_POINTS:
        raise RecordFault(f"NPOINTS {axis.points:g}, expected 1 to {MOST_POINTS}", line=block.line)
    form = _form(table)
    if "++" in form:
        points = axis.points
        found, commas = decode_table(
            block, table, decode_ordinates, lambda one: points is None or abs(len(one.values) - points) <= 1
        )
        x, y, remarks = _even(block, found, axis)
    elif form.startswith("(XY"):
        pairs, commas = decode_table(block, table, decode_pairs, lambda one: pairs_fit(one, axis.points))
        x, y, remarks = pairs[:, 0] * axis.x_factor, pairs[:, 1], []
        _check_count(block, len(y), axis.points, remarks)
    else:
        raise RecordFault(f"a table of form {one_line(table.form, 40)!r} is not read", line=table.line)
    remarks[:0] = commas
    y = y * axis.y_factor
    if not block.ended:
        remarks.append("the block has no ##END")
    if not np.isfinite(x).all():
        raise RecordFault("an X is missing or infinite", line=table.line)
    return BlockCurve(x, y, *units, tuple(remarks))


def decode_table(
    block: Block, table: Table, decode: Callable[[Sequence[Line]], Decoded], fits: Callable[[Decoded], bool]
) -> tuple[Decoded, list[str]]:
    """The content of a table, and a remark where its commas are read as decimal marks instead of separators:
    where the labels have decimal commas too, or the content fits with those alone.

    Raises:
        RecordFault: as `decode` does.
    """
    if not has_decimal_commas(table.lines):
        return decode(table.lines), []
    remark = ["the commas in the table are read as decimal marks"]
    pointed = with_decimal_points(table.lines)
    if any(re.search(r"\d,\d", block.text(name)) for name in (*_NUMBERS, ".OBSERVEFREQUENCY")):
        return decode(pointed), remark
    try:
        found = decode(table.lines)
    except RecordFault:
        return decode(pointed), remark
    if fits(found):
        return found, []
    try:
        other = decode(pointed)
    except RecordFault:
        return found, []
    return (other, remark) if fits(other) else (found, [])


def pairs_fit(pairs: FloatArray, points: float | None) -> bool:
    """Whether pairs are as many as the block says and run in one direction, as lists of pairs do."""
    steps = np.diff(pairs[:, 0])
    in_order = bool((steps >= 0).all() or (steps <= 0).all())
    return in_order and (points is None or abs(len(pairs) - points) <= 1)


def _even(block: Block, found: Ordinates, axis: _Axis) -> tuple[FloatArray, FloatArray, list[str]]:
    """Even places from the first to the last X. Labels count; where they are missing, the X of the lines."""
    remarks: list[str] = []
    count = len(found.values)
    _check_count(block, count, axis.points, remarks)
    if count < 2:
        raise RecordFault(f"{counted(count, 'point')}, expected at least 2", line=block.line)
    line_x = np.array(found.line_x) * axis.x_factor
    starts = np.array(found.line_start)
    first = float(line_x[0]) if axis.first is None else axis.first
    last = axis.last
    if last is None:
        step = axis.step
        if step is None and starts[-1] > 0:
            step = float(line_x[-1] - line_x[0]) / int(starts[-1])
        if step is None:
            raise RecordFault("neither LASTX nor DELTAX, and one line", line=block.line)
        last = first + step * (count - 1)
        remarks.append("LASTX is missing, taken from DELTAX or the X of the lines")
    if first == last:
        raise RecordFault(f"FIRSTX and LASTX are both {first:g}", line=block.line)
    step = (last - first) / (count - 1)
    # JEOL writes DELTAX without its sign, so signs are not compared.
    if axis.step and abs(abs(axis.step) - abs(step)) > _STEP_SHARE * abs(step):
        said = f"DELTAX is {axis.step:g}, but FIRSTX, LASTX and {count} points make it {step:g}"
        if len(line_x) < _LEAST_LINES:
            raise RecordFault(said, line=block.line)
        remarks.append(f"{said}, as the X of the lines do")
    _check_places(found, line_x, first + starts * step, abs(last - first), abs(axis.x_factor))
    return np.linspace(first, last, count), found.values, remarks


def _check_count(block: Block, count: int, points: float | None, remarks: list[str]) -> None:
    """Compare the number of points with NPOINTS; one more or less is allowed, as Varian's converter writes."""
    if points is None:
        remarks.append("NPOINTS is missing: a truncated table would not be noticed")
    elif abs(points - count) > 1:
        cut = "" if block.ended else ", and no ##END: cut off"
        raise RecordFault(f"{counted(count, 'point')}, but NPOINTS is {points:g}{cut}", line=block.line)


def _check_places(
    found: Ordinates, line_x: FloatArray, expected: FloatArray, whole: float, x_factor: float
) -> None:
    """The X at the start of each line against the points before it: a lost or doubled line shows.

    X may be rounded, and may count points from either end instead of naming places (JEOL, Varian), so a
    constant and the sign are free.
    """
    if len(line_x) < _LEAST_LINES:
        return
    best = None
    for sign in (1.0, -1.0):
        off = sign * line_x - expected
        off -= np.median(off)
        worst = int(np.argmax(np.abs(off)))
        if best is None or abs(off[worst]) < abs(best[1]):
            best = worst, float(off[worst])
    assert best is not None
    worst, distance = best
    if abs(distance) > _PLACE_SHARE * whole + 1.5 * x_factor:
        raise RecordFault(
            f"the line begins at X {found.line_x[worst]:g}, {abs(distance):g} from where its points should be:"
            " a line is lost or damaged",
            line=found.line_numbers[worst],
        )
