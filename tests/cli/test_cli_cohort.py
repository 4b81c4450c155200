"""`mmspec cohort`: from tables to a report, its exit statuses and what it says; nothing half-written stays."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from mmspec_ds.cli import main

SHORT = {
    "folds": {"outer": 3, "inner": 2, "repeats": 2},
    "learner": {"kinds": ["logistic"], "strengths": [0.3]},
    "corruption": {"copies": 2},
    "controls": {"permutations": 2, "shuffled_blocks": False},
}
DISCLAIMER = "not a medical device"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables of 36 patients in a folder with a run file: in "ms" one feature tells the classes."""
    folder = tmp_path_factory.mktemp("study")
    random = np.random.default_rng(0)
    label_N = np.arange(36) % 2
    nmr_NF, ms_NF = random.normal(size=(36, 6)), random.lognormal(size=(36, 4))
    ms_NF[:, 1] *= np.exp(2.5 * label_N)
    bins = ["9.05", "7.25", "3.85", "3.25", "1.35", "0.95"]
    names = ["alanine (90.055)", "kynurenine (209.092)", "urea (61.040)", "citrate (191.020)"]
    with (folder / "nmr.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["sample", *bins], *([f"S{at}", *np.round(nmr_NF[at], 4)] for at in range(34))]
        )
    with (folder / "ms.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(
            [
                ["sample", *names],
                *([f"S{at}", *(f"{one:.4f}".replace(".", ",") for one in ms_NF[at])] for at in range(36)),
            ]
        )
    with (folder / "samples.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["sample", "class", "age"],
                *([f"S{at}", ("well", "ill")[label_N[at]], 50 + at % 7] for at in range(36)),
            ]
        )
    content: dict[str, Any] = {
        "name": "tiny",
        "tables": [
            {"name": "nmr", "file": "nmr.csv"},
            {"name": "ms", "file": "ms.csv", "prepare": {"transform": "log"}},
        ],
        "metadata": {"file": "samples.csv"},
        "classes": {"column": "class", "compare": [["ill", "well"]]},
        "covariates": ["age"],
        "analysis": SHORT,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(content))
    return folder


