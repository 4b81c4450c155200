"""The NMR signals that the simulator predicts for a molecule, with the uncertainty of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from rdkit import Chem

from mmspec_ds.molecules.smiles import parse_smiles
from mmspec_ds.simulator.environments import MAX_RADIUS, Surroundings, surroundings
from mmspec_ds.simulator.fluorine import split_by_fluorine
from mmspec_ds.simulator.nmr import AssignedMultiplet, acid_oxygens, assigned_multiplets
from mmspec_ds.simulator.shifts import PredictedShifts, equivalent_atoms, nucleus_shifts
from mmspec_ds.spectra.records import FloatArray

KEPT = 4096
"""Molecules whose predictions are kept: the candidates of some hundred records."""

RDKIT_ERRORS = (ValueError, RuntimeError)
"""What RDKit raises for a molecule that it cannot handle, also when a spectrum is predicted."""
FLUORINE = 9
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Signals:
    """P predicted signals of one nucleus.

    Attributes:
        ppm: shift of each.
        spread_ppm: standard deviation of that shift among known atoms of the same surroundings.
        hydrogens: of a 13C signal, those on its carbon; of a 1H signal, all of its hydrogens.
        atoms: the equivalent atoms of each signal: carbons, or the atoms that bear the hydrogens.
        mobile: whether the hydrogens of a signal are on O, N or S and may be missing or anywhere.
        acid: whether they are those of an acid, which are hardly ever listed.
        categories: multiplicities of 1H signals, "dd"; empty for 13C.
        j_hz: coupling constants of 1H signals, rising; empty for 13C.
    """

    ppm: FloatArray
    spread_ppm: FloatArray
    hydrogens: IntArray
    atoms: tuple[tuple[int, ...], ...]
    mobile: BoolArray
    acid: BoolArray
    categories: tuple[str, ...] = ()
    j_hz: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class CrossPeaks:
    """P predicted HSQC peaks: shifts and spreads of both nuclei in ppm, hydrogens on the carbon, and the
    equivalent carbons of each."""

    carbon_ppm: FloatArray
    carbon_spread_ppm: FloatArray
    hydrogen_ppm: FloatArray
    hydrogen_spread_ppm: FloatArray
    hydrogens: IntArray
    atoms: tuple[tuple[int, ...], ...]


class Prediction:
    """The predicted signals of one molecule, each kind computed when it is first asked for.

    Attributes:
        mol: the molecule without stereochemistry; atoms are numbered as `Chem.MolFromSmiles` numbers those of
            the SMILES.

    Args:
        mol: the molecule, with stereochemistry or without.
        max_radius: bonds that the surroundings of an atom span at most by which its shift is looked up.
    """

    def __init__(self, mol: Chem.Mol, max_radius: int = MAX_RADIUS) -> None:
        self._max_radius = max_radius
        self.mol = Chem.Mol(mol)
        Chem.RemoveStereochemistry(self.mol)

    @cached_property
    def carbon(self) -> Signals:
        """A 13C signal for each group of equivalent carbons."""
        return self._carbon_signals([(group, self._carbon_shifts.ppm[group[0]]) for group in self._carbons])

    @cached_property
    def carbon_lines(self) -> Signals:
        """The same, one signal for each line that fluorine splits them into."""
        if not any(atom.GetAtomicNum() == FLUORINE for atom in self.mol.GetAtoms()):
            return self.carbon
        shifts = {group[0]: self._carbon_shifts.ppm[group[0]] for group in self._carbons}
        lines = split_by_fluorine(self.mol, shifts)
        return self._carbon_signals([(group, line) for group in self._carbons for line in lines[group[0]]])

    @cached_property
    def hydrogen(self) -> Signals:
        """The 1H signals, those of acids too."""
        shifts = self._hydrogen_shifts
        found = [(one.multiplet, self._group_of[one.atom]) for one in self._multiplets]
        acids = sorted({self._group_of[atom] for atom in acid_oxygens(self.mol)})
        categories = [one.category for one, _ in found] + ["s"] * len(acids)
        groups = [group for _, group in found] + acids
        first = [self.mol.GetAtomWithIdx(group[0]) for group in groups]
        return Signals(
            np.array([one.centroid_ppm for one, _ in found] + [shifts.ppm[group[0]] for group in acids]),
            np.array([shifts.spread_ppm[group[0]] for group in groups]),
            np.array([one.hydrogens for one, _ in found] + [len(group) for group in acids], dtype=np.int64),
            tuple(groups),
            np.array([atom.GetAtomicNum() != 6 for atom in first], dtype=np.bool_),
            np.arange(len(groups)) >= len(found),
            tuple(categories),
            tuple([one.j_hz for one, _ in found] + [()] * len(acids)),
        )

    @cached_property
    def cross_peaks(self) -> CrossPeaks:
        """An HSQC peak for each 1H signal whose hydrogens are on carbon."""
        carbon, hydrogen = self._carbon_shifts, self._hydrogen_shifts
        on_carbon = [one for one in self._multiplets if one.atom in carbon.ppm]
        atoms = [one.atom for one in on_carbon]
        groups = tuple(self._group_of[atom] for atom in atoms)
        return CrossPeaks(
            np.array([carbon.ppm[atom] for atom in atoms]),
            np.array([carbon.spread_ppm[atom] for atom in atoms]),
            np.array([one.multiplet.centroid_ppm for one in on_carbon]),
            np.array([hydrogen.spread_ppm[atom] for atom in atoms]),
            np.array([self.mol.GetAtomWithIdx(atom).GetTotalNumHs() for atom in atoms], dtype=np.int64),
            groups,
        )

    @cached_property
    def _around(self) -> Surroundings:
        return surroundings(self.mol, self._max_radius)

    @cached_property
    def _carbon_shifts(self) -> PredictedShifts:
        return nucleus_shifts(self.mol, self._around, self._groups, "C")

    @cached_property
    def _hydrogen_shifts(self) -> PredictedShifts:
        return nucleus_shifts(self.mol, self._around, self._groups, "H")

    @cached_property
    def _groups(self) -> list[tuple[int, ...]]:
        return [tuple(atoms) for atoms in equivalent_atoms(self.mol)]

    @cached_property
    def _group_of(self) -> dict[int, tuple[int, ...]]:
        return {atom: group for group in self._groups for atom in group}

    @cached_property
    def _carbons(self) -> list[tuple[int, ...]]:
        return [group for group in self._groups if group[0] in self._carbon_shifts.ppm]

    @cached_property
    def _multiplets(self) -> list[AssignedMultiplet]:
        return assigned_multiplets(self.mol, self._hydrogen_shifts.ppm)

    def _carbon_signals(self, lines: Sequence[tuple[tuple[int, ...], float]]) -> Signals:
        spreads = self._carbon_shifts.spread_ppm
        hydrogens = [self.mol.GetAtomWithIdx(group[0]).GetTotalNumHs() for group, _ in lines]
        none = np.zeros(len(lines), dtype=np.bool_)
        return Signals(
            np.array([line for _, line in lines]),
            np.array([spreads[group[0]] for group, _ in lines]),
            np.array(hydrogens, dtype=np.int64),
            tuple(group for group, _ in lines),
            none,
            none,
        )


@lru_cache(maxsize=KEPT)
def predicted(smiles: str) -> Prediction:
    """The prediction for a molecule; those of the last KEPT molecules are kept.

    Raises:
        ValueError: not a valid structure, or several molecules.
    """
    mol = parse_smiles(smiles)
    if "." in smiles:
        raise ValueError(f"SMILES {smiles!r} is several molecules, one is expected")
    return Prediction(mol)
