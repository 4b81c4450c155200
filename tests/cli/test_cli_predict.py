"""`mmspec predict`: one record of several files, and the records of files and folders."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.readers.requests import Source, request_of_sources
from mmspec_ds.spectra.parquet import read_records, write_records
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.trained import load_model

FILES = Path(__file__).parents[1] / "readers/files"


def answers(told: Any, status: int = 0) -> list[dict[str, Any]]:
    """The lines that were printed, each of which must be JSON."""
    assert told.status == status, told
    return [json.loads(line) for line in told.out.splitlines()]


def test_several_files_are_the_record_of_the_parquet(mmspec: Any, house: Path, instruments: Path) -> None:
    encoding = load_model(house / "model").encoding
    rows = list(read_records(house / "data.parquet", modalities=(Modality.H_NMR, Modality.C_NMR)))
    alike = ("--top", 3, "--constrain", "grammar")  # the parquet file states a formula
    told = answers(mmspec("predict", house / "model", house / "data.parquet", *alike))
    for number, row in enumerate(rows):
        files = {kind: instruments / f"r{number}" / f"{kind}.csv" for kind in ("h_nmr", "c_nmr")}
        request = request_of_sources(
            "r", [Source(files["h_nmr"], Modality.H_NMR), Source(files["c_nmr"], Modality.C_NMR)], None
        )
        assert request.record is not None
        expected, found = encoding.encode(row), encoding.encode(request.record)
        assert list(found) == [Modality.H_NMR, Modality.C_NMR] == list(expected)
        for modality, tokens in expected.items():
            np.testing.assert_array_equal(found[modality].discrete, tokens.discrete)
            np.testing.assert_allclose(found[modality].continuous, tokens.continuous, rtol=0, atol=1e-6)
        (answer,) = answers(
            mmspec(
                "predict",
                house / "model",
                *("--h-nmr", files["h_nmr"], "--c-nmr", files["c_nmr"], *alike),
            )
        )
        assert answer["id"] == "h_nmr.csv+c_nmr.csv"
        assert answer["read"] == ["h_nmr", "c_nmr"]
        assert [c["smiles"] for c in answer["candidates"]] == [c["smiles"] for c in told[number]["candidates"]]
        scores = [c["log_probability"] for c in told[number]["candidates"]]
        assert [c["log_probability"] for c in answer["candidates"]] == pytest.approx(scores, abs=1e-5)


def test_what_is_not_read_is_named_and_what_was_assumed_is_told(
    mmspec: Any, house: Path, instruments: Path
) -> None:
    (answer,) = answers(
        mmspec(
            "predict",
            *(house / "model", "--h-nmr", instruments / "r0/h_nmr.csv", "--ir", FILES / "ir_percent.csv"),
            *("--msms", FILES / "massbank.txt", "--formula", "C8H9NO2", "--top", 1),
        )
    )
    assert answer["id"] == "h_nmr.csv+ir_percent.csv+massbank.txt"
    assert (answer["read"], answer["unused"]) == (["h_nmr"], ["ir", "ms", "formula"])
    assert any(remark.startswith("ir_percent.csv:0: absorbance at 1800 points") for remark in answer["remarks"])


def test_a_model_that_reads_the_formula_is_given_it(
    mmspec: Any, formula_model: Path, instruments: Path
) -> None:
    files = ("--c-nmr", instruments / "r0/c_nmr.csv", "--top", 1)
    (with_formula,) = answers(mmspec("predict", formula_model, *files, "--formula", "C2H6O"))
    (without,) = answers(mmspec("predict", formula_model, *files))
    assert (with_formula["read"], with_formula["unused"]) == (["c_nmr", "formula"], [])
    assert (without["read"], without["unused"]) == (["c_nmr"], [])
    assert with_formula["candidates"] != without["candidates"]


def test_picked_lines_are_told(mmspec: Any, house: Path) -> None:
    (answer,) = answers(mmspec("predict", house / "model", "--h-nmr", FILES / "ntuples_1h.jdx", "--top", 1))
    assert any("picked from a curve of" in remark for remark in answer["remarks"])


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ("--h-nmr", "r0/h_nmr.csv", "--h-nmr", "r1/h_nmr.csv"),
            ("h_nmr.csv:0 and h_nmr.csv:0 both give a 1H NMR spectrum",),
        ),
        (("--h-nmr", "r0/none.csv"), ("r0/none.csv: there is no such file",)),
        (("none.mgf",), ("none.mgf: there is no such file",)),
        (("--ir", "noise.dat"), ("noise.dat: is of no known format",)),
        (("noise.dat",), ("noise.dat: is of no known format",)),
        (("--msms", "r0/h_nmr.csv"), ("r0/h_nmr.csv: is NMR peak list, which holds", "not MS/MS")),
        (("--msms", "gnps.mgf"), ("not one molecule",)),
        (("--msms", "massbank.txt"), ("nothing that this model reads: expected h_nmr or c_nmr, got ms",)),
        (
            ("--c-nmr", "r0/c_nmr.csv", "--msms", "massbank.txt", "--formula", "C2H6O"),
            ("the formula of massbank.txt:0 is C8H9NO2, that of the given one is C2H6O: not one molecule",),
        ),
        (("--c-nmr", "r0/c_nmr.csv", "--formula", "water"), ("'water' is not a molecular formula",)),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith(("-", "n")) else None,
)
def test_one_record_that_cannot_be_read_is_status_1(
    mmspec: Any,
    house: Path,
    instruments: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    monkeypatch.chdir(instruments)
    Path("noise.dat").write_bytes(bytes(range(1, 200)))
    for name in ("gnps.mgf", "massbank.txt"):
        Path(name).write_bytes((FILES / name).read_bytes())
    told = mmspec("predict", house / "model", *arguments, "--top", 1)
    told.is_one_line(*parts)
    for line in told.out.splitlines():
        assert set(json.loads(line)) == {"id", "error", "remarks"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("a.mgf", "--h-nmr", "b.csv"),
        (),
        ("--formula", "C2H6O"),
        ("a.mgf", "--resume"),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_predict(mmspec: Any, arguments: tuple[str, ...]) -> None:
    told = mmspec("predict", "model", *arguments)
    assert told.status == 2
    assert told.err.startswith("usage: mmspec predict")


def test_every_record_of_a_file_is_one(mmspec: Any, house: Path) -> None:
    told = mmspec("predict", house / "model", FILES / "pyarrow.parquet", FILES / "gnps.mgf", "--top", 1)
    found = answers(told)
    assert [one["id"] for one in found] == ["pyarrow.parquet:0", "pyarrow.parquet:1"] + [
        f"gnps.mgf:{n}" for n in range(3)
    ]
    assert "candidates" in found[0]
    assert all("nothing that this model reads" in one["error"] for one in found[2:])


def test_a_folder_is_a_record_for_each_sub_folder(mmspec: Any, house: Path, instruments: Path) -> None:
    (instruments / "r1/notes.pdf").write_bytes(b"%PDF-1.4 lunch at one")
    (instruments / "r2/.hidden").write_text("hidden")
    (instruments / "r4").mkdir()
    (instruments / "c_nmr_beside.csv").write_text("shift\n20.0\n")
    (instruments / "z_empty.mgf").touch()
    alike = ("--top", 2, "--constrain", "grammar")  # the parquet file states a formula
    found = answers(mmspec("predict", house / "model", instruments, *alike))
    assert [one["id"] for one in found] == [
        "c_nmr_beside.csv:0",
        *("r0", "r1", "r2", "r3", "r4"),
        "z_empty.mgf",
    ]
    expected = answers(mmspec("predict", house / "model", house / "data.parquet", *alike))
    for one, row in zip(found[1:5], expected):
        assert [c["smiles"] for c in one["candidates"]] == [c["smiles"] for c in row["candidates"]]
    assert found[2]["remarks"] == ["notes.pdf: left out, of no known format"]
    assert found[3]["remarks"] == []
    assert found[5]["error"] == "no file with spectra"
    assert found[6]["error"].endswith("z_empty.mgf: the file is empty")


def test_bruker_experiments_are_records_and_parts_of_records(mmspec: Any, house: Path, tmp_path: Path) -> None:
    import shutil

    batch = tmp_path / "batch"
    shutil.copytree(FILES / "bruker", batch / "sample")
    (batch / "sample/c_nmr.csv").write_text("shift\n20.0\n")
    experiment = next(path for path in sorted((FILES / "bruker").iterdir()) if path.is_dir())
    found = answers(mmspec("predict", house / "model", batch, experiment, "--top", 1))
    assert [one["id"] for one in found] == ["sample", f"{experiment.name}:0"]
    assert [one["read"] for one in found] == [["h_nmr", "c_nmr"], ["h_nmr"]]


def test_candidates_have_the_known_formula_or_mass(mmspec: Any, house: Path, instruments: Path) -> None:
    model, carbon = house / "model", ("--c-nmr", instruments / "r0/c_nmr.csv", "--top", 5)
    (by_formula,) = answers(mmspec("predict", model, *carbon, "--formula", "C2H6O"))
    assert {one["smiles"] for one in by_formula["candidates"]} == {"CCO", "COC"}
    assert by_formula["composition"] == "formula C2H6O"
    ion = house / "ion.mgf"
    for mz, found in (("47.0491", {"CCO", "COC"}), ("47.0", None)):
        ion.write_text(f"BEGIN IONS\nPEPMASS={mz}\nCHARGE=1+\nADDUCT=[M+H]+\n29.0 1\nEND IONS\n")
        (by_mass,) = answers(mmspec("predict", model, *carbon, "--msms", ion))
        assert found is None or {one["smiles"] for one in by_mass["candidates"]} == found
        assert (by_mass["composition"] is None) == (found is None)
        assert any("not used" in one for one in by_mass["remarks"]) == (found is None)
    (impossible,) = answers(mmspec("predict", model, *carbon, "--formula", "C2H8O"))
    assert impossible["candidates"] == []
    assert "no molecule was found of formula C2H8O" in impossible["remarks"]


APART = (
    "mmspec: 2 files, 2 records, each answered by itself: add --one-molecule if they are spectra of one"
    " molecule\n"
)


def test_files_of_one_molecule_are_one_record_if_asked(
    mmspec: Any, house: Path, instruments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(instruments)
    files, alike = ("r0/h_nmr.csv", "r0/c_nmr.csv"), ("--top", 1)
    named = mmspec("predict", house / "model", "--h-nmr", files[0], "--c-nmr", files[1], *alike)
    assert [one["read"] for one in answers(named)] == [["h_nmr", "c_nmr"]]
    for given in (files, ("r0/h_nmr.csv", "--c-nmr", "r0/c_nmr.csv")):
        assert mmspec("predict", house / "model", *given, "--one-molecule", *alike) == named
    (folder,) = answers(mmspec("predict", house / "model", "r0", "--one-molecule", *alike))
    (expected,) = answers(named)
    assert folder == expected | {"id": "c_nmr.csv+h_nmr.csv"}


def test_files_that_could_be_of_one_molecule_are_told(
    mmspec: Any, house: Path, instruments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(instruments)
    names = ["h_nmr.csv", "c_nmr.csv"]
    for given in (("r0/h_nmr.csv", "r0/c_nmr.csv"), ("r0",)):
        told = mmspec("predict", house / "model", *given, "--top", 1)
        assert sorted(one["id"] for one in answers(told)) == sorted(f"{name}:0" for name in names)
        assert told.err == APART
    told = mmspec("predict", house / "model", *(f"r0/{name}" for name in names), "--out", "found.jsonl")
    assert told.err.endswith(APART)


def test_files_of_several_molecules_are_not_told(
    mmspec: Any, house: Path, instruments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(instruments)
    write_records("one.parquet", islice(read_records(house / "data.parquet"), 1))  # of C2H6O
    Path("plate.csv").write_text("id,h_nmr,c_nmr\na,r0/h_nmr.csv,\nb,,r0/c_nmr.csv\n")
    batches = (
        ("r0/c_nmr.csv", "r1/c_nmr.csv"),
        ("r0/h_nmr.csv", "r0/c_nmr.csv", "r1/c_nmr.csv"),
        (FILES / "massbank.txt", "one.parquet"),  # of C8H9NO2
        ("plate.csv",),
        (".",),
    )
    for given in batches:
        told = mmspec("predict", house / "model", *given, "--top", 1)
        assert len(answers(told)) > 1
        assert told.err == ""
