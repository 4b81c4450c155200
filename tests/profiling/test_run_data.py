"""What a profile feeds its models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.data.collate import collate
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.profiling.run_data import run_data
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, Modality, Record

SHIFTS = ((10.0, 60.0), (20.0,), (15.0, 30.0, 45.0))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Three records of 2, 1 and 3 peaks."""
    smiles = ("CCO", "C", "CCN")
    path = tmp_path / "data.parquet"
    write_records(path, (Record(f"r{i}", (CarbonNMR(s),), smiles[i], None) for i, s in enumerate(SHIFTS)))
    return path


def test_without_files_the_longest_records_that_the_settings_allow(make_run: Any) -> None:
    data = run_data(make_run("data.modalities=[c_nmr,ir]", "data.compression.c_nmr.max_tokens=20"), world=2)
    assert data.generated
    assert "data.train names no file" in data.about
    train = data.data.train
    assert len(train) == 4 * 4 * 2  # batches of 4, of two ranks
    assert set(train.lengths.tolist()) == {20 + 256}
    assert len(data.data.vocabularies.target) == 128
    batch = collate(train, np.arange(2))
    assert {m: len(t.place_T) for m, t in batch.spectra.tokens.items()} == {
        Modality.C_NMR: 40,
        Modality.IR: 512,
    }
    assert batch.target_BL.shape == (2, 32)  # BOS, 30 tokens, EOS
    assert batch.target_BL[:, 0].eq(Vocabulary.BOS).all()
    assert batch.target_BL[:, -1].eq(Vocabulary.EOS).all()


def test_generated_records_are_the_same_every_time(make_run: Any) -> None:
    first, again = (collate(run_data(make_run(), 1).data.train, [0, 1]).target_BL for _ in range(2))
    assert first.equal(again)
    assert not first.equal(collate(run_data(make_run("seed=1"), 1).data.train, [0, 1]).target_BL)


def test_a_missing_file_is_named(make_run: Any) -> None:
    data = run_data(make_run("data.train=[gone.parquet]"), world=1)
    assert data.generated
    assert "gone.parquet does not exist" in data.about


def test_a_file_that_cannot_be_used_is_refused(make_run: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"bad\.parquet"):
        run_data(make_run(f"data.train=[{tmp_path / 'bad.parquet'}]"), world=1)


def test_records_of_the_run(make_run: Any, records: Path) -> None:
    run = make_run(f"data.train=[{records}]", "data.modalities=[c_nmr]")
    data = run_data(run, world=1)
    assert not data.generated
    assert data.about == "the first 3 records of data.train"
    assert data.data.train.lengths.tolist() == [2, 1, 3]
    assert len(data.data.vocabularies.target) == 4 + 3  # C, N, O
    as_long = run_data(run, world=1, generated=True)
    assert as_long.generated
    assert set(as_long.data.train.lengths.tolist()) == {2}  # the mean
    assert "as asked; lengths: the first 3 records" in as_long.about
    assert set(run_data(run, world=1, tokens=9).data.train.lengths.tolist()) == {9}


def test_records_as_text(make_run: Any, records: Path) -> None:
    run = make_run(f"data.train=[{records}]", "data.modalities=[c_nmr]", "data.representation=text", "moe=null")
    data = run_data(run, world=1)
    source = data.data.vocabularies.source
    assert source is not None
    packed = data.data.train.fetch([0])[0].tokens[Modality.C_NMR]
    assert packed.discrete.min() >= len(Vocabulary.SPECIALS)
    assert packed.discrete.max() == len(source[Modality.C_NMR]) - 1
    made_up = run_data(run, world=1, generated=True)
    assert made_up.data.encoding.schemas[Modality.C_NMR].discrete[0].size == len(source[Modality.C_NMR])
