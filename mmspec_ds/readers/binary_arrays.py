"""Arrays of numbers in mzML and mzXML: base64, plain or packed, never unpacked beyond the length they
declare.

MS-Numpress (Teleman et al. 2014) has three ways to pack m/z, counts and intensities. The head of the first and
the third is a scale, a big-endian float64. Integers are written in half bytes: the first tells how many of the
eight half bytes of a 32-bit number are left out at its upper end, zeros if it is 0 to 8, ones (a small negative
number) if it is 9 to 15; the others follow, the lowest first.
"""

import binascii
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mmspec_ds.readers.part import RecordFault
from mmspec_ds.readers.peaks import MOST_PEAKS_READ
from mmspec_ds.spectra.records import FloatArray

_HALF_BYTES = 8
_ROOM = 64
"""Bytes over what the numbers take that a compressed array may have (the head of numpress)."""


def decode_array(
    text: str, length: int, dtype: npt.DTypeLike, *, deflated: bool = False, numpress: str | None = None
) -> FloatArray:
    """The numbers of one array as float64, [length].

    Args:
        text: base64; blanks and line ends in it are ignored.
        length: number of values expected.
        dtype: of one value as stored, with its byte order; ignored with numpress.
        deflated: whether zlib packed the bytes, after numpress if that is used too.
        numpress: "numpress linear", "numpress pic" or "numpress slof".

    Raises:
        RecordFault: the text is not base64, is damaged, or holds another number of values.
    """
    if not 0 <= length <= MOST_PEAKS_READ:
        raise RecordFault(f"{length:,} values declared, at most {MOST_PEAKS_READ:,} are read")
    try:
        content = binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise RecordFault("a binary array is not base64: damaged") from None
    size = np.dtype(dtype).itemsize
    if deflated and content:
        content = _inflate(content, length * max(size, 8) + _ROOM)
    if numpress is not None:
        values = _NUMPRESS[numpress](content, length)
    elif len(content) != length * size:
        raise RecordFault(f"a binary array holds {len(content) // size:,} values, {length:,} are declared")
    else:
        values = np.frombuffer(content, dtype).astype(np.float64)
    if len(values) != length:
        raise RecordFault(f"a binary array holds {len(values):,} values, {length:,} are declared")
    return values


def _inflate(content: bytes, limit: int) -> bytes:
    """The unpacked bytes, at most `limit` of them."""
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(content, limit + 1)
    except zlib.error:
        raise RecordFault("a binary array is damaged: zlib cannot unpack it") from None
    if len(unpacked) > limit:
        raise RecordFault("a binary array unpacks to more values than are declared")
    if not stream.eof:
        raise RecordFault("a binary array is truncated: its zlib stream has no end")
    return unpacked


def decode_linear(content: bytes, length: int) -> FloatArray:
    """Numbers that lie nearly on a line, as m/z do: two of them, then the deviation of each further one from
    the line through the two before it (MS-Numpress, Teleman et al. 2014).

    Returns:
        float64 [length].

    Raises:
        RecordFault: the bytes are too few for that many numbers, or their scale is no positive number.
    """
    scale = _scale(content)
    if len(content) < 8 + 4 * min(length, 2):
        raise _damaged()
    fixed = [int.from_bytes(content[at : at + 4], "little") for at in (8, 12)[:length]]
    for deviation in _integers(content[16:], length - 2):
        fixed.append(2 * fixed[-1] - fixed[-2] + deviation)
    return np.array(fixed, dtype=np.float64) / scale


def decode_positive_integers(content: bytes, length: int) -> FloatArray:
    """Counts of ions, which are stored as whole numbers: float64 [length].

    Raises:
        RecordFault: the bytes are too few for that many numbers.
    """
    return np.array(list(_integers(content, length)), dtype=np.float64)


def decode_short_logged(content: bytes, length: int) -> FloatArray:
    """Intensities, of which the logarithms plus one are stored in 16 bits each: float64 [length].

    Raises:
        RecordFault: the bytes are not those of that many numbers, or their scale is no positive number.
    """
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


_NUMPRESS = {
    "numpress linear": decode_linear,
    "numpress pic": decode_positive_integers,
    "numpress slof": decode_short_logged,
}
