"""Which file a molecule is in: nothing that must stay together is parted."""

from collections import Counter

import pytest
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.listed import listed
from mmspec_ds.simulator.parts import Molecule, divided, part_of, with_blocks
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.parquet import read_records

MOLECULES = [Molecule(one.smiles) for one in (listed(60_000, 9, 0) or ())[:3_000]]


def scaffold(smiles: str) -> str:
    found = MurckoScaffold.GetScaffoldForMol(Chem.MolFromSmiles(smiles))
    return Chem.MolToSmiles(found) if found.GetNumAtoms() else f"none: {smiles}"


def test_no_scaffold_crosses() -> None:
    parts = divided(MOLECULES, "scaffold", 0.1, 0.15)
    scaffolds = {name: {scaffold(smiles) for smiles in part} for name, part in parts.items()}
    assert not scaffolds["train"] & scaffolds["val"]
    assert not scaffolds["train"] & scaffolds["test"]
    assert not scaffolds["val"] & scaffolds["test"]
    assert Counter(smiles for part in parts.values() for smiles in part) == Counter(
        one.smiles for one in MOLECULES
    )
    assert len(parts["val"]) / 3_000 == pytest.approx(0.10, abs=0.03)
    assert len(parts["test"]) / 3_000 == pytest.approx(0.15, abs=0.03)
    rings = [any(character.isdigit() for character in smiles) for smiles in parts["test"]]
    assert 0.2 < sum(rings) / len(rings) < 0.9


def test_molecules_of_one_inchikey_stay_together() -> None:
    tautomers = [Molecule("Oc1ccccn1", "A"), Molecule("O=c1cccc[nH]1", "A"), Molecule("OC1=NCCCC1", "A")]
    for seed in range(20):
        others = [Molecule(one.smiles, f"B{number}") for number, one in enumerate(MOLECULES[seed : seed + 40])]
        parts = divided([*others[:seed], *tautomers, *others[seed:]], "scaffold", 0.3, 0.3)
        assert sum(any(one.smiles in part for one in tautomers) for part in parts.values()) == 1


def test_the_file_of_a_block_is_found_with_other_shares() -> None:
    known = [Molecule(one.smiles, file="train") for one in MOLECULES[:60]]
    parts = divided(known, "inchikey", 0.2, 0.3)
    for name, part in parts.items():
        for smiles in part:
            assert name == part_of(inchikey_block(smiles), 0.2, 0.3)
    assert [one.block for one in with_blocks(known)] == [inchikey_block(one.smiles) for one in known]


def test_simulated_files_share_no_scaffold(tmp_path) -> None:
    settings = SimulationSettings(molecules=100, max_heavy_atoms=5, split="scaffold", validation=0.2, test=0.3)
    simulate_dataset(tmp_path, settings)
    found = {
        name: {scaffold(record.smiles or "") for record in read_records(tmp_path / f"{name}.parquet")}
        for name in ("train", "val", "test")
    }
    assert all(found.values())
    assert not (found["train"] & found["val"] | found["train"] & found["test"] | found["val"] & found["test"])
