"""Make the lists of enumerated molecules that the simulator ships.

Run from a checkout as `python -m tools.list_enumerated mmspec_ds/simulator/tables/enumerated.npz`, which takes
some ten minutes of one core. With `--simulated 200000 10 0 FOLDER` the molecules are those of a simulated data
set in that folder, in the order of its files, whose default shares they show.
"""

import argparse
import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from mmspec_ds.files import replacing
from mmspec_ds.simulator.enumeration import enumerate_molecules
from mmspec_ds.simulator.listed import FILES, FIRST, Arguments, name_of
from mmspec_ds.simulator.parts import TEST, VALIDATION, part_of
from mmspec_ds.spectra.rows import SMILES

LISTS: tuple[Arguments, ...] = ((15_000, 8, 0), (30_000, 8, 0), (60_000, 9, 0), (200_000, 10, 0))
"""Molecules, heavy atoms at most, and seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--simulated", nargs=4, action="append", default=[], metavar="WHAT")
    options = parser.parse_args()
    known = {tuple(map(int, numbers)): simulated(Path(folder)) for *numbers, folder in options.simulated}
    lists = {one: known[one] if one in known else enumerated(one) for one in LISTS}
    with replacing(options.out) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **packed(lists))  # type: ignore[arg-type]


def enumerated(arguments: Arguments) -> dict[str, str]:
    """The molecules of an enumeration in the order in which they are simulated, each with its file."""
    return in_order(enumerate_molecules(*arguments), arguments[2])


def in_order(blocks: Mapping[str, str], seed: int) -> dict[str, str]:
    """Molecules, given with their InChIKey blocks as they were found, in the order in which they are simulated,
    each with its file."""
    pairs = list(blocks.items())
    order = np.random.default_rng([seed, 7]).permutation(len(pairs))
    return {pairs[at][0]: part_of(pairs[at][1], VALIDATION, TEST) for at in order}


def simulated(folder: Path) -> dict[str, str]:
    """The molecules of a simulated data set, each with its file."""
    return {
        smiles: name
        for name in FILES
        for smiles in pq.read_table(folder / f"{name}.parquet", columns=[SMILES])[SMILES].to_pylist()
    }


def packed(lists: Mapping[Arguments, Mapping[str, str]]) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of the file, from the molecules of each list with their files."""
    files = {smiles: file for molecules in lists.values() for smiles, file in molecules.items()}
    universe = sorted(files)
    place = {smiles: at for at, smiles in enumerate(universe)}
    text = lzma.compress(_shortened(universe).encode(), preset=9 | lzma.PRESET_EXTREME)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "smiles": np.frombuffer(text, dtype=np.uint8),
        "files": np.array([FILES.index(files[smiles]) for smiles in universe], dtype=np.uint8),
    }
    for arguments, molecules in lists.items():
        place_N = np.array([place[smiles] for smiles in molecules], dtype=np.int64)
        arrays[f"{name_of(arguments)}.low"] = (place_N % 2**16).astype(np.uint16)
        arrays[f"{name_of(arguments)}.high"] = (place_N // 2**16).astype(np.uint8)
    return arrays


def _shortened(texts: Sequence[str]) -> str:
    """Each text as what it does not share with the one before, see `listed`."""
    lines, before = [], ""
    for text in texts:
        shared = 0
        while shared < min(len(before), len(text)) and before[shared] == text[shared]:
            shared += 1
        lines.append(chr(FIRST + shared) + text[shared:])
        before = text
    return "\n".join(lines)


if __name__ == "__main__":
    main()
