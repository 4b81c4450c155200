"""The files of a library: what lies where, how it is checked, and the lock of its one writer.

    manifest.json           what is valid of all other files; replaced as a whole, which commits an addition
    entries-0000.parquet    what is known of the entries of one addition, a row each
    mz.f64, intensity.f64   the peaks of all mass spectra, end to end
    ends.i64                where the peaks of each mass spectrum end; an entry without one has an empty one
    second.i64              which of these are not the first of their entry, by number
    second-0000.parquet     how those were measured, a row each
    keys.u64                a hash of each entry, by which duplicates are found
    further.i64             the entry of each spectrum that is stored apart: NMR, IR
    further-0000-0000.parquet   those spectra, in the schema of the benchmark
    vectors-0.f32           the vectors of one model, [N, width]
    index-0-0000.faiss      the index of those vectors, where there are many

The flat files grow at their end. An addition writes beyond the lengths of the manifest and then replaces the
manifest, so that one that was stopped leaves the old library whole; the next one cuts off what it left.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.files import MANIFEST, faults, read_manifest, to_disk, write_manifest

KIND = "library of spectra"
FORMAT = 2
"""In format 1 the second and further mass spectra of an entry were among the spectra that are stored apart."""
LOCK = ".lock"

MZ, INTENSITY, ENDS, KEYS, FURTHER = "mz.f64", "intensity.f64", "ends.i64", "keys.u64", "further.i64"
SECOND = "second.i64"
DTYPES = {".f64": "<f8", ".i64": "<i8", ".u64": "<u8", ".f32": "<f4"}
"""The type of the numbers of a flat file, by the end of its name."""

CHECKED_WHEN_USED = 1 << 26
"""A file of no more bytes is compared with its checksum before it is used, at 1 ms a megabyte or less."""
_BLOCK_BYTES = 1 << 22
_WHOLE = r"(?:entries|second)-\d+\.parquet|further-\d+-\d+\.parquet|index-\d+-\d+\.faiss"
_OURS = re.compile(rf"{_WHOLE}|\.({_WHOLE}|manifest\.json)\.partial")
"""Files of additions, and of `files.replacing` before they are whole."""


def new_manifest() -> dict[str, Any]:
    """The manifest of a library without entries."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "entries": 0,
        "parts": [],
        "embedders": [],
        "indexes": {},
        "files": {},
        "arrays": {name: [] for name in (MZ, INTENSITY, ENDS, SECOND, KEYS, FURTHER)},
    }


def is_library(path: Path) -> bool:
    """Whether a path is a folder with a manifest, as a library is."""
    return (path / MANIFEST).is_file()


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a library.

    Raises:
        DataError: the folder holds no library, one of another format, or the manifest was altered.
    """
    if not folder.exists():
        raise DataError("there is no such library", path=folder)
    if not is_library(folder):
        raise DataError("is not a library: expected a folder that `mmspec library build` made", path=folder)
    manifest = read_manifest(folder)
    if manifest.get("kind") != KIND:
        raise DataError("is not a library: its manifest is of something else", path=folder)
    found = manifest.get("format")
    if found == 1 and not any(part["further"] for part in manifest["parts"]):
        manifest = {**manifest, "format": FORMAT, "arrays": {SECOND: [], **manifest["arrays"]}}
    elif found != FORMAT:
        raise DataError(f"has format {found}, expected {FORMAT}: build it anew from its files", path=folder)
    return manifest


def save_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, which makes all that it lists valid at once."""
    about = {name: value for name, value in manifest.items() if name != "files"}
    write_manifest(folder, manifest["files"], **about)
    to_disk(folder)


def length_of(manifest: Mapping[str, Any], name: str) -> int:
    """The bytes of a flat file that are valid."""
    return sum(span["bytes"] for span in manifest["arrays"][name])


