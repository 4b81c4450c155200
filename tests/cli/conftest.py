"""The command line in this process, and a small house to use it in: data, a run file, a model."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from mmspec_ds.cli import main
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet, Record
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.weights import write_weights

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

    def is_one_line(self, *parts: str, status: int = 1) -> None:
        """An exit status, and one line on stderr that says these things."""
        assert self.status == status, self
        assert self.err.startswith("mmspec: "), self.err
        assert self.err.count("\n") == 1, self.err
        for part in parts:
            assert part in self.err


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
    write_weights(dict(model.state_dict()), model_folder / "model.safetensors")
    return model_folder


@pytest.fixture
def formula_model(house: Path) -> Path:
    """A model like that of the house which reads the formula too."""
    folder = house / "formula"
    folder.mkdir()
    run = yaml.safe_load((house / "run.yaml").read_text())
    run["data"]["formula"] = True
    (folder / "run.yaml").write_text(yaml.safe_dump(run | {"engine": "../engine.json"}))
    (folder / "engine.json").write_text("{}")
    return make_model(folder)


H_TABLE = "shift,rangeMax,rangeMin,multiplicity,integral,J\n{0},{1},{2},t,3,7.0\n"
C_TABLE = "shift\n{0}\n60.0\n"


@pytest.fixture
def instruments(house: Path) -> Path:
    """The spectra of the house's data as files of instruments, a folder for each record."""
    folder = house / "instruments"
    for number in range(len(SMILES)):
        record = folder / f"r{number}"
        record.mkdir(parents=True)
        edges = (f"{at + number:.1f}" for at in (1.0, 1.1, 0.9))
        (record / "h_nmr.csv").write_text(H_TABLE.format(*edges))
        (record / "c_nmr.csv").write_text(C_TABLE.format(10.0 + number))
    return folder
