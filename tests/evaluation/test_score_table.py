"""A table where there is a terminal, lines where there is none, JSON for programs."""

import io
import json

from rich.console import Console

from mmspec_ds.evaluation.equality import Compared
from mmspec_ds.evaluation.metrics import EvaluationResult
from mmspec_ds.evaluation.score_table import print_results, print_trainings, write_results

RESULTS = {
    "sparse": EvaluationResult(300, {k: 50.0 + k for k in range(1, 11)}, 98.765, 0.8125, 12.34, "unique"),
    "shuffled [control]": EvaluationResult(300, dict.fromkeys(range(1, 11), 0.0), 97.0, 0.1, 12.0),
}


def printed(terminal, width=140):
    stream = io.StringIO()
    print_results(RESULTS, title="Held-out", console=Console(file=stream, force_terminal=terminal, width=width))
    return stream.getvalue()


def test_plain_lines():
    lines = printed(terminal=False, width=20).splitlines()
    assert lines[0] == "Held-out"
    assert lines[1] == (
        "sparse              molecules 300  candidates unique"
        "  Top-1 % 51.00  Top-3 % 53.00  Top-5 % 55.00  Top-10 % 60.00"
        "  valid % 98.77  Tanimoto 0.812  seconds 12.3"
    )
    assert lines[2].startswith("shuffled [control]  molecules 300  candidates raw  Top-1 % 0.00")
    assert len(lines) == 3


def test_a_table_on_a_terminal():
    text = printed(terminal=True)
    assert "┃" in text
    assert all(word in text for word in ("Held-out", "sparse", "51.00", "60.00", "98.77", "0.812", "12.3"))


def test_json_of_one_and_of_several(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, {"sparse": RESULTS["sparse"]})
    assert json.loads(path.read_text()) == RESULTS["sparse"].to_json()
    write_results(path, RESULTS)
    written = json.loads(path.read_text())
    assert written["top_10"] == 60
    assert written["rows"]["shuffled [control]"]["top_10"] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_what_the_trainings_used(tmp_path):
    models = [Compared("sparse", {"steps": 8, "flops": 2e12}), Compared("dense", {"steps": 8, "flops": 1e12})]
    stream = io.StringIO()
    print_trainings(models, Console(file=stream, force_terminal=False, width=20))
    assert stream.getvalue().splitlines() == [
        "training",
        "sparse  steps 8  training FLOPs 2.00 T",
        "dense   steps 8  training FLOPs 1.00 T",
        "Equal: steps (8). Not equal: training FLOPs (2.00 T, 1.00 T).",
    ]
    path = tmp_path / "results.json"
    write_results(path, RESULTS, {"sparse": {"steps": 8}}, models)
    written = json.loads(path.read_text())
    assert written["rows"]["sparse"]["training"] == written["training"] == {"steps": 8}
    assert "training" not in written["rows"]["shuffled [control]"]
    assert written["compared"]["different"] == ["training FLOPs (2.00 T, 1.00 T)"]


def test_nothing_is_printed_of_models_without_a_record():
    stream = io.StringIO()
    print_trainings([Compared("old"), Compared("older")], Console(file=stream))
    assert stream.getvalue() == ""
