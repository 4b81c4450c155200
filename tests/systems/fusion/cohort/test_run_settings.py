"""The run file of a cohort: defaults, paths, tables of the command line, and what is refused in one line."""

from pathlib import Path
from typing import Any

import pytest

from mmspec_ds.errors import ConfigError
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import block_names, load_cohort_run
from mmspec_ds.systems.run_file import find_run_file
from tests.systems.fusion.cohort.tables import MS, NMR, load, write_run


def test_the_shipped_run_file_takes_tables_of_the_command_line(tmp_path: Path) -> None:
    run = load_cohort_run(
        find_run_file(Path("cohort")), ["name=mine"], [tmp_path / "nmr.csv", Path("b/ms.tsv.gz")]
    )
    assert [table.name for table in run.tables] == ["nmr", "ms"]
    assert run.tables[0].file == tmp_path / "nmr.csv"
    assert run.tables[1].file == Path("b/ms.tsv.gz").absolute()
    assert run.name == "mine"
    with pytest.raises(ConfigError, match="tables: none are named"):
        load_cohort_run(find_run_file(Path("cohort")))


def test_paths_begin_at_the_run_file_and_at_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "elsewhere").mkdir()
    path = write_run(tmp_path / "study", {"nmr.csv": NMR}, metadata={"file": "s.csv"})
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = load_cohort_run(path)
    assert run.tables[0].file == tmp_path / "study" / "nmr.csv"
    assert run.metadata is not None
    assert run.metadata.file == tmp_path / "study" / "s.csv"
    run = load_cohort_run(path, ["metadata.file=t.csv"], [Path("other.csv")])
    assert run.tables[0].file == tmp_path / "elsewhere" / "other.csv"
    assert run.metadata is not None
    assert run.metadata.file == tmp_path / "elsewhere" / "t.csv"


def test_how_tables_are_prepared_reaches_the_analysis(tmp_path: Path) -> None:
    tables = [
        {"name": "nmr", "file": "nmr.csv", "prepare": {"normalisation": "pqn"}},
        {"name": "ms", "file": "ms.csv", "prepare": {"transform": "log"}},
    ]
    analysis = load(tmp_path, {"nmr.csv": NMR, "ms.csv": MS}, tables=tables).prepared()
    assert analysis.prepared("nmr").normalisation == "pqn"
    assert analysis.prepared("ms").transform == "log"


def test_tables_of_the_command_line_have_clean_names_of_which_none_is_twice(tmp_path: Path) -> None:
    for name, text in {"my nmr.csv": NMR, "Größe (1).csv": MS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [tmp_path / name for name in ("my nmr.csv", "Größe (1).csv", "my nmr.csv", "Größe (1).csv")]
    run = load_cohort_run(find_run_file(Path("cohort")), [], files)
    assert [table.name for table in run.tables] == ["my_nmr", "Groe_1", "my_nmr_2", "Groe_1_2"]
    assert block_names([Path("…"), Path("x" * 50), Path("a.csv"), Path("b/A.tsv.gz")]) == [
        *("table", "x" * 28, "a", "A_2"),
    ]
    remarks = read_cohort(run).remarks
    assert f"my_nmr: the table {tmp_path.name}/my nmr.csv" in remarks
    assert f"my_nmr_2: the table {tmp_path.name}/my nmr.csv" in remarks


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "batches that are to be kept together, but are not named": (
        {"analysis": {"folds": {"keep_batches": True}}},
        "analysis.folds.keep_batches is true, but `batch` names no column of batches",
    ),
    "unknown key": ({"tabels": []}, "tabels: unknown key; did you mean 'tables'?"),
    "unknown key of a table": (
        {"tables": [{"name": "nmr", "file": "nmr.csv", "smaple": "x"}]},
        "smaple: unknown key; did you mean 'sample'?",
    ),
    "no class": ({"classes": {}}, "classes.column: missing"),
    "one value of two classes": (
        {"classes": {"column": "class", "names": {"ill": ["C"], "well": ["C", "H"]}}},
        "gives 'C' to two classes",
    ),
    "a truth value": (
        {"classes": {"column": "class", "names": {"ill": [True], "well": [False]}}},
        "class ill: yes, no, on, off, true or false without quotes",
    ),
    "a class that is not named": (
        {"classes": {"column": "c", "names": {"ill": "C", "well": "H"}, "compare": [["ill", "polyp"]]}},
        "classes.compare names 'polyp'",
    ),
    "one class compared": (
        {"classes": {"column": "c", "compare": [["ill"]]}},
        "expected two or more different classes",
    ),
    "two tables of one name": (
        {"tables": [{"name": "nmr", "file": "a.csv"}, {"name": "nmr", "file": "b.csv"}]},
        "tables are named nmr, nmr: expected different names",
    ),
    "too many tables": (
        {"tables": [{"name": f"t{at}", "file": "a.csv"} for at in range(7)]},
        "at most 6 items",
    ),
    "metadata of all in order": ({"metadata": {"file": "s.csv", "join": "order"}}, "metadata.join is order"),
    "preparation in two places": (
        {"analysis": {"preparation": {"nmr": {"transform": "log"}}}},
        "is set by `prepare` of each table",
    ),
    "one fold": ({"analysis": {"folds": {"outer": 1}}}, "analysis.folds.outer"),
}


@pytest.mark.parametrize(("settings", "told"), FAULTS.values(), ids=FAULTS)
def test_faults_take_one_line(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {"nmr.csv": NMR}, **settings)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_number_of_tables_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path, {"nmr.csv": NMR})
    with pytest.raises(ConfigError, match="has 1 tables, but the command line gives 2"):
        load_cohort_run(path, (), [Path("a.csv"), Path("b.csv")])
