"""Bytes and lines of a file, plain or gzip; every fault of the file itself is an error of one line.

Limits: a gzip file may unfold to at most 100 times its size (and always to 64 MiB): spectra shrink by 3 to 20,
a decompression bomb by 1000. A line may have 64 Mi characters, a text that is read whole 256 MiB.
"""

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import one_line

HEAD_BYTES = 65_536
LONGEST_LINE = 64 * 2**20
LONGEST_TEXT = 256 * 2**20
UNFOLDED_FREELY = 64 * 2**20
UNFOLDED_RATIO = 100

_GZIP = b"\x1f\x8b"
_ARCHIVES = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file, by which its format is told.

    Attributes:
        path: the file or folder.
        text: the first 64 KiB, unfolded, decoded and without byte order mark; bytes that are not UTF-8 are read
            as Latin-1. Empty for a folder.
        is_folder: whether the path is a folder.
    """

    path: Path
    text: str
    is_folder: bool = False


def read_head(path: Path) -> Head:
    """The beginning of a file, or a mark that the path is a folder.

    Raises:
        DataError: there is no such file, it is empty, no regular file, or cannot be read.
    """
    with readable(path):
        if path.is_dir():
            return Head(path, "", is_folder=True)
    with open_bytes(path) as file:
        start = file.read(HEAD_BYTES)
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")
    text = start.decode(encoding, errors="ignore" if encoding != "utf-8" else "surrogateescape")
    return Head(path, _as_latin_1(text))


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, gzip unfolded, to be read from the start to the end.

    Faults while reading inside the block become a DataError as well.

    Raises:
        DataError: no such file, a folder, a FIFO or device, empty, an archive other than gzip, damaged or
            truncated gzip, or far more content than files of its size have.
    """
    with readable(path):
        # O_NONBLOCK: opening a FIFO that nobody writes to would otherwise block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as raw:
            state = os.fstat(raw.fileno())
            if stat.S_ISDIR(state.st_mode):
                raise DataError("is a folder, expected a file", path=path)
            if not stat.S_ISREG(state.st_mode):
                raise DataError("is not a regular file (a FIFO, socket or device)", path=path)
            start = raw.read(8)
            raw.seek(0)
            if not start:
                raise DataError("the file is empty", path=path)
            for magic, name in _ARCHIVES.items():
                if start.startswith(magic):
                    raise DataError(f"is a {name} archive, which is not read; unpack it first", path=path)
            if not start.startswith(_GZIP):
                yield raw
                return
            unfolded = _Unfolded(path, raw, max(UNFOLDED_FREELY, UNFOLDED_RATIO * state.st_size))
            yield cast(BinaryIO, io.BufferedReader(unfolded, 2**18))


class _Unfolded(io.RawIOBase):
    """The content of a gzip file, up to `limit` bytes."""

    def __init__(self, path: Path, raw: BinaryIO, limit: int) -> None:
        self._path, self._limit, self._given = path, limit, 0
        self._file = gzip.GzipFile(fileobj=raw)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._file.read(len(buffer))
        self._given += len(content)
        if self._given > self._limit:
            raise DataError(
                f"unfolds to more than {self._limit // 2**20} MiB, {UNFOLDED_RATIO} times its size or more:"
                " refused as a decompression bomb",
                path=self._path,
            )
        if not content and not self._given:
            raise DataError("the file is empty (a gzip file of nothing)", path=self._path)
        buffer[: len(content)] = content
        return len(content)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text file, without its end; numbers from 1."""

    number: int
    text: str


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a text file, one at a time: LF, CRLF or CR; UTF-8 or UTF-16 by their marks, else UTF-8, and
    Latin-1 for the lines that are not.

    Raises:
        DataError: as `open_bytes`; the file is not text, or a line is longer than 64 Mi characters.
    """
    with open_bytes(path) as file, _as_text(path, file) as text:
        number = 0
        while True:
            line = text.readline(LONGEST_LINE)
            if not line:
                return
            number += 1
            if len(line) >= LONGEST_LINE:
                raise DataError(f"line {number} is longer than {LONGEST_LINE} characters", path=path)
            if "\0" in line:
                raise DataError(f"line {number} holds a zero byte: not a text file", path=path)
            yield Line(number, _as_latin_1(line.rstrip("\n")))


def read_text_lines(path: Path) -> list[str]:
    """The lines of a text file of at most 256 MiB, without their ends; encodings as in `read_lines`.

    Raises:
        DataError: as `read_lines`, or the text is longer.
    """
    found, length = [], 0
    for line in read_lines(path):
        length += len(line.text) + 1
        if length > LONGEST_TEXT:
            raise DataError(f"is longer than {LONGEST_TEXT // 2**20} MiB of text", path=path)
        found.append(line.text)
    return found


def read_text(path: Path) -> str:
    """The whole of a text file of at most 256 MiB, lines ended by LF; encodings as in `read_lines`.

    Raises:
        DataError: as `read_text_lines`.
    """
    return "\n".join(read_text_lines(path)) + "\n"


@contextmanager
def _as_text(path: Path, file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    mark = cast(io.BufferedReader, file).peek(3)[:3]
    encoding = next((name for start, name in _MARKS.items() if mark.startswith(start)), "utf-8")
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline=None)
    try:
        yield text
    finally:
        text.detach()  # the caller closes the file


def _as_latin_1(text: str) -> str:
    """The text with its undecodable bytes, if there are any, read as Latin-1: all of it, so that no line has
    two encodings."""
    if text.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in text):
        return text
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """A block in which a file is opened or read.

    Raises:
        DataError: of one line, in place of what the system, gzip or the encoding raised inside the block.
    """
    try:
        yield
    except FileNotFoundError:
        raise DataError("there is no such file", path=path) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError("is a damaged or truncated gzip file", path=path) from None
    except UnicodeError as error:
        raise DataError(
            f"is not the text that its byte order mark says: {one_line(error)}", path=path
        ) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or one_line(error)}", path=path) from None
    except ValueError as error:  # a path with a zero byte
        if isinstance(error, UnicodeError) or "null byte" not in str(error):
            raise
        raise DataError("is not a possible file name", path=one_line(path)) from None
