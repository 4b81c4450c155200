"""Which of the files of a simulated data set a molecule is in: by its InChIKey, or by its scaffold."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np

from mmspec_ds.molecules.identity import Grouping, identify
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.molecules.splits import SPLITS, SplitSettings, assign_splits, draw_of
from mmspec_ds.processes import ordered_map
from mmspec_ds.simulator.listed import FILES

SplitRule = Literal["inchikey", "scaffold"]
VALIDATION, TEST = 0.04, 0.06
"""The default shares of the molecules."""
CHUNK = 256
"""Molecules that a process takes at a time: less than 0.1 s of work."""


class Molecule(NamedTuple):
    """A canonical SMILES, and what is known of it: the first block of its InChIKey, or the file that follows
    from that at the default shares."""

    smiles: str
    block: str | None = None
    file: str | None = None


def part_of(block: str, validation: float, test: float) -> str:
    """`train`, `val` or `test` for the first block of an InChIKey, in the given shares."""
    draw = int.from_bytes(sha256(block.encode()).digest()[:8], "big") / 2**64
    return "test" if draw < test else "val" if draw < test + validation else "train"


def with_blocks(molecules: Sequence[Molecule], workers: int = 1) -> list[Molecule]:
    """The same molecules, each with its InChIKey block."""
    unknown = [one.smiles for one in molecules if one.block is None]
    found = ordered_map(inchikey_block, unknown, workers, task="names molecules", chunk=CHUNK)
    return [one if one.block is not None else Molecule(one.smiles, next(found)) for one in molecules]


def divided(
    molecules: Sequence[Molecule], rule: SplitRule, validation: float, test: float, workers: int = 1
) -> dict[str, list[str]]:
    """The SMILES of each file whose share is not 0, in the order of `molecules`.

    inchikey: the file follows from a hash of the InChIKey's first block, so a molecule stays in its file,
        whatever else is simulated.
    scaffold: the same of the Bemis-Murcko scaffold, or of a molecule that has no ring; the most frequent
        scaffolds are in `train` (see `assign_splits`). Molecules of one InChIKey block stay together.
    """
    shares = {"train": 1.0, "val": validation, "test": test}
    parts: dict[str, list[str]] = {name: [] for name in FILES if shares[name]}
    if rule == "scaffold":
        names = _by_scaffold(molecules, validation, test, workers)
    else:
        names = _by_block(molecules, validation, test, workers)
    for one, name in zip(molecules, names):
        parts[name].append(one.smiles)
    return parts


def _by_block(molecules: Sequence[Molecule], validation: float, test: float, workers: int) -> list[str]:
    files = [one.file for one in molecules if one.file is not None]
    if len(files) == len(molecules) and (validation, test) == (VALIDATION, TEST):
        return files
    return [part_of(one.block or "", validation, test) for one in with_blocks(molecules, workers)]


def _by_scaffold(molecules: Sequence[Molecule], validation: float, test: float, workers: int) -> list[str]:
    texts = [one.smiles for one in molecules]
    found = ordered_map(scaffold_of, texts, workers, task="finds scaffolds", chunk=CHUNK)
    of_block: dict[str, str] = {}
    groups = [
        group if one.block is None else of_block.setdefault(one.block, group)
        for one, group in zip(molecules, found)
    ]
    settings = SplitSettings(rule="scaffold", validation=validation, test=test)
    draw_N = np.array([draw_of(group, settings.seed) for group in groups], dtype=np.uint64)
    names = {"train": "train", "validation": "val", "test": "test"}
    return [names[SPLITS[split]] for split in assign_splits(settings, draw_N).tolist()]


def _group(grouping: Grouping, smiles: str) -> str:
    return identify(smiles, grouping).group


scaffold_of = partial(_group, "scaffold")
"""The scaffold of a molecule as SMILES; its own SMILES where it has no ring."""
