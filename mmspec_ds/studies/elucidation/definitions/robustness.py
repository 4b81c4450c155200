"""Incomplete spectra (table 2) and large molecules (table 3)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mmspec_ds.studies.elucidation.definitions.drawing import Panels, rows_figure
from mmspec_ds.studies.elucidation.definitions.layout import SHOWN, asked_line, equal_lines
from mmspec_ds.studies.elucidation.definitions.variants import SPARSE, STANDARD, Variant, equal_active
from mmspec_ds.studies.elucidation.measures.accuracy import strata, thirds
from mmspec_ds.studies.elucidation.measures.missing import SETTINGS, fewer
from mmspec_ds.studies.elucidation.paper_values import (
    MODALITY_NOTE,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_3_EDGES,
    TABLE_3_NOTE,
    Values,
)
from mmspec_ds.studies.lookup import NOTHING, pick
from mmspec_ds.studies.plan import (
    Budget,
    Cell,
    Column,
    Entry,
    FigureFile,
    Results,
    Row,
    Study,
    Table,
    Value,
)
from mmspec_ds.studies.results import mean_of

Pair = tuple[Variant, Variant]

BOTH: Panels = {f"Top-{k}, %": {"dense": f"dense top_{k}", "sparse": f"sparse top_{k}"} for k in (1, 10)}
"""What the figures show of the two models."""


def _pair(budget: Budget) -> Pair:
    """The dense model of equal active parameters, and the sparse one."""
    return equal_active(budget), SPARSE


def _columns(*, paper: bool = True) -> list[Column]:
    heads = {"dense": "dense", "sparse": "sparse", "gain": "sparse less dense"}
    return [
        Column(f"{model} top_{k}", f"{head} Top-{k} %", better=None, paper=paper)
        for model, head in heads.items()
        for k in SHOWN
    ]


def _entries(results: Results, pair: Pair, measure: str, find: Callable[[Any], Any]) -> dict[str, Entry]:
    """Both models and the gain, seed by seed. `find` gives the Top-K of a measure's result, None if it has
    none."""
    entries: dict[str, Entry] = {}
    for k in SHOWN:
        by_seed: list[dict[int, float]] = []
        for name, variant in zip(("dense", "sparse"), pair):
            found = {one.seed: find(results.of(one, measure)) for one in results.alike(variant.cell())}
            values = {seed: pick(one, (f"top_{k}",)) for seed, one in found.items()}
            by_seed.append({seed: float(one) for seed, one in values.items() if one is not None})
            entries[f"{name} top_{k}"] = mean_of(list(by_seed[-1].values()))
        dense, sparse = by_seed
        entries[f"gain top_{k}"] = mean_of([sparse[seed] - dense[seed] for seed in sparse if seed in dense])
    return entries


def _of_paper(both: dict[str, Values] | Any) -> dict[str, Entry]:
    """The paper's values by the keys of `_columns`."""
    entries: dict[str, Entry] = {
        f"{m} top_{k}": both[m][f"top_{k}"] for m in ("dense", "sparse") for k in SHOWN
    }
    gains = {f"gain top_{k}": both["sparse"][f"top_{k}"] - both["dense"][f"top_{k}"] for k in SHOWN}
    return {**entries, **gains}


def _missing_cells(budget: Budget) -> list[Cell]:
    measures = (*STANDARD, "missing", "modality_subsets")
    return [cell for one in _pair(budget) for cell in one.cells(budget.seeds, measures)]


def _missing_tables(results: Results) -> list[Table]:
    return [_settings_table(results, "tokens"), _settings_table(results, "channels"), _subsets_table(results)]


def _missing_figures(results: Results) -> list[FigureFile]:
    return [
        figure
        for how in ("tokens", "channels")
        for figure in rows_figure(f"missing_{how}", _settings_table(results, how), BOTH)
    ]


def _settings_table(results: Results, how: str) -> Table:
    pair = _pair(results.budget)
    rows = []
    for name, ratios in SETTINGS.items():
        entries = _entries(results, pair, "missing", partial(pick, path=(how, name)))
        shares: dict[str, Entry] = dict(ratios)
        rows.append(Row(name, {**shares, **entries}, _of_paper(TABLE_2[name])))
    what = "a share of each modality's tokens masked" if how == "tokens" else "whole modalities removed"
    note = (
        "Of a sample's n tokens of a modality r n go on average, at random."
        if how == "tokens"
        else "Each modality of a sample is removed with the probability r; one always stays. 1H and 13C go"
        " together."
    )
    return Table(
        title=f"Table 2. Incomplete spectra at test time: {what}",
        columns=[Column(one, one.upper(), digits=1, paper=False) for one in ("nmr", "ms", "ir")] + _columns(),
        rows=rows,
        names="setting",
        about=[*equal_lines(results, pair), asked_line(results, "missing", *fewer(results.budget))],
        notes=(
            note,
            "What is missing is the same for every model. Lists have ten proposals whatever the beam.",
            "The paper masks or removes, and does not say which; its dense model reads text and ours compressed"
            " spectra.",
            MODALITY_NOTE,
        ),
    )


