"""The inner form of JCAMP-DX: numbers of data tables, and the three ways in which they are packed.

AFFN: plain numbers; PAC: numbers separated by their signs; ASDF: SQZ, where the first digit is a letter
with a sign, DIF, where it begins a difference, DUP, where it begins a count of repetitions (4.24, section 5).

The packages jcamp and nmrglue read these tables too, and the tests compare with them; neither refuses a line
whose place or sum, which the standard puts there to find damage, is wrong, jcamp knows counts of one digit
only, and nmrglue expands a count of 10^9 repetitions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.readers.source import Line
from mmspec_ds.spectra.records import FloatArray

MOST_POINTS = 2**22
"""Points of a table: four times the largest size of a processed NMR spectrum that programs offer."""

_SQZ = {letter: str(digit) for digit, letter in enumerate("@ABCDEFGHI")} | {
    letter: f"-{digit}" for digit, letter in enumerate("abcdefghi", 1)
}
_DIF = {letter: str(digit) for digit, letter in enumerate("%JKLMNOPQR")} | {
    letter: f"-{digit}" for digit, letter in enumerate("jklmnopqr", 1)
}
_DUP = {letter: str(digit) for digit, letter in enumerate("STUVWXYZ", 1)} | {"s": "9"}

# Possessive throughout: without, a long run of digits before a bad letter takes time exponential in its length.
# An exponent has up to three digits: 0E0000000 is X 0 and, squeezed, the value 50000000.
_AFFN = re.compile(r"[+-]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?\d{1,3}(?!\d))?+|\?")
_AFFN_LINE = re.compile(rf"(?:[\s,;]*+(?:{_AFFN.pattern}))*+[\s,;]*+")
_ASDF = re.compile(
    r"([+-]?(?:\d++\.?+\d*+|\.\d++))|([@A-Ia-i])(\d*+\.?+\d*+)|([%J-Rj-r])(\d*+\.?+\d*+)|([S-Zs])(\d*+)|(\?)"
)
# Without capturing groups: Python 3.11 stumbles over those inside a possessive repetition.
_ASDF_LINE = re.compile(
    r"(?:[\s,;]*+(?:[+-]?(?:\d++\.?+\d*+|\.\d++)|[@A-Ia-i%J-Rj-r]\d*+\.?+\d*+|[S-Zs]\d*+|\?))*+[\s,;]*+"
)
_PAIR_GAP = re.compile(r"[\s,;]+")
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")
_LONGEST_NUMBER = 40


@dataclass(slots=True)
class Ordinates:
    """The values of an (X++(Y..Y)) table and, of each line, its number, its X as written, and which value that
    X belongs to."""

    values: FloatArray
    line_numbers: list[int]
    line_x: list[float]
    line_start: list[int]


def has_decimal_commas(lines: Sequence[Line]) -> bool:
    """Whether commas stand between digits, as decimal marks or as separators, and no point does."""
    return any(_COMMA_IN_NUMBER.search(line.text) for line in lines[:20]) and not any(
        "." in line.text for line in lines
    )


def with_decimal_points(lines: Sequence[Line]) -> list[Line]:
    """The lines with the commas between digits read as decimal points."""
    return [Line(line.number, _COMMA_IN_NUMBER.sub(".", line.text)) for line in lines]


def decode_ordinates(lines: Sequence[Line]) -> Ordinates:
    """The table of X++(Y..Y): on every line an X and the values from there on. "?" is a NaN.

    Raises:
        RecordFault: a line cannot be read, a check value contradicts the sum of differences, or there are more
            than `MOST_POINTS`; names the line.
    """
    found = Ordinates(np.empty(0), [], [], [])
    if not lines:
        raise RecordFault("the data table is empty")
    values: list[float] = []
    if all(_AFFN_LINE.fullmatch(line.text) for line in lines[:20]) and _AFFN.findall(lines[0].text)[1:]:
        for line in lines:
            _add_affn(line, values, found)
    else:
        decoder = _Decoder(values)
        for line in lines:
            decoder.add(line, found, is_last=line is lines[-1])
    found.values = np.array(values, dtype=np.float64)
    return found


def _add_affn(line: Line, values: list[float], found: Ordinates) -> None:
    if not _AFFN_LINE.fullmatch(line.text):
        raise RecordFault(f"{one_line(line.text, 40)!r} is not a line of numbers", line=line.number)
    numbers = [float("nan") if text == "?" else float(text) for text in _AFFN.findall(line.text)]
    if not numbers:
        return
    _note(line, numbers[0], len(values), found)
    values.extend(numbers[1:])
    _check_length(len(values), line)


def _note(line: Line, x: float, start: int, found: Ordinates) -> None:
    found.line_numbers.append(line.number)
    found.line_x.append(x)
    found.line_start.append(start)


def _check_length(length: int, line: Line) -> None:
    if length > MOST_POINTS:
        raise RecordFault(f"more than {MOST_POINTS} points", line=line.number)


class _Decoder:
    """A pass over an ASDF table. The last value and step are kept from line to line."""

    def __init__(self, values: list[float]) -> None:
        self._values = values
        self._by_difference = False  # whether the last value was one
        self._step = 0.0

    def add(self, line: Line, found: Ordinates, *, is_last: bool) -> None:
        if not _ASDF_LINE.fullmatch(line.text):
            raise RecordFault(f"{one_line(line.text, 40)!r} is not a line of packed numbers", line=line.number)
        tokens = _ASDF.finditer(line.text)
        first = next(tokens, None)
        if first is None:
            return
        check = self._by_difference
        _note(line, _plain(first, line), len(self._values) - check, found)
        self._by_difference = False
        rest = list(tokens)
        if check and is_last and len(rest) == 1:
            return  # a line of nothing but the check; some programs write 0 there
        for token in rest:
            self._take(token, line)
            if check:
                self._compare(line)
                check = False
            _check_length(len(self._values), line)

    def _take(self, token: re.Match[str], line: Line) -> None:
        plain, squeezed, sq_rest, differing, dif_rest, repeated, dup_rest, unknown = token.groups()
        if plain is not None or squeezed is not None:
            text = plain if plain is not None else _SQZ[squeezed] + sq_rest
            self._values.append(_number(text, line))
            self._by_difference = False
        elif differing is not None:
            if not self._values or self._values[-1] != self._values[-1]:
                raise RecordFault("a difference with nothing before it", line=line.number)
            self._step = _number(_DIF[differing] + dif_rest, line)
            self._values.append(self._values[-1] + self._step)
            self._by_difference = True
        elif repeated is not None:
            self._repeat(_DUP[repeated] + dup_rest, line)
        elif unknown is not None:
            self._values.append(float("nan"))
            self._by_difference = False

    def _repeat(self, text: str, line: Line) -> None:
        """A count of n means that the last value, or difference, is there n times in all."""
        count = int(_number(text, line))
        if not self._values or count < 1:
            raise RecordFault("a repetition with nothing before it", line=line.number)
        _check_length(len(self._values) + count - 1, line)
        last, step = self._values[-1], self._step if self._by_difference else 0.0
        self._values.extend(last + step * place for place in range(1, count))

    def _compare(self, line: Line) -> None:
        """The first value of a line after a difference repeats the last one of the line before."""
        last = self._values[-2]
        again = self._values.pop()
        if abs(again - last) > 1e-6 * max(1.0, abs(last)):
            raise RecordFault(
                f"the line begins with {again:g}, the one before ended with {last:g}: damaged", line=line.number
            )


def _plain(token: re.Match[str], line: Line) -> float:
    """The X of a line. A minus stands for itself there, whatever the packing."""
    if token[1] is None:
        raise RecordFault(f"{one_line(line.text, 40)!r} does not begin with an X", line=line.number)
    return _number(token[1], line)


def _number(text: str, line: Line) -> float:
    if len(text) > _LONGEST_NUMBER:
        raise RecordFault(f"a number of {len(text)} digits", line=line.number)
    return float(text)


def decode_pairs(lines: Sequence[Line], width: int = 2) -> FloatArray:
    """The table of (XY..XY), or (XYW..XYW) for a width of 3: numbers in AFFN, [n, width].

    Raises:
        RecordFault: something is not a number, a pair is not whole, or there are more than `MOST_POINTS`.
    """
    numbers: list[float] = []
    for line in lines:
        for text in _PAIR_GAP.split(line.text.strip()):
            numbers += _affn_numbers(text, line)
        if len(numbers) % width:
            raise RecordFault(
                f"{one_line(line.text, 40)!r} is not a list of {width} numbers each", line=line.number
            )
        _check_length(len(numbers) // width, line)
    return np.array(numbers, dtype=np.float64).reshape(-1, width)


def _affn_numbers(text: str, line: Line) -> list[float]:
    if not _AFFN_LINE.fullmatch(text):
        raise RecordFault(f"{one_line(text, 40)!r} is not a number", line=line.number)
    return [float("nan") if one == "?" else float(one) for one in _AFFN.findall(text)]
