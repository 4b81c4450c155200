"""`mmspec prepare`: what it prints, what it refuses, and how it ends."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.files import read_manifest
from mmspec_ds.spectra.parquet import read_records, write_records
from mmspec_ds.spectra.records import Modality


@pytest.fixture
def prepared(mmspec: Any, house: Path) -> Path:
    """The four molecules of the house as shards, by the settings of its run file."""
    arguments = ("--out", house / "shards", "--run", house / "run.yaml", "--workers", 1)
    told = mmspec("prepare", house / "data.parquet", *arguments, "--validation", 0.4, "--test", 0)
    assert told.status == 0, told
    assert told.out.splitlines()[0].startswith(f"{house / 'shards'}: 1 shards, 0.0 MB")
    counts = {name: int(count) for name, count in (line.split(": ") for line in _numbers(told.out))}
    assert sum(counts.values()) == 4
    assert list(counts) == ["train", "validation", "test"]
    assert told.err.splitlines()[-1].startswith("preparing: 4 of 4 rows, ")
    return house / "shards"


def _numbers(text: str) -> list[str]:
    return [line.removesuffix(" molecules") for line in text.splitlines()[1:]]


def test_a_run_file_says_what_to_store(prepared: Path) -> None:
    manifest = read_manifest(prepared)
    assert manifest["modalities"] == ["h_nmr", "c_nmr", "formula"]
    assert manifest["settings"]["split"] == {"rule": "inchikey", "seed": 0, "validation": 0.4, "test": 0.0}


def test_a_prepared_folder_is_verified(mmspec: Any, prepared: Path) -> None:
    told = mmspec("prepare", "--verify", prepared)
    assert (told.status, told.out) == (0, f"{prepared}: 1 shards, 4 molecules, as they were written\n")
    shard = prepared / "shard-000000.safetensors"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    mmspec("prepare", "--verify", prepared).is_one_line(
        "shard-000000.safetensors: altered since it was written"
    )
    (prepared / "split.safetensors").unlink()
    told = mmspec("prepare", "--verify", prepared)
    assert told.status == 1
    assert [line.split(": ")[2] for line in told.err.splitlines()] == [
        "No such file or directory",
        "altered since it was written, its checksum differs",
    ]


def test_rows_that_are_left_out_are_told(mmspec: Any, house: Path) -> None:
    records = list(read_records(house / "data.parquet", modalities=(Modality.H_NMR, Modality.C_NMR)))
    bad = [replace(records[0], smiles="C1CC"), records[1], records[2], records[2]]
    write_records(house / "bad.parquet", bad)
    arguments = ("prepare", house / "bad.parquet", "--out", house / "out", "--run", house / "run.yaml")
    mmspec(*arguments, "--workers", 1).is_one_line("bad.parquet, row 0, column smiles: invalid SMILES 'C1CC'")
    told = mmspec(*arguments, "--workers", 1, "--skip-invalid")
    assert told.status == 0
    assert "left out: 1 duplicates" in told.out
    assert "left out: 1 rows for their smiles" in told.out
    assert "invalid SMILES 'C1CC'" in told.out.splitlines()[-1]


def test_other_arguments_for_a_begun_folder(mmspec: Any, house: Path, prepared: Path) -> None:
    arguments = (house / "data.parquet", "--out", prepared, "--run", house / "run.yaml", "--workers", 1)
    mmspec("prepare", *arguments).is_one_line("was begun with split.test = 0.0, not 0.1")
    options = ("--validation", 0.4, "--test", 0)
    assert mmspec("prepare", *arguments, *options).status == 0
    mmspec("prepare", *arguments, *options, "--split", "scaffold").is_one_line(
        "split.rule = 'inchikey', not 'scaffold'"
    )


def test_the_benchmark_has_its_own_seed_and_shares(mmspec: Any, house: Path) -> None:
    arguments = ("prepare", house / "data.parquet", "--run", house / "run.yaml", "--split", "benchmark")
    assert mmspec(*arguments, "--out", house / "out", "--workers", 1).status == 0
    manifest = read_manifest(house / "out")
    assert manifest["settings"]["split"]["seed"] == 3245
    assert [manifest["counts"][name] for name in ("train", "validation", "test")] == [2, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "expected parquet files, and --out"),
        (("data.parquet",), "expected parquet files, and --out"),
        (("--verify", "a", "--out", "b"), "--verify stands alone"),
        (("data.parquet", "--out", "b", "--split", "benchmark", "--test", "0.2"), "has shares of its own"),
        (("data.parquet", "--out", "b", "--split", "random"), "invalid choice: 'random'"),
        (("data.parquet", "--out", "b", "--workers", "0"), "expected a positive whole number"),
    ],
)
def test_wrong_usage(
    mmspec: Any, house: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(house)
    found = mmspec("prepare", *arguments)
    assert (found.status, told in found.err) == (2, True), found
    assert not (house / "b").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("data.parquet", "--out", "data.parquet"), ("data.parquet", "File exists")),
        (("data.parquet", "--out", "."), (".: is not empty",)),
        (("none.parquet", "--out", "b"), ("none.parquet: there is no such file",)),
        (
            ("data.parquet", "run.yaml", "--out", "b"),
            ("run.yaml: cannot be read as parquet: expected a file in the benchmark's schema; `mmspec",),
        ),
        (
            ("data.parquet", "--out", "b", "--validation", "0.9", "--test", "0.1"),
            ("leave nothing to train on",),
        ),
        (("data.parquet", "--out", "b", "--seed", "-1"), ("split.seed", "greater than or equal to 0")),
        (("--verify", "model"), ("model: is not a complete prepared folder",)),
    ],
)
def test_what_is_refused(
    mmspec: Any,
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    monkeypatch.chdir(house)
    mmspec("prepare", *arguments).is_one_line(*parts)


def test_plan_reads_shards(mmspec: Any, house: Path, prepared: Path) -> None:
    told = mmspec("plan", house / "run.yaml", f"data.train=[{prepared}]", "--gpus", 1, "--memory", 80)
    assert told.status == 0, told
    assert "records of data.train" in told.out
