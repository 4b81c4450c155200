"""Each study names trainings that can be made, and lays out whatever is there of its results."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmspec_ds.settings import flattened
from mmspec_ds.studies.cells import distinct, settings_of
from mmspec_ds.studies.elucidation.budgets import BUDGETS
from mmspec_ds.studies.elucidation.definitions import STUDIES
from mmspec_ds.studies.elucidation.definitions.comparing import compare
from mmspec_ds.studies.elucidation.definitions.variants import (
    SPARSE,
    equal_active,
    equal_total,
    halved,
    of_equal_width,
    pool,
    without_families,
)
from mmspec_ds.studies.elucidation.measures import MEASURES
from mmspec_ds.studies.elucidation.measures.asking import shares
from mmspec_ds.studies.elucidation.measures.missing import SETTINGS
from mmspec_ds.studies.elucidation.paper_values import TABLE_1, TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_6
from mmspec_ds.studies.plan import Budget, Cell, Study, Table, Value
from mmspec_ds.studies.results import mean_of
from mmspec_ds.studies.tables import NOT_RUN, in_markdown

SMOKE, CPU = BUDGETS["smoke"], BUDGETS["cpu"]
ISSUED = (
    "modalities", "missing", "complexity", "routing-signals", "subspaces", "heterogeneity", "experts", "top-k",
    "resources", "representations", "utilization", "routing-history", "scaling", "main", "settings", "switches",
    "baselines", "text-collapse",
)  # fmt: skip


def written(cell: Cell) -> str:
    """Everything that a cell says, but its measures."""
    start = "" if cell.start_from is None else written(cell.start_from)
    return json.dumps([dict(cell.overrides), cell.data, cell.seed, cell.trains, start])


every_study = pytest.mark.parametrize("study", STUDIES.values(), ids=list(STUDIES))


def test_all_tables_and_figures_are_there() -> None:
    assert set(STUDIES) == set(ISSUED)
    assert all(name == study.name for name, study in STUDIES.items())


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=list(BUDGETS))
@every_study
def test_every_cell_is_a_run_that_can_be_trained(study: Study, budget: Budget) -> None:
    for cell in study.cells(budget):
        assert set(cell.measures) <= set(MEASURES)
        if cell.trains and cell.seed == 0:
            assert settings_of(cell, budget).seed == 0
        if cell.start_from is not None and cell.seed == 0:
            assert settings_of(cell.start_from, budget).moe is None


@every_study
def test_within_a_study_a_training_has_one_name(study: Study) -> None:
    """Means over seeds are of cells that are written alike: a training written in two ways would be lost."""
    cells = study.cells(SMOKE)
    assert len(distinct(cells, SMOKE)) == len({written(cell) for cell in cells})


def test_studies_share_trainings() -> None:
    by_study = {name: set(map(written, study.cells(CPU))) for name, study in STUDIES.items()}
    sparse = set(map(written, SPARSE.cells(2)))
    for name in ("settings", "switches", "baselines", "modalities", "missing", "complexity", "routing-signals",
                 "heterogeneity", "experts", "top-k", "resources", "utilization"):  # fmt: skip
        assert sparse <= by_study[name], name
    assert len(by_study["main"] & by_study["scaling"]) == 4, "two models with two seeds, of 2,500 steps"


def test_widths_of_the_dense_models() -> None:
    """At the demo's sizes, widths of 256 and 64: k = 2 experts of 160 on average, and eight of them."""
    assert equal_active(CPU).overrides["model.encoder_ffn_width"] == 320
    assert equal_total(CPU).overrides["model.encoder_ffn_width"] == 1280


