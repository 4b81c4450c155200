"""Files and folders that are written whole or not at all, and manifests of their checksums.

A manifest is a JSON file that lists the sizes and SHA-256 checksums of the files beside it, with whatever else
describes them, and ends with a checksum of itself. Only files that agree with it are read.
"""

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError

MANIFEST = "manifest.json"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, for a file or a folder. It is renamed to `path` when it is written
    and on disk, and removed after an error. An existing file is replaced; a folder must be empty or absent."""
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)
    try:
        yield partial
        to_disk(partial)
        os.replace(partial, path)
    finally:
        _remove(partial)


@contextmanager
def replacing_output(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place at the end, as `replacing` gives it; for what was
    asked for on the command line, so that a failure is told in one line.

    Raises:
        DataError: it cannot be written.
    """
    try:
        with replacing(path) as partial:
            yield partial
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=path) from None


def write_json(path: Path, content: Any, *, indent: int = 2) -> None:
    """Write a JSON file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=indent) + "\n", encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def readable_as_usual(path: Path) -> Iterator[None]:
    """Give `path` the permissions of any new file, although the writer inside the block (safetensors) replaces
    it by a private file."""
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    yield
    path.chmod(mode)


def to_disk(path: Path) -> None:
    """Write a file, or the names in a folder, through to the disk, so that a power cut does not lose them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take_lock(path: Path) -> int:
    """Hold the lock of an empty file, which is made with its folder; waits for the process that has it. Closing
    the descriptor that is returned gives it back. The file stays: who removed it would let two processes lock
    two files of one name.

    Raises:
        OSError: the file cannot be made, or the file system knows no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sha256_of(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry_of(path: Path) -> dict[str, Any]:
    """Return the manifest entry of a file: its size and checksum."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def write_manifest(folder: Path, files: Mapping[str, Mapping[str, Any]], **about: Any) -> None:
    """Write the manifest of a folder: the entries of its files by name, and anything else that is JSON."""
    content: dict[str, Any] = {**about, "files": dict(files)}
    write_json(folder / MANIFEST, {**content, "sha256": _own_checksum(content)}, indent=1)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder.

    Raises:
        DataError: it is missing, or was altered.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        expected = content.pop("sha256")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError("damaged: it is not a manifest", path=path) from None
    if not isinstance(content.get("files"), dict) or expected != _own_checksum(content):
        raise DataError("damaged: its content is not what was written", path=path)
    return dict(content)


def faults(folder: Path, manifest: Mapping[str, Any], names: Iterable[str] | None = None) -> list[str]:
    """Return a line for each file of a manifest (all of them, or those of these names) that is missing,
    truncated or altered."""
    found = []
    for name in manifest["files"] if names is None else names:
        entry, path = manifest["files"][name], folder / name
        try:
            size = path.stat().st_size
            if size != entry["bytes"]:
                found.append(f"{path}: {size:,} bytes where {entry['bytes']:,} were written")
            elif sha256_of(path) != entry["sha256"]:
                found.append(f"{path}: altered since it was written, its checksum differs")
        except OSError as error:
            found.append(f"{path}: {error.strerror}")
    return found


def _own_checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
