"""A small untrained model in the folder of a run, with spectra to ask it about."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.studies.elucidation.system import load
from mmspec_ds.studies.plan import Budget, Cell, DataFiles, MeasureContext
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.weights import write_weights

EXPERTS = [
    {"family": "shared", "width": 32},
    {"family": "modality", "width": 16, "modalities": ["h_nmr", "c_nmr"]},
    {"family": "modality", "width": 32, "modalities": ["ir", "ms"]},
    {"family": "interaction", "width": 16},
]
RUN = {
    "name": "small",
    "engine": "engine.json",
    "data": {
        "max_target_tokens": 30,
        "compression": {"ir": {"window": 128, "stride": 128}, "ms": {"max_peaks": 3}},
    },
    "model": {
        "d_model": 16,
        "heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "ffn_width": 32,
        "max_target_tokens": 32,
        "sinusoid_features": 8,
    },
    "moe": {"k": 2, "experts": EXPERTS},
    "training": {"steps": 2, "batch_size": 4, "threads": 1},
}


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> DataFiles:
    """150 molecules of up to six heavy atoms, 30 of them to be asked about."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate_dataset(folder, SimulationSettings(molecules=150, max_heavy_atoms=6, validation=0.1, test=0.2))
    return DataFiles(*((folder / f"{name}.parquet",) for name in ("train", "val", "test")))


@dataclass(frozen=True)
class Bench:
    """Makes models and asks them."""

    folder: Path
    data: DataFiles

    def model(self, name: str = "sparse", changes: Mapping[str, Any] | None = None, seed: int = 0) -> Path:
        """A model as it was drawn, in its folder, with other blocks of the run file than `RUN`."""
        folder = self.folder / name
        folder.mkdir()
        data = {**RUN["data"], "train": [str(path) for path in self.data.train]}  # type: ignore[dict-item]
        content = {**RUN, "data": data, "output": str(self.folder), **(changes or {})}
        (folder / "config.yaml").write_text(yaml.safe_dump(content))
        (folder / "engine.json").write_text(json.dumps({}))
        run = load_run(folder / "config.yaml")
        smiles = (record.smiles or "" for path in self.data.train for record in read_records(path))
        target = Vocabulary.build(tokenize_smiles(one) for one in smiles)
        Vocabularies(target).save(folder / "vocabulary.json")
        write_weights(self.weights(run, len(target), seed), folder / "model.safetensors")
        return folder

    @staticmethod
    def weights(run: Any, words: int, seed: int) -> dict[str, torch.Tensor]:
        """Weights as they are drawn with a seed."""
        torch.manual_seed(seed)
        schemas = InputEncoding.from_settings(run.data).schemas
        return dict(build_elucidator(run.model, run.moe, schemas, words).state_dict())

    def context(self, run: Path, evaluate: int = 12, beam: int = 2) -> MeasureContext:
        """What a measure of that model is given."""
        cell = Cell("study", {}, "hard", 0, ())
        budget = Budget("smoke", {}, 1, {}, evaluate, beam)
        return MeasureContext(cell, budget, run, self.data, load, "cpu", self.folder)


@pytest.fixture
def bench(tmp_path: Path, simulated: DataFiles) -> Bench:
    """A place to make models."""
    return Bench(tmp_path, simulated)
