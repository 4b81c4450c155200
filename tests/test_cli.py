"""The command line: exit statuses, errors of one line, and help with worked examples."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from mmspec_ds.cli import main
from mmspec_ds.config import load_run
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.models.factory import build_elucidator
from mmspec_ds.models.weights import write_weights
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet, Record

SMILES = ("CCO", "CCN", "CC(C)=O", "CC#N")

RUN = {
    "name": "small",
    "engine": "engine.json",
    "data": {"modalities": ["h_nmr", "c_nmr"], "max_target_tokens": 20},
    "model": {
        "d_model": 16,
        "heads": 2,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "ffn_width": 16,
        "max_target_tokens": 22,
        "sinusoid_features": 8,
    },
    "moe": {"k": 1, "experts": [{"family": "shared", "width": 16}, {"family": "interaction", "width": 16}]},
    "training": {"steps": 2, "threads": 1},
}


@dataclass(frozen=True)
class Told:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Command = Callable[..., Told]


@pytest.fixture
def mmspec(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in this process."""
    monkeypatch.setenv("LOCAL_RANK", "0")
    threads = torch.get_num_threads()

    def command(*arguments: object) -> Told:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse
            status = int(ended.code or 0)
        finally:
            torch.set_num_threads(threads)
        captured = capsys.readouterr()
        return Told(status, captured.out, captured.err)

    return command


