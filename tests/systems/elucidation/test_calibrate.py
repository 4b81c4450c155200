"""A calibration from files, with a model whose candidates are made up."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.data.records import records_of
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation import calibrate as calibration
from mmspec_ds.systems.elucidation.candidates import Candidates, MoleculeCandidate
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun, ElucidationTraining
from mmspec_ds.systems.elucidation.trained import TrainedModel

CHAINS = ("C", "CC", "CCC", "CC(C)", "CCCC", "CC(C)C", "CCCCC", "CC(C)(C)C", "C=CC", "C#CC", "COCC", "C1CC1C")
ENDS = ("O", "N", "C#N", "C=O", "C(C)=O", "C(=O)OC", "OC(C)=O", "Cl", "c1ccccc1", "c1ccco1")
ENCODING = InputEncoding((Modality.H_NMR, Modality.C_NMR))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "val.parquet"
    write_records(path, (simulate_record(chain + end) for chain in CHAINS for end in ENDS))
    return path


def trained(modality_dropout: float) -> TrainedModel:
    run = ElucidationRun(
        name="small",
        engine=Path("engine.json"),
        training=ElucidationTraining(steps=1),
        data=DataSettings(modality_dropout=modality_dropout),
    )
    return TrainedModel(run, None, Vocabulary.build([["C"]]), ENCODING)  # type: ignore[arg-type]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Candidates: four molecules of the file, with the right one among them for three of four records. Keeps
    what was asked."""
    asked: list[Any] = []

    def molecules(model: Any, dataset: Any, *_: Any, **__: Any) -> list[Candidates]:
        asked.append(dataset)
        random = np.random.default_rng(0)
        found = []
        for at, truth in enumerate(dataset.smiles):
            others = [s for s in random.choice(dataset.smiles, 5, replace=False).tolist() if s != truth][:4]
            lacks = at % 8 in (0, 3)
            names = others if lacks else [truth, *others[:3]]
            logs = np.log(random.dirichlet(np.ones(4)) * (0.3 if lacks else 0.9))
            found.append(Candidates(tuple(MoleculeCandidate(*one) for one in zip(names, logs.tolist()))))
        return found

    monkeypatch.setattr(calibration, "predict_molecules", molecules)
    return asked


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_calibration_of_simulated_molecules(file: Path, made_up: list[Any], dropout: float) -> None:
    fitted = calibration.calibrate(trained(dropout), [file], limit=120)
    assert fitted.errors.weights["c_nmr"] > 0.2
    assert fitted.errors.c_nmr.error_ppm == pytest.approx(2.0, rel=0.25)
    assert {name: check["n"] for name, check in fitted.checks.items()} == {"first": 120, "listed": 120}
    assert fitted.checks["first"]["error"] < 0.1
    assert fitted.known is not None
    assert fitted.known.modalities == ("c_nmr", "h_nmr")
    read = np.stack([made_up[0].tokens[m].counts > 0 for m in ENCODING.modalities])
    assert read.any(axis=0).all()
    assert bool(read.all()) == (dropout == 0.0)


def test_too_few_molecules(file: Path, made_up: list[Any]) -> None:
    with pytest.raises(DataError, match="60 molecules, of which the model finds 44"):
        calibration.calibrate(trained(0.0), [file], limit=60)


def test_records_are_those_of_the_samples(file: Path) -> None:
    dataset = read_dataset([file], ENCODING).subset([2, 5, 11])
    records = list(records_of(dataset, [file], ReadOptions()))
    assert [one.id for one in records] == list(dataset.ids)
    assert [one.smiles for one in records] == list(dataset.smiles)
    assert {s.modality for one in records for s in one.spectra} == set(ENCODING.modalities)
    with pytest.raises(DataError, match=r"no record val\.parquet:2"):
        list(records_of(dataset, [], ReadOptions()))
