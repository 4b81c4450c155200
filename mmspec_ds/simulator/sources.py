"""Where the molecules of a simulated data set come from: the enumeration, a SMILES file, or pieces of its
molecules."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.derivation import derived_molecules, pieces_of
from mmspec_ds.simulator.enumeration import enumerate_molecules
from mmspec_ds.simulator.smiles_file import read_smiles_file

FRAGMENTED = 5_000
"""Molecules of a file that are cut into pieces, in seeded order; more give few further pieces."""
ENUMERATED = {4: 90, 5: 513, 6: 2_673, 7: 14_468}
"""How many molecules the enumeration has of up to so many heavy atoms; they join the molecules from pieces."""
ENUMERATED_SHARE = 0.08
"""Part of the molecules that the enumeration gives at most: all up to the largest size that it has room for."""
PATIENCE = 25
"""Rounds of attempts without a new molecule after which there are no more."""
HELD_OUT = 10
"""One molecule in so many is held out."""

Progress = Callable[[int, int], None]
"""Called with the number of molecules and their total."""


def is_held_out(block: str, salt: str) -> bool:
    """Whether the hash of the salt and the first block of an InChIKey holds a molecule out: one in ten."""
    return bool(salt) and int(sha256((salt + block).encode()).hexdigest(), 16) % HELD_OUT == 0


def enumerated(count: int, max_heavy_atoms: int, seed: int) -> dict[str, str]:
    """`count` enumerated molecules, SMILES to InChIKey block.

    Raises:
        ConfigError: there are too few.
    """
    try:
        return enumerate_molecules(count, max_heavy_atoms, seed)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def from_file(path: Path | str, skip_invalid: bool) -> tuple[dict[str, str], dict[str, int]]:
    """The molecules of a SMILES file, SMILES to InChIKey block, and the number of lines left out by reason.

    Raises:
        DataError: the file cannot be used, or (unless `skip_invalid`) InChI cannot describe a molecule.
    """
    molecules, skipped = read_smiles_file(path, skip_invalid)
    blocks: dict[str, str] = {}
    for smiles in molecules:
        try:
            blocks[smiles] = inchikey_block(smiles)
        except ValueError as error:
            if not skip_invalid:
                raise DataError(str(error), path=path) from None
            skipped["invalid"] = skipped.get("invalid", 0) + 1
    return blocks, skipped


def from_pieces(
    path: Path | str,
    count: int,
    max_heavy_atoms: int,
    seed: int,
    *,
    hold_out: str = "",
    skip_invalid: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[dict[str, str], dict[str, int]]:
    """`count` molecules made of pieces of those in a SMILES file, and the enumerated ones of up to 7 heavy
    atoms; SMILES to InChIKey block, and the number of lines left out by reason.

    Raises:
        DataError: the file cannot be used.
        ConfigError: fewer than `count` are found.
    """
    molecules, skipped = read_smiles_file(path, skip_invalid)
    order = np.random.default_rng([seed, 9]).permutation(len(molecules))[:FRAGMENTED]
    pieces = pieces_of([molecules[index] for index in order], max_heavy_atoms, workers)
    found: dict[str, str] = {}
    for size in [size for size in ENUMERATED if size <= max_heavy_atoms][::-1]:
        if ENUMERATED[size] <= count * ENUMERATED_SHARE:
            complete = enumerated(ENUMERATED[size], size, seed)
            found = {smiles: block for smiles, block in complete.items() if not is_held_out(block, hold_out)}
            break
    blocks = set(found.values())
    fruitless = 0
    for new in derived_molecules(pieces, max_heavy_atoms, seed, workers):
        before = len(found)
        for smiles, block in new:
            if len(found) < count and block not in blocks and not is_held_out(block, hold_out):
                blocks.add(block)
                found[smiles] = block
        if progress is not None:
            progress(len(found), count)
        fruitless = 0 if len(found) > before else fruitless + 1
        if len(found) >= count:
            break
        if fruitless >= PATIENCE:
            raise ConfigError(
                f"only {len(found)} molecules up to {max_heavy_atoms} heavy atoms, {count} wanted"
            )
    return found, skipped
