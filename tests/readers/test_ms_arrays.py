"""Binary arrays of mzML and mzXML, numpress against the library that its authors keep."""

import base64
import zlib

import numpy as np
import pytest

from mmspec_ds.readers.binary_arrays import (
    decode_array,
    decode_linear,
    decode_positive_integers,
    decode_short_logged,
)
from mmspec_ds.readers.part import RecordFault

MZ = np.sort(np.random.default_rng(3).uniform(50, 1200, 400))
COUNTS = np.random.default_rng(4).integers(0, 2_000_000, 400).astype(np.float64)


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8", "<i4"])
@pytest.mark.parametrize("deflated", [False, True])
def test_plain_and_deflated(dtype: str, deflated: bool) -> None:
    content = COUNTS.astype(dtype).tobytes()
    text = base64_of(zlib.compress(content) if deflated else content)
    broken = "\n ".join((text[:100], text[100:]))  # XML may wrap it
    found = decode_array(broken, len(COUNTS), dtype, deflated=deflated)
    np.testing.assert_array_equal(found, COUNTS)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 399, 400])
def test_numpress_linear(length: int) -> None:
    pynumpress = pytest.importorskip("pynumpress")
    packed = bytes(pynumpress.encode_linear(MZ[:length].copy(), 1e5))
    np.testing.assert_allclose(decode_linear(packed, length), MZ[:length], rtol=0, atol=5.1e-6)


@pytest.mark.parametrize("length", [0, 1, 400])
def test_numpress_of_intensities(length: int) -> None:
    pynumpress = pytest.importorskip("pynumpress")
    counts = COUNTS[:length].copy()
    pic = bytes(pynumpress.encode_pic(counts))
    np.testing.assert_array_equal(decode_positive_integers(pic, length), counts)
    slof = bytes(pynumpress.encode_slof(counts, 3000.0))
    np.testing.assert_allclose(decode_short_logged(slof, length), pynumpress.decode_slof(slof), rtol=1e-12)


def test_numpress_of_a_jump() -> None:
    """Deviations of both signs and of full size."""
    pynumpress = pytest.importorskip("pynumpress")
    values = np.array([100.0, 900.0, 100.001, 100.002, 20000.0, 50.0])
    packed = bytes(pynumpress.encode_linear(values, 1e4))
    np.testing.assert_allclose(decode_linear(packed, 6), pynumpress.decode_linear(packed), rtol=0, atol=1e-9)


def test_numpress_inside_zlib() -> None:
    pynumpress = pytest.importorskip("pynumpress")
    packed = zlib.compress(bytes(pynumpress.encode_linear(MZ, 1e5)))
    found = decode_array(base64_of(packed), len(MZ), "<f8", deflated=True, numpress="numpress linear")
    np.testing.assert_allclose(found, MZ, rtol=0, atol=5.1e-6)


@pytest.mark.parametrize(
    ("content", "length", "words"),
    [
        (b"", 2, "cannot unpack"),
        (bytes(8), 2, "cannot unpack"),  # a scale of zero
        (bytes.fromhex("40f86a0000000000") + bytes(4), 2, "cannot unpack"),
        (bytes.fromhex("40f86a0000000000") + bytes(8), 3, "cannot unpack"),
        (bytes.fromhex("7ff8000000000000") + bytes(8), 2, "cannot unpack"),  # a scale that is NaN
    ],
)
def test_damaged_numpress(content: bytes, length: int, words: str) -> None:
    with pytest.raises(RecordFault, match=words):
        decode_linear(content, length)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(RecordFault, match="unpacks to more values than are declared"):
        decode_array(base64_of(bomb), 10, "<f8", deflated=True)
    with pytest.raises(RecordFault, match="at most 5,000,000 are read"):
        decode_array(base64_of(bomb), 6_250_000, "<f8", deflated=True)


def test_a_truncated_stream_is_told() -> None:
    packed = zlib.compress(MZ.tobytes())
    with pytest.raises(RecordFault, match="has no end"):
        decode_array(base64_of(packed[:-6]), len(MZ), "<f8", deflated=True)
