"""The page as text: what it says, that it needs nothing else, and what it says where something is missing."""

import io
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image

from mmspec_ds.cli import main
from mmspec_ds.errors import DataError
from mmspec_ds.moe.expert_settings import paper_experts
from mmspec_ds.reporting.charts import LIGHT, Drawing, by_family, expert_colours, smoothed
from mmspec_ds.reporting.curves import drawings
from mmspec_ds.reporting.examples import Example, Proposal, choose, find_examples
from mmspec_ds.reporting.page import ReportRequest, write_report
from mmspec_ds.reporting.page_content import clock, maps, short
from mmspec_ds.reporting.reliability import reliability_drawings
from mmspec_ds.reporting.run_folder import RunFolder

ALL_THERE = "document.readyState === 'complete' && [...document.images].every(i => i.naturalWidth)"
VOID = {"meta", "img", "source", "br"}


class Reader(HTMLParser):
    """Texts, links and the balance of a page's elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.sources += [str(known[name]) for name in ("src", "srcset", "href") if name in known]
        self.ids += [str(known["id"])] if "id" in known else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """An element of SVG that holds nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert reader.open == [], "every element is closed"
    return reader


@pytest.fixture(scope="module")
def page(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "report.html"
    write_report(ReportRequest(template, page, ask=6, show=4))
    return page


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the drawing of the figures, which takes the time, where only the words are looked at."""
    out = io.BytesIO()
    Image.new("RGB", (1, 1)).save(out, format="png")
    monkeypatch.setattr(Drawing, "png", lambda *_: out.getvalue())


def test_the_page_says_what_the_run_did(page: Path) -> None:
    texts = read(page).texts
    for expected in (
        "A sparse model of 4 experts, 2 for each token, finished: 40 steps in 1\u00a0h 2\u00a0min on 2 ranks.",
        "1.2500",
        "best validation loss, step 20",
        "12.3 M",
        "0123456789ab",
        "a processor, 2 ranks of 1 thread",
        "python 3.11.7, torch 2.13.0",
        "evaluation.json",
        "<model>",
        "91.25",
        "0.625",
        "The first 6 molecules of val.parquet, by the weights of the best validation, beam 10.",
        "No token was dropped for lack of capacity.",
        "step 20: wrong",
        "step 40: right",
        "-0.38",
        "One answer explained",
        "What each spectrum adds to log p of candidate 1",
    ):
        assert expected in texts, expected
    assert any("max_target_tokens: 22" in text for text in texts), "the configuration"
    assert sum(text == "true structure" for text in texts) == 4 + 1, "four examples, and one while it learnt"


def test_the_page_needs_nothing_else(page: Path) -> None:
    reader = read(page)
    links = [source for source in reader.sources if source.startswith("#")]
    assert (
        {link[1:] for link in links}
        == set(reader.ids)
        >= {*("learning", "examples", "explained", "routing", "environment")}
    )
    others = [source for source in reader.sources if not source.startswith("#")]
    assert len(others) == 2 * 7, "seven figures, for light and dark pages"
    assert all(source.startswith("data:image/png;base64,") for source in others)
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"(?:url\(|@import|<script|<link)", text) == []
    assert set(re.findall(r"https?://[^\s'\"<]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.rdkit.org/xml",
    }, "names of formats, no addresses"


def test_pictures_lie_beside_the_page(page: Path) -> None:
    pictures = page.with_name("report_png")
    names = {"loss", "schedules", "auxiliary", "gradient", "load", "entropy", "throughput", "routing"}
    assert {path.stem for path in pictures.iterdir()} == names
    for path in pictures.iterdir():
        assert Image.open(path).width > 300
    assert [path.name for path in page.parent.glob(".*")] == [], "nothing half-written stays"


def test_maps_hold_the_shares_of_the_last_validation(template: Path) -> None:
    load, carbon, families, conflict = maps(RunFolder.read(template))
    assert load.title == "1H NMR tokens"
    # Experts in physical order are shared 32, shared 16, 1H 32, 13C 16; by family the 13C one stands first.
    assert [name.split("\n")[0] for name in load.columns] == ["0 shared", "1 shared", "3 c_nmr", "2 h_nmr"]
    assert load.values_RC.tolist() == [[0.375, 0.125, 0.25, 0.25]] * 2
    assert carbon.values_RC.tolist() == [[0.4, 0.4, 0.1, 0.1]] * 2
    assert families.values_RC.tolist() == [[0.5, 0.8], [0.5, 0.2], [0.0, 0.0]]
    assert conflict.values_RC[0, 1] == conflict.values_RC[1, 0] == -0.375


def forget(folder: Path, *kinds: str) -> None:
    """Remove the lines of these kinds from the metrics."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["kind"] not in kinds))


def change_settings(folder: Path, **data: Any) -> None:
    """Write the run's settings anew, with other values in `data`."""
    path = folder / "config.yaml"
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | {"data": content["data"] | data}))


