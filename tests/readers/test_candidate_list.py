"""Lists of candidates: what is read, what is left out and counted, and that it is a stream."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.composition import Composition
from mmspec_ds.readers.candidate_list import Sifted, Suspect, read_suspects

LINES = (
    "smiles name\n# alcohols\nCCO ethanol, dry\n\nOCC\tethanol again\n"
    "COC\nCCN ethylamine\nnonsense x\nC1CC broken\n"
)
FOUND = [
    Suspect("CCO", "ethanol, dry"),
    Suspect("OCC", "ethanol again"),
    Suspect("COC"),
    Suspect("CCN", "ethylamine"),
    Suspect("nonsense", "x"),
    Suspect("C1CC", "broken"),
]


@pytest.mark.parametrize("name", ["list.smi", "list.smi.gz", "list"])
def test_lines(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(LINES.encode()) if name.endswith("gz") else LINES.encode())
    assert list(read_suspects(path)) == FOUND


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_tables(tmp_path: Path, mark: str) -> None:
    rows = [("ID", "SMILES", "mass"), ("a1", "CCO", "46.04"), ("a2", "", ""), ("a3", "COC", "46.04")]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(mark.join(row) for row in rows))
    assert list(read_suspects(path)) == [Suspect("CCO", "a1"), Suspect("COC", "a3")]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"id": [7, 8, None], "Smiles": ["CCO", None, "COC"]}), path)
    assert list(read_suspects(path)) == [Suspect("CCO", "7"), Suspect("COC", "")]
    pq.write_table(pa.table({"structure": ["CCO"]}), path)
    with pytest.raises(DataError, match="has no column smiles"):
        list(read_suspects(path))


def test_sifting_counts_what_is_left_out() -> None:
    sifted = Sifted()
    found = list(sifted.sift(iter([*FOUND, Suspect("OCC")]), Composition.of_formula("C2H6O")))
    assert [(one.smiles, one.name) for one in found] == [("CCO", "ethanol, dry"), ("COC", "")]
    assert [one.molecule.GetNumAtoms() for one in found if one.molecule is not None] == [3, 3]
    assert sifted.read == 7
    assert sifted.left_out == {"of another formula": 3, "repeated": 2}
    everything = Sifted()
    assert len(list(everything.sift(iter(FOUND), None))) == 3
    assert everything.left_out == {"repeated": 1, "invalid": 2}
    assert everything.first_invalid.startswith("invalid SMILES 'nonsense'")


def test_stereoisomers_are_given_once_as_first_written() -> None:
    listed = iter([Suspect("C[C@H](N)C(=O)O", "L"), Suspect("C[C@@H](N)C(=O)O", "D"), Suspect("CC(N)C(=O)O")])
    assert [(one.smiles, one.name) for one in Sifted().sift(listed, None)] == [("C[C@H](N)C(=O)O", "L")]


def test_a_mass_window() -> None:
    sifted = Sifted()
    window = Composition.of_mass(46.0419, ppm=10)
    assert [one.smiles for one in sifted.sift(iter(FOUND[:4]), window)] == ["CCO", "COC"]
    assert sifted.left_out == {"repeated": 1, "of another mass": 1}


def test_nothing_is_read_ahead() -> None:
    given: list[int] = []

    def endless() -> Iterator[Suspect]:
        while True:
            given.append(1)
            yield Suspect("C" * len(given))

    stream = Sifted().sift(endless(), None)
    assert [next(stream).smiles for _ in range(3)] == ["C", "CC", "CCC"]
    assert len(given) == 3
