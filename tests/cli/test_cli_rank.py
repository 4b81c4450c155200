"""`mmspec rank`: the table, the files that it writes, and its faults."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

CARBON = "shift\n209.3\n36.9\n29.4\n7.9\n"
LIST = "CCCC=O butanal\nCCC(C)=O butanone\nCC(=O)CC the same\nC1CCCO1\tTHF\nCCO\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "carbon.csv").write_text(CARBON)
    (tmp_path / "list.smi").write_text(LIST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_prediction_alone(folder: Path, mmspec: Command) -> None:
    told = mmspec("rank", "none", "--candidates", "list.smi", "--c-nmr", "carbon.csv", "--formula", "C4H8O")
    assert (told.status, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[1].split() == ["rank", "share", "score", "c_nmr", "SMILES", "name"]
    assert [line.split()[0::5] for line in lines[2:5]] == [["1", "butanone"], ["2", "butanal"], ["3", "THF"]]
    assert lines[5] == "5 candidates read, 3 ranked; left out: 1 repeated, 1 of another formula"


def test_files_of_answers(folder: Path, mmspec: Command) -> None:
    ask = ("rank", "none", "--candidates", "list.smi", "--c-nmr", "carbon.csv", "--out")
    assert mmspec(*ask, "found.csv").status == mmspec(*ask, "found.jsonl").status == 0
    rows = list(csv.DictReader((folder / "found.csv").open()))
    (answer,) = map(json.loads, (folder / "found.jsonl").read_text().splitlines())
    assert [row["smiles"] for row in rows] == [one["smiles"] for one in answer["candidates"]]
    assert float(rows[0]["c_nmr"]) == answer["candidates"][0]["parts"]["c_nmr"]
    assert answer["left_out"] == {"repeated": 1}
    assert "neither a formula" in answer["remarks"][-1]


def test_all_isomers(folder: Path, mmspec: Command) -> None:
    told = mmspec("rank", "none", "--isomers-of", "C4H8O", "--c-nmr", "carbon.csv", "--top", 1)
    assert "CCC(C)=O" in told.out.splitlines()[2]
    refused = mmspec("rank", "none", "--isomers-of", "C4H8Na", "--c-nmr", "carbon.csv")
    refused.is_one_line("--isomers-of C4H8Na", "Na is not covered")


def test_with_a_model(house: Path, mmspec: Command) -> None:
    (house / "list.smi").write_text("CCO ethanol\nCCN ethylamine\n")
    told = mmspec("rank", house / "model", "--candidates", house / "list.smi", house / "data.parquet")
    assert told.status == 0
    assert told.out.splitlines()[1].split() == [
        "rank",
        "share",
        "score",
        "h_nmr",
        "c_nmr",
        "model",
        "SMILES",
        "name",
    ]
    assert told.out.count("ethanol") == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--c-nmr", "carbon.csv"), "expected --candidates LIST or --isomers-of FORMULA"),
        (("--candidates", "list.smi"), "expected either FILE... or spectra"),
    ],
)
def test_wrong_usage(folder: Path, mmspec: Command, options: tuple[str, ...], words: str) -> None:
    told = mmspec("rank", "none", *options)
    assert told.status == 2
    assert words in told.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--candidates", "gone.smi"), "gone.smi: there is no such file"),
        (("--candidates", "list.smi", "--formula", "C9H8O4"), "none of 5 candidates is left"),
        (("--candidates", "list.smi", "--out", "gone/out.csv"), "its folder does not exist"),
    ],
)
def test_faults_are_one_line(folder: Path, mmspec: Command, options: tuple[str, ...], words: str) -> None:
    mmspec("rank", "none", "--c-nmr", "carbon.csv", *options).is_one_line(words)


def test_files_of_one_molecule(folder: Path, mmspec: Command) -> None:
    (folder / "proton.csv").write_text("shift,multiplicity,integral\n2.43,q,2\n2.12,s,3\n1.05,t,3\n")
    ask = ("rank", "none", "--candidates", "list.smi", "--formula", "C4H8O")
    named = mmspec(*ask, "--c-nmr", "carbon.csv", "--h-nmr", "proton.csv")
    together = mmspec(*ask, "carbon.csv", "proton.csv", "--one-molecule")
    assert together.out.splitlines()[1:] == named.out.splitlines()[1:]
    assert (together.status, together.err, named.err) == (0, "", "")
    apart = mmspec(*ask, "carbon.csv", "proton.csv")
    assert apart.err.startswith("mmspec: 2 files, 2 records, each answered by itself: add --one-molecule")