@pytest.mark.usefixtures("undrawn")
def test_what_is_missing_is_told(run_folder: Path, tmp_path: Path) -> None:
    forget(run_folder, "start", "end", "validation", "conflict", "proposals")
    (run_folder / "evaluation.json").unlink()
    change_settings(run_folder, validation=[str(tmp_path / "gone.parquet")])
    page = tmp_path / "page.html"
    examples = write_report(ReportRequest(run_folder, page))
    assert examples.remark == f"No examples: {tmp_path / 'gone.parquet'} is not there; name a file with --data."
    texts = read(page).texts
    assert examples.remark in texts
    assert "This run did not record its environment." in texts
    assert any("not finished, so far" in text for text in texts)
    assert any(text.startswith("No evaluation is stored") for text in texts), "how to evaluate"
    assert (tmp_path / "page_png" / "loss.png").is_file()


@pytest.mark.usefixtures("undrawn")
def test_a_dense_run_has_no_routing(run_folder: Path, tmp_path: Path) -> None:
    content = yaml.safe_load((run_folder / "config.yaml").read_text())
    (run_folder / "config.yaml").write_text(yaml.safe_dump(content | {"moe": None}))
    page = tmp_path / "dense.html"
    write_report(ReportRequest(run_folder, page, ask=0))
    reader = read(page)
    assert "routing" not in reader.ids
    assert "No examples were requested." in reader.texts
    assert any(text.startswith("A dense model, finished:") for text in reader.texts)


def test_examples_need_no_more_than_a_file_with_structures(run_folder: Path, template: Path) -> None:
    change_settings(run_folder, validation=[])
    data = template.parent / "val.parquet"
    none = find_examples(run_folder, (), ask=6, show=4)
    assert none.remark.startswith("No examples: the run was validated on a part of its training files")
    found = find_examples(run_folder, (data,), ask=4, show=2)
    assert found.remark.startswith("The first 4 molecules of val.parquet")
    assert found.result is not None
    assert found.result.n == 4
    assert len(found.shown) == 2
    (run_folder / "model.safetensors").unlink()
    assert find_examples(run_folder, (data,), ask=4, show=2).remark.startswith(f"No examples: {run_folder}")


def example(name: str, rank: int | None) -> Example:
    return Example(name, "CCO", rank, (Proposal("CCO", -0.1, 1.0, rank == 1),))


def test_right_and_wrong_examples_are_chosen() -> None:
    ranks: list[Any] = [1, None, 1, 3, 1, 2, 1, None, 1, 1]
    everyone = [example(str(at), rank) for at, rank in enumerate(ranks)]
    chosen = choose(everyone, 4)
    assert [one.id for one in chosen] == ["0", "6", "3", "1"]
    assert [one.rank for one in choose(everyone[:1] * 6, 4)] == [1] * 4, "nothing is wrong"
    assert [one.rank for one in choose([example("a", None)] * 2, 4)] == [None] * 2
    assert choose([], 4) == ()


def test_a_mean_over_a_window_keeps_straight_lines_and_ends() -> None:
    line = [float(n) for n in range(100)]
    assert smoothed(line)[10:90] == pytest.approx(line[10:90])
    assert smoothed([1.0, 5.0]) == [1.0, 5.0]
    assert smoothed([]) == []


def test_experts_of_a_family_stand_together_in_its_hue() -> None:
    experts = paper_experts()[::2] + paper_experts()[1::2]
    order = by_family(experts)
    assert [experts[at].family for at in order] == [
        *["shared"] * 2, *["modality"] * 4, *["interaction"] * 2
    ]  # fmt: skip
    assert len(set(expert_colours(experts, LIGHT))) == 8


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "0 s"), (59.6, "1 min"), (75, "1 min 15 s"), (3600, "1 h"), (7384, "2 h 3 min"), (3605, "1 h 5 s")],
)
def test_times_are_written_in_two_units(seconds: float, expected: str) -> None:
    assert clock(seconds).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0.5, "0.5"), (51.238, "51.2"), (1234.4, "1,234"), (25e3, "25 k"), (1738880, "1.74 M")],
)
def test_large_numbers_are_short(number: float, expected: str) -> None:
    assert short(number) == expected


