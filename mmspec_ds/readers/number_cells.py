"""Numbers in the cells of a table of samples: which mark is the decimal one, which cells hold no value.

One convention holds for a whole table. With points alone, points are decimal marks. A comma is the decimal mark
where some number fits no other reading ("12,5"). A table whose commas may as well part thousands ("1,234"
throughout) is refused, and so is one with numbers of both kinds, unless some number has both marks ("1.234,5").
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Decimal = Literal["auto", "point", "comma"]

_DIGITS = r"(?:\d+(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d{{1,3}})?"
_GROUPS = r"[1-9]\d{{0,2}}(?:{part}\d{{3}})+(?:{mark}\d*)?"
_SIMPLE = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_POINT = re.compile(rf"[+-]?(?:{_DIGITS.format(mark='[.]')}|{_GROUPS.format(part=',', mark='[.]')})")
_COMMA = re.compile(rf"[+-]?(?:{_DIGITS.format(mark=',')}|{_GROUPS.format(part='[.]', mark=',')})")
_MISSING = frozenset(
    (
        "na",
        "n/a",
        "n.a.",
        "nan",
        "null",
        "none",
        "nil",
        "-",
        "--",
        ".",
        "?",
        "missing",
        "nd",
        "n.d.",
        "<na>",
        "#n/a",
        "#na",
        "#value!",
        "#div/0!",
        "#num!",
    )
)
_LIMIT = re.compile(
    r"[<>≤≥]\s*\S.*|(?:bdl|bql|blq|bloq|lod|loq|lloq|uloq|inf|\+inf|-inf|infinity)", re.IGNORECASE
)


class MarksFault(ValueError):
    """Decimal marks that cannot be told: the message says what was found and what was expected."""


@dataclass(frozen=True)
class Column:
    """The numbers of a column.

    Attributes:
        values: [N], NaN where a cell holds none.
        numbers: how many cells hold one.
        limits: places of cells such as "<0.05" or "LOD".
        words: places of other cells that hold no number.
    """

    values: tuple[float, ...]
    numbers: int
    limits: tuple[int, ...]
    words: tuple[int, ...]

    @property
    def is_numeric(self) -> bool:
        """Whether there are numbers, and more of them than words."""
        return self.numbers > len(self.words)


def decimal_mark(columns: Sequence[Sequence[str]], wanted: Decimal = "auto") -> str:
    """The decimal mark of the numbers in some columns, "." or ",".

    Raises:
        MarksFault: it cannot be told, or the numbers have both.
    """
    if wanted != "auto":
        return "." if wanted == "point" else ","
    if not any("," in cell for cells in columns for cell in cells):
        return "."
    found: dict[tuple[bool, bool], str] = {}  # by: fits one reading alone, has the comma as decimal mark
    grouped = False
    for cells in columns:
        for cell in cells:
            if "," not in cell and "." not in cell:
                continue
            text = _bare(cell)
            as_point, as_comma = bool(_POINT.fullmatch(text)), bool(_COMMA.fullmatch(text))
            if as_point or as_comma:
                decimal_comma = as_comma if as_point != as_comma else "," in text
                found.setdefault((as_point != as_comma, decimal_comma), cell)
                grouped |= "," in text and "." in text
    point, comma = found.get((True, False)), found.get((True, True))
    one, other = point or found.get((False, False)), comma or found.get((False, True))
    if (point and comma) or (one and other and not (grouped and (point or comma))):
        raise MarksFault(
            f"has numbers with points ({one}) and with commas ({other}): expected one decimal mark, or"
            " `decimal: point` or `decimal: comma` if the other parts thousands"
        )
    if other and not comma and not point:
        raise MarksFault(
            f"has commas that may be decimal marks or part thousands ({other}): expected `decimal: comma` or"
            " `decimal: point` for this table"
        )
    return "," if comma else "."


def numbers_of(cells: Sequence[str], mark: str) -> Column:
    """The numbers of a column in which `mark` is the decimal mark."""
    simple = mark == "."
    pattern, part = (_POINT, ",") if mark == "." else (_COMMA, ".")
    values: list[float] = []
    limits: list[int] = []
    words: list[int] = []
    count = 0
    for place, cell in enumerate(cells):
        if simple and _SIMPLE.fullmatch(cell):  # nearly all cells; the general pattern takes four times as long
            values.append(float(cell))
            count += 1
            continue
        text = _bare(cell)
        if pattern.fullmatch(text):
            number = float(text.replace(part, "").replace(",", "."))
            if math.isfinite(number):
                values.append(number)
                count += 1
                continue
        values.append(math.nan)
        if text and text.lower() not in _MISSING:
            (limits if _LIMIT.fullmatch(text) else words).append(place)
    return Column(tuple(values), count, tuple(limits), tuple(words))


def is_missing(cell: str) -> bool:
    """Whether a cell says that nothing is known: blank, NA and the like."""
    text = _bare(cell).lower()
    return not text or text in _MISSING


def _bare(cell: str) -> str:
    return cell.strip().replace("−", "-").replace("\u00a0", "")
