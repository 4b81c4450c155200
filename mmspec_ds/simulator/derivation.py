"""New small molecules from pieces of known ones: fragments, pairs of fragments, and edits of both."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache, partial
from itertools import accumulate
from math import log2
from random import Random

from rdkit import Chem, rdBase

from mmspec_ds.processes import ordered_map, ordered_stream
from mmspec_ds.simulator.edits import edited, joined
from mmspec_ds.simulator.enumeration import MIN_HEAVY_ATOMS
from mmspec_ds.simulator.fragments import fragments
from mmspec_ds.simulator.plausibility import is_plausible

CHUNK = 32
"""Molecules that a process cuts at a time."""
DRAWS = 200
"""Attempts that a process makes at a time: about 0.2 s of work."""
JOINED = 0.35
"""Share of the attempts that begin with a pair of pieces; the others begin with one."""
STEPS = ((0, 1.0), (1, 5.0), (2, 4.0), (3, 2.0))
"""Numbers of edits and how often each is made."""
SMALLER = ((0, 3.0), (1, 3.0), (2, 2.0), (3, 1.0))
"""How many atoms a piece has less than the molecule that is to come of it, and how often."""

Choice = tuple[tuple[str, ...], tuple[float, ...]]
"""SMILES and running sums of their weights."""


def pieces_of(sources: Sequence[str], max_heavy_atoms: int, workers: int = 1) -> dict[int, Choice]:
    """The fragments of some molecules by their number of heavy atoms. One that is found n times weighs
    1 + log2(n): common rings and chains are drawn more often, and rare ones at all."""
    counts: Counter[str] = Counter()
    cut = partial(fragments, max_heavy_atoms=max_heavy_atoms)
    for found in ordered_map(cut, sources, workers, task="cuts molecules", chunk=CHUNK):
        counts.update(found)
    by_size: dict[int, dict[str, float]] = {}
    for smiles in sorted(counts):
        mol = Chem.MolFromSmiles(smiles)
        by_size.setdefault(mol.GetNumAtoms(), {})[smiles] = (1.0 + log2(counts[smiles])) * _preference(mol)
    return {
        size: (tuple(weights), tuple(accumulate(weights.values()))) for size, weights in sorted(by_size.items())
    }


def _preference(mol: Chem.Mol) -> float:
    """Drugs have more nitrogen than other small molecules, and fewer of their small pieces are bicyclic."""
    nitrogens = sum(atom.GetAtomicNum() == 7 for atom in mol.GetAtoms())
    return float(3.0**-nitrogens * 3.0 ** max(0, mol.GetRingInfo().NumRings() - 1))


def derived_molecules(
    pieces: Mapping[int, Choice], max_heavy_atoms: int, seed: int = 0, workers: int = 1
) -> Iterator[list[tuple[str, str]]]:
    """Rounds of canonical SMILES (no stereo) of plausible molecules of 4 to `max_heavy_atoms` heavy atoms, with
    the first block of the InChIKey of each, without end. Molecules may come again.

    An attempt draws a size (n - 3 times as often as 4), one or two pieces that have about as many atoms, and
    the edits that they undergo. The rounds depend on the pieces and the seed alone, not on `workers`.
    """
    make = partial(_round, dict(pieces), max_heavy_atoms, seed)
    with closing(ordered_stream(make, range(10**9), workers, task="derives molecules")) as rounds:
        yield from rounds


def _round(
    pieces: dict[int, Choice], max_heavy_atoms: int, seed: int, number: int
) -> list[list[tuple[str, str]]]:
    random = Random(f"{seed} {number}")
    sizes = range(MIN_HEAVY_ATOMS, max_heavy_atoms + 1)
    found: dict[str, str] = {}
    with rdBase.BlockLogs():
        for size in random.choices(sizes, [n - MIN_HEAVY_ATOMS + 1 for n in sizes], k=DRAWS):
            mol = _attempt(pieces, size, random)
            if mol is None or not MIN_HEAVY_ATOMS <= mol.GetNumAtoms() <= max_heavy_atoms:
                continue
            smiles = Chem.MolToSmiles(mol)
            if smiles not in found and is_plausible(mol) and (block := _block(mol, smiles)):
                found[smiles] = block
    return [list(found.items())]


def _block(mol: Chem.Mol, smiles: str) -> str:
    """The first block of the InChIKey; nothing where there is none or the SMILES is not read back as it is."""
    again = Chem.MolFromSmiles(smiles)
    if again is None or Chem.MolToSmiles(again) != smiles:
        return ""
    return str(Chem.MolToInchiKey(mol)).split("-", 1)[0]


def _attempt(pieces: dict[int, Choice], size: int, random: Random) -> Chem.Mol | None:
    if random.random() < JOINED:
        first = random.randint(1, size - 1)
        one, other = _piece(pieces, first, random), _piece(pieces, size - first, random)
        mol = None if one is None or other is None else joined(one, other, random)
    else:
        mol = _piece(pieces, size - _drawn(SMALLER, random), random)
    steps = _drawn(STEPS, random)
    return mol if mol is None or not steps else edited(mol, steps, random)


def _piece(pieces: dict[int, Choice], size: int, random: Random) -> Chem.Mol | None:
    if size not in pieces:
        return None
    names, sums = pieces[size]
    return _parsed(random.choices(names, cum_weights=sums)[0])


def _drawn(choices: tuple[tuple[int, float], ...], random: Random) -> int:
    return random.choices([value for value, _ in choices], [weight for _, weight in choices])[0]


@lru_cache(maxsize=2**14)
def _parsed(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)
