"""`mmspec upcycle`: the folder that it writes, and what it refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.trained import load_model
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.weights import write_weights


@pytest.fixture
def dense(house: Path) -> Path:
    """The folder of a dense model that fits `run.yaml` of the house."""
    folder = house / "dense"
    folder.mkdir()
    content = yaml.safe_load((house / "run.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**content, "name": "dense", "moe": None}))
    shutil.copyfile(house / "model" / "vocabulary.json", folder / "vocabulary.json")
    run = load_run(folder / "config.yaml")
    words = len(Vocabularies.load(folder / "vocabulary.json").target)
    torch.manual_seed(3)
    model = build_elucidator(run.model, None, InputEncoding.from_settings(run.data).schemas, words)
    write_weights(dict(model.state_dict()), folder / "model.safetensors")
    return folder


def test_a_sparse_model_is_written_that_other_commands_take(mmspec: Any, house: Path, dense: Path) -> None:
    # Two whole copies behind a router that takes both: the dense model's answers, to rounding.
    told = mmspec("upcycle", dense, house / "run.yaml", "moe.k=2", "--out", house / "sparse")
    assert told.status == 0, told
    assert "encoder layer 0: experts of width 16 take 16 of 16 hidden units, 100.0 %" in told.out
    names = sorted(path.name for path in (house / "sparse").iterdir())
    assert names == ["config.yaml", "engine.json", "model.safetensors", "vocabulary.json"]
    sparse = load_model(house / "sparse")
    assert sparse.run.moe is not None
    assert sparse.run.name == "small"
    assert sparse.model.temperature == sparse.run.objective.temperature

    scores = []
    for model in (dense, house / "sparse"):
        told = mmspec("predict", model, house / "data.parquet", "--top", "3")
        assert told.status == 0, told
        lines = [json.loads(line) for line in told.out.splitlines()]
        scores.append([c["log_probability"] for line in lines for c in line["candidates"]])
    assert scores[0]
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)


def test_the_seed_of_the_run_draws_the_router(mmspec: Any, house: Path, dense: Path) -> None:
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        assert mmspec("upcycle", dense, house / "run.yaml", f"seed={seed}", "--out", house / name).status == 0
    first, again, other = ((house / n / "model.safetensors").read_bytes() for n in ("first", "again", "other"))
    assert first == again
    assert first != other


def test_every_key_that_does_not_fit_is_named(mmspec: Any, house: Path, dense: Path) -> None:
    told = mmspec(
        "upcycle",
        dense,
        house / "run.yaml",
        "model.ffn_width=32",
        "model.dropout=0.5",
        "data.modalities=[c_nmr]",
        "data.compression.ms.max_peaks=7",
        "data.max_target_tokens=10",
        "--out",
        house / "sparse",
    )
    told.is_one_line(
        "run.yaml: does not fit ",
        "model.ffn_width is 32, in the dense model 16",
        "data.modalities is c_nmr, in the dense model h_nmr, c_nmr",
        "data.compression.ms.max_peaks is 7, in the dense model ",
    )
    assert "dropout" not in told.err
    assert "max_target_tokens" not in told.err
    assert not (house / "sparse").exists()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (["moe=null"], "moe: missing: expected the run file of a sparse model"),
        (["data.representation=text"], "data.representation is text, in the dense model compressed"),
        (["model.depth=3"], "model.depth: unknown key"),
        (["engine=nowhere.json"], "nowhere.json: there is no such file"),
    ],
    ids=["no experts", "other representation", "unknown key", "no engine file"],
)
def test_run_files_that_are_refused(
    mmspec: Any, house: Path, dense: Path, changes: list[str], part: str
) -> None:
    mmspec("upcycle", dense, house / "run.yaml", *changes, "--out", house / "sparse").is_one_line(part)
    assert [path.name for path in house.iterdir() if "sparse" in path.name] == []


def test_a_model_with_experts_is_refused(mmspec: Any, house: Path) -> None:
    told = mmspec("upcycle", house / "model", house / "run.yaml", "--out", house / "sparse")
    told.is_one_line("model: has experts already: expected a dense model")


def test_a_folder_that_exists_is_left_alone(mmspec: Any, house: Path, dense: Path) -> None:
    told = mmspec("upcycle", dense, house / "run.yaml", "--out", house / "model")
    told.is_one_line("model: exists already: expected the name of a new folder")


def test_the_folder_s_parent_must_exist(mmspec: Any, house: Path, dense: Path) -> None:
    told = mmspec("upcycle", dense, house / "run.yaml", "--out", house / "no" / "where")
    told.is_one_line("No such file or directory")
