"""The look-up of shifts: blending by hand, the fall-back, storage, and agreement with the data it came from."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.shift_table import ShiftTable, load_tables, read_tables
from tools import fit_shifts

ETHANOL = Chem.MolFromSmiles("CCO")


def table_for_ethanol() -> ShiftTable:
    first, second = surroundings(ETHANOL).keys[1][1:3]
    return ShiftTable(
        {first: 60.0, second: 56.0},
        {first: 0.0, second: 2.0},
        {first: 1, second: 3},
        {"C sp3 H2 -C -O": (64.0, 5.0)},
    )


def test_a_median_counts_as_far_as_its_observations_deserve() -> None:
    # 64; two thirds of the way to 60 (one observation against half of one); 6/7 of the way from there to 56.
    step = 64.0 - 4.0 * 2 / 3
    (shift,) = table_for_ethanol().predict(surroundings(ETHANOL), [1])
    assert shift == pytest.approx(step + (56.0 - step) * 6 / 7)


def test_the_spread_follows_by_one_observation_less() -> None:
    # 5; the single observation has no spread of its own; two of three against three: 5 + (2 - 5) * 2 / 5.
    ((shift, spread),) = table_for_ethanol().predict_with_spread(surroundings(ETHANOL), [1])
    assert spread == pytest.approx(3.8)
    assert [shift] == table_for_ethanol().predict(surroundings(ETHANOL), [1])


def test_the_walk_stops_at_the_first_unknown_environment() -> None:
    keys = surroundings(ETHANOL).keys[1]
    table = ShiftTable({keys[2]: 0.0}, {keys[2]: 1.0}, {keys[2]: 9}, {"C sp3 H2 -C -O": (64.0, 5.0)})
    assert table.predict(surroundings(ETHANOL), [1]) == [64.0]


def test_an_unknown_coarse_environment_takes_the_likest_and_keeps_hybridisation() -> None:
    coarse = {"C sp2 H1 -C =O": (200.0, 4.0), "C sp3 H2 -C -O": (64.0, 5.0), "C sp3 H3 -C": (15.0, 3.0)}
    table = ShiftTable({}, {}, {}, coarse)
    assert table.predict(surroundings(ETHANOL), [0, 1]) == [15.0, 64.0]
    bromide = Chem.MolFromSmiles("CCBr")
    assert table.predict(surroundings(bromide), [1]) == [64.0]
    thioaldehyde = Chem.MolFromSmiles("CC=S")
    assert table.predict(surroundings(thioaldehyde), [1]) == [200.0]


def test_tables_survive_storage(tmp_path: Path) -> None:
    tables = {
        "C": table_for_ethanol(),
        "H": ShiftTable({2**48 - 1: 1.234}, {2**48 - 1: 0.12}, {2**48 - 1: 400}, {"C sp3 H3 -C": (-0.5, 30.0)}),
    }
    fit_shifts.write_tables(tmp_path / "t.npz", tables)
    back = read_tables(tmp_path / "t.npz")
    assert back["C"].median_ppm == pytest.approx(dict(tables["C"].median_ppm))
    assert back["C"].count == tables["C"].count
    assert back["H"].median_ppm == pytest.approx({2**48 - 1: 1.234})
    assert back["H"].count == {2**48 - 1: 255}  # one byte each; 255 of 256 is the same weight as 400 of 401
    assert back["C"].spread_ppm == pytest.approx(dict(tables["C"].spread_ppm))
    assert back["H"].spread_ppm == pytest.approx({2**48 - 1: 0.12})
    assert back["H"].coarse["C sp3 H3 -C"] == pytest.approx((-0.5, 1.275))  # 255 steps of 0.005 ppm at most


@pytest.mark.parametrize(
    ("smiles", "atom", "measured"),
    [("CCO", 1, 57.8), ("CCO", 0, 18.1), ("CC(C)=O", 1, 206.6), ("c1ccccc1", 0, 128.4), ("CC#N", 1, 117.9)],
)
def test_shipped_13c_medians_are_near_the_solvent_tables(smiles: str, atom: int, measured: float) -> None:
    """Fulmer et al., Organometallics 2010, 29, 2176 (CDCl3, 13C)."""
    predicted = load_tables()["C"].predict(surroundings(Chem.MolFromSmiles(smiles)), [atom])[0]
    assert abs(predicted - measured) < 7.0


@pytest.mark.parametrize(
    ("smiles", "atom", "measured"), [("CCOC(C)=O", 1, 4.12), ("CCOC(C)=O", 4, 2.05), ("c1ccccc1", 0, 7.36)]
)
def test_shipped_1h_medians_are_near_the_solvent_tables(smiles: str, atom: int, measured: float) -> None:
    predicted = load_tables()["H"].predict(surroundings(Chem.MolFromSmiles(smiles)), [atom])[0]
    assert abs(predicted - measured) < 0.3


def test_the_shipped_table_agrees_with_its_source(shared_data: Path) -> None:
    molecules = fit_shifts.read_assigned(shared_data / "cascade_assigned_shifts.parquet")[::150]
    errors: dict[str, list[float]] = {"C": [], "H": []}
    for molecule in molecules:
        for nucleus, found in errors.items():
            atoms = list(molecule.shifts[nucleus])
            predicted = load_tables()[nucleus].predict(surroundings(molecule.mol), atoms)
            found += [abs(p - molecule.shifts[nucleus][a]) for p, a in zip(predicted, atoms)]
    assert len(errors["C"]) > 800
    assert np.median(errors["C"]) < 1.6
    assert np.median(errors["H"]) < 0.15


def test_fitting_takes_medians_and_leaves_out_what_adds_nothing() -> None:
    ethanol, propanol = Chem.MolFromSmiles("CCO"), Chem.MolFromSmiles("CCCO")
    rows = [fit_shifts.AssignedMolecule(ethanol, "A", {"C": {1: s}, "H": {}}) for s in (56.0, 58.0, 61.0)]
    rows += [fit_shifts.AssignedMolecule(propanol, "B", {"C": {2: s}, "H": {}}) for s in (64.0, 66.0, 67.0)]
    table = fit_shifts.fit(rows)["C"]
    # The 16th and 84th percentiles of 56, 58, 61, 64, 66, 67 are 57.6 and 66.2.
    assert table.coarse["C sp3 H2 -C -O"] == pytest.approx((62.5, 4.3))
    # Both have a CH2 between sp3 C and O, so that refinement says nothing by itself; radius 1 parts CH3
    # from CH2 beside it. It needs its parent, and nothing wider says more.
    narrow, ethyl, propyl = *surroundings(ethanol).keys[1][1:3], surroundings(propanol).keys[2][2]
    assert table.median_ppm == {narrow: 62.5, ethyl: 58.0, propyl: 66.0}
    assert table.count == {narrow: 6, ethyl: 3, propyl: 3}
    assert table.spread_ppm[ethyl] == pytest.approx((61.0 - 58.0) * 0.68 / 2 + (58.0 - 56.0) * 0.68 / 2)


def test_hydrogens_of_one_atom_are_averaged_and_bad_files_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {
        "mapped_smiles": "[CH3:2][OH:1]",
        "inchikey14": "OKKJLVBELUTLKV",
        "c_atom": [2],
        "c_shift": [50.0],
        "h_atom": [2, 2, 2, 1],
        "h_shift": [3.0, 3.3, 3.9, 1.5],
    }
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    (molecule,) = fit_shifts.read_assigned(path)
    assert molecule.shifts["C"] == {0: 50.0}
    assert molecule.shifts["H"] == pytest.approx({0: 3.4, 1: 1.5})
    pq.write_table(pa.Table.from_pylist([row | {"mapped_smiles": "C(("}]), path)
    with pytest.raises(DataError, match="row 0, column mapped_smiles: not a SMILES"):
        fit_shifts.read_assigned(path)
    pq.write_table(pa.Table.from_pylist([{"mapped_smiles": "C"}]), path)
    with pytest.raises(DataError, match="column c_atom: missing"):
        fit_shifts.read_assigned(path)


def test_held_out_molecules_are_found_by_their_blocks(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"smiles": ["C[C@H](N)O", "CCO"]}), tmp_path / "held.parquet")
    assert fit_shifts.held_out_blocks(tmp_path / "held.parquet") == {
        inchikey_block("CC(N)O"),
        inchikey_block("OCC"),
    }
