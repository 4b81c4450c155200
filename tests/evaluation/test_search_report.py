"""The report of a search: means, differences, which leads are told, tables and JSON."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mmspec_ds.evaluation.search_report import (
    SearchReport,
    SettingResult,
    difference_of,
    leads,
    print_report,
    summarise,
    write_report,
)


@pytest.fixture
def result() -> SettingResult:
    """Four queries of three molecules."""
    found = {"peaks": [1.0, 0.0, 1.0, 0.0], "model": [1.0, 1.0, 1.0, 0.0], "both": [1.0, 1.0, 1.0, 1.0]}
    values = {name: {"R@1": np.array(one), "MRR": np.array(one) / 2} for name, one in found.items()}
    return summarise("open", values, np.array([0, 0, 1, 2]), unanswerable=3)


def test_means_and_differences(result: SettingResult) -> None:
    assert (result.n, result.molecules, result.unanswerable) == (4, 3, 3)
    assert {name: one["R@1"].mean for name, one in result.methods.items()} == {
        "peaks": 0.5,
        "model": 0.75,
        "both": 1.0,
    }
    assert result.methods["both"]["R@1"].error == 0
    assert set(result.differences) == {"peaks - model", "peaks - both", "model - both"}
    gain, loss = difference_of(result, "model", "peaks")["MRR"], difference_of(result, "peaks", "model")["MRR"]
    assert (gain.mean, gain.low, gain.high) == (-loss.mean, -loss.high, -loss.low) == (0.125, 0.0, 0.25)
    with pytest.raises(KeyError):
        difference_of(result, "model", "nobody")


def test_the_leads_that_are_told(result: SettingResult) -> None:
    assert [line.partition(":")[0] for line in leads(result, ["peaks", "model"])] == [
        "R@1 of both less that of model"
    ]
    told = [line.partition(":")[0] for line in leads(result, ["peaks", "both"])]
    assert told == ["R@1 of model less that of both"]  # the combination beside the best single method
    assert [line.partition(":")[0] for line in leads(result)] == ["R@1 of both less that of model"]


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_printed(result: SettingResult, terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, no_color=True, highlight=False)
    print_report(SearchReport(7, 1200, 900, [result], {"peaks": 1.25}, ["peaks"], ["told"]), console)
    shown = text.getvalue()
    for part in (
        "7 queries against a library of 1,200 rows of 900 molecules",
        "told",
        "open: 4 queries of 3 molecules (3 more have no row of their molecule there)",
        "0.750 ± ",
        "seconds: peaks 1.2",
    ):
        assert part in shown


def test_the_figures_as_json(result: SettingResult, tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    write_report(target, SearchReport(7, 1200, 900, [result], remarks=["told"]))
    figures = json.loads(target.read_text())
    assert figures["settings"]["open"]["methods"]["model"]["R@1"]["mean"] == 0.75
    assert figures["settings"]["open"]["differences"]["peaks - both"]["R@1"]["n"] == 4
    assert (figures["queries"], figures["remarks"]) == (7, ["told"])
