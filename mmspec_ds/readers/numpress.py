"""Decoding of MS-Numpress (Teleman et al. 2014), three ways to pack m/z, counts and intensities.

The head of the first and the third is a scale, a big-endian float64. Integers are written in half bytes: the
first tells how many of the eight half bytes of a 32-bit number are left out at its upper end, zeros if it is 0
to 8, ones (a small negative number) if it is 9 to 15; the others follow, the lowest first.
"""

import struct
from collections.abc import Iterator

import numpy as np

from mmspec_ds.readers.part import RecordFault
from mmspec_ds.spectra.records import FloatArray

_HALF_BYTES = 8


def decode_linear(content: bytes, length: int) -> FloatArray:
    """Numbers that lie nearly on a line, as m/z do: two of them, then the deviation of each further one from
    the line through the two before it."""
    scale = _scale(content)
    if len(content) < 8 + 4 * min(length, 2):
        raise _damaged()
    fixed = [int.from_bytes(content[at : at + 4], "little") for at in (8, 12)[:length]]
    for deviation in _integers(content[16:], length - 2):
        fixed.append(2 * fixed[-1] - fixed[-2] + deviation)
    return np.array(fixed, dtype=np.float64) / scale


def decode_positive_integers(content: bytes, length: int) -> FloatArray:
    """Counts of ions, as whole numbers."""
    return np.array(list(_integers(content, length)), dtype=np.float64)


def decode_short_logged(content: bytes, length: int) -> FloatArray:
    """Logarithms of intensities plus one, in 16 bits each."""
    scale = _scale(content)
    if len(content) != 8 + 2 * length:
        raise _damaged()
    with np.errstate(over="ignore"):
        return np.expm1(np.frombuffer(content[8:], "<u2") / scale)


def _scale(content: bytes) -> float:
    if len(content) < 8:
        raise _damaged()
    scale = float(struct.unpack(">d", content[:8])[0])
    if not 0 < scale < float("inf"):
        raise _damaged()
    return scale


def _integers(content: bytes, count: int) -> Iterator[int]:
    """The first `count` signed 32-bit integers."""
    halves = (half for byte in content for half in (byte >> 4, byte & 15))
    for _ in range(count):
        try:
            head = next(halves)
            left_out = head if head <= _HALF_BYTES else head - _HALF_BYTES
            value = 0 if head <= _HALF_BYTES else -1 << 4 * (_HALF_BYTES - left_out)
            for place in range(_HALF_BYTES - left_out):
                value |= next(halves) << 4 * place
        except StopIteration:
            raise _damaged() from None
        yield value - (1 << 32) if value >= 1 << 31 else value


def _damaged() -> RecordFault:
    return RecordFault("a binary array is damaged: numpress cannot unpack it")
