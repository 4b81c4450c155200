"""The study `retrieval` within the smallest budget: simulated spectra, and a language model of two layers."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mmspec_ds.cli import main
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.studies.adopt import adopt
from mmspec_ds.studies.cells import CellFolder, distinct, identity_of, settings_of
from mmspec_ds.studies.data import with_data
from mmspec_ds.studies.language import language_identity, link_language
from mmspec_ds.studies.plan import Budget, Cell, DataFiles, MeasureContext
from mmspec_ds.studies.results import StoredResults
from mmspec_ds.studies.retrieval.budgets import BUDGETS, SMOKE
from mmspec_ds.studies.retrieval.data import RetrievalData
from mmspec_ds.studies.retrieval.definition import RETRIEVAL
from mmspec_ds.studies.retrieval.measures import read_asked
from mmspec_ds.studies.retrieval.rows import CLASSICAL, SCORES, forms, models
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
from mmspec_ds.systems.run_file import load_run
from tests.language.tiny_language_model import save_model
from tests.studies.forked import run_cells
from tests.systems.retrieval.spectra_of_molecules import make_entries, write_mgf

FORMS = ("llm4ms", "summed")
"""Those that the tests train."""


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(folder, max_position_embeddings=1024)
    return folder


def run(cells: Sequence[Cell], out: Path, language: Path) -> StoredResults:
    """Train and measure cells in a process that has made no process group."""
    budget = replace(SMOKE, language=language)
    process = multiprocessing.get_context("spawn").Process(target=run_cells, args=(cells, budget, out))
    process.start()
    process.join()
    assert process.exitcode == 0
    return StoredResults(RETRIEVAL, budget, out, distinct(cells, budget))


@pytest.fixture(scope="module")
def finished(language: Path, tmp_path_factory: pytest.TempPathFactory) -> StoredResults:
    """A cell of each kind."""
    budget = replace(SMOKE, language=language)
    ours, *_, untrained, _, trained = models(budget)
    chosen = [ours, untrained, trained, *(one for one in forms(budget) if one.name in FORMS)]
    out = tmp_path_factory.mktemp("out") / "studies"
    return run([CLASSICAL, *(one.cell() for one in chosen)], out, language)


def check(results: StoredResults) -> None:
    """What was measured stands in the tables."""
    assert results.missing() == []
    measured = {
        one.name for one in (*models(results.budget), *forms(results.budget)) if one.cell() in results.cells
    }
    tables = RETRIEVAL.tables(results)
    assert len(tables) == 8
    for table in tables:
        shown = [one for one in table.rows if one.name in measured]
        assert shown, table.title
        for one in shown:
            empty = [key for key, entry in one.entries.items() if entry is None and key != "flops"]
            assert empty == [], f"{table.title}: {one.name}"


def test_every_figure_of_a_measured_row_is_there(finished: StoredResults) -> None:
    check(finished)


@pytest.mark.slow
def test_the_whole_study_runs(language: Path, tmp_path: Path) -> None:
    results = run(RETRIEVAL.cells(replace(SMOKE, language=language)), tmp_path / "studies", language)
    assert len(results.cells) == 13
    check(results)


def test_the_measures_agree_with_each_other(finished: StoredResults) -> None:
    # The trained model and the classical scores were measured apart: on the same queries and rows.
    classical = finished.of(CLASSICAL, "classical")
    ours = finished.of(models(finished.budget)[0].cell(), "search")
    assert classical is not None
    assert ours is not None
    assert (classical["queries"], classical["rows"]) == (ours["queries"], ours["rows"])
    (file,) = (finished.out / "data" / "simulated").glob("*.parquet")
    rows = pq.read_table(file).to_pylist()
    asked = sum((one["split"], one["role"]) == ("val", "query") for one in rows)
    assert classical["queries"] == min(asked, SMOKE.evaluate)
    assert classical["rows"] == len(rows) - asked
    assert {name: one["n"] for name, one in classical["settings"].items()} == {
        name: one["n"] for name, one in ours["settings"].items()
    }
    # A lead is the difference of the two means.
    found = classical["settings"]["open"]
    lead = found["methods"]["cosine"]["MRR"]["mean"] - found["methods"]["spectral entropy"]["MRR"]["mean"]
    assert found["leads"]["cosine"]["MRR"]["mean"] == pytest.approx(lead)


def test_a_fusion_learns_from_no_molecule_that_models_learned_from(tmp_path: Path) -> None:
    """A file may have spectra of one molecule in both splits: of the two held back, the second here."""
    entries = make_entries(8)
    roles = [{"role": "query"} if at in (9, 21) else {} for at in range(len(entries))]
    entries = [replace(one, metadata={**one.metadata, **role}) for one, role in zip(entries, roles)]
    entries[23] = replace(entries[23], metadata={**entries[23].metadata, "split": "train"})
    files = (write_mgf(tmp_path / "spectra.mgf", entries),)
    context = MeasureContext(CLASSICAL, SMOKE, tmp_path, DataFiles(files, (), files), load=lambda _: None)
    question = read_asked(context).question
    blocks = [one.block for one in question.queries]
    assert question.judged == 1
    assert set(blocks) == {entries[9].block}
    assert len(blocks) == 3


def test_texts_are_shorter_in_forms_of_new_tokens(finished: StoredResults) -> None:
    plain, summed = (finished.of(one.cell(), "text") for one in forms(finished.budget) if one.name in FORMS)
    assert plain is not None
    assert summed is not None
    assert plain["tokens"] == plain["positions"] > summed["tokens"] > summed["positions"]
    assert (plain["new_tokens"], plain["cut"], summed["cut"]) == (0, 0.0, 0.0)
    assert summed["new_tokens"] > 2_000


def test_a_cell_can_be_moved_and_says_no_path_of_the_machine(finished: StoredResults, language: Path) -> None:
    assert (finished.out / "language_model").resolve() == language.resolve()
    for cell in finished.cells:
        folder = CellFolder.of(finished.out, cell, finished.budget).path
        for path in (*folder.glob("*.json"), *folder.glob("run.yaml"), *folder.glob("measures/*.json")):
            assert str(language) not in path.read_text(), path
    trained = models(finished.budget)[-1].cell()
    run = load_run(CellFolder.of(finished.out, trained, finished.budget).path / "run.yaml", (), RetrievalRun)
    assert run.language is not None
    assert run.language.base == Path("../../language_model")


def test_a_finished_run_becomes_its_cell(finished: StoredResults, language: Path, tmp_path: Path) -> None:
    """As `mmspec train` leaves it: the language model by an absolute path, data anywhere, another name."""
    cell = models(finished.budget)[-1].cell()
    source = CellFolder.of(finished.out, cell, finished.budget)
    run = load_run(source.run / "config.yaml", (), RetrievalRun)
    assert run.language is not None
    data = run.data.model_copy(update={"train": (Path("/elsewhere/spectra.parquet"),)})
    named = run.model_copy(
        update={"name": "mine", "output": tmp_path, "data": data, "language": run.language.at(language)}
    )
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("engine.json", "metrics.jsonl", "model.safetensors"):
        (folder / name).write_bytes((source.run / name).read_bytes())
    (folder / "config.yaml").write_text(named.model_copy(update={"engine": Path("engine.json")}).to_yaml())
    (tmp_path / "out").mkdir()
    found = adopt(tmp_path / "out", folder, finished.budget.data[cell.data])
    assert found.path.name == source.path.name
    found.check(cell, finished.budget)
    assert str(tmp_path) not in (found.path / "run.yaml").read_text()


def test_what_decides_a_cell(language: Path, tmp_path: Path) -> None:
    budget = replace(SMOKE, language=language)
    moved, other = tmp_path / "moved", tmp_path / "other"
    save_model(moved, max_position_embeddings=1024)
    save_model(other, seed=1, max_position_embeddings=1024)
    cell = models(budget)[-1].cell()
    assert identity_of(cell, replace(budget, language=moved)) == identity_of(cell, budget)
    assert identity_of(cell, replace(budget, language=other)) != identity_of(cell, budget)
    ours = models(budget)[0].cell()  # which reads none
    assert identity_of(ours, replace(budget, language=None)) == identity_of(ours, budget)
    names = {identity_of(one, budget) for one in RETRIEVAL.cells(budget)}
    assert len(names) == len(RETRIEVAL.cells(budget))  # untrained models too


def test_a_folder_of_studies_has_one_language_model(language: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save_model(other, seed=1)
    link_language(tmp_path, language)
    link_language(tmp_path, language)
    with pytest.raises(DataError, match=r"is another language model than .*other"):
        link_language(tmp_path, other)
    assert language_identity(tmp_path / "language_model") == language_identity(language)


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=list(BUDGETS))
def test_every_budget_gives_settings_that_a_run_can_have(budget: Budget, language: Path) -> None:
    for cell in RETRIEVAL.cells(replace(budget, language=language)):
        run = settings_of(cell, budget, RetrievalRun)
        assert run.training.steps
        assert run.data.train_where == {"split": "train"}
        assert run.data.validation_where == {"split": "val"}


def test_without_a_language_model_its_rows_are_left_out(tmp_path: Path) -> None:
    cells = distinct(RETRIEVAL.cells(SMOKE), SMOKE)
    assert len(cells) == 3
    tables = RETRIEVAL.tables(StoredResults(RETRIEVAL, SMOKE, tmp_path, cells))
    assert len(tables) == 7
    first = tables[0]
    ours = [one.name for one in models(SMOKE)]
    assert [one.name for one in first.rows] == [*SCORES, *ours, *ours]
    assert first.notes[-1].startswith("Rows of a language model are left out")
    assert {entry for one in first.rows for entry in one.entries.values()} == {None}


def test_faults_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"the cpu budget needs files of spectra with split .*: --data FILE"):
        with_data(BUDGETS["cpu"], RetrievalData())
    with pytest.raises(ConfigError, match="--data-dir"):
        with_data(SMOKE, RetrievalData(), given=tmp_path)
    for arguments, told in (
        (["retrieval", "--budget", "smoke", "--language-model", str(tmp_path)], "holds no weights"),
        (
            ["main", "--budget", "smoke", "--language-model", str(tmp_path)],
            "no cell of this study reads a language",
        ),
    ):
        assert main(["study", *arguments, "--out", str(tmp_path / "out")]) == 1
        said = capsys.readouterr().err
        assert told in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
