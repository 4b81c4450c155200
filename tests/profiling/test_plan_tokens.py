"""Tokens of a sample: from data, from settings, or as asked for; and it says which."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.profiling.activations import generated_batch
from mmspec_ds.profiling.tokens import Load, token_figures
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.records import Modality


@pytest.fixture(scope="module")
def train_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("molecules")
    simulate_dataset(folder, SimulationSettings(molecules=40, max_heavy_atoms=5, validation=0.1, test=0.1))
    return folder / "train.parquet"


def test_from_the_settings(make_run: Any) -> None:
    figures = token_figures(make_run())
    # 256 multiplets, 256 lines, 256 windows of IR, 1024 peaks; BOS and 30 tokens of SMILES are read.
    assert (figures.mean, figures.padded, figures.target) == (1792, 1792, 31)
    assert figures.largest == Load(4, 1792, 4 * 1792, 31)
    assert figures.shares[Modality.MS] == 1024 / 1792
    assert "the maximum of data.compression" in figures.source
    assert "data.train names no file" in figures.source


def test_files_that_are_not_there(make_run: Any) -> None:
    figures = token_figures(make_run("data.train=[nowhere.parquet]"))
    assert figures.mean == 1792
    assert "data.train cannot be read (nowhere.parquet" in figures.source


def test_text_without_data(make_run: Any) -> None:
    figures = token_figures(make_run("data.representation=text", "data.max_text_tokens=100"))
    assert figures.mean == 400
    assert "10,000 words" in figures.source


def test_from_data(make_run: Any, train_file: Path) -> None:
    run = make_run(f"data.train=[{train_file}]")
    figures = token_figures(run)
    lengths = read_dataset([train_file], InputEncoding.from_settings(run.data)).lengths
    assert figures.mean == pytest.approx(lengths.mean())
    assert figures.mean < figures.padded < lengths.max()
    assert figures.largest.places == lengths.max()
    assert figures.largest.samples == 4
    assert sum(figures.shares.values()) == pytest.approx(1)
    assert f"the first {len(lengths)} records of data.train" in figures.source


def test_as_asked_for(make_run: Any, train_file: Path) -> None:
    run = make_run(f"data.train=[{train_file}]")
    figures, read = token_figures(run, 500), token_figures(run)
    assert (figures.mean, figures.padded) == (500, 500)
    assert figures.largest == Load(4, 500, 2000, read.largest.targets)
    assert figures.vocabulary == read.vocabulary
    assert figures.source.startswith("--tokens 500")


def test_another_batch_size(make_run: Any) -> None:
    assert token_figures(make_run()).with_batch(3).largest == Load(3, 1792, 3 * 1792, 31)


def test_generated_batch_has_the_load(make_run: Any) -> None:
    schemas = InputEncoding.from_settings(make_run().data).schemas
    shares = {Modality.H_NMR: 0.25, Modality.C_NMR: 0.0, Modality.IR: 0.5, Modality.MS: 0.25}
    batch = generated_batch(Load(3, 40, 100, 12), schemas, 9, shares)
    counts = batch.spectra.mask_BS.sum(1).tolist()
    assert (counts, batch.spectra.modality_BS.shape, batch.target_BL.shape) == ([40, 30, 30], (3, 40), (3, 13))
    assert np.isclose(len(batch.spectra.tokens[Modality.IR].place_T), 50, atol=2)
    assert len(batch.spectra.tokens[Modality.C_NMR].place_T) == 0