def _subsets_table(results: Results) -> Table:
    pair = _pair(results.budget)
    names = _subset_names(results, pair)
    rows = [
        Row(
            " + ".join(one.upper() for one in name.split("+")),
            _entries(results, pair, "modality_subsets", partial(pick, path=("subsets", name))),
        )
        for name in names
    ]
    return Table(
        title="One model, given some modalities alone",
        columns=_columns(paper=False),
        rows=rows,
        names="given",
        about=[asked_line(results, "modality_subsets", *fewer(results.budget))],
        notes=("Both models learnt from all modalities. Table 1 has models trained with each combination.",),
    )


def _subset_names(results: Results, pair: Pair) -> Sequence[str]:
    for variant in pair:
        for cell in results.alike(variant.cell()):
            found = results.of(cell, "modality_subsets")
            if found is not None:
                return list(found["subsets"])
    return [name.partition(" ")[2] for name in TABLE_1 if name.startswith("dense")]


MISSING = Study(
    "missing",
    "Table 2. Incomplete spectra at test time",
    "Models that learnt from complete spectra are asked about incomplete ones, in the seven settings of the"
    " paper: by masking a share of the tokens of each modality, and by removing whole modalities.",
    _missing_cells,
    _missing_tables,
    _missing_figures,
)


def _complexity_cells(budget: Budget) -> list[Cell]:
    return [cell for one in _pair(budget) for cell in one.cells(budget.seeds)]


def _complexity_tables(results: Results) -> list[Table]:
    pair = _pair(results.budget)
    sizes: list[int] = next((found["heavy_atoms"] for found in _found(results, pair)), [])
    rows = []
    if len(set(sizes)) >= 3:
        rows += _bins(results, pair, thirds(sizes), "thirds of these molecules", [])
    rows += _bins(results, pair, TABLE_3_EDGES, "the paper's bins", [_of_paper(one) for one in TABLE_3])
    return [
        Table(
            title="Table 3. Accuracy by the number of heavy atoms",
            columns=[Column("n", "molecules", digits=0)] + _columns(),
            rows=rows,
            names="heavy atoms",
            about=[*equal_lines(results, pair), asked_line(results)],
            notes=(TABLE_3_NOTE, "A bin without molecules is empty: simulated molecules are smaller than the"
                   " benchmark's."),
        )
    ]  # fmt: skip


def _found(results: Results, pair: Pair) -> list[dict[str, Any]]:
    found = [results.of(cell, "accuracy") for one in pair for cell in results.alike(one.cell())]
    return [one for one in found if one is not None]


def _bins(
    results: Results, pair: Pair, edges: Sequence[int], group: str, paper: Sequence[dict[str, Entry]]
) -> list[Row]:
    rows = []
    for at in range(len(edges) + 1):
        entries = _entries(results, pair, "accuracy", partial(_bin, edges=edges, at=at))
        counts = [strata(found, edges)[at]["n"] for found in _found(results, pair)]
        if counts and not counts[0]:
            entries = dict.fromkeys(entries, NOTHING)
        entries["n"] = Value(counts[0]) if counts else None
        beside = {**paper[at], "n": TABLE_3[at]["n"]["n"]} if paper else {}
        rows.append(Row(_bin_name(edges, at), entries, beside, group))
    return rows


def _bin(found: dict[str, Any] | None, edges: Sequence[int], at: int) -> dict[str, Any] | None:
    return None if found is None else strata(found, edges)[at]


def _bin_name(edges: Sequence[int], at: int) -> str:
    if at == 0:
        return f"at most {edges[0]}"
    least = edges[at - 1] + 1
    if at == len(edges):
        return f"at least {least}"
    return f"{least}" if least == edges[at] else f"{least} to {edges[at]}"


COMPLEXITY = Study(
    "complexity",
    "Table 3. Accuracy by the number of heavy atoms",
    "Whether experts help more with larger molecules.",
    _complexity_cells,
    _complexity_tables,
    lambda results: rows_figure("complexity", _complexity_tables(results)[0], BOTH),
)

STUDIES = (MISSING, COMPLEXITY)
