"""Shifts by atom: equal for equivalent atoms, scattered together, and the optional source by a stand-in."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.errors import ConfigError
from mmspec_ds.simulator import csp5_shifts as source
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.shifts import PredictedShifts, equivalent_atoms, scattered, table_shifts
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset, simulate_record
from mmspec_ds.spectra.records import CarbonNMR, Modality
from tools.label_shifts import labelled

TOLUENE = Chem.MolFromSmiles("Cc1ccccc1")


def test_equivalent_atoms_share_shift_and_spread() -> None:
    assert sorted(map(sorted, equivalent_atoms(TOLUENE))) == [[0], [1], [2, 6], [3, 5], [4]]
    found = table_shifts(TOLUENE, surroundings(TOLUENE))
    assert found.carbon.ppm[2] == found.carbon.ppm[6]
    assert set(found.carbon.ppm) == set(range(7))
    assert set(found.hydrogen.ppm) == {0, 2, 3, 4, 5, 6}
    assert all(0 < spread < 40 for spread in found.carbon.spread_ppm.values())


def test_scatter_has_its_size_and_moves_equivalent_atoms_together() -> None:
    chain = Chem.MolFromSmiles("C" * 400 + "O")
    atoms = range(400)
    clean = PredictedShifts(dict.fromkeys(atoms, 30.0), {atom: 4.0 if atom < 200 else 0.0 for atom in atoms})
    moved = scattered(chain, clean, 2.0, 0.0, np.random.default_rng(0))
    assert np.std([moved[a] for a in atoms]) == pytest.approx(2.0, rel=0.12)
    spread = scattered(chain, clean, 0.0, 1.0, np.random.default_rng(0))
    assert np.std([spread[a] for a in range(200)]) == pytest.approx(4.0, rel=0.15)
    assert {spread[a] for a in range(200, 400)} == {30.0}
    ring = scattered(
        TOLUENE, table_shifts(TOLUENE, surroundings(TOLUENE)).carbon, 2.0, 0.0, np.random.default_rng(1)
    )
    assert ring[2] == ring[6]


def test_lines_of_a_fluorine_doublet_move_together() -> None:
    noise = NoiseSettings(missing_peak=0.0, spurious_peak=0.0)
    clean, noisy = (
        next(s for s in simulate_record("CCF", noise=n).of(Modality.C_NMR) if isinstance(s, CarbonNMR))
        for n in (NoiseSettings.off(), noise)
    )
    assert len(clean.shifts_ppm) == 4
    gaps = [s.shifts_ppm[0] - s.shifts_ppm[1] for s in (clean, noisy)]
    assert gaps[0] == pytest.approx(172.0 / 125.76)
    assert gaps[1] == pytest.approx(gaps[0])
    assert clean.shifts_ppm[0] != noisy.shifts_ppm[0]


def test_exchangeable_hydrogens_are_missed_at_their_rate() -> None:
    def hydrogens(smiles: str) -> int:
        noise = NoiseSettings(missing_peak=0.0, spurious_peak=0.0, missing_exchangeable=0.5)
        return sum(
            m.hydrogens for s in simulate_record(smiles, noise=noise).of(Modality.H_NMR) for m in s.multiplets
        )  # type: ignore[union-attr]

    counts = [hydrogens("C" * length + "O") - 2 * length - 1 for length in range(1, 60)]
    assert set(counts) == {0, 1}
    assert 0.3 < np.mean(counts) < 0.7


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `csp5` that gives every atom a shift of ten times its index, to the same table of results."""

    def predict_mols(mols: list[Chem.Mol], nucleus: str) -> SimpleNamespace:
        number = {"13C": 6, "1H": 1}[nucleus]
        rows = [
            (place, atom.GetIdx(), 10.0 * atom.GetIdx())
            for place, mol in enumerate(mols)
            for atom in mol.GetAtoms()
            if atom.GetAtomicNum() == number
        ]
        return SimpleNamespace(predictions=dict(zip(("molecule_id", "atom_index", "shift_ppm"), zip(*rows))))

    module = ModuleType("csp5")
    module.predict_mols = predict_mols  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "csp5", module)
    monkeypatch.setattr(source, "find_spec", lambda name: object())


@pytest.mark.usefixtures("stand_in")
def test_shifts_of_the_package_are_averaged_over_equivalent_atoms() -> None:
    # Propane C0 C1 C2: hydrogens 3 to 5 on C0, 6 and 7 on C1, 8 to 10 on C2.
    (found,) = source.csp5_shifts([Chem.MolFromSmiles("CCC")])
    assert found is not None
    assert found.carbon.ppm == {0: 10.0, 2: 10.0, 1: 10.0}
    assert found.hydrogen.ppm == pytest.approx({0: 65.0, 2: 65.0, 1: 65.0})
    record = simulate_record("CCO", noise=NoiseSettings.off(), shifts="csp5")
    assert next(record.of(Modality.C_NMR)) == CarbonNMR((10.0, 0.0), (2, 3))


@pytest.mark.usefixtures("stand_in")
def test_labelled_molecules_have_the_columns_of_the_fit() -> None:
    (row,) = labelled([("CCO", "LFQSCWFLJHTTHZ")])
    assert row["mapped_smiles"] == "[CH3:1][CH2:2][OH:3]"
    assert dict(zip(row["c_atom"], row["c_shift"])) == {1: 0.0, 2: 10.0}
    assert set(row["h_atom"]) == {1, 2, 3}


def test_without_the_package_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="csp5, which is not installed"):
        simulate_record("CCO", shifts="csp5")
    with pytest.raises(ConfigError, match="pip install csp5"):
        simulate_dataset(str(tmp_path), SimulationSettings(shifts="csp5"))


def test_the_package_itself_where_it_is_installed() -> None:
    pytest.importorskip("csp5", reason="the optional package csp5 is not installed")
    (found,) = source.csp5_shifts([Chem.MolFromSmiles("CCO")])
    assert found is not None
    assert found.carbon.ppm[1] == pytest.approx(58.0, abs=4.0)
    assert found.hydrogen.ppm[1] == pytest.approx(3.7, abs=0.4)