def test_pools_of_experts() -> None:
    for count in (2, 4, 8, 16):
        widths = [one["width"] for one in pool(CPU, count)]
        assert sorted(widths) == [64] * (count // 2) + [256] * (count // 2)
    assert {one["family"] for one in pool(CPU, 4)} == {"shared", "modality", "interaction"}
    assert [one["width"] for one in halved(CPU)[:4]] == [128, 128, 32, 32]
    assert {one["width"] for one in of_equal_width(CPU)} == {160}
    assert len(without_families(CPU, ["shared", "interaction"])) == 4
    with pytest.raises(ValueError, match="pool of 3"):
        pool(CPU, 3)


def test_the_papers_tables_agree_where_they_say_the_same() -> None:
    full = TABLE_1["sparse nmr+ms+ir"]
    for table in (TABLE_2["S0"]["sparse"], TABLE_4[True, True], TABLE_5[True, True, True], TABLE_6[True, True]):
        assert dict(table) == {key: full[key] for key in ("top_1", "top_5", "top_10")}
    assert TABLE_2["S0"]["dense"]["top_10"] == TABLE_1["dense nmr+ms+ir"]["top_10"]
    counts = [row["n"]["n"] for row in TABLE_3]
    means = [
        sum(row["sparse"][key] * n for row, n in zip(TABLE_3, counts)) / sum(counts)
        for key in ("top_1", "top_5", "top_10")
    ]
    assert means == pytest.approx([75.50, 86.29, 87.52], abs=0.01), "the correction that is noted"


def test_a_difference_worked_out_by_hand() -> None:
    found = compare([([1, 1, None, 2], [1, 3, 1, None]), ([1, 1, 1, 2], [1, None, 1, None])])
    assert found.value == Value(12.5, pytest.approx(17.6777, abs=1e-3), 2)  # 0 and 25 points
    # Top-1 of 50 and 75, of 50 and 50: variances 312.5 and 0, pooled deviation 12.5.
    assert found.in_deviations == pytest.approx(1.0)
    assert (found.first_only, found.second_only) == (2, 1)
    assert found.p == pytest.approx(1.0)  # of three, two or one: everything is as likely
    one = compare([([1] * 6, [2] * 6)])
    assert one.in_deviations is None
    assert one.p == pytest.approx(2 / 2**6)


@dataclass
class Made:
    """Results that are drawn for every cell, as their measures would be laid out."""

    study: Study
    budget: Budget
    empty: bool = False
    known: dict[tuple[str, str], Any] = field(default_factory=dict)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        return tuple({written(cell): cell for cell in self.study.cells(self.budget)}.values())

    def of(self, cell: Cell, measure: str) -> dict[str, Any] | None:
        if self.empty:
            return None
        key = (written(cell), measure)
        if key not in self.known:
            rng = np.random.default_rng([cell.seed, len(self.known)])
            sparse = cell.trains and cell.overrides.get("moe", 1) is not None
            self.known[key] = drawn(measure, rng, sparse=sparse)
        return self.known[key]

    def training(self, cell: Cell) -> dict[str, Any] | None:
        return self.of(cell, "training")

    def alike(self, cell: Cell) -> list[Cell]:
        return [
            one for one in self.cells
            if (one.overrides, one.data, one.trains) == (cell.overrides, cell.data, cell.trains)
            and (one.start_from is None) == (cell.start_from is None)
        ]  # fmt: skip

    def values(self, cells: Any, measure: str, key: str) -> list[float]:
        found = (dict(flattened(self.of(one, measure) or {})).get(key) for one in cells)
        return [float(one) for one in found if isinstance(one, int | float)]

    def value(self, cell: Cell, measure: str, key: str) -> Value | None:
        return mean_of(self.values(self.alike(cell), measure, key))


def drawn(measure: str, rng: np.random.Generator, *, sparse: bool) -> dict[str, Any]:
    """A result of a measure with the keys that it has."""

    def asked() -> dict[str, Any]:
        ranks = [int(one) if one <= 10 else None for one in rng.integers(1, 15, 30)]
        return {**shares(ranks), "ranks": ranks}

    def spread(*shape: int) -> Any:
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1]).tolist()

    experts = [{"family": f, "width": w, "modalities": ["ir"] if f == "modality" else []}
               for f in ("shared", "modality", "interaction") for w in (64, 16)]  # fmt: skip
    names = ["h_nmr", "c_nmr", "ir", "ms"]
    if measure == "training":
        return {"steps": 1000, "flops": 3e15, "seconds": 100.0, "parameters": 10, "samples": 64_000}
    if measure == "accuracy":
        sizes = [int(one) for one in rng.integers(5, 11, 30)]
        about = {"n": 30, "beam": 10, "loss": 0.2, "validity": 90.0, "seconds": 12.0}
        return {**about, **asked(), "heavy_atoms": sizes}
    if measure == "compute":
        share = {"share_of_equal_total": {"feed_forward": 0.25, "encoder": 0.4}} if sparse else {}
        counts = {"parameters": 2_000_000, "active": 1e6, "feed_forward": 1e5, "encoder": 2e5 * rng.random()}
        return {**counts, **share}
    if measure == "missing":
        settings = {how: {name: asked() for name in SETTINGS} for how in ("tokens", "channels")}
        return {"n": 30, "beam": 5, **settings}
    if measure == "modality_subsets":
        return {"n": 30, "beam": 5, "subsets": {"nmr": asked(), "nmr+ir": asked()}}
    if measure == "routing":
        return {
            "experts": experts, "modalities": names, "share_all": spread(2, 6), "top_1": spread(2, 6),
            "top_1_by_modality": spread(2, 4, 6), "family_names": ["shared", "modality", "interaction"],
            "families": spread(3, 4), "entropy": spread(2, 4), "effective": [3.0, 4.0],
            "effective_by_modality": spread(2, 4),
        }  # fmt: skip
    if measure == "conflict":
        return {"cosine": {"h_nmr+c_nmr": 0.3, "h_nmr+ir": -0.1}}
    if measure == "history":
        snapshots = []
        for _ in range(3):
            points = rng.normal(size=(20, 2)).tolist()
            one = {"modality": names * 5, "pca": points, "tsne": points, "silhouette": 0.2, "separability": 0.9}
            snapshots.append({**one, "top_1": spread(2, 8), "effective": [3.0, 4.0]} if sparse else one)
        return {"steps": [10, 20, 30], "snapshots": snapshots}
    if measure == "matcher":
        return {"n": 30, **asked()}
    assert measure == "resources"
    figures = {"training/tokens_per_second": 1e4, "memory/peak": 1e9, "decoding/beam_5/latency": 0.02}
    about = {"device": "CPU", "torch": "2", "ranks": 1}
    return {"figures": {key: {"mean": one, "sd": None} for key, one in figures.items()}, "environment": about}


