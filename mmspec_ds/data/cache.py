"""Encoded data sets on the disk: files are read, encoded and told apart by InChIKey once.

An entry is a folder named by the hash of the files' paths and of all else that decides what is made of them. It
holds one file of arrays (in the format of `shards.rows`) and a manifest with the state of the files and a
checksum. An entry whose files have changed since, or that another version made, is replaced. The arrays are
memory-mapped, so the ranks of one machine share them.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.formats import BENCHMARK, ReadOptions
from mmspec_ds.data.shards.plan import fingerprint_of, library_versions
from mmspec_ds.data.shards.rows import PackedText, open_arrays, write_arrays
from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, faults, read_manifest, replacing, take_lock, write_manifest
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.readers.format_registry import find_format
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, modality_by_name

KIND = "mmspec cache"
FORMAT = 1
"""The version of the layout of an entry."""
DAMAGED = "damaged entry of the cache, read anew"
"""The remark of a data set whose entry could not be used."""

_ARRAYS = "data.safetensors"
_TEXTS = ("ids", "smiles", "blocks")

EncodedData: TypeAlias = tuple[SpectraDataset, InputEncoding]


def through_cache(
    settings: DataSettings,
    paths: Sequence[Path],
    options: ReadOptions,
    source: Mapping[Modality, Vocabulary] | None,
    encode: Callable[[], EncodedData],
) -> EncodedData:
    """What `encode` makes of some files, from the folder `settings.cache` if it is there, else stored there.

    Only parquet files are cached, and only data sets whose structures are all known. Of several processes that
    ask for the same, one encodes and the others wait for it: the file system must let them see each other's
    locks.

    Args:
        settings: the `data` block of the run.
        paths: the files that `encode` reads, in that order.
        options: what is asked of a record.
        source: the vocabularies of the text, None for those that `encode` learns and for compressed spectra.
        encode: reads and encodes the files.

    Returns:
        A data set without targets, and the encoding of its tokens.

    Raises:
        DataError: of `encode`, or the cache cannot be written.
    """
    folder = settings.cache
    if folder is None or not all(path.is_file() and find_format(path).name == BENCHMARK for path in paths):
        return encode()
    identity = _identity(settings, paths, options, source)
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]
    entry, state = folder / name, _state(paths)
    found, _ = _load(entry, state, settings)
    if found is not None:
        return found
    with _locked(folder, name):
        found, is_damaged = _load(entry, state, settings)
        if found is not None:  # another process has made it meanwhile
            return found
        dataset, encoding = encode()
        if None not in dataset.smiles:
            _store(entry, dataset, encoding, {**state, "identity": identity})
    if is_damaged:
        dataset = replace(dataset, remarks={**dataset.remarks, DAMAGED: 1})
    return dataset, encoding


def _identity(
    settings: DataSettings,
    paths: Sequence[Path],
    options: ReadOptions,
    source: Mapping[Modality, Vocabulary] | None,
) -> dict[str, Any]:
    """What decides the result besides the content of the files, as JSON values."""
    is_text = settings.representation == "text"
    form: dict[str, Any] = {"compression": settings.compression.model_dump(mode="json")}
    if is_text:
        form = {"most_words": settings.max_text_tokens, "words": "learnt"}
        if source is not None:
            form["words"] = hashlib.sha256(json.dumps(_json_of(source)).encode()).hexdigest()
    return {
        "paths": [str(path.resolve()) for path in paths],
        "modalities": [REGISTRY[modality].name for modality in settings.chosen_modalities()],
        "options": asdict(options),
        **form,
    }


def _state(paths: Sequence[Path]) -> dict[str, Any]:
    """What must not have changed since an entry was made."""
    sources = [{**fingerprint_of(path), "mtime_ns": path.stat().st_mtime_ns} for path in paths]
    return {"kind": KIND, "format": FORMAT, "sources": sources, "versions": library_versions()}


def _load(entry: Path, state: Mapping[str, Any], settings: DataSettings) -> tuple[EncodedData | None, bool]:
    """What an entry holds, None where it is missing, of another state or damaged; and whether it is damaged."""
    if not entry.is_dir():
        return None, False
    try:
        manifest = read_manifest(entry)
        if any(manifest.get(key) != value for key, value in state.items()):
            return None, False
        if faults(entry, manifest):
            return None, True
        return _opened(entry / _ARRAYS, manifest, settings), False
    except DataError:
        return None, entry.is_dir()  # another process may have removed it just now


def _opened(path: Path, manifest: Mapping[str, Any], settings: DataSettings) -> EncodedData:
    learnt = manifest["words"]
    source = None
    if learnt is not None:
        source = {modality_by_name(name): Vocabulary.from_dict(one) for name, one in learnt.items()}
    encoding = InputEncoding.from_settings(settings, source)
    parts = [field.name for field in fields(PackedTokens)]
    tokens = {
        m: PackedTokens(*open_arrays(path, [f"{REGISTRY[m].name}.{part}" for part in parts]))
        for m in encoding.schemas
    }
    ids, smiles, blocks = (
        tuple(PackedText(*open_arrays(path, [name, f"{name}.offsets"])).texts()) for name in _TEXTS
    )
    dataset = SpectraDataset(
        ids, smiles, tokens, encoding.schemas, remarks=manifest["remarks"], known_blocks=blocks
    )
    return dataset, encoding


def _store(entry: Path, dataset: SpectraDataset, encoding: InputEncoding, about: Mapping[str, Any]) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name in _TEXTS:
        packed = PackedText.of_texts([str(text) for text in getattr(dataset, name)])
        arrays |= {name: packed.values, f"{name}.offsets": packed.offsets}
    for modality, tokens in dataset.tokens.items():
        for field in fields(tokens):
            arrays[f"{REGISTRY[modality].name}.{field.name}"] = getattr(tokens, field.name)
    words = None if encoding.source is None else _json_of(encoding.source)
    try:
        with replacing(entry) as partial:
            partial.mkdir()
            write_arrays(partial / _ARRAYS, arrays, {})
            files = {_ARRAYS: entry_of(partial / _ARRAYS)}
            write_manifest(partial, files, **about, remarks=dict(dataset.remarks), words=words)
            shutil.rmtree(entry, ignore_errors=True)
    except OSError as error:
        raise _unwritable(entry.parent, error) from None


def _json_of(source: Mapping[Modality, Vocabulary]) -> dict[str, Any]:
    return {REGISTRY[modality].name: one.to_dict() for modality, one in source.items()}


def _unwritable(folder: Path, error: OSError) -> DataError:
    return DataError(f"the cache cannot be written: {error.strerror or error}", path=folder)


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of an entry; waits for whoever has it."""
    try:
        descriptor = take_lock(folder / f"{name}.lock")
    except OSError as error:  # such as a file system without locks
        raise _unwritable(folder, error) from None
    try:
        yield
    finally:
        os.close(descriptor)
