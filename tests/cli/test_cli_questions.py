"""`mmspec questions`, and `mmspec evaluate` of questions: scores, and one line for what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

MOLECULES = [f"c1ccccc1{'C' * n}" for n in range(12)] + [f"{'C' * n}O" for n in range(1, 13)]


@pytest.fixture
def molecules(tmp_path: Path) -> Path:
    path = tmp_path / "molecules.smi"
    path.write_text("\n".join(MOLECULES))
    return path


def test_questions_are_made_and_answered_without_a_model(mmspec: Any, molecules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "questions"
    made = mmspec("questions", "--molecules", molecules, "--out", folder, "--test-share", "0.4")
    assert made.status == 0, made.err
    assert (folder / "train.jsonl").is_file()
    figures = tmp_path / "figures.json"
    told = mmspec(
        "evaluate", "none", "--data", folder / "test.jsonl", "--encoders", "morgan", "--json", figures
    )
    assert told.status == 0, told.err
    rows = json.loads(figures.read_text())["kinds"]["aromaticity, molecule"]
    exact = {one["method"]: one["exact"] for one in rows}
    assert exact["chance"] == 0.5
    assert exact["majority"]["mean"] == 0.5  # yes and no are as frequent
    assert exact["probe of morgan"]["mean"] > 0.9
    assert "aromaticity, molecule" in told.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--out", "x"], "no file is named"),
        (["--molecules", "{0}", "--out", "x", "--tasks", "ring"], "unknown task 'ring'; did you mean 'rings'?"),
        (
            ["--molecules", "{0}", "--out", "x", "--test", "y"],
            "is none of the files that questions",
        ),
        (["--molecules", "{0}", "--out", "x", "--test-share", "1"], "--test-share 1: expected a share from 0"),
        (["--molecules", "{0}", "--out", "x", "--held-out-types", "z"], "'z': is none of the types of cells"),
        (["--molecules", "nowhere", "--out", "x"], "there is no such file"),
        (["--molecules", "nowhere", "--out", "."], "is there already"),
        (["--molecules", "nowhere", "--out", "no/x"], "its folder does not exist"),
    ],
)
def test_one_line_for_what_is_wrong(mmspec: Any, molecules: Path, arguments: list[str], told: str) -> None:
    result = mmspec("questions", *(one.format(molecules) for one in arguments))
    assert result.status == 1
    assert told in result.err
    assert result.err.count("\n") == 1


def test_options_of_other_systems_are_refused(mmspec: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"task": "t", "prompt": "?", "answer": "a", "objects": []}\n')
    for option, what in (("--beam", "propose structures"), ("--precursor-ppm", "search")):
        result = mmspec("evaluate", "none", "--data", tmp_path / "a.jsonl", option, "5")
        assert result.status == 1
        assert f"{option} is for models that {what}" in result.err
    (tmp_path / "a.msp").write_text("Name: a\nNum Peaks: 1\n1 1\n")
    result = mmspec("evaluate", "none", "--data", tmp_path / "a.msp", "--free")
    assert "--free is for models that answer questions" in result.err
