"""A run's folder as training leaves it: an untrained model, metrics that are written by hand, an evaluation."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet, Record
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.weights import write_weights

SMILES = ("CCO", "CCN", "CC(C)=O", "CC#N", "CCCO", "CC(C)O")
EXPERTS = [
    {"family": "shared", "width": 32},
    {"family": "shared", "width": 16},
    {"family": "modality", "width": 32, "modalities": ["h_nmr"]},
    {"family": "modality", "width": 16, "modalities": ["c_nmr"]},
]
RUN: dict[str, Any] = {
    "name": "small",
    "engine": "engine.json",
    "data": {"modalities": ["h_nmr", "c_nmr"], "max_target_tokens": 20},
    "model": {
        "d_model": 16,
        "heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "ffn_width": 16,
        "max_target_tokens": 22,
        "sinusoid_features": 8,
    },
    "moe": {"k": 2, "experts": EXPERTS},
    "training": {"steps": 40, "threads": 1},
}
START = {
    "kind": "start",
    "step": 0,
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "commit": "0123456789ab",
    "device": "a processor",
    "system": "Linux 6",
    "ranks": 2,
    "threads": 1,
    "ep_size": 2,
    "parameters": 12345678,
    "molecules": {"train": 6, "validation": 6},
}
VALIDATIONS = {20: 1.25, 40: 1.5}
END = {"kind": "end", "step": 40, "finished": True, "final/seconds": 3725.0, "final/validation_loss": 1.5}
EVALUATION = {
    "n": 6,
    **{f"top_{k}": 10.0 * k for k in range(1, 11)},
    "validity": 91.25,
    "tanimoto": 0.625,
    "seconds": 1.0,
}


def step_of(number: int) -> dict[str, Any]:
    """The line of a step."""
    share = 0.25 + 0.1 * math.sin(number)
    values = {"loss/total": 3.0 / number, "loss/train": 2.5 / number, "gradient/norm": 1.0 + 1 / number}
    values |= {"auxiliary/balance": 0.5, "schedule/learning_rate": 1e-3, "schedule/tau": 2.0 - number / 40}
    for modality in ("h_nmr", "c_nmr"):
        shares = (share, 0.5 - share, 0.3, 0.2)
        values |= {f"load_{modality}/expert_{e}": one for e, one in enumerate(shares)}
        values |= {f"entropy/{modality}": 1.0, f"dropped/{modality}": 0.0}
    values |= {"throughput/tokens_per_second": 1000.0 + number, "throughput/samples_per_second": 50.0}
    values |= {"resources/memory_gib": 0.5, "resources/gigaflops_per_second": 2.0}
    return {"kind": "train", "step": number, **values}


def lines() -> Iterator[dict[str, Any]]:
    """All lines of the run."""
    yield START
    load_ME = [[30.0, 10.0, 20.0, 20.0], [4.0, 4.0, 1.0, 1.0], *([[0.0] * 4] * 3)]
    tokens_M = [40.0, 5.0, 0.0, 0.0, 0.0]
    for number in range(1, 41):
        yield step_of(number)
        if number in VALIDATIONS:
            routing = {
                "load_YME": [load_ME, load_ME],
                "importance_YME": [load_ME, load_ME],
                "dropped_YM": [[0.0] * 5] * 2,
                "tokens_YM": [tokens_M] * 2,
                "entropy_YM": [tokens_M] * 2,
            }
            yield {
                "kind": "validation",
                "step": number,
                "loss/validation": VALIDATIONS[number],
                "routing": routing,
            }
            yield {"kind": "conflict", "step": number, "conflict/h_nmr_c_nmr": -0.375}
            proposal = {"smiles": "CCO", "score": -0.5, "right": number == 40}
            example = {"id": "r0", "truth": "CCO", "proposals": [proposal]}
            yield {"kind": "proposals", "step": number, "examples": [example]}
    yield END


def make_record(number: int, smiles: str) -> Record:
    protons = HydrogenNMR((Multiplet(1.0 + number, 1.1 + number, 0.9 + number, "t", 3, (7.0,)),))
    return Record(f"r{number}", (protons, CarbonNMR((10.0 + number, 60.0))), smiles, "C2H6O")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, not to be changed."""
    base = tmp_path_factory.mktemp("reported")
    folder = base / "small"
    folder.mkdir()
    data = base / "val.parquet"
    write_records(data, (make_record(i, one) for i, one in enumerate(SMILES)))
    run = RUN | {"data": RUN["data"] | {"validation": [str(data)]}}
    (folder / "config.yaml").write_text(yaml.safe_dump(run))
    (folder / "engine.json").write_text("{}")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines()))
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION | {"rows": {"<model>": EVALUATION}}))
    settings = load_run(folder / "config.yaml")
    target = Vocabulary.build(tokenize_smiles(one) for one in SMILES)
    Vocabularies(target).save(folder / "vocabulary.json")
    torch.manual_seed(0)
    encoding = InputEncoding.from_settings(settings.data)
    model = build_elucidator(settings.model, settings.moe, encoding.schemas, len(target))
    write_weights(dict(model.state_dict()), folder / "model.safetensors")
    return folder


@pytest.fixture
def run_folder(template: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(template, tmp_path / "small"))
