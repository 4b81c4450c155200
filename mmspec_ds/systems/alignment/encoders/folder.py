"""An encoder that was fitted or trained, in a folder: what it says of itself in JSON, arrays in safetensors,
and a manifest with their checksums."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.files import (
    MANIFEST,
    entry_of,
    faults,
    read_manifest,
    replacing_output,
    write_json,
    write_manifest,
)
from mmspec_ds.trainer.weights import WEIGHTS, checksum, read_weights, write_weights

ABOUT = "encoder.json"
KIND = "mmspec encoder"
FORMAT = 1


class StoredEncoder(NamedTuple):
    """What a folder holds: `about`, in JSON's types; `tensors` by name; `checksum` of both."""

    about: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    checksum: str


def check_new(folder: Path) -> None:
    """Refuse a folder that `write_encoder` would refuse, before the work starts.

    Raises:
        DataError: it is there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("is there already: expected a new folder", path=folder)


def write_encoder(folder: Path, name: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write the folder of an encoder, whole or not at all.

    Raises:
        DataError: it cannot be written, or is there already.
    """
    check_new(folder)
    with replacing_output(folder) as partial:
        partial.mkdir(parents=True)
        write_json(partial / ABOUT, dict(about))
        write_weights(tensors, partial / WEIGHTS)
        files = {file: entry_of(partial / file) for file in (ABOUT, WEIGHTS)}
        write_manifest(partial, files, kind=KIND, format=FORMAT, encoder=name)


def read_encoder(folder: Path, name: str) -> StoredEncoder:
    """Read a folder that `write_encoder` made for an encoder of this name.

    Raises:
        DataError: there is none, it was altered, or it is of another encoder.
    """
    if not (folder / MANIFEST).is_file():
        raise DataError(f"holds no {MANIFEST}: expected a folder that `mmspec fit {name}` made", path=folder)
    manifest = read_manifest(folder)
    found = (manifest.get("kind"), manifest.get("format"), manifest.get("encoder"))
    if found != (KIND, FORMAT, name):
        raise DataError(
            f"is no encoder {name} of this version: expected one that `mmspec fit {name}` made", path=folder
        )
    wrong = faults(folder, manifest)
    if wrong:
        raise DataError("; ".join(wrong))
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    tensors = read_weights(folder / WEIGHTS).tensors
    told = content_checksum(about, tensors)
    return StoredEncoder(about, tensors, told)


def content_checksum(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of what an encoder is made of."""
    from mmspec_ds.systems.alignment.objects import content_key

    return content_key(json.dumps(dict(about), sort_keys=True), checksum(dict(tensors)))
