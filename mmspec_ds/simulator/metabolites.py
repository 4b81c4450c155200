"""The metabolites of simulated mixtures: their 1H lines, their ions, and what is usual in healthy serum."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from pathlib import Path
from typing import cast

from rdkit import Chem

from mmspec_ds.simulator.couplings import LETTERS, LINE_PPM, SPECTROMETER_MHZ
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.graph import atoms_of
from mmspec_ds.simulator.nmr import assigned_multiplets
from mmspec_ds.simulator.shifts import table_shifts
from mmspec_ds.simulator.smiles_file import simulable_molecule
from mmspec_ds.simulator.tandem import precursor_mz
from mmspec_ds.spectra.records import Multiplet, Polarity

_UNRESOLVED_LINES = 7
"""A multiplet without couplings, "m", is drawn as so many lines over its width."""


@dataclass(frozen=True)
class Metabolite:
    """A metabolite of the mixture.

    Attributes:
        micromolar: its typical concentration in healthy blood.
        pathway: metabolites of one pathway rise and fall together.
        polarity: of the ion that is recorded, [M+H]+ or [M-H]-.
        mz: of that ion, exact.
        response: counts per micromole per litre relative to a well ionised amino acid.
        multiplets: its 1H signals in water, without the hydrogens on O, N and S.
        lines: of those signals, each with ppm and number of hydrogens, which add up to those of the molecule.
    """

    name: str
    smiles: str
    micromolar: float
    pathway: str
    polarity: Polarity
    mz: float
    response: float
    multiplets: tuple[Multiplet, ...]
    lines: tuple[tuple[float, float], ...]


@cache
def serum_metabolites() -> tuple[Metabolite, ...]:
    """The metabolites of the table that ships with the project, in its order."""
    table = Path(__file__).with_name("tables") / "serum_metabolites.tsv"
    rows = [line for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return tuple(_metabolite(row) for row in csv.DictReader(rows, delimiter="\t"))


def lines_of(multiplet: Multiplet) -> list[tuple[float, float]]:
    """The lines of a multiplet at 500 MHz to first order: ppm, and hydrogens by Pascal's triangle.

    A multiplet without couplings is spread evenly over its width, without the line width at its edges.
    """
    centre, hydrogens = multiplet.centroid_ppm, float(multiplet.hydrogens)
    numbers = _equal_couplings(multiplet.category)
    if multiplet.category != "s" and not 0 < len(numbers) == len(multiplet.j_hz):
        width = max(multiplet.max_ppm - multiplet.min_ppm - LINE_PPM, 0.0)
        places = range(_UNRESOLVED_LINES)
        return [
            (centre + width * (place / (_UNRESOLVED_LINES - 1) - 0.5), hydrogens / _UNRESOLVED_LINES)
            for place in places
        ]
    lines = [(centre, hydrogens)]
    # Categories name couplings from large to small, values rise.
    for number, j_hz in zip(numbers, reversed(multiplet.j_hz)):
        lines = [
            (ppm + (k - number / 2) * j_hz / SPECTROMETER_MHZ, share * comb(number, k) / 2**number)
            for ppm, share in lines
            for k in range(number + 1)
        ]
    return lines


def _equal_couplings(category: str) -> list[int]:
    """The numbers of equal couplings that the letters of a category name: "dt" is one, then two."""
    if category in LETTERS:  # "hept" is one name, not four letters
        return [LETTERS.index(category)]
    return [LETTERS.index(letter) for letter in category if letter in LETTERS]


def _metabolite(row: dict[str, str]) -> Metabolite:
    molecule = simulable_molecule(row["smiles"])
    multiplets = _in_water(molecule)
    polarity = cast(Polarity, row["polarity"])
    return Metabolite(
        name=row["name"],
        smiles=row["smiles"],
        micromolar=float(row["micromolar"]),
        pathway=row["pathway"],
        polarity=polarity,
        mz=precursor_mz(molecule, polarity),
        response=float(row["response"]),
        multiplets=tuple(multiplets),
        lines=tuple(line for one in multiplets for line in lines_of(one)),
    )


def _in_water(molecule: Chem.Mol) -> Sequence[Multiplet]:
    """The 1H signals without those of hydrogens that exchange with water."""
    mobile = frozenset(atom.GetIdx() for atom in atoms_of(molecule) if atom.GetAtomicNum() != 6)
    shifts = table_shifts(molecule, surroundings(molecule)).hydrogen.ppm
    return [one.multiplet for one in assigned_multiplets(molecule, shifts, mobile)]
