"""`mmspec study` as a user types it."""

from pathlib import Path

import pytest

from mmspec_ds.cli import main
from mmspec_ds.studies.elucidation.definitions import STUDIES
from mmspec_ds.studies.elucidation.measures import MEASURES
from mmspec_ds.studies.plan import Budget
from mmspec_ds.studies.systems import all_studies
from tests.studies.conftest import DENSE, cell, finish, study_of


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDIES, "toy", study_of([cell(), cell(overrides=DENSE)]))
    monkeypatch.setitem(MEASURES, "accuracy", lambda context: {})


def test_the_studies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(all_studies())
    assert any(line.split() == ["toy", "A", "toy", "study"] for line in lines)


def test_what_was_trained_is_shown(tmp_path: Path, budget: Budget, capsys: pytest.CaptureFixture[str]) -> None:
    finish(tmp_path, cell(), budget, 50.0)
    status = main(["study", "toy", "--budget", "smoke", "--out", str(tmp_path), "--only-trained"])
    assert (status, capsys.readouterr().out) == (0, f"{tmp_path}/toy-smoke/index.html\n")
    text = (tmp_path / "toy-smoke" / "table.md").read_text()
    assert "| sparse | **50.0** | 76.0 |" in text or "| sparse | 50.0 | 76.0 |" in text
    assert "| dense | not run | 44.0 | not run |" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tyo"], "unknown study 'tyo'; did you mean 'toy'?"),
        (["toy", "--budget", "cpus"], "unknown budget 'cpus'; did you mean 'cpu'?"),
        (["toy", "--budget", "paper"], "the paper budget needs the benchmark's files: --data FILE..."),
        (["adopt", "OUT", "none"], "none: no such folder: expected that of a trained run"),
        (["toy", "--out", "HERE"], "is no folder of studies"),
        (["toy", "--out", "HERE", "--only-trained"], "holds no cells: expected a folder of studies"),
    ],
    ids=["study", "budget", "files", "run", "out", "trained"],
)
def test_faults_in_one_line(
    tmp_path: Path,
    arguments: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "thesis.tex").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(["study", *(str(tmp_path) if one == "HERE" else one for one in arguments)]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["study"],
        ["study", "toy", "more"],
        ["study", "adopt", "out"],
        ["study", "toy", "--recipe", "hard"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
