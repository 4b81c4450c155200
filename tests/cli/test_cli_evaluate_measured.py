"""Measured spectra through reader, model and scorer, by the one command that the documents name."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.trained import load_model

COLUMNS = ("h_nmr_shift", "c_nmr_shift", "ms2")


def measured(path: Path, *rows: dict[str, Any]) -> Path:
    schema = pa.schema(
        {
            "smiles": pa.string(),
            "formula": pa.string(),
            "h_nmr_shift": pa.list_(pa.float64()),
            "c_nmr_shift": pa.list_(pa.float64()),
            "ms2": pa.list_(pa.struct({"mz": pa.list_(pa.float64())})),
        }
    )
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path)
    return path


ETHANOL = {"smiles": "OCC", "formula": "C2H6O", "c_nmr_shift": [18.1, 57.8], "h_nmr_shift": [3.7, 3.7, 1.2]}
AMINE = {"smiles": "CCN", "formula": "C2H7N", "c_nmr_shift": [19.0, 36.9]}
NITRILE = {"smiles": "CC#N", "h_nmr_shift": [2.0, 2.0, 2.0]}


def test_the_command_with_its_controls(mmspec: Any, house: Path, formula_model: Path) -> None:
    data, target = measured(house / "real.parquet", ETHANOL, AMINE), house / "result.json"
    for model in (house / "model", formula_model):
        told = mmspec(
            "evaluate",
            model,
            *("--data", data, "--beam", 2, "--json", target, "--controls", house / "data.parquet"),
        )
        assert (told.status, told.err) == (0, "")
        rows = json.loads(target.read_text())["rows"]
        assert list(rows) == [
            str(model),
            f"{model}, verified",
            "spectra shuffled",
            "spectra shuffled, verified",
            "nearest training spectrum",
        ]
        assert {row["n"] for row in rows.values()} == {2}
        assert "canonical SMILES shared with the training files: 2 of 2" in told.out


def test_what_the_model_gets_is_what_the_reader_read(house: Path, formula_model: Path) -> None:
    data = measured(house / "real.parquet", ETHANOL, AMINE)
    encoding = load_model(formula_model).encoding
    dataset = read_dataset([data], encoding)
    assert dataset.smiles == ("CCO", "CCN")
    assert dataset.ids == ("real.parquet:0", "real.parquet:1")
    counts = {modality: list(packed.counts) for modality, packed in dataset.tokens.items()}
    assert counts == {Modality.H_NMR: [2, 0], Modality.C_NMR: [2, 2], Modality.FORMULA: [3, 3]}


def test_rows_that_cannot_be_scored(mmspec: Any, house: Path, formula_model: Path) -> None:
    no_smiles = {**ETHANOL, "smiles": None}
    data = measured(house / "real.parquet", ETHANOL, NITRILE, no_smiles, {"smiles": "CCO"})
    plain = ("evaluate", house / "model", "--data", data, "--beam", 1)
    mmspec(*plain).is_one_line("real.parquet, record 2: has no SMILES")
    told = mmspec(*plain, "--skip-invalid")
    assert told.status == 0
    assert "records skipped: 2" in told.out
    assert "molecules 2" in told.out
    with_formula = ("evaluate", formula_model, "--data", data, "--beam", 1)
    mmspec(*with_formula).is_one_line("record 1: has no formula, which is an input of this model")


def test_the_real_file(mmspec: Any, house: Path, shared_data: Path) -> None:
    data = shared_data / "experimental_ms_nmr.parquet"
    told = mmspec("evaluate", house / "model", "--data", data, "--beam", 2, "--limit", 4, "--skip-invalid")
    assert (told.status, told.err) == (0, "")
    assert "molecules 4" in told.out


def test_records_that_were_not_measured_are_counted_when_skipped(house: Path) -> None:
    data = measured(house / "real.parquet", ETHANOL, {"smiles": "CC", "c_nmr_shift": []})
    dataset = read_dataset([data], load_model(house / "model").encoding, ReadOptions(skip_invalid=True))
    assert (len(dataset), dataset.remarks) == (1, {"records skipped": 1})