def test_dropped_tokens_are_drawn_where_there_are_any(run_folder: Path) -> None:
    panels = {one.name: one.panels for one in drawings(RunFolder.read(run_folder))["routing"]}
    assert len(panels["entropy"]) == 2
    path = run_folder / "metrics.jsonl"
    path.write_text(path.read_text().replace('"dropped/h_nmr": 0.0', '"dropped/h_nmr": 0.25'))
    panels = {one.name: one.panels for one in drawings(RunFolder.read(run_folder))["routing"]}
    assert [panel.title for panel in panels["entropy"]][1] == "fraction dropped by capacity"


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("config.yaml", "holds no config.yaml: expected the folder of a run"),
        ("metrics.jsonl", "holds no step in"),
    ],
)
def test_what_is_no_run_is_refused(run_folder: Path, missing: str, told: str) -> None:
    (run_folder / missing).unlink()
    with pytest.raises(DataError, match=told):
        write_report(ReportRequest(run_folder, run_folder / "report.html"))
    assert not (run_folder / "report.html").exists()


@pytest.mark.usefixtures("undrawn")
def test_the_command(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run_folder), "--molecules", "3"]) == 0
    assert "The first 3 molecules of val.parquet" in capsys.readouterr().out
    assert (run_folder / "report.html").is_file()
    assert (run_folder / "report_png" / "loss.png").is_file()
    nowhere = tmp_path / "no" / "page.html"
    assert main(["report", str(run_folder), "--out", str(nowhere)]) == 1
    told = f"mmspec: {nowhere}: cannot be written: its folder does not exist\n"
    assert capsys.readouterr().err == told
    assert main(["report", str(tmp_path / "nowhere"), "--no-examples"]) == 1
    assert "holds no config.yaml" in capsys.readouterr().err


@pytest.mark.browser
def test_the_page_in_a_browser(page: Path, browser: Any, tmp_path: Path) -> None:
    for width in (1280, 400):
        browser.open(page.as_uri(), width)
        browser.wait_for(ALL_THERE)
        assert browser.value("document.images.length") == 7
        assert browser.value("document.documentElement.scrollWidth") == width, "nothing stands out"
        assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        light = browser.value("document.images[0].currentSrc")
    browser.open(page.as_uri(), 400, dark=True)
    browser.wait_for(ALL_THERE)
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    assert browser.value("document.images[0].currentSrc") != light


def test_reliability_is_drawn_where_probabilities_are_stated(run_folder: Path, undrawn: None) -> None:
    checks = {"n": 4, "error": 0.25, "bins": [{"count": 4, "stated": 0.5, "true": 0.75}]}
    result = json.loads((run_folder / "evaluation.json").read_text())
    result["rows"]["<model>"]["confidence"] = {"first": checks, "listed": checks}
    (run_folder / "evaluation.json").write_text(json.dumps(result))
    (run_folder / "calibration.json").write_text(json.dumps({"checks": {"first": checks}}))
    drawn = reliability_drawings(RunFolder.read(run_folder))
    assert [one.panels[0].title for one in drawn] == [
        "share that is right, calibration.json",
        "share that is right, evaluation.json",
    ]
    figure = Figure()
    drawn[1].panels[0].draw(figure.subplots(), LIGHT)
    lines = [[list(one) for one in line.get_data()] for line in figure.axes[0].lines]
    assert lines == [[[0, 1], [0, 1]], [[0.5], [0.75]], [[0.5], [0.75]]]


def test_what_was_equal_stands_below_the_scores(run_folder: Path, undrawn: None) -> None:
    result = json.loads((run_folder / "evaluation.json").read_text())
    result["rows"]["<model>"]["training"] = {"steps": 40, "flops": 2e12}
    result["compared"] = {"sentence": "Equal: steps (40)."}
    (run_folder / "evaluation.json").write_text(json.dumps(result))
    with (run_folder / "metrics.jsonl").open("a") as file:
        end = {"kind": "end", "step": 40, "finished": True, "final/samples": 1280, "final/seconds": 60.0}
        file.write(json.dumps(end) + "\n")
    write_report(ReportRequest(run_folder, run_folder / "report.html", ask=0))
    texts = read(run_folder / "report.html").texts
    assert "Equal: steps (40)." in texts
    assert {"training FLOPs", "2.00 T"} <= set(texts), "of the evaluated model"
    assert {"samples", "1,280"} <= set(texts), "of the run itself"
