"""Chemical shifts from the optional package `csp5` (MIT; weights inside), a graph network on a geometry.

It is slower than the table (a few molecules a second) and nearer to the benchmark. It is imported only on
demand.
"""

from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from mmspec_ds.errors import ConfigError
from mmspec_ds.simulator.shifts import MoleculeShifts, PredictedShifts, equivalent_atoms

GEOMETRY_SEED = 7
EMBEDDING_ATTEMPTS, FORCE_FIELD_STEPS = 5, 100
SPREAD_PPM = {"13C": 1.3, "1H": 0.1}
"""Median differences from the published sample; the models of the package give no uncertainty."""


def require_csp5() -> None:
    """Check that the package is installed.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec("csp5") is None:
        raise ConfigError("shifts from csp5 need the package csp5, which is not installed: pip install csp5")


def csp5_shifts(mols: Sequence[Chem.Mol]) -> list[MoleculeShifts | None]:
    """Shifts of molecules without explicit hydrogens, averaged over equivalent atoms and over the hydrogens of
    one atom; None for a molecule that gets no geometry or no prediction.

    Raises:
        ConfigError: the package is not installed.
    """
    require_csp5()
    import csp5  # type: ignore[import-not-found, unused-ignore]

    geometries = {index: made for index, mol in enumerate(mols) if (made := _geometry(mol)) is not None}
    found: list[MoleculeShifts | None] = [None] * len(mols)
    if not geometries:
        return found
    asked = list(geometries.values())
    carbon = _by_molecule(csp5.predict_mols(asked, nucleus="13C"))
    hydrogen = _by_molecule(csp5.predict_mols(asked, nucleus="1H"))
    for place, (index, geometry) in enumerate(geometries.items()):
        mol = mols[index]
        if place in carbon and place in hydrogen:
            found[index] = MoleculeShifts(
                _averaged(mol, {atom: [shift] for atom, shift in carbon[place]}, SPREAD_PPM["13C"]),
                _averaged(mol, _on_bearers(geometry, hydrogen[place]), SPREAD_PPM["1H"]),
            )
    return found


def _geometry(mol: Chem.Mol) -> Chem.Mol | None:
    """The molecule with hydrogens and one relaxed conformer; its heavy atoms keep their indices."""
    with_hydrogens = Chem.AddHs(mol)
    if rdDistGeom.EmbedMolecule(with_hydrogens, randomSeed=GEOMETRY_SEED, maxAttempts=EMBEDDING_ATTEMPTS):
        return None
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(with_hydrogens):
        rdForceFieldHelpers.MMFFOptimizeMolecule(with_hydrogens, maxIters=FORCE_FIELD_STEPS)
    return with_hydrogens


def _by_molecule(result: Any) -> dict[int, list[tuple[int, float]]]:
    """(atom, ppm) of each molecule out of the package's table."""
    table = result.predictions
    gathered = defaultdict(list)
    for molecule, atom, shift in zip(table["molecule_id"], table["atom_index"], table["shift_ppm"]):
        gathered[int(molecule)].append((int(atom), float(shift)))
    return gathered


def _on_bearers(geometry: Chem.Mol, shifts: list[tuple[int, float]]) -> dict[int, list[float]]:
    gathered = defaultdict(list)
    for hydrogen, shift in shifts:
        gathered[geometry.GetAtomWithIdx(hydrogen).GetNeighbors()[0].GetIdx()].append(shift)
    return gathered


def _averaged(mol: Chem.Mol, shifts: dict[int, list[float]], spread_ppm: float) -> PredictedShifts:
    ppm: dict[int, float] = {}
    for group in equivalent_atoms(mol):
        values = [value for atom in group for value in shifts.get(atom, ())]
        if values:
            ppm |= dict.fromkeys(group, sum(values) / len(values))
    return PredictedShifts(ppm, dict.fromkeys(ppm, spread_ppm))
