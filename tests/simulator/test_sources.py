"""Molecules made from pieces of a file, and molecules that are held out."""

from hashlib import sha256
from pathlib import Path

import pytest
from rdkit import Chem

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.simulator import sources
from mmspec_ds.simulator.enumeration import enumerate_molecules
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.simulator.sources import ENUMERATED, from_file, from_pieces, is_held_out

DRUGS = "CC(C)Cc1ccc(cc1)C(C)C(=O)O\nCC(=O)Nc1ccc(OCC2CCCO2)cc1\nO=C(NCCN1CCOCC1)c1ccc(Cl)cc1\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "drugs.smi"
    path.write_text(DRUGS)
    return path


def test_as_many_as_wanted_once_each_and_none_that_is_held_out(source: Path) -> None:
    told: list[tuple[int, int]] = []
    found, skipped = from_pieces(
        source, 300, 9, 0, hold_out="measured", progress=lambda done, total: told.append((done, total))
    )
    assert (len(found), len(set(found.values())), skipped) == (300, 300, {})
    assert told[-1] == (300, 300)
    for smiles, block in found.items():
        assert int(sha256(f"measured{block}".encode()).hexdigest(), 16) % 10
        assert 4 <= Chem.MolFromSmiles(smiles).GetNumAtoms() <= 9
    assert "CCO" not in found


def test_the_smallest_are_complete(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ENUMERATED_SHARE", 0.5)
    found, _ = from_pieces(source, 200, 8, 0)
    assert set(enumerate_molecules(90, 4)) <= set(found)


def test_too_few_are_a_fault(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PATIENCE", 2)
    with pytest.raises(ConfigError, match=r"only \d+ molecules up to 4 heavy atoms, 5000 wanted"):
        from_pieces(source, 5_000, 4, 0)


def test_the_counts_of_the_enumeration_are_right() -> None:
    for size in (4, 5):
        with pytest.raises(ValueError, match=rf"only {ENUMERATED[size]} molecules up to {size}"):
            enumerate_molecules(10**6, size)


def test_a_molecule_that_inchi_cannot_describe_is_a_fault_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.smi"
    path.write_text("CCO\n*CC\n")
    with pytest.raises(DataError, match=r"a\.smi: SMILES '\*CC' has no InChIKey"):
        from_file(path, skip_invalid=False)
    assert from_file(path, skip_invalid=True) == ({"CCO": "LFQSCWFLJHTTHZ"}, {"invalid": 1})


def test_one_in_ten_is_held_out_of_any_source(source: Path, tmp_path: Path) -> None:
    assert not is_held_out("LFQSCWFLJHTTHZ", "")
    settings = SimulationSettings(molecules=120, max_heavy_atoms=5, hold_out="a", validation=0, test=0)
    summary = simulate_dataset(tmp_path / "out", settings)
    (count,) = summary.files.values()
    assert count + summary.skipped["held out"] == 120
    assert 2 <= summary.skipped["held out"] <= 30
