"""Mass spectra in plain words: integer m/z, the strongest first.

The published form (LLM4MS, Xu et al. 2025, and its released code) calls the strongest peak `base_peak`, the
next two `max_peak`, all others `extra_peak`, and names the largest m/z at the end as `max_peak` again. The
sentence that stands before the peaks there is left out: it is the same for every spectrum.
"""

import re

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.told import Told

_NEXT = 2
"""Peaks after the strongest that the published form calls max_peak."""
_PUBLISHED_WORD = re.compile(r"(base|max|extra)_peak@(\d+)")


def write(content: Told, *, published: bool) -> str:
    """The text of the peaks: in the published form, or their m/z parted by blanks."""
    integers = [f"{mz:.0f}" for mz in content.mz]
    if not published:
        return " ".join(integers)
    names = ["base_peak", *["max_peak"] * _NEXT, *["extra_peak"] * len(integers)]
    words = [f"{name}@{mz}" for name, mz in zip(names, integers)]
    if content.largest_mz is not None:
        words.append(f"max_peak@{content.largest_mz:.0f}")
    return ",".join(words)


def parse(text: str, *, published: bool) -> Told:
    """The peaks that a text of plain words tells.

    Raises:
        DataError: it is not of the form.
    """
    if not published:
        return Told(tuple(_integer(word) for word in text.split()))
    if not text:
        return Told(())
    words = text.split(",")
    expected = ["base", *["max"] * _NEXT, *["extra"] * len(words)][: max(len(words) - 1, 1)]
    mz = [_integer_of(word, name) for word, name in zip(words, [*expected, "max"])]
    if len(words) == 1:
        raise DataError(f"not the text of a spectrum: {text!r} ends without the largest m/z, max_peak@")
    return Told(tuple(mz[:-1]), largest_mz=mz[-1])


def _integer_of(word: str, name: str) -> float:
    match = _PUBLISHED_WORD.fullmatch(word)
    if match is None or match[1] != name:
        raise DataError(f"not the text of a spectrum: found {word!r}, expected {name}_peak@ and an m/z")
    return float(match[2])


def _integer(word: str) -> float:
    if not (word.isascii() and word.isdigit()):
        raise DataError(f"not the text of a spectrum: found {word!r}, expected a whole m/z")
    return float(word)
