"""Molecules to choose from, with their predicted 13C and 1H shifts as vectors that are compared all at once.

Axes: N molecules, C bins of 13C, H bins of 1H.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, cast

import numpy as np
import numpy.typing as npt
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcExactMolWt

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.formula import monoisotopic_mass
from mmspec_ds.molecules.smiles import parse_smiles
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.shifts import equivalent_atoms, nucleus_shifts
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HydrogenNMR, Modality, Record
from mmspec_ds.verification.predicted import RDKIT_ERRORS

Nucleus = Literal["C", "H"]
Vectors = npt.NDArray[np.float32]

CARBON = 6
SAME_MASS_DA = 2e-4
"""Molecules of one formula have the same computed mass to within this; then the elements are compared."""


@dataclass(frozen=True)
class Bins:
    """Equal bins of a shift axis, from `low` to `high` ppm."""

    low: float
    high: float
    width: float

    @property
    def count(self) -> int:
        """The number of bins between `low` and `high`."""
        return round((self.high - self.low) / self.width)

    def fill(self, ppm: Sequence[float], amounts: Sequence[float] | None = None) -> Vectors:
        """Signals spread over the bins around them by a triangle of two bins to each side, so that an error of
        the width of a bin costs little, fp32 [bins]. What is outside counts at the edge."""
        place_X = np.clip((np.asarray(ppm, dtype=float) - self.low) / self.width - 0.5, 2, self.count - 3)
        amount_X = np.ones(len(place_X)) if amounts is None else np.asarray(amounts, dtype=float)
        filled = np.zeros(self.count)
        first_X = np.floor(place_X).astype(np.int64)
        for step in (-1, 0, 1, 2):
            shares_X = np.maximum(0.0, 1 - np.abs(first_X + step - place_X) / 2) / 2
            np.add.at(filled, first_X + step, amount_X * shares_X)
        return filled.astype(np.float32)


BINS: Mapping[Nucleus, Bins] = {"C": Bins(-20.0, 260.0, 2.0), "H": Bins(-2.0, 16.0, 0.2)}


@dataclass(frozen=True)
class CandidateSpace:
    """Molecules and what is compared first.

    Attributes:
        smiles: as they were given, N of them.
        mass_N: monoisotopic masses, Da.
        vectors: for each nucleus the predicted signals in bins, fp16 [N, C] and [N, H]; a 13C signal counts 1,
            and a 1H signal its hydrogens on carbon.
        skipped: how many others were no molecule, several, or one whose shifts cannot be predicted.
    """

    smiles: tuple[str, ...]
    mass_N: npt.NDArray[np.float64]
    vectors: Mapping[Nucleus, npt.NDArray[np.float16]]
    skipped: int = 0

    @classmethod
    def of(cls, smiles: Iterable[str], progress: Callable[[int], None] | None = None) -> Self:
        """Predict the shifts of all molecules: about 0.6 ms each for ten heavy atoms.

        Args:
            smiles: of molecules, each once.
            progress: is called now and then with the number of molecules so far.
        """
        kept, masses, skipped = [], [], 0
        rows: dict[Nucleus, list[npt.NDArray[np.float16]]] = {"C": [], "H": []}
        for number, one in enumerate(smiles):
            if progress is not None and number % 1000 == 0:
                progress(number)
            try:
                mol = parse_smiles(one)
                if "." in one:
                    raise ValueError("several molecules")
                found = {
                    nucleus: vector.astype(np.float16) for nucleus, vector in predicted_vectors(mol).items()
                }
            except RDKIT_ERRORS:
                skipped += 1
                continue
            kept.append(one)
            masses.append(float(CalcExactMolWt(mol)))
            for nucleus, vector in found.items():
                rows[nucleus].append(vector)
        vectors = {
            nucleus: np.stack(rows[nucleus]) if kept else np.zeros((0, bins.count), np.float16)
            for nucleus, bins in BINS.items()
        }
        return cls(tuple(kept), np.array(masses), vectors, skipped)

    def __len__(self) -> int:
        return len(self.smiles)

    def subset(self, numbers: npt.NDArray[np.int64]) -> Self:
        """Some of the molecules, by their numbers, in that order. `skipped` stays."""
        return replace(
            self,
            smiles=tuple(self.smiles[at] for at in numbers),
            mass_N=self.mass_N[numbers],
            vectors={nucleus: rows[numbers] for nucleus, rows in self.vectors.items()},
        )

    def fitting(self, composition: Composition | None) -> npt.NDArray[np.int64]:
        """Numbers of the molecules of a formula or a mass, int64, rising; all for None."""
        if composition is None:
            return np.arange(len(self), dtype=np.int64)
        low, high = composition.mass_da
        if composition.elements is not None:
            mass = sum(monoisotopic_mass(symbol) * count for symbol, count in composition.elements.items())
            low, high = mass - SAME_MASS_DA, mass + SAME_MASS_DA
        near = np.flatnonzero((self.mass_N >= low) & (self.mass_N <= high))
        return np.array([at for at in near if composition.may_fit(self.smiles[at])], dtype=np.int64)

    def likeness(self, record: Record, among: npt.NDArray[np.int64]) -> Vectors:
        """How like the predicted shifts of some molecules are to those of a record, fp32; higher is better.

        For each nucleus 2 a.b / (a.a + b.b) of the two vectors, from 0 to 1, and their sum over the nuclei of
        which the record has shifts.
        """
        score_N = np.zeros(len(among), dtype=np.float32)
        for nucleus, own in observed_vectors(record).items():
            for start in range(0, len(among), 1 << 14):
                part = among[start : start + (1 << 14)]
                rows = self.vectors[nucleus][part].astype(np.float32)
                lengths = np.einsum("nb,nb->n", rows, rows) + own @ own
                score_N[start : start + len(part)] += 2 * (rows @ own) / np.maximum(lengths, 1e-6)
        return score_N


def predicted_vectors(mol: Chem.Mol) -> dict[Nucleus, Vectors]:
    """The predicted 13C signals, and the 1H signals of hydrogens on carbon, in bins."""
    flat = Chem.Mol(mol)
    Chem.RemoveStereochemistry(flat)
    around, groups = surroundings(flat), equivalent_atoms(flat)
    found: dict[Nucleus, Vectors] = {}
    for nucleus in ("C", "H"):
        shifts = nucleus_shifts(flat, around, groups, nucleus).ppm
        firsts = [group for group in groups if group[0] in shifts and _counts(flat, group[0])]
        hydrogens = [len(group) * flat.GetAtomWithIdx(group[0]).GetTotalNumHs() for group in firsts]
        amounts = hydrogens if nucleus == "H" else None
        found[nucleus] = BINS[nucleus].fill([shifts[group[0]] for group in firsts], amounts)
    return found


def observed_vectors(record: Record) -> dict[Nucleus, Vectors]:
    """The 13C and 1H signals of a record in bins, of the first spectrum of each kind; where one is not there,
    but HSQC is, those of its peaks."""
    carbon = [cast(CarbonNMR, one) for one in record.of(Modality.C_NMR)]
    hydrogen = [cast(HydrogenNMR, one) for one in record.of(Modality.H_NMR)]
    crossed = [cast(HSQC, one) for one in record.of(Modality.HSQC)]
    found: dict[Nucleus, Vectors] = {}
    if carbon:
        found["C"] = BINS["C"].fill(carbon[0].shifts_ppm)
    elif crossed:
        found["C"] = BINS["C"].fill(sorted({peak.carbon_ppm for peak in crossed[0].peaks}))
    if hydrogen:
        signals = hydrogen[0].multiplets
        counts = [max(1, one.hydrogens) for one in signals]
        found["H"] = BINS["H"].fill([one.centroid_ppm for one in signals], counts)
    elif crossed:
        found["H"] = BINS["H"].fill([peak.hydrogen_ppm for peak in crossed[0].peaks])
    return found


def _counts(mol: Chem.Mol, atom: int) -> bool:
    """Whether the signals of an atom are compared: those of hydrogens on O, N and S may be anywhere."""
    return bool(mol.GetAtomWithIdx(atom).GetAtomicNum() == CARBON)