def number_of(manifest: Mapping[str, Any], name: str) -> int:
    """The valid numbers in a flat file."""
    return length_of(manifest, name) // np.dtype(DTYPES[Path(name).suffix]).itemsize


def open_array(folder: Path, manifest: Mapping[str, Any], name: str, width: int = 0) -> npt.NDArray[Any]:
    """A flat file, memory-mapped and read-only: [T], or [N, width].

    Raises:
        DataError: it cannot be opened, or was altered, as far as `check_used` finds it.
    """
    check_used(folder, manifest, name)
    dtype, items = np.dtype(DTYPES[Path(name).suffix]), number_of(manifest, name)
    shape = (items // width, width) if width else (items,)
    if not items:
        return np.empty(shape, dtype=dtype)
    try:
        return np.memmap(folder / name, dtype=dtype, mode="r", shape=shape)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be opened: {error}", path=folder / name) from None


def quick_faults(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """A line for each file that is missing or has another size than it must have. Nothing is read."""
    found = []
    sizes = [(name, one["bytes"], False) for name, one in manifest["files"].items()]
    sizes += [(name, length_of(manifest, name), True) for name in manifest["arrays"]]
    for name, expected, may_be_longer in sizes:
        try:
            size = (folder / name).stat().st_size
        except OSError as error:
            if expected:
                found.append(f"{folder / name}: {error.strerror}")
            continue
        if size < expected or (size > expected and not may_be_longer):
            found.append(f"{folder / name}: {size:,} bytes where {expected:,} were written")
    return found


def check_used(folder: Path, manifest: Mapping[str, Any], name: str) -> None:
    """Compare a file of a library that is about to be used with its checksum, unless it is a large one.

    Raises:
        DataError: it is missing, truncated or altered; names the file, and of a flat file the addition.
    """
    spans = manifest["arrays"].get(name)
    expected = manifest["files"][name]["bytes"] if spans is None else length_of(manifest, name)
    if expected <= CHECKED_WHEN_USED:
        found = faults(folder, manifest, [name]) if spans is None else _span_faults(folder / name, spans)
        for line in found:
            raise DataError(line)


def all_faults(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """A line for each file that is missing, truncated or altered; every byte is read."""
    found = quick_faults(folder, manifest)
    named = {line.partition(": ")[0] for line in found}
    found += [line for line in faults(folder, manifest) if line.partition(": ")[0] not in named]
    for name, spans in manifest["arrays"].items():
        if str(folder / name) not in named:
            found += _span_faults(folder / name, spans)
    return found


def _span_faults(path: Path, spans: list[dict[str, Any]]) -> Iterator[str]:
    if not path.exists():
        return  # it has no content, or it was found missing
    start = 0
    with path.open("rb") as file:
        for number, span in enumerate(spans):
            digest, left = hashlib.sha256(), span["bytes"]
            while left and (block := file.read(min(left, _BLOCK_BYTES))):
                digest.update(block)
                left -= len(block)
            if digest.hexdigest() != span["sha256"]:
                yield (
                    f"{path}: altered since it was written, the checksum of bytes {start:,} to"
                    f" {start + span['bytes']:,} differs (addition {number + 1} of {len(spans)})"
                )
            start += span["bytes"]


def clear_debris(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Remove what an addition that was stopped has left: files with names of this layout that the manifest does
    not list, and what lies beyond the valid length of the flat files. Files of other names are not ours."""
    for path in folder.iterdir():
        if path.name in manifest["arrays"]:
            os.truncate(path, length_of(manifest, path.name))
        elif path.name not in manifest["files"] and _OURS.fullmatch(path.name) and path.is_file():
            path.unlink()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the lock of a library's folder, which exists. The system gives it up when the process ends.

    Raises:
        DataError: another process holds it, or the folder cannot be written.
    """
    import fcntl

    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=folder) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                "another process is writing this library, expected one writer at a time", path=folder
            ) from None
        yield
    finally:
        os.close(descriptor)
