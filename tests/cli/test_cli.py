"""The command line: exit statuses, errors of one line, and help with worked examples."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("none.yaml",), ("none.yaml: there is no such file",)),
        ((".",), ("Is a directory",)),
        (("run.yaml", "modle.d_model=32"), ("modle: unknown key; did you mean 'model'?",)),
        (("run.yaml", "model.d_modle=32"), ("model.d_modle: unknown key; did you mean 'd_model'?",)),
        (("run.yaml", "model.heads=5"), ("d_model must be a multiple of heads",)),
        (("run.yaml", "seed=["), ("'seed=['", "not YAML")),
        (("run.yaml", "training.epochs=1"), ("exactly one of steps, epochs, samples, flops and minutes",)),
        (("run.yaml", "engine=none.json"), ("none.json: there is no such file",)),
        (("run.yaml", "engine=broken.json"), ("broken.json: not JSON",)),
        (("run.yaml", "engine=zero3.json"), ("zero_optimization.stage is 3",)),
        (("run.yaml", "data.train=[]"), ("data.train names no file",)),
        (("run.yaml", "data.train=[none.parquet]"), ("none.parquet",)),
        (("run.yaml", "data.train=[broken.parquet]"), ("broken.parquet",)),
        (("run.yaml", "data.modalities=[ir]"), ("data.parquet", "ir")),
        (("run.yaml", "training.ep_size=2"), ("training.ep_size is 2, but there are 1 ranks",)),
        (("run.yaml", "model.max_target_tokens=20"), ("model.max_target_tokens is 20: expected at least 21",)),
        (("run.yaml", "data.max_target_tokens=2"), ("has a SMILES of 3 tokens", "data.max_target_tokens = 2")),
        (("run.yaml", "output=data.parquet"), ("data.parquet", "Not a directory")),
        (("empty.yaml",), ("expected keys and values",)),
        (("broken.yaml",), ("not YAML",)),
    ],
    ids=lambda value: " ".join(value) if value and value[0] != "(" else None,
)
def test_what_train_refuses(
    mmspec: Any,
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    (house / "broken.yaml").write_text("name: [")
    (house / "empty.yaml").write_text("")
    (house / "broken.json").write_text("{")
    (house / "broken.parquet").write_bytes(b"PAR1 and no more")
    (house / "zero3.json").write_text('{"zero_optimization": {"stage": 3}}')
    monkeypatch.chdir(house)
    mmspec("train", *arguments).is_one_line(*parts)
    assert not (house / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--out", "data.parquet", "--molecules", "80"), "data.parquet: File exists"),
        (("--out", "new", "--max-heavy-atoms", "1"), "max_heavy_atoms"),
        (("--out", "new", "--seed", "-1"), "seed: input should be greater than or equal to 0"),
        (("--out", "new", "--molecules", "5"), "ask for more"),
        (("--out", "new", "--smiles", "none.smi"), "none.smi"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_simulate_refuses(
    mmspec: Any, house: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], part: str
) -> None:
    monkeypatch.chdir(house)
    mmspec("simulate", "--max-heavy-atoms", 4, "--workers", 1, *arguments).is_one_line(part)
    assert not list((house / "new").glob("*.parquet"))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("transmogrify",),
        ("train",),
        ("train", "run.yaml", "--faster"),
        ("train", "run.yaml", "--resume", "not an override"),
        ("train", "run.yaml", "--resume", "--overwrite"),
        ("evaluate", "model"),
        ("evaluate", "model", "--data", "a.parquet", "--beam", "0"),
        ("evaluate", "model", "--data", "a.parquet", "--beam", "ten"),
        ("evaluate", "model", "--data", "a.parquet", "--limit", "-3"),
        ("evaluate", "model", "--beam", "2", "seed=1"),
        ("predict", "model"),
        ("predict", "model", "a.parquet", "seed=1", "--top", "1.5"),
        ("simulate",),
        ("simulate", "--out", "here", "--molecules", "many"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(mmspec: Any, arguments: tuple[str, ...]) -> None:
    told = mmspec(*arguments)
    assert told.status == 2
    assert told.err.startswith("usage: mmspec")
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("arguments", "usage", "told"),
    [
        (("elucidate",), "", "'elucidate' is no command: did you mean 'evaluate'?"),
        (("xyzzy",), "", "'xyzzy' is no command: `mmspec --help` lists them"),
        (("library", "biuld"), " library", "'biuld' is no action: did you mean 'build'?"),
        (("library", "info", "lab", "--chek"), " library info", "option --chek: did you mean '--check'?"),
        (("predict", "starter", "--hnmr", "x"), " predict", "option --hnmr: did you mean '--h-nmr'?"),
        (("predict", "starter", "--hnmr=x"), " predict", "option --hnmr: did you mean '--h-nmr'?"),
        (("evaluate", "runs/a", "--daat", "x"), " evaluate", "option --daat: did you mean '--data'?"),
        (("predict", "starter", "x", "--zzz"), " predict", "option --zzz: expected one of those above"),
        (("train", "demo", "--resume", "x"), " train", "unrecognized arguments: x"),
        (("predict", "--c-nmr", "x"), " predict", "required: MODEL\n"),
        (("cohort", "--check"), " cohort", "required: RUN.yaml\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_usage_names_what_was_meant(
    mmspec: Any, arguments: tuple[str, ...], usage: str, told: str
) -> None:
    found = mmspec(*arguments)
    assert found.status == 2
    assert found.err.startswith(f"usage: mmspec{usage} [-h]")
    assert told in found.err.splitlines(keepends=True)[-1]


def test_a_beginning_stands_for_an_option(mmspec: Any) -> None:
    mmspec("predict", "nowhere", "none.csv", "--formu", "C2H6O").is_one_line("none.csv: there is no such file")


def test_numbers_that_are_none_are_told_in_words(mmspec: Any) -> None:
    told = mmspec("evaluate", "model", "--data", "a.parquet", "--beam", "ten")
    assert "argument --beam: 'ten': expected a positive whole number" in told.err


def test_overrides_may_follow_a_flag(mmspec: Any, house: Path) -> None:
    told = mmspec("train", house / "run.yaml", "seed=3", "--resume", "name=other", "model.d_modle=1")
    told.is_one_line("model.d_modle: unknown key")
    told = mmspec("train", house / "run.yaml", "seed=3", "--resume", "training.ep_size=3")
    told.is_one_line("training.ep_size is 3, but there are 2 experts: expected a divisor")


@pytest.mark.parametrize("command", ["simulate", "train", "evaluate", "predict"])
def test_help_ends_with_a_worked_example(mmspec: Any, command: str) -> None:
    told = mmspec(command, "--help")
    assert told.status == 0
    example = told.out.partition("example:\n")[2].strip()
    assert "mmspec" in example
    assert command in example
    from mmspec_ds.cli import make_parser

    for line in example.replace("\\\n", " ").splitlines():
        words = line.split()
        arguments = words[words.index(command) :]
        assert make_parser().parse_args(arguments).command.__name__ == f"_{command}"


def test_help_lists_the_commands(mmspec: Any) -> None:
    told = mmspec("--help")
    assert told.status == 0
    assert mmspec().err == told.out
    assert all(command in told.out for command in ("simulate", "train", "evaluate", "predict"))


def test_as_a_program_it_says_one_line_and_exits_with_1(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", "mmspec_ds", "train", "none.yaml"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "mmspec: none.yaml: there is no such file: expected a run file in YAML\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", [(), ("--skip-invalid",)], ids=["refuse", "skip"])
def test_train_is_told_to_skip_invalid_rows(
    mmspec: Any, house: Path, monkeypatch: pytest.MonkeyPatch, flag: tuple[str, ...]
) -> None:
    asked = []
    monkeypatch.chdir(house)
    monkeypatch.setattr(
        "mmspec_ds.trainer.loop.train", lambda run, *_, **__: asked.append(run.data.skip_invalid) or True
    )
    told = mmspec("train", "run.yaml", *flag)
    assert (told.status, asked) == (0, [bool(flag)])
