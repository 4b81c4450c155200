"""The vectors of objects, computed once and kept in a folder.

It holds the vectors and the keys of their objects (see `object_key`) as arrays in NPY files, which are
memory-mapped, and a manifest with their checksums and with the identity of the encoder. The names of the arrays
tell their generation: when vectors are added, new files are written first, then the manifest, so that a process
that is stopped leaves what was there before.

Axes: N objects, V vectors of each, D width of a vector.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.files import MANIFEST, entry_of, faults, read_manifest, replacing, take_lock, write_manifest
from mmspec_ds.systems.alignment.encoder import ObjectEncoder
from mmspec_ds.systems.alignment.objects import Object, kind_of, object_key

KIND = "mmspec encoded objects"
FORMAT = 1
_KEY = np.dtype("S32")
_AT_ONCE = 512

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EncodedObjects:
    """Vectors of objects by their keys.

    Attributes:
        name: of the encoder.
        identity: of the encoder.
        keys: of the objects, [N] in ascending order.
        vectors: of the objects, [N, V, D] float32; memory-mapped where they come from a folder.
    """

    name: str
    identity: Mapping[str, Any]
    keys: npt.NDArray[np.bytes_]
    vectors: FloatArray

    def __len__(self) -> int:
        return len(self.keys)

    def has(self, objects: Sequence[Object]) -> npt.NDArray[np.bool_]:
        """Whether the vectors of each object are here, [len(objects)]."""
        return self._found(_keys_of(objects))[1]

    def of(self, objects: Sequence[Object]) -> FloatArray:
        """The vectors of objects, in their order, [len(objects), V, D].

        Raises:
            DataError: an object was not encoded.
        """
        places, known = self._found(_keys_of(objects))
        if not known.all():
            at = int(np.flatnonzero(~known)[0])
            raise DataError(
                f"{kind_of(objects[at])} {at} has no vectors of encoder {self.name}: expected one of the"
                f" {len(self)} objects that were encoded"
            )
        return np.asarray(self.vectors[places])

    def _found(self, keys: npt.NDArray[np.bytes_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        if not len(self):
            return np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.bool_)
        places = np.searchsorted(self.keys, keys).clip(max=len(self) - 1)
        return places, self.keys[places] == keys


def encode_all(
    encoder: ObjectEncoder,
    objects: Sequence[Object],
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> EncodedObjects:
    """The vectors of objects from a folder; what it lacks is computed and added to it. An object that is given
    twice is encoded once. Of several processes that ask for one folder, one works and the others wait.

    Args:
        encoder: gives the vectors.
        objects: of its kind.
        folder: made if it is not there.
        progress: called with the number of objects that have been encoded.

    Raises:
        DataError: the encoder cannot read an object; the folder is damaged, holds the vectors of another
            encoder, or cannot be written.
    """
    with _locked(folder):
        known = open_encoded(folder, encoder) if (folder / MANIFEST).is_file() else _nothing(encoder)
        unique = {key: at for at, key in enumerate(_keys_of(objects).tolist())}
        wanted = np.array(sorted(unique), dtype=_KEY)
        new = wanted[~known._found(wanted)[1]]
        if len(new) or not (folder / MANIFEST).is_file():
            chosen = [objects[unique[key]] for key in new.tolist()]
            try:
                _add(encoder, known, new, chosen, folder, progress or (lambda done: None))
            except OSError as error:
                raise DataError(f"cannot be written: {error.strerror or error}", path=folder) from None
        return open_encoded(folder, encoder)


def open_encoded(folder: Path, encoder: ObjectEncoder | None = None) -> EncodedObjects:
    """The vectors in a folder that `encode_all` made.

    Args:
        folder: of the vectors.
        encoder: that must have made them; any without.

    Raises:
        DataError: there are none, a file is missing or was altered, or another encoder made them.
    """
    manifest = read_manifest(folder)
    if manifest.get("kind") != KIND or manifest.get("format") != FORMAT:
        raise DataError("is no folder of encoded objects of this version", path=folder)
    wrong = faults(folder, manifest)
    if wrong:
        raise DataError(f"damaged: {'; '.join(wrong)}: remove the folder, and it is made anew")
    name, identity = manifest["encoder"], manifest["identity"]
    if encoder is not None and identity != _plain(encoder.identity):
        differs = next(_differences(identity, _plain(encoder.identity)))
        raise DataError(
            f"holds vectors of another encoder ({name}), not of {encoder.name}: {differs}: expected another"
            " folder",
            path=folder,
        )
    try:
        keys = np.load(folder / manifest["keys"], allow_pickle=False)
        vectors = np.load(folder / manifest["vectors"], mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot be read: {error}", path=folder) from None
    return EncodedObjects(name, identity, keys, vectors)


def _add(
    encoder: ObjectEncoder,
    known: EncodedObjects,
    new: npt.NDArray[np.bytes_],
    objects: Sequence[Object],
    folder: Path,
    progress: Callable[[int], None],
) -> None:
    """Write the vectors that are there and those of new objects, in the order of their keys."""
    keys = np.concatenate([known.keys, new])
    order = np.argsort(keys)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    generation = f"{len(keys)}-{os.urandom(4).hex()}"
    names = {"keys": f"keys-{generation}.npy", "vectors": f"vectors-{generation}.npy"}
    with replacing(folder / names["vectors"]) as partial:
        shape = (len(keys), encoder.vectors, encoder.width)
        if not len(keys):
            with partial.open("wb") as file:
                np.save(file, np.zeros(shape, dtype=np.float32))
        else:
            array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
            array[place[: len(known)]] = known.vectors
            for start in range(0, len(objects), _AT_ONCE):
                some = objects[start : start + _AT_ONCE]
                places = place[len(known) + start : len(known) + start + len(some)]
                array[places] = _encoded(encoder, some)
                progress(start + len(some))
            array.flush()
    with replacing(folder / names["keys"]) as partial, partial.open("wb") as file:
        np.save(file, keys[order])
    files = {name: entry_of(folder / name) for name in names.values()}
    about = {"kind": KIND, "format": FORMAT, "encoder": encoder.name, "object": encoder.kind}
    write_manifest(folder, files, **about, identity=_plain(encoder.identity), **names)
    for path in (*folder.glob("keys-*.npy"), *folder.glob("vectors-*.npy")):
        if path.name not in files:
            path.unlink(missing_ok=True)


def _encoded(encoder: ObjectEncoder, objects: Sequence[Object]) -> FloatArray:
    """The vectors of some objects, checked.

    Raises:
        DataError: they have another shape than the encoder says, or are not finite.
    """
    found = encoder.encode(objects)
    expected = (len(objects), encoder.vectors, encoder.width)
    if found.shape != expected:
        raise DataError(f"encoder {encoder.name} gave vectors of shape {found.shape}: expected {expected}")
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=(1, 2)))
    if len(wrong):
        raise DataError(f"encoder {encoder.name} gave no finite vectors for {_told(objects[int(wrong[0])])}")
    return found.astype(np.float32, copy=False)


def _told(one: Object) -> str:
    """An object in a few words."""
    for attribute in ("name", "id", "smiles"):
        text = getattr(one, attribute, "")
        if text:
            return f"{kind_of(one)} {text!r}"
    return f"a {kind_of(one)}"


def _nothing(encoder: ObjectEncoder) -> EncodedObjects:
    empty = np.zeros((0, encoder.vectors, encoder.width), dtype=np.float32)
    return EncodedObjects(encoder.name, encoder.identity, np.zeros(0, dtype=_KEY), empty)


def _keys_of(objects: Sequence[Object]) -> npt.NDArray[np.bytes_]:
    return np.array([object_key(one).encode() for one in objects], dtype=_KEY)


def _plain(identity: Mapping[str, Any]) -> Any:
    """An identity as JSON gives it back."""
    return json.loads(json.dumps(dict(identity)))


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in [*one, *(key for key in other if key not in one)]:
        if one.get(key) != other.get(key):
            yield f"its {key} is {str(one.get(key))[:60]}, not {str(other.get(key))[:60]}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made; waits for whoever has it."""
    try:
        descriptor = take_lock(folder / ".lock")
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=folder) from None
    try:
        yield
    finally:
        os.close(descriptor)