class Texts(HTMLParser):
    """The texts of a page, its sources, and whether its elements are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.sources += [value for name, value in attrs if name in ("src", "srcset", "href")]
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def results(study: Path) -> Path:
    """The folder of results of the study."""
    out = study / "out"
    assert main(["cohort", str(study / "run.yaml"), f"output={out}"]) == 0
    return out / "tiny"


def test_what_is_written(results: Path) -> None:
    assert {path.name for path in results.iterdir()} == {
        *("report.html", "result.json", "predictions.csv", "features.csv", "config.yaml", "report_png"),
    }
    assert not [path for path in results.parent.iterdir() if path != results], "nothing half-written stays"
    pictures = {path.stem for path in (results / "report_png").iterdir()}
    names = ("roc", "areas", "calibration", "control", "contributions", "features_nmr", "features_ms")
    assert pictures == {f"ill_against_well_{name}" for name in names}
    for path in (results / "report_png").iterdir():
        with Image.open(path) as image:
            assert image.width > 800
            assert len(image.convert("RGB").getcolors(100_000) or ()) > 10, "not blank"


def test_the_page_needs_nothing_else_and_says_what_it_is_not(results: Path) -> None:
    page = Texts()
    page.feed((results / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in page.sources)
    text = " ".join(page.texts)
    assert text.count(DISCLAIMER) == 2  # head and foot
    for part in (
        "36 samples",
        "kynurenine (209.092)",
        "m/z 209.0920",
        "ROC curve",
        "34 samples measured by nmr and ms",
    ):
        assert part in text, part


def test_numbers_agree_between_the_files(results: Path) -> None:
    result = json.loads((results / "result.json").read_text())
    assert DISCLAIMER in result["about"]
    found = result["comparisons"]["ill against well"]
    with (results / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    assert {row["measured by nmr"] for row in rows if row["sample"] in ("S34", "S35")} == {"no"}
    assert all(float(row["weight of nmr"]) == 0 for row in rows if row["measured by nmr"] == "no")
    assert rows[3]["age"] == "53"
    for row in rows:
        assert float(row["weight of nmr"]) + float(row["weight of ms"]) == pytest.approx(1, abs=1e-5)
        both = [float(row[f"contribution: probability of {name}"]) for name in ("ill", "well")]
        assert sum(both) == pytest.approx(1, abs=1e-5)
    with (results / "features.csv").open() as file:
        features = [row for row in csv.DictReader(file) if row["table"] == "ms"]
    assert features[0]["feature"] == "kynurenine (209.092)"
    assert (features[0]["position"], features[0]["more of it speaks for"]) == ("209.092", "ill")
    assert found["scores"]["ill against well"]["ms alone"]["area"]["auc"] > 0.9
    config = yaml.safe_load((results / "config.yaml").read_text())
    assert config["analysis"]["folds"] | SHORT["folds"] == config["analysis"]["folds"]


def test_the_area_in_the_file_is_that_of_scikit_learn(results: Path) -> None:
    """Of single-table predictions averaged over the repeats, on the scale of log odds."""
    from sklearn.metrics import roc_auc_score

    with (results / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["measured by nmr"] == "yes"]
    repeats = json.loads((results / "result.json").read_text())["comparisons"]["ill against well"]
    stated = repeats["scores"]["ill against well"]["ms alone"]["area"]["auc"]
    is_ill = [row["class"] == "ill" for row in rows]
    theirs = roc_auc_score(is_ill, [float(row["ms alone: probability of ill"]) for row in rows])
    assert stated == pytest.approx(
        theirs, abs=0.02
    )  # the mean of log odds ranks nearly as that of probabilities


def test_two_runs_give_the_same(study: Path, results: Path) -> None:
    assert main(["cohort", str(study / "run.yaml"), f"output={study / 'again'}"]) == 0
    for name in ("result.json", "predictions.csv", "features.csv"):
        assert (study / "again" / "tiny" / name).read_bytes() == (results / name).read_bytes()


def test_one_table_of_three_classes_at_once(study: Path, tmp_path: Path) -> None:
    """No fusion, and names that are no names of files or HTML."""
    random = np.random.default_rng(1)
    names = ("<b>ill</b>", "well & fit", "x/y")
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["sample", "class", "=1+<script>", "b"],
                *([f"S{at}", names[at % 3], *random.normal(size=2).round(3)] for at in range(30)),
            ]
        )
    settings = {"name": "three", "classes": {"column": "class", "compare": "all"}, "analysis": SHORT}
    settings["tables"] = [{"name": "t", "file": "t.csv"}]
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    assert main(["cohort", str(tmp_path / "run.yaml"), f"output={tmp_path}"]) == 0
    page = (tmp_path / "three" / "report.html").read_text()
    assert "<script>" not in page
    assert "<b>ill</b>" not in page
    read = Texts()
    read.feed(page)
    assert "well & fit against x/y" in read.texts
    assert "<b>ill</b> against the rest" in read.texts
    assert "weight of t" not in (tmp_path / "three" / "predictions.csv").read_text()
    areas = json.loads((tmp_path / "three" / "result.json").read_text())["comparisons"]
    (scores,) = [one["scores"] for one in areas.values()]
    assert len(scores) == 6  # three against the rest, three pairs
    assert all(set(methods) == {"t alone"} for methods in scores.values())


def test_results_are_kept_unless_told(
    study: Path, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    before = (results / "result.json").stat().st_mtime_ns
    assert main(["cohort", "run.yaml", "output=out"]) == 1
    assert (
        "holds results already: expected another `name` or `output`, or --overwrite" in capsys.readouterr().err
    )
    assert (results / "result.json").stat().st_mtime_ns == before
    (study / "other").mkdir()
    (study / "other" / "tiny").mkdir()
    (study / "other" / "tiny" / "thesis.doc").write_text("x")
    assert main(["cohort", "run.yaml", "output=other", "--overwrite"]) == 1
    assert "holds other files" in capsys.readouterr().err
    assert (study / "other" / "tiny" / "thesis.doc").is_file()


def test_a_folder_that_may_not_be_written_to_is_told_before_the_work(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mmspec_ds.reporting.cohort_page.os.access", lambda path, mode: False)
    assert main(["cohort", str(study / "run.yaml"), f"output={tmp_path / 'a' / 'b'}"]) == 1
    told = capsys.readouterr()
    assert told.err == f"mmspec: {tmp_path}: may not be written to: expected another `output`\n"
    assert told.out == ""


def test_check_reads_and_stops(study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["cohort", str(study / "run.yaml"), "--check", f"output={tmp_path}"]) == 0
    told = capsys.readouterr().out
    assert "ms: samples are rows" in told
    assert "ill against well: 18 ill, 18 well" in told
    assert not list(tmp_path.iterdir())


def test_tables_of_the_command_line(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    assert main(["cohort", "cohort", "--check", "ms.csv", "metadata.file=samples.csv"]) == 0
    assert "36 samples: ill 18, well 18" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.yaml",), "none.yaml: there is no such file"),
        (("run.yaml", "classes.column=diagnosis"), "has no column 'diagnosis'"),
        (
            ("run.yaml", "analysis.folds.outer=19"),
            "class ill has 18 patients: expected at least folds.outer = 19",
        ),
        (("run.yaml", "tables=[]"), "tables: none are named"),
        (("run.yaml", "output=run.yaml"), "run.yaml: is a file: expected a folder for the results"),
        (("run.yaml", "a.csv"), "has 2 tables, but the command line gives 1"),
    ],
)
def test_faults_take_one_line(
    study: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(study)
    assert main(["cohort", *arguments]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mmspec: ")
    assert told in error


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["cohort"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["cohort", "--help"])
    assert caught.value.code == 0
    assert "example:" in capsys.readouterr().out
