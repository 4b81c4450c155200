"""Where the features of a table of samples lie: ppm or m/z, from the names of its columns.

Axis in the names of arrays: F features.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmspec_ds.readers.part import counted

PositionKind = Literal["auto", "ppm", "m/z", "none"]

LOWEST_PPM, HIGHEST_PPM = -6.0, 16.0
"""Between these lie buckets of 1H spectra."""
WIDEST_BUCKET = 1.0
LOWEST_MZ, HIGHEST_MZ = 20.0, 20_000.0
_MOST = 0.8
"""Share of the names of which positions are understood, where these names alone are positions."""

_N = r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d{1,2})?"
_U = r"\d+(?:\.\d+)?"
_BARE = re.compile(rf"(?:ppm|bin|bucket|b|x|v)?[ _.:]*({_N})\s*(?:ppm)?", re.IGNORECASE)
_RANGE = re.compile(
    rf"[\[(]?\s*({_N})\s*(?:\.\.+|to|:|;|_|\s-\s|–|-|,\s?)\s*({_N})\s*[\])]?\s*(?:ppm)?", re.IGNORECASE
)
_NEGATIVE_IN_R = re.compile(r"X\.(?=\d)")
_TRANSITION = re.compile(rf"\(\s*({_U})\s*(?:/|->|>|→)\s*{_U}\s*(?:\(\d+\)\s*)?\)\s*$")
_ION = re.compile(r"\(\s*(\d+\.\d+)\s*\)\s*$")
_STATED = re.compile(rf"(?<![a-z])m/?z[ _:=]*({_U})|({_U})\s*(?:_|\s)?m/z", re.IGNORECASE)
_XCMS = re.compile(rf"M({_U})T{_U}(?:_\d+)?")
_PAIR = re.compile(rf"({_U})\s*[_@/]\s*({_U})(?:\s*(?:min|s|n))?")

Positions = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Positions of features.

    Attributes:
        position_F: NaN for features without; None where none has one.
        unit: "ppm" or "m/z"; None without positions.
        remark: how the names were read; "" without positions.
    """

    position_F: Positions | None
    unit: str | None
    remark: str


NOWHERE = Axis(None, None, "")


def positions_of(names: Sequence[str], wanted: PositionKind = "auto") -> Axis:
    """The positions that the names of features state.

    Names that are numbers between -6 and 16 are chemical shifts in ppm, buckets of an NMR spectrum: "3.245",
    "ppm_3.245", "X3.245" and "X.0.035" as R writes them, or the middle of "3.24..3.25". Others are m/z: the
    precursor of a transition "name (282.1 / 150.0)", "name (282.12)", "M282T150", "mz 282.1", "150.0578_7.34"
    (m/z is the one of the two that is always the larger), and plain numbers from 20 on.

    Args:
        names: of the features.
        wanted: "none" asks for no positions; "ppm" and "m/z" say what plain numbers are.
    """
    if wanted == "none" or not names:
        return NOWHERE
    plain = _plain(names)
    if np.isfinite(plain).mean() >= _MOST:
        unit = wanted if wanted != "auto" else _unit(plain)
        if unit is not None:
            return _axis(plain, unit, "names of features are positions")
    if wanted == "ppm":
        return NOWHERE
    ways: tuple[tuple[Callable[[Sequence[str]], Positions], str], ...] = (
        (lambda some: _first(some, _TRANSITION.search), "the precursor of the transition in a name is its m/z"),
        (lambda some: _first(some, _ION.search), "the number in brackets at the end of a name is its m/z"),
        (lambda some: _first(some, _STATED.search), "names of features state m/z"),
        (lambda some: _first(some, _XCMS.fullmatch), "names of features are M (m/z) and T (time)"),
        (_larger_of_pairs, "of the two numbers in a name the larger one is m/z, the other one the time"),
    )
    for find, told in ways:
        found = find(names)
        found[(found < LOWEST_MZ) | (found > HIGHEST_MZ)] = np.nan
        if np.isfinite(found).mean() >= 0.5:
            return _axis(found, "m/z", told)
    return NOWHERE


def numbers_as_positions(cells: Sequence[str], unit: str) -> Axis:
    """Positions that a table lists beside the names of its features."""
    found = np.array([float(cell) if re.fullmatch(_N, cell) and "," not in cell else np.nan for cell in cells])
    return _axis(found, unit, f"{unit} as the file lists it") if np.isfinite(found).any() else NOWHERE


def _axis(position_F: Positions, unit: str, told: str) -> Axis:
    known = position_F[np.isfinite(position_F)]
    remark = f"{told}: {unit} {known.min():g} to {known.max():g}"
    if len(known) < len(position_F):
        remark += f", {counted(len(position_F) - len(known), 'feature')} without"
    if unit == "ppm" and len(known) > 1:
        steps = np.diff(known)
        if (steps < 0).all():
            remark += ", descending"
        elif not (steps > 0).all():
            remark += ", not in order"
    return Axis(position_F, unit, remark)


def _unit(positions: Positions) -> str | None:
    known = positions[np.isfinite(positions)]
    if known.min() >= LOWEST_PPM and known.max() <= HIGHEST_PPM:
        # 1, 2, 3 ... count features; buckets have decimals
        return None if np.array_equal(known, np.round(known)) else "ppm"
    if known.min() >= LOWEST_MZ and known.max() <= HIGHEST_MZ and not np.array_equal(known, np.round(known)):
        return "m/z"
    return None


def _plain(names: Sequence[str]) -> Positions:
    found = np.full(len(names), math.nan)
    for place, name in enumerate(names):
        text = _NEGATIVE_IN_R.sub("-", name.strip())
        if match := _BARE.fullmatch(text):
            found[place] = _number(match[1])
        elif match := _RANGE.fullmatch(text):
            one, other = _number(match[1]), _number(match[2])
            if min(one, other) >= LOWEST_PPM and abs(one - other) <= WIDEST_BUCKET:
                found[place] = (one + other) / 2
    return found


def _first(names: Sequence[str], match: Callable[[str], re.Match[str] | None]) -> Positions:
    found = [match(name) for name in names]
    return np.array(
        [math.nan if one is None else float(next(text for text in one.groups() if text)) for one in found]
    )


def _larger_of_pairs(names: Sequence[str]) -> Positions:
    found = [_PAIR.fullmatch(name.strip()) for name in names]
    pairs = np.array([(math.nan, math.nan) if one is None else (float(one[1]), float(one[2])) for one in found])
    known = pairs[np.isfinite(pairs).all(axis=1)]
    if len(known) and (known[:, 0] > known[:, 1]).all():
        return pairs[:, 0]
    if len(known) and (known[:, 0] < known[:, 1]).all():
        return pairs[:, 1]
    return np.full(len(names), math.nan)


def _number(text: str) -> float:
    return float(text.replace(",", "."))
