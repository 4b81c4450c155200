"""Files that appear whole or not at all, and manifests that vouch for them.

A manifest is a JSON file beside others that lists their sizes and SHA-256 checksums, with whatever else
describes them; it ends with a checksum of itself. What it does not vouch for is not read.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError

MANIFEST = "manifest.json"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`: renamed when all went well and is on disk, else removed."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        to_disk(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def readable_as_usual(path: Path) -> Iterator[None]:
    """What is written to `path` within has the permissions of any new file, though the writer, as safetensors
    does, puts a private file of its own in its place."""
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    yield
    path.chmod(mode)


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The checksum of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry_of(path: Path) -> dict[str, Any]:
    """What a manifest says of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def write_manifest(folder: Path, files: Mapping[str, Mapping[str, Any]], **about: Any) -> None:
    """Write a folder's manifest: the entries of its files by name, and anything else in JSON about them."""
    content: dict[str, Any] = {**about, "files": dict(files)}
    with replacing(folder / MANIFEST) as partial:
        partial.write_text(json.dumps({**content, "sha256": _own_checksum(content)}, indent=1) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """A folder's manifest.

    Raises:
        DataError: it is missing, or is not what was written.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        expected = content.pop("sha256")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError("damaged: it is no manifest", path=path) from None
    if not isinstance(content.get("files"), dict) or expected != _own_checksum(content):
        raise DataError("damaged: its content is not what was written", path=path)
    return dict(content)


def faults(folder: Path, manifest: Mapping[str, Any], names: Iterable[str] | None = None) -> list[str]:
    """What is wrong with the files that a manifest vouches for (all of them, or those of these names): a line
    for each that is missing, truncated or altered."""
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
