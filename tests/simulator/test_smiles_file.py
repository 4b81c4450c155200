"""Molecules from a file: what is read, what is left out, and the one-line error for each fault."""

import gzip
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.simulator.smiles_file import read_smiles_file


def written(folder: Path, text: str) -> Path:
    path = folder / "molecules.smi"
    path.write_text(text)
    return path


def test_names_comments_headers_and_repeats(tmp_path: Path) -> None:
    path = written(tmp_path, "SMILES name\n# two spellings of ethanol\nOCC ethanol\n\nCCO\nC[C@H](N)O\tx y\n")
    assert read_smiles_file(path) == (["CCO", "CC(N)O"], {"repeated": 1})


def test_gzip_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "molecules.txt"
    path.write_bytes(gzip.compress(b"CCO\nCCN\n"))
    assert read_smiles_file(path) == (["CCO", "CCN"], {})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("C1CC", "invalid SMILES 'C1CC'"),
        ("C(C)(C)(C)(C)C", "invalid SMILES"),
        ("CCO.CCN", "several molecules"),
        ("O=C=O", "no hydrogen on carbon"),
        ("O", "no hydrogen on carbon"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, why: str) -> None:
    path = written(tmp_path, f"CCO\n{line}\nCCN\n")
    with pytest.raises(DataError, match="line 2") as caught:
        read_smiles_file(path)
    assert str(path) in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert read_smiles_file(path, skip_invalid=True) == (["CCO", "CCN"], {"invalid": 1})


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_smiles_file(tmp_path / "absent.smi")
    with pytest.raises(DataError, match="no molecule in the file"):
        read_smiles_file(written(tmp_path, "# nothing\n"))
    cut = tmp_path / "cut.smi.gz"
    cut.write_bytes(gzip.compress(b"CCO\n" * 1000)[:-12])
    with pytest.raises(DataError, match="damaged gzip"):
        read_smiles_file(cut)
    binary = tmp_path / "binary.smi"
    binary.write_bytes(b"\xff\xfe\x00C")
    with pytest.raises(DataError, match="not text"):
        read_smiles_file(binary)
