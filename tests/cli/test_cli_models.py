"""Commands that use a trained model: what they refuse, and what they answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.systems.elucidation.trained import load_model

RECORDS = 4


def damage(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    match how:
        case "weights gone":
            weights.unlink()
        case "weights cut":
            weights.write_bytes(weights.read_bytes()[:-9])
        case "weights text":
            weights.write_text("not weights")
        case "other sizes":
            text = (folder / "config.yaml").read_text()
            (folder / "config.yaml").write_text(text.replace("d_model: 16", "d_model: 32"))
        case "config gone":
            (folder / "config.yaml").unlink()
        case "config broken":
            (folder / "config.yaml").write_text("name: [")
        case "config of another version":
            (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + "colour: blue\n")
        case "vocabulary gone":
            (folder / "vocabulary.json").unlink()
        case "vocabulary broken":
            (folder / "vocabulary.json").write_text("{}")
        case "vocabulary of text":
            content = json.loads((folder / "vocabulary.json").read_text())
            content["source"] = {"h_nmr": content["target"]}
            (folder / "vocabulary.json").write_text(json.dumps(content))


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("how", "part"),
    [
        ("weights gone", "damaged: holds no model.safetensors"),
        ("weights cut", "model.safetensors: cannot be read as a model's weights"),
        ("weights text", "model.safetensors: cannot be read as a model's weights"),
        ("other sizes", "model.safetensors: does not fit the model"),
        ("config gone", "damaged: holds no config.yaml"),
        ("config broken", "config.yaml: not YAML"),
        ("config of another version", "config.yaml: colour: unknown key"),
        ("vocabulary gone", "damaged: holds no vocabulary.json"),
        ("vocabulary broken", "vocabulary.json: expected a JSON object"),
        ("vocabulary of text", "vocabulary.json: does not fit config.yaml"),
    ],
)
def test_models_that_cannot_be_used(mmspec: Any, house: Path, command: str, how: str, part: str) -> None:
    damage(house / "damaged", how)
    data = house / "data.parquet"
    arguments = ["--data", data] if command == "evaluate" else [data]
    mmspec(command, house / "damaged", *arguments).is_one_line(part)


USES = {
    "predict": ("data.parquet",),
    "explain": (Path(__file__).parents[2] / "examples/vanillin/carbon.csv",),
    "rank": ("data.parquet", "--isomers-of", "C2H6O"),
    "evaluate": ("--data", "data.parquet"),
    "export": ("new",),
    "calibrate": ("--data", "data.parquet"),
    "chat": ("--ask", "Is it?"),
    "annotate": ("cells.npz", "--out", "out.h5ad"),
}
"""Commands that take the folder of a model, and what else they need."""
OF_ALIGNMENT = ("chat", "annotate")
CELLS = {
    "data": np.array([1.5]),
    "indices": np.array([0]),
    "indptr": np.array([0, 1]),
    "shape": np.array([1, 1]),
    "genes": np.array(["CD3D"]),
    "cells": np.array(["x"]),
}


@pytest.mark.parametrize("command", USES)
def test_folders_that_hold_no_model(
    mmspec: Any, house: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(house)
    Path("empty").mkdir()
    np.savez("cells.npz", **CELLS)  # type: ignore[arg-type]
    also = "" if command in OF_ALIGNMENT else ", or `starter`"
    for name, told in (
        ("nowhere", f"nowhere: there is no such folder: expected that of a trained run{also}\n"),
        ("run.yaml", f"run.yaml: is a file: expected the folder of a trained run{also}\n"),
        ("empty", "empty: holds no config.yaml: expected the folder of a trained run\n"),
    ):
        found = mmspec(command, name, *USES[command])
        assert (found.status, found.err.splitlines(keepends=True)[-1]) == (1, f"mmspec: {told}")


@pytest.mark.parametrize("command", [*OF_ALIGNMENT, "search"])
def test_models_of_another_system(
    mmspec: Any, house: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(house)
    np.savez("cells.npz", **CELLS)  # type: ignore[arg-type]
    (house / "lab.msp").write_text("Name: a\nPrecursorMZ: 47.05\nSMILES: CCO\nNum peaks: 1\n29.0 100\n")
    assert mmspec("library", "build", "lab.msp", "--out", "lab").status == 0
    for name in ("starter", "model"):
        searched = ("search", "lab", "lab.msp", "--model", name)
        expected = "retrieval" if command == "search" else "alignment"
        told = mmspec(*searched if command == "search" else (command, name, *USES[command]))
        why = f"{name}: system is 'elucidation', which proposes structures: expected '{expected}'"
        assert (told.status, told.err.splitlines()[-1]) == (1, f"mmspec: {why}")


@pytest.mark.parametrize("command", ["predict", "explain", "rank", "evaluate", "export"])
def test_help_names_the_model_of_the_package(mmspec: Any, command: str) -> None:
    assert "or `starter`, the model that comes with the package" in " ".join(
        mmspec(command, "--help").out.split()
    )


def test_a_formula_that_is_none_is_told_by_its_option(mmspec: Any) -> None:
    told = "--formula: 'C8H8O33x' is not a molecular formula (expected one like C11H15FN2O2)\n"
    carbon = Path(__file__).parents[2] / "examples/vanillin/carbon.csv"
    for ask in (
        ("predict", "starter", "--c-nmr", carbon),
        ("explain", "starter", carbon),
        ("rank", "none", "--isomers-of", "C4H8O", carbon),
        ("chat", "starter", "--spectrum", carbon, "--ask", "Is it?"),
    ):
        assert mmspec(*ask, "--formula", "C8H8O33x").err == f"mmspec: {told}"


def test_the_model_of_the_package_is_exported_and_not_calibrated(
    mmspec: Any, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house)
    assert mmspec("export", "starter", "mine").status == 0
    ours, theirs = (load_model(name).model.state_dict() for name in ("mine", "starter"))
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
    assert (house / "mine/calibration.json").is_file()
    mmspec("calibrate", "starter", "--data", "data.parquet").is_one_line("starter: belongs to the package")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--data", "none.parquet"), ("none.parquet",)),
        (("--data", "run.yaml"), ("run.yaml",)),
        (("--data", "data.parquet", "--modalities", "nmr"), ("unknown modality 'nmr'",)),
        (("--data", "data.parquet", "--modalities", "h_nmr,"), ("unknown modality ''",)),
        (
            ("--data", "data.parquet", "--modalities", "ir"),
            ("ir is unknown to this model: expected some of h_nmr, c_nmr",),
        ),
        (("--data", "data.parquet", "--controls", "none.parquet"), ("none.parquet",)),
        (
            ("--data", "data.parquet", "--json", "nowhere/result.json"),
            ("nowhere/result.json: cannot be written: its folder does not exist",),
        ),
        (("--data", "data.parquet", "--json", "."), ("cannot be written: it is a folder",)),
    ],
    ids=" ".join,
)
def test_questions_that_cannot_be_asked(
    mmspec: Any,
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    monkeypatch.chdir(house)
    mmspec("evaluate", "model", "--beam", 2, *arguments).is_one_line(*parts)


def test_evaluate_prints_and_writes_the_same(mmspec: Any, house: Path) -> None:
    target = house / "result.json"
    data = house / "data.parquet"
    told = mmspec("evaluate", house / "model", "--data", data, "--beam", 2, "--limit", 3, "--json", target)
    assert (told.status, told.err) == (0, "")
    result = json.loads(target.read_text())
    assert result["n"] == 3
    assert {"top_1", "top_10", "validity", "tanimoto", "seconds"} <= set(result)
    assert "molecules 3" in told.out


def test_evaluate_without_verification_has_one_row(mmspec: Any, house: Path) -> None:
    data, beam = ("--data", house / "data.parquet"), ("--beam", 2)
    told = mmspec("evaluate", house / "model", *data, *beam, "--no-verify")
    assert told.out.count("candidates unique") == 1
    assert "verified" not in told.out


def test_predict_names_its_evidence_unless_told_not_to(mmspec: Any, house: Path) -> None:
    data = house / "data.parquet"
    verified, plain = (
        [json.loads(line) for line in mmspec("predict", house / "model", data, *options).out.splitlines()]
        for options in ((), ("--no-verify",))
    )
    for one, other in zip(verified, plain, strict=True):
        assert one["confidence"] == {"first": None, "listed": None}
        assert set(one["candidates"][0]["verification"]) == {"h_nmr", "c_nmr"}
        scores = [candidate["score"] for candidate in one["candidates"]]
        assert scores == sorted(scores, reverse=True)
        assert "confidence" not in other
        assert set(other["candidates"][0]) == {"smiles", "probability", "log_probability"}


def test_too_few_molecules_to_calibrate(mmspec: Any, house: Path) -> None:
    told = mmspec("calibrate", house / "model", "--data", house / "data.parquet")
    assert "a calibration needs 100 and 50 found" in told.err
    assert told.status == 1


def test_predict_answers_every_record(mmspec: Any, house: Path) -> None:
    data, target = house / "data.parquet", house / "out.jsonl"
    told = mmspec("predict", house / "model", data, "--top", 2, "--out", target)
    assert (told.status, told.err) == (0, "")
    written = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(written) == RECORDS
    for answer in written:
        molecules = [one["smiles"] for one in answer["candidates"]]
        assert 1 <= len(set(molecules)) == len(molecules) <= 2
        assert molecules == [canonical_smiles(one) for one in molecules]
    printed = mmspec("predict", house / "model", data, "--top", 2)
    assert [json.loads(line) for line in printed.out.splitlines()] == written


@pytest.mark.parametrize("target", ["nowhere/out.jsonl", "data.parquet/out.jsonl", "."])
def test_predictions_that_cannot_be_written(
    mmspec: Any, house: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(house)
    before = sorted(path.name for path in house.iterdir())
    mmspec("predict", "model", "data.parquet", "--top", 1, "--out", target).is_one_line("cannot be written")
    assert sorted(path.name for path in house.iterdir()) == before
