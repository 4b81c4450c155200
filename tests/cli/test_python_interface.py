"""The Python interface: what `read`, `load`, `predict` and `explain` give, and `mmspec explain`."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import mmspec_ds
from mmspec_ds.api import Answer, Model
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Record, TandemMS
from tests.cli.conftest import Command

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def model(house: Path) -> Model:
    """An untrained sparse model of 1H and 13C."""
    return mmspec_ds.load(house / "model")


@pytest.fixture
def answer(model: Model, instruments: Path) -> Answer:
    """What it says of the files of a record."""
    return model.predict(mmspec_ds.read(instruments / "r1", formula="C2H6O"), top=2)


def test_nothing_happens_at_import() -> None:
    code = "import sys, mmspec_ds; print([n for n in sys.modules if n.startswith(('mmspec_ds', 'torch'))])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['mmspec_ds']"
    with pytest.raises(AttributeError, match="lod"):
        mmspec_ds.lod  # noqa: B018


def test_files_of_one_molecule() -> None:
    folder = EXAMPLES / "paracetamol"
    measured = mmspec_ds.read(*sorted(folder.iterdir()), formula="C8H9NO2")
    kinds = [type(one) for one in measured.record.spectra]
    assert kinds == [HydrogenNMR, CarbonNMR, TandemMS]
    same = mmspec_ds.read(folder, formula="C8H9NO2")
    assert str(same).splitlines()[1:] == str(measured).splitlines()[1:]
    assert measured.record.formula == "C8H9NO2"
    assert "13C NMR, 6 lines: 167.5 (C)" in str(measured)


def test_files_by_the_kind_of_their_spectrum(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("shift\n7.1\n5.3\n")
    with pytest.raises(DataError, match="c_nmr="):
        mmspec_ds.read(tmp_path / "a.csv")
    measured = mmspec_ds.read(h_nmr=tmp_path / "a.csv", c_nmr=[tmp_path / "b.csv"])
    assert [type(one) for one in measured.record.spectra] == [HydrogenNMR, CarbonNMR]
    with pytest.raises(DataError, match=r"nmr= is no kind of spectrum \(known: h_nmr"):
        mmspec_ds.read(nmr=tmp_path / "a.csv")
    with pytest.raises(DataError, match="no file"):
        mmspec_ds.read(formula="CH4")


def test_a_precursor_that_the_file_does_not_name(tmp_path: Path) -> None:
    (tmp_path / "a.mgf").write_text(
        "BEGIN IONS\nIONMODE=positive\nCOLLISION_ENERGY=20\n65.04 1\n110.06 9\nEND IONS\n"
    )
    (spectrum,) = mmspec_ds.read(tmp_path / "a.mgf", precursor_mz=152.0706, adduct="M+H").record.spectra
    assert isinstance(spectrum, TandemMS)
    assert (spectrum.precursor_mz, spectrum.adduct, spectrum.charge) == (152.0706, "[M+H]+", 1)
    with pytest.raises(DataError, match=r"adduct='hydrogen' is not understood: expected one like \[M\+H\]\+"):
        mmspec_ds.read(tmp_path / "a.mgf", adduct="hydrogen")
    with pytest.raises(DataError, match="precursor_mz=-1: expected a number above 0"):
        mmspec_ds.read(tmp_path / "a.mgf", precursor_mz=-1.0)
    named = mmspec_ds.read(EXAMPLES / "paracetamol/tandem.mgf", precursor_mz=1.0).record.spectra[0]
    assert isinstance(named, TandemMS)
    assert named.precursor_mz == 152.0706
    with pytest.raises(DataError, match="there is none"):
        mmspec_ds.read(EXAMPLES / "vanillin/carbon.csv", adduct="[M+H]+")


def test_an_answer_is_what_the_command_writes(
    answer: Answer, house: Path, instruments: Path, mmspec: Command
) -> None:
    files = [instruments / "r1" / f"{name}.csv" for name in ("h_nmr", "c_nmr")]
    arguments = ["--h-nmr", files[0], "--c-nmr", files[1], "--formula", "C2H6O", "--top", "2"]
    written = json.loads(mmspec("predict", house / "model", *arguments).out)
    assert {**answer.to_dict(), "id": ""} == {**written, "id": ""}
    assert [one.smiles for one in answer.candidates] == [one["smiles"] for one in written["candidates"]]
    assert all(0 < one.probability <= 1 for one in answer.candidates)
    assert [one.confidence for one in answer.candidates] == [None, None], "the model is not calibrated"
    assert answer.confidence == {"first": None, "listed": None}
    assert all(one.verification.keys() == {"h_nmr", "c_nmr"} for one in answer.candidates)
    assert answer.remarks == tuple(written["remarks"])


def test_an_answer_shows_itself(answer: Answer) -> None:
    lines = str(answer).splitlines()
    assert "read: 1H NMR, 13C NMR" in lines[0]
    listed = [[str(rank), one.smiles] for rank, one in enumerate(answer.candidates, 1)]
    assert [line.split()[:2] for line in lines[1:3]] == listed
    assert repr(answer) == str(answer)
    page = answer._repr_html_()
    assert page.count("<svg") >= 2
    assert not any(word in page for word in ("<script", "href=", "src=", "url("))


def test_a_record_that_the_model_cannot_read(model: Model) -> None:
    assert re.fullmatch(r"model of 1H NMR, 13C NMR; [\d,]+ parameters", repr(model))
    with pytest.raises(DataError, match="nothing that this model reads: expected h_nmr or c_nmr, got ms"):
        model.predict(mmspec_ds.read(EXAMPLES / "paracetamol/tandem.mgf"))
    with pytest.raises(DataError, match="there is no such folder"):
        mmspec_ds.load("no/such/model")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"top": 0}, "top is 0, expected at least 1"),
        ({"constrain": "formula"}, "constrain is 'formula', expected none or grammar or composition"),
        ({"precursor_ppm": -1.0}, "precursor_ppm is -1, expected a number above 0"),
    ],
    ids=lambda one: "" if isinstance(one, str) else next(iter(one)),
)
def test_what_cannot_be_asked(model: Model, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        model.predict(Record("r", (CarbonNMR((60.0,)),)), **asked)


def test_reasons(model: Model, instruments: Path) -> None:
    explained = model.explain(mmspec_ds.read(instruments / "r1"))
    told = explained.to_dict()
    json.dumps(told)
    parts = told["contributions"]["parts"]
    assert list(parts) == ["h_nmr", "c_nmr"]
    total = told["contributions"]["complete"] - told["contributions"]["without"]
    assert sum(parts.values()) == pytest.approx(total, abs=1e-9)
    assert [sum(row) for row in told["routing"]["values"]] == pytest.approx([1.0, 1.0])
    observed = [m["observed_ppm"] for m in told["candidates"][0]["matches"] if m["modality"] == "c_nmr"]
    assert sorted(one for one in observed if one is not None) == [11.0, 60.0]


def test_the_command(house: Path, instruments: Path, mmspec: Command) -> None:
    png, page = house / "why.png", house / "why.html"
    files = sorted((instruments / "r1").iterdir())
    told = mmspec("explain", house / "model", *files, "--png", png, "--html", page)
    assert told.status == 0, told
    for text in ("read: 1H NMR, 13C NMR", "observed predicted", "nats without spectra", "0 shared 16"):
        assert text in told.out
    with Image.open(png) as image:
        assert image.width == 1430
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_wrong_use_of_the_command(house: Path, instruments: Path, mmspec: Command) -> None:
    assert mmspec("explain", house / "model").status == 2
    mmspec("explain", house / "model", house / "none.csv").is_one_line("none.csv")
    file = instruments / "r1" / "c_nmr.csv"
    mmspec("explain", house / "model", file, "--png", house / "no" / "x.png").is_one_line(
        "its folder does not exist"
    )
