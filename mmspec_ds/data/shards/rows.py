"""The content of a shard and its file, in the safetensors format, whose arrays can be memory-mapped.

The file begins with the length of a JSON header (8 bytes, little-endian) and the header, which gives type,
shape and offset of each array. Arrays of n rows:

    source int32, row int64                   number of the source file, and of the row in it (from 0)
    molecule uint64                           hash of the canonical SMILES
    draw uint64                               of the row's group (`splits.draw_of`), 0 without groups
    smiles uint8 [bytes], smiles.offsets int64 [n + 1]
    target int16 [tokens], target.offsets     ids of SMILES tokens in the list `words` of the header
    NAME.discrete int16 [T, F], NAME.continuous float32 [T, F'], NAME.offsets     of each modality
"""

import json
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.shards.distinct import HashArray
from mmspec_ds.errors import DataError
from mmspec_ds.spectra.packed import IntArray, PackedIds, PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, modality_by_name

_TYPES: Mapping[str, type[np.generic]] = {
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U64": np.uint64,
    "U8": np.uint8,
    "F32": np.float32,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}
_ALIGNMENT = 8
_NUMBERS = ("source", "row", "molecule", "draw")


class PackedText(PackedIds):
    """Texts end to end: `values` uint8 of UTF-8, `offsets` int64 [n + 1]."""

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Self:
        """Pack a list of texts end to end."""
        encoded = [text.encode() for text in texts]
        values = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        return cls(values, offsets_of([len(one) for one in encoded]))

    def at(self, row: int) -> str:
        """The text at a place, from 0."""
        return self.values[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def texts(self) -> list[str]:
        """The texts of all rows, in their order."""
        together = self.values.tobytes()
        return [together[start:end].decode() for start, end in pairwise(self.offsets.tolist())]


@dataclass(frozen=True, slots=True)
class ShardRows:
    """Rows with their tokens; the arrays are described at the head of this module."""

    source: npt.NDArray[np.int32]
    row: IntArray
    molecule: HashArray
    draw: HashArray
    smiles: PackedText
    target: PackedIds
    tokens: Mapping[Modality, PackedTokens]

    def __len__(self) -> int:
        return len(self.row)

    def subset(self, indices: IntArray) -> "ShardRows":
        """The rows `indices`, in that order."""
        numbers: dict[str, Any] = {name: getattr(self, name)[indices] for name in _NUMBERS}
        tokens = {modality: packed.subset(indices) for modality, packed in self.tokens.items()}
        return ShardRows(
            **numbers, smiles=self.smiles.subset(indices), target=self.target.subset(indices), tokens=tokens
        )

    @classmethod
    def joined(cls, parts: Sequence["ShardRows"]) -> "ShardRows":
        """The rows of several, one after the other; `parts` must not be empty."""
        if len(parts) == 1:
            return parts[0]
        numbers: dict[str, Any] = {n: np.concatenate([getattr(p, n) for p in parts]) for n in _NUMBERS}
        return cls(
            **numbers,
            smiles=PackedText.joined([part.smiles for part in parts]),
            target=PackedIds.joined([part.target for part in parts]),
            tokens={m: PackedTokens.joined([part.tokens[m] for part in parts]) for m in parts[0].tokens},
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by the names they have in a file."""
        arrays: dict[str, npt.NDArray[Any]] = {name: getattr(self, name) for name in _NUMBERS}
        tokens = {REGISTRY[modality].name: packed for modality, packed in self.tokens.items()}
        rows: dict[str, PackedIds | PackedTokens] = {"smiles": self.smiles, "target": self.target, **tokens}
        for name, packed in rows.items():
            for one in fields(packed):
                arrays[f"{name}.{one.name}".removesuffix(".values")] = getattr(packed, one.name)
        return arrays


@dataclass(frozen=True, slots=True)
class Shard:
    """An open shard: its memory-mapped rows, the SMILES tokens by their ids, and the other values of its
    header."""

    path: Path
    rows: ShardRows
    words: tuple[str, ...]
    about: Mapping[str, Any]


def write_shard(path: Path, rows: ShardRows, words: Sequence[str], **about: Any) -> None:
    """Write a shard's file; `about` is stored in its header as JSON."""
    write_arrays(path, rows.arrays(), {"words": list(words), **about})


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any]) -> None:
    """Write arrays by name, and `about` as JSON, in the safetensors format.

    The library's own writer is not used: its temporary file is readable by the owner only, and stays behind
    under an unknown name when the process is killed.
    """
    # The widest types first, so that every array begins at a multiple of its item size.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    # All of `about` under one key, because the format allows only texts there.
    head: dict[str, Any] = {"__metadata__": {"about": json.dumps(about)}}
    place = 0
    for name, array in ordered:
        head[name] = {
            "dtype": _NAMES[array.dtype.type],
            "shape": array.shape,
            "data_offsets": (place, place + array.nbytes),
        }
        place += array.nbytes
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for _, array in ordered:
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def open_shard(path: Path, modalities: Sequence[Modality] | None = None) -> Shard:
    """Memory-map a shard; only its header is read.

    Args:
        path: the file.
        modalities: those to map; None for all.

    Raises:
        DataError: the file is missing, truncated or not a shard.
    """
    with _whole(path):
        arrays, about = _mapped(path)
        names = {name.removesuffix(".offsets") for name in arrays if name.endswith(".offsets")}
        stored = sorted(modality_by_name(name) for name in names - {"smiles", "target"})
        rows = _rows(arrays, stored if modalities is None else modalities)
        return Shard(path, rows, tuple(about.pop("words")), about)


def open_arrays(path: Path, names: Sequence[str]) -> tuple[npt.NDArray[Any], ...]:
    """Memory-map arrays of another file in the same format.

    Raises:
        DataError: the file is missing, truncated or lacks one of them.
    """
    with _whole(path):
        arrays, _ = _mapped(path)
        return tuple(arrays[name] for name in names)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged file into a DataError of one line."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        raise DataError("damaged: not a shard, or only a part of one", path=path) from None


def _mapped(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """All arrays of a file by name, and the other values of its header."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    (length,) = struct.unpack("<Q", mapped[:8])
    head = json.loads(mapped[8 : 8 + length])
    about = json.loads(head.pop("__metadata__", {}).get("about", "{}"))
    return {name: _array(mapped, 8 + length, entry) for name, entry in head.items()}, about


def _array(mapped: mmap.mmap, start: int, entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    """A view of one array of the file."""
    kind, shape = _TYPES[entry["dtype"]], tuple(entry["shape"])
    first, last = entry["data_offsets"]
    count = int(np.prod(shape, dtype=np.int64))
    if last - first != count * np.dtype(kind).itemsize or start + last > len(mapped):
        raise ValueError("the array is incomplete")
    if not count:
        return np.empty(shape, dtype=kind)
    return np.frombuffer(mapped, dtype=kind, count=count, offset=start + first).reshape(shape)


def _rows(arrays: Mapping[str, npt.NDArray[Any]], modalities: Sequence[Modality]) -> ShardRows:
    parts = ("discrete", "continuous", "offsets")
    tokens = {m: PackedTokens(*(arrays[f"{REGISTRY[m].name}.{part}"] for part in parts)) for m in modalities}
    numbers: dict[str, Any] = {name: arrays[name] for name in _NUMBERS}
    return ShardRows(
        **numbers,
        smiles=PackedText(arrays["smiles"], arrays["smiles.offsets"]),
        target=PackedIds(arrays["target"], arrays["target.offsets"]),
        tokens=tokens,
    )
