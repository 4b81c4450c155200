"""Arrays of numbers in mzML and mzXML: base64, plain or packed, never unpacked beyond the length they
declare."""

import binascii
import zlib

import numpy as np
import numpy.typing as npt

from mmspec_ds.readers.numpress import decode_linear, decode_positive_integers, decode_short_logged
from mmspec_ds.readers.part import RecordFault
from mmspec_ds.readers.peaks import MOST_PEAKS_READ
from mmspec_ds.spectra.records import FloatArray

_NUMPRESS = {
    "numpress linear": decode_linear,
    "numpress pic": decode_positive_integers,
    "numpress slof": decode_short_logged,
}
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
