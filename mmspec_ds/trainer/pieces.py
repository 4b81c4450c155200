"""Files of pieces of weights and optimizer states: each rank writes its own, and reads what it needs from all.

A file `rank_00003.safetensors` holds flat fp32 tensors named `kind/parameter/start`, such as
`exp_avg/encoder.layers.0.attention_norm.weight/128`: the elements from 128 on of a state of that parameter.
A reader need not know where one rank's piece ends, so that a checkpoint can be read with any number of ranks,
expert-parallel size and stage of ZeRO. Whole tensors that are no parameters (buffers) are of the kind
"buffer".
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.files import readable_as_usual, to_disk

BUFFER = "buffer"


class _Place(NamedTuple):
    """Position of a piece: elements, file and key."""

    start: int
    stop: int
    file: int
    key: str


def file_of_rank(rank: int) -> str:
    """The file that a rank writes."""
    return f"rank_{rank:05d}.safetensors"


def write_pieces(path: Path, pieces: Iterable[tuple[str, str, int, Tensor]]) -> None:
    """Write (kind, parameter, start, values) and wait until they are on disk.

    Raises:
        OSError: they cannot be written; the message is the system's.
    """
    tensors = {
        f"{kind}/{name}/{start}": values.detach().float().cpu().contiguous().clone()
        for kind, name, start, values in pieces
    }
    try:
        with readable_as_usual(path):
            save_file(tensors, path)
    except SafetensorError as error:  # it hides the system's error in its text
        raise OSError(str(error)) from None
    to_disk(path)


class PieceReader:
    """Reads the pieces of all ranks.

    Args:
        folder: where the files are.
        names: of the files.

    Raises:
        DataError: a file cannot be read.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        self._files = []
        self._places: dict[tuple[str, str], list[_Place]] = {}
        for number, name in enumerate(names):
            try:
                file = safe_open(folder / name, framework="pt")
                for key in file.keys():  # noqa: SIM118, it is no dict
                    kind, parameter, start = key.split("/")
                    (size,) = file.get_slice(key).get_shape()
                    place = _Place(int(start), int(start) + size, number, key)
                    self._places.setdefault((kind, parameter), []).append(place)
            except (OSError, SafetensorError, ValueError) as error:
                raise DataError(f"cannot be read: {error}", path=folder / name) from None
            self._files.append(file)
        for places in self._places.values():
            places.sort()

    def names(self, kind: str) -> list[str]:
        """The names of the parameters, or buffers, with pieces of a kind."""
        return sorted(name for of, name in self._places if of == kind)

    def read(self, kind: str, name: str, start: int, stop: int) -> Tensor:
        """Elements start to stop of a flattened parameter, fp32.

        Raises:
            DataError: some of them are in no file.
        """
        out, at = torch.empty(stop - start), start
        for place in self._places.get((kind, name), []):
            first, last = max(at, place.start), min(stop, place.stop)
            if first >= last or first > at:
                continue
            piece = self._files[place.file].get_slice(place.key)
            out[first - start : last - start] = piece[first - place.start : last - place.start]
            at = last
        if at < stop:
            raise DataError(
                f"holds no elements {at} to {stop} of {kind} of {name}: expected a checkpoint of this model",
                path=self.folder,
            )
        return out

    def whole(self, kind: str, shapes: Mapping[str, list[int]]) -> dict[str, Tensor]:
        """Every parameter of a kind, in its shape."""
        return {
            name: self.read(kind, name, 0, _size(shape)).view(shape) for name, shape in sorted(shapes.items())
        }


def _size(shape: Iterable[int]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