def make_record(number: int, smiles: str) -> Record:
    protons = HydrogenNMR((Multiplet(1.0 + number, 1.1 + number, 0.9 + number, "t", 3, (7.0,)),))
    return Record(f"r{number}", (protons, CarbonNMR((10.0 + number, 60.0))), smiles, "C2H6O")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A run file, its engine file, data, and an untrained model in the folder of a run."""
    (tmp_path / "engine.json").write_text("{}")
    write_records(tmp_path / "data.parquet", (make_record(i, one) for i, one in enumerate(SMILES)))
    run = {**RUN, "output": str(tmp_path / "runs")}
    run["data"] = {**RUN["data"], "train": [str(tmp_path / "data.parquet")], "validation_fraction": 0.4}  # type: ignore[dict-item]
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    shutil.copytree(make_model(tmp_path), tmp_path / "damaged")
    return tmp_path


def make_model(folder: Path) -> Path:
    """A model as it was drawn, in its folder."""
    model_folder = folder / "model"
    model_folder.mkdir()
    shutil.copyfile(folder / "run.yaml", model_folder / "config.yaml")
    run = load_run(model_folder / "config.yaml")
    target = Vocabulary.build(tokenize_smiles(one) for one in SMILES)
    Vocabularies(target).save(model_folder / "vocabulary.json")
    torch.manual_seed(0)
    encoding = InputEncoding.from_settings(run.data)
    model = build_elucidator(run.model, run.moe, encoding.schemas, len(target))
    write_weights(dict(model.state_dict()), model_folder / "model.safetensors", temperature=1.0)
    return model_folder


def assert_one_line(told: Told, *parts: str, status: int = 1) -> None:
    assert told.status == status, told
    assert told.err.startswith("mmspec: "), told.err
    assert told.err.count("\n") == 1, told.err
    assert "Traceback" not in told.err
    for part in parts:
        assert part in told.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("none.yaml",), ("none.yaml: No such file or directory",)),
        ((".",), ("Is a directory",)),
        (("run.yaml", "modle.d_model=32"), ("modle: unknown key; did you mean 'model'?",)),
        (("run.yaml", "model.d_modle=32"), ("model.d_modle: unknown key; did you mean 'd_model'?",)),
        (("run.yaml", "model.heads=5"), ("d_model must be a multiple of heads",)),
        (("run.yaml", "seed=["), ("'seed=['", "not YAML")),
        (("run.yaml", "training.epochs=1"), ("exactly one of steps, epochs and minutes",)),
        (("run.yaml", "engine=none.json"), ("none.json: No such file",)),
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
        (("run.yaml", "--resume"), ("last: not found: expected a run that has saved a checkpoint",)),
        (("empty.yaml",), ("expected keys and values",)),
        (("broken.yaml",), ("not YAML",)),
    ],
    ids=lambda value: " ".join(value) if value and value[0] != "(" else None,
)
def test_what_train_refuses(
    mmspec: Command,
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
):
    (house / "broken.yaml").write_text("name: [")
    (house / "empty.yaml").write_text("")
    (house / "broken.json").write_text("{")
    (house / "broken.parquet").write_bytes(b"PAR1 and no more")
    (house / "zero3.json").write_text('{"zero_optimization": {"stage": 3}}')
    monkeypatch.chdir(house)
    assert_one_line(mmspec("train", *arguments), *parts)
    assert not (house / "runs").exists()


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
def test_models_that_cannot_be_used(mmspec: Command, house: Path, command: str, how: str, part: str):
    damage(house / "damaged", how)
    data = house / "data.parquet"
    arguments = ["--data", data] if command == "evaluate" else [data]
    assert_one_line(mmspec(command, house / "damaged", *arguments), part)


def test_a_folder_that_is_none(mmspec: Command, house: Path):
    told = mmspec("evaluate", house / "nowhere", "--data", house / "data.parquet")
    assert_one_line(told, "nowhere: holds no config.yaml: expected the folder of a trained run")


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
    mmspec: Command,
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
):
    monkeypatch.chdir(house)
    assert_one_line(mmspec("evaluate", "model", "--beam", 2, *arguments), *parts)


def test_evaluate_prints_and_writes_the_same(mmspec: Command, house: Path):
    target = house / "result.json"
    data = house / "data.parquet"
    told = mmspec("evaluate", house / "model", "--data", data, "--beam", 2, "--limit", 3, "--json", target)
    assert (told.status, told.err) == (0, "")
    result = json.loads(target.read_text())
    assert result["n"] == 3
    assert {"top_1", "top_10", "validity", "tanimoto", "seconds"} <= set(result)
    assert "molecules 3" in told.out


def test_predict_answers_every_record(mmspec: Command, house: Path):
    data, target = house / "data.parquet", house / "out.jsonl"
    told = mmspec("predict", house / "model", data, "--top", 2, "--out", target)
    assert (told.status, told.err) == (0, "")
    written = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(written) == len(SMILES)
    assert [len(answer["candidates"]) for answer in written] == [2] * len(SMILES)
    printed = mmspec("predict", house / "model", data, "--top", 2)
    assert [json.loads(line) for line in printed.out.splitlines()] == written


@pytest.mark.parametrize("target", ["nowhere/out.jsonl", "data.parquet/out.jsonl", "."])
def test_predictions_that_cannot_be_written(
    mmspec: Command, house: Path, monkeypatch: pytest.MonkeyPatch, target: str
):
    monkeypatch.chdir(house)
    before = sorted(path.name for path in house.iterdir())
    assert_one_line(
        mmspec("predict", "model", "data.parquet", "--top", 1, "--out", target), "cannot be written"
    )
    assert sorted(path.name for path in house.iterdir()) == before


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
    mmspec: Command, house: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], part: str
):
    monkeypatch.chdir(house)
    assert_one_line(mmspec("simulate", "--max-heavy-atoms", 4, "--workers", 1, *arguments), part)
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
def test_wrong_usage_is_status_2(mmspec: Command, arguments: tuple[str, ...]):
    told = mmspec(*arguments)
    assert told.status == 2
    assert told.err.startswith("usage: mmspec")
    assert "Traceback" not in told.err


def test_numbers_that_are_none_are_told_in_words(mmspec: Command):
    told = mmspec("evaluate", "model", "--data", "a.parquet", "--beam", "ten")
    assert "argument --beam: 'ten': expected a positive whole number" in told.err


def test_overrides_may_follow_a_flag(mmspec: Command, house: Path):
    told = mmspec("train", house / "run.yaml", "seed=3", "--resume", "name=other", "model.d_modle=1")
    assert_one_line(told, "model.d_modle: unknown key")
    told = mmspec("train", house / "run.yaml", "seed=3", "--resume", "name=other")
    assert_one_line(told, "runs/other/checkpoints/last: not found")


@pytest.mark.parametrize("command", ["simulate", "train", "evaluate", "predict"])
def test_help_ends_with_a_worked_example(mmspec: Command, command: str):
    told = mmspec(command, "--help")
    assert told.status == 0
    example = told.out.partition("example:\n")[2].strip()
    assert "mmspec" in example
    assert command in example
    words = example.split()
    arguments = words[words.index(command) :]
    from mmspec_ds.cli import make_parser

    assert make_parser().parse_args(arguments).command.__name__ == f"_{command}"


def test_help_lists_the_commands(mmspec: Command):
    told = mmspec("--help")
    assert told.status == 0
    assert all(command in told.out for command in ("simulate", "train", "evaluate", "predict"))


def test_as_a_program_it_says_one_line_and_exits_with_1(tmp_path: Path):
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
    assert done.stderr == "mmspec: none.yaml: No such file or directory: expected a run file in YAML\n"
    assert list(tmp_path.iterdir()) == []
