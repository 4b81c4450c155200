"""`mmspec simulate --fragments --hold-out`."""

from pathlib import Path
from typing import Any

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator.sources import is_held_out
from mmspec_ds.spectra.parquet import read_records


def test_molecules_from_pieces_without_those_held_out(mmspec: Any, tmp_path: Path) -> None:
    source = tmp_path / "drugs.smi"
    source.write_text("CC(C)Cc1ccc(cc1)C(C)C(=O)O\nO=C(NCCN1CCOCC1)c1ccc(Cl)cc1\n")
    arguments = ("--molecules", 80, "--max-heavy-atoms", 8, "--workers", 1, "--out", tmp_path / "out")
    mmspec("simulate", "--fragments", *arguments).is_one_line("fragments need a SMILES file")
    assert mmspec("simulate", "--fragments", "--smiles", source, "--hold-out", "b", *arguments).status == 0
    records = [r for path in (tmp_path / "out").iterdir() for r in read_records(path)]
    assert len(records) == 80
    assert not any(is_held_out(inchikey_block(r.smiles or ""), "b") for r in records)


def test_all_molecules_of_a_list_in_one_file(mmspec: Any, tmp_path: Path) -> None:
    source = tmp_path / "suspects.smi"
    source.write_text("CC(=O)Nc1ccc(O)cc1\nCC(=O)c1cc(N)ccc1O\nNCC(=O)c1ccc(O)cc1\n")
    arguments = ("--smiles", source, "--workers", 1, "--out", tmp_path / "out")
    mmspec("simulate", *arguments).is_one_line("3 molecules leave none for val.parquet")
    assert mmspec("simulate", "--split", "none", *arguments).status == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train.parquet"]
    found = {record.smiles for record in read_records(tmp_path / "out" / "train.parquet")}
    assert found == {"CC(=O)Nc1ccc(O)cc1", "CC(=O)c1cc(N)ccc1O", "NCC(=O)c1ccc(O)cc1"}