def filled(table: Table) -> Mapping[str, Any]:
    """The entries of a table by row and column."""
    return {f"{row.name} {row.group} {column.key}": row.entries.get(column.key)
            for row in table.rows for column in table.columns}  # fmt: skip


@every_study
def test_tables_and_figures_of_made_results(study: Study) -> None:
    made = Made(study, CPU)
    tables = study.tables(made)
    assert tables
    for table in tables:
        assert table.rows, table.title
        names = [(row.group, row.name) for row in table.rows]
        assert len(set(names)) == len(names), "rows have names of their own"
        assert len({column.key for column in table.columns}) == len(table.columns)
        found = filled(table)
        share = np.mean([value is not None for value in found.values()])
        assert share > 0.5, {key: value for key, value in found.items() if value is None}
        assert all(len(line) > 10 for line in (*table.about, *table.notes))
    figures = study.figures(made)
    assert figures, "every study has a picture"
    for figure in figures:
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith(".")


@every_study
def test_tables_without_any_result(study: Study) -> None:
    made = Made(study, CPU, empty=True)
    for table in study.tables(made):
        assert all(value is None or isinstance(value, float | int | str) for value in filled(table).values())
    assert list(study.figures(made)) == []


def test_what_was_asked_and_trained_is_what_a_table_says() -> None:
    """The budget has 1,000 molecules, the test file of these results 30; one seed of one model is not there."""
    made = Made(STUDIES["main"], CPU)
    (last,) = (
        one for one in made.cells if one.overrides.get("model.encoder_ffn_width") == 320 and one.seed == 2
    )
    made.known[written(last), "training"] = None
    table, *_ = STUDIES["main"].tables(made)
    equal, seeds, asked = table.about[0], table.about[-2], table.about[-1]
    assert "samples seen (64,000)" in equal
    assert seeds == "Not with all seeds so far: dense, equal active, 2 of 3."
    assert asked.startswith("Accuracy on the first 30 test molecules with beam 10")


