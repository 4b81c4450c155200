"""Enumerations that the project ships as lists, so that nobody waits for them: the molecules that
`enumerate_molecules` gives for some arguments, in the seeded order in which they are simulated.

`tables/enumerated.npz` holds all their molecules once, sorted, each as the number of characters that it shares
with the one before and the rest, under LZMA; the file of each at the default shares; and each list as places in
that. `tools/list_enumerated.py` makes it.
"""

import lzma
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).with_name("tables") / "enumerated.npz"
FIRST = ord("0")
"""The character that stands for no shared character."""
FILES = ("train", "val", "test")

Arguments = tuple[int, int, int]
"""Molecules, heavy atoms at most, and seed."""


class Listed(NamedTuple):
    """A molecule, and its file at the default shares."""

    smiles: str
    file: str


def listed(count: int, max_heavy_atoms: int, seed: int) -> list[Listed] | None:
    """The molecules that are simulated for these arguments, in that order, or None where no list is shipped."""
    name = name_of((count, max_heavy_atoms, seed))
    with np.load(FILE, allow_pickle=False) as stored:
        if f"{name}.low" not in stored:
            return None
        place_N = stored[f"{name}.low"].astype(np.int64) + 2**16 * stored[f"{name}.high"].astype(np.int64)
    smiles_U, file_U = _universe()
    return [Listed(smiles_U[place], FILES[file_U[place]]) for place in place_N.tolist()]


def arguments_listed() -> list[Arguments]:
    """The arguments for which there is a list."""
    with np.load(FILE, allow_pickle=False) as stored:
        names = [name.removesuffix(".low") for name in stored.files if name.endswith(".low")]
    return sorted(tuple(map(int, name.split("_")[1:])) for name in names)  # type: ignore[misc]


def name_of(arguments: Arguments) -> str:
    """The name of a list in the file."""
    return "list_" + "_".join(map(str, arguments))


@cache
def _universe() -> tuple[list[str], npt.NDArray[np.uint8]]:
    """All molecules, sorted, and the number of the file of each."""
    with np.load(FILE, allow_pickle=False) as stored:
        return _whole(lzma.decompress(stored["smiles"].tobytes()).decode()), stored["files"]


def _whole(shortened: str) -> list[str]:
    """The molecules; the first character of each line is FIRST plus the shared characters."""
    texts, before = [], ""
    for line in shortened.split("\n"):
        before = before[: ord(line[0]) - FIRST] + line[1:]
        texts.append(before)
    return texts