def test_rows_are_compared_within_their_group_and_all_of_them_count() -> None:
    """Two rows of a group are named alike but for their modalities, and differ in FLOPs alone."""
    made = Made(STUDIES["text-collapse"], CPU)
    for cell in made.cells:
        flops = 5e12 if "data.modalities" in cell.overrides else 1.2e14
        steps = 400 if "training.flops" in cell.overrides else 1000
        found = {"steps": steps, "samples": 32_000, "flops": flops, "seconds": 100.0}
        made.known[written(cell), "training"] = found
    (table,) = STUDIES["text-collapse"].tables(made)
    told = "Equal steps. Not equal (dense on text / dense on text, nmr): training TFLOP (120.0 / 5.0)."
    assert told in table.about
    assert any(line.startswith("Equal FLOPs. Equal within 1 %: steps (400); ") for line in table.about)


def test_a_figure_shows_the_rows_that_were_measured() -> None:
    made = Made(STUDIES["baselines"], CPU)
    for cell in made.cells:
        if cell.trains and cell.overrides:  # all but the sparse model and the matcher
            made.known[written(cell), "accuracy"] = None
    (few,) = STUDIES["baselines"].figures(made)
    (all_of_them,) = STUDIES["baselines"].figures(Made(STUDIES["baselines"], CPU))
    heights = [Image.open(io.BytesIO(one.png)).height for one in (few, all_of_them)]
    assert heights == [round(150 * (1.0 + 0.24 * rows)) for rows in (2, 12)]


def test_the_columns_of_table_11_are_the_papers() -> None:
    study = STUDIES["top-k"]
    made = Made(study, replace(CPU, seeds=1))
    flops = {1: 1.2e5, 2: 3.0e5, 4: 6.0e5}
    for cell in made.cells:
        k = cell.overrides.get("moe.k", 2)
        made.known[written(cell), "compute"] = {**drawn("compute", np.random.default_rng(0), sparse=True),
                                                "feed_forward": flops[k]}  # fmt: skip
    (table,) = study.tables(made)
    assert [row.entries["cost"].mean for row in table.rows] == pytest.approx([1.0, 2.5, 5.0])  # type: ignore[union-attr]
    text = in_markdown(table)
    heads = "latency, ms a sample | paper | throughput, samples/s | paper | activated cost, of k 1 | paper"
    assert f"| {heads} |" in text
    assert "| – | 38.6 | 2.5 | 25.8 | 5.0 | 4.0 |" in text, "30 molecules in 12 seconds"


def test_the_last_row_of_table_1_is_the_papers() -> None:
    study = STUDIES["modalities"]
    made = Made(study, CPU)
    for cell in made.cells:
        on_text = cell.data == "hard_text"
        top_1 = (30.0 if on_text else 45.0) + cell.seed * (1 if on_text else 3)
        made.known[written(cell), "accuracy"] = {"n": 30, "beam": 10, "top_1": top_1}
    (table,) = study.tables(made)
    last = table.rows[-1]
    assert last.entries["top_1"] == Value(16.0, pytest.approx(2**0.5), 2)  # 15 and 17 points
    assert last.paper["top_1"] == pytest.approx(31.75)


def test_the_lead_is_counted_seed_by_seed() -> None:
    study = STUDIES["main"]
    made = Made(study, CPU)
    _, leads, _ = study.tables(made)
    cells = [one for one in made.cells if not {"moe", "moe.decoder"} & one.overrides.keys()]
    others = [one for one in made.cells if one.overrides.get("model.encoder_ffn_width") == 320]
    assert len(cells) == len(others) == 3
    gaps = [made.of(a, "accuracy")["top_1"] - made.of(b, "accuracy")["top_1"] for a, b in zip(cells, others)]  # type: ignore[index]
    (row,) = (row for row in leads.rows if row.name == "over dense, equal active")
    lead = row.entries["lead"]
    assert isinstance(lead, Value)
    assert (lead.mean, lead.sd) == pytest.approx((np.mean(gaps), np.std(gaps, ddof=1)))


def test_a_lead_that_was_not_measured_is_not_run() -> None:
    _, leads, of_both = STUDIES["main"].tables(Made(STUDIES["main"], CPU, empty=True))
    assert all(in_markdown(table).count(NOT_RUN) == 5 * len(table.rows) for table in (leads, of_both))


def test_the_main_comparison_has_its_own_number_of_seeds() -> None:
    def seeds(budget: Budget) -> set[int]:
        return {cell.seed for cell in STUDIES["main"].cells(budget)}

    assert seeds(CPU) == {0, 1, 2}
    assert seeds(replace(CPU, seeds=2, main_seeds=None)) == {0, 1}, "as many as were asked for"
