"""Sparse against dense: the main comparison, and every baseline that could win."""

from collections.abc import Sequence

from mmspec_ds.studies.elucidation.definitions.comparing import difference
from mmspec_ds.studies.elucidation.definitions.drawing import rows_figure
from mmspec_ds.studies.elucidation.definitions.layout import (
    COMPARED,
    LOSS,
    asked_line,
    equal_lines,
    full_row,
    top_columns,
)
from mmspec_ds.studies.elucidation.definitions.variants import (
    SPARSE,
    SPARSE_BOTH,
    STANDARD,
    Variant,
    dense_text,
    equal_active,
    equal_active_both,
    equal_total,
    longer,
    one_heavy,
    with_dropout,
)
from mmspec_ds.studies.elucidation.measures.matching import MOLECULES as MATCHED
from mmspec_ds.studies.elucidation.measures.missing import SETTINGS, fewer
from mmspec_ds.studies.lookup import NOTHING, over_seeds
from mmspec_ds.studies.plan import Budget, Cell, Column, Entry, Results, Row, Study, Table

MODALITY_DROPOUT = 0.15


def main_variants(budget: Budget) -> list[Variant]:
    """The sparse models, each followed by the dense one of equal active parameters, and two further dense
    ones."""
    chosen = (
        SPARSE,
        equal_active(budget),
        SPARSE_BOTH,
        equal_active_both(budget),
        one_heavy(budget),
        equal_total(budget),
    )
    return [longer(budget, one) for one in chosen]


def main_seeds(budget: Budget) -> int:
    """The seeds of the main comparison, which on a few cores has more than other studies."""
    return budget.seeds if budget.main_seeds is None else budget.main_seeds


def _main_cells(budget: Budget) -> list[Cell]:
    return [cell for one in main_variants(budget) for cell in one.cells(main_seeds(budget))]


def _main_tables(results: Results) -> list[Table]:
    variants = main_variants(results.budget)
    table = Table(
        title="Sparse against dense",
        columns=[*top_columns(paper=False), LOSS, *COMPARED],
        rows=[full_row(results, one) for one in variants],
        names="model",
        about=[*equal_lines(results, variants), asked_line(results)],
    )
    encoder, its_dense, both, dense_of_both, *others = variants
    return [
        table,
        difference_table(results, encoder, (its_dense, *others)),
        difference_table(results, both, (dense_of_both,)),
    ]


def difference_table(results: Results, first: Variant, others: Sequence[Variant]) -> Table:
    """The lead of one model over each of some others in Top-1, percentage points, from cells of the same seeds;
    "not run" where no seed has both."""
    rows = []
    for other in others:
        found = difference(results, first.cell(), other.cell())
        entries: dict[str, Entry] = dict.fromkeys(("lead", "deviations", "first", "second", "p"))
        if found is not None:
            entries = {
                "lead": found.value,
                "deviations": NOTHING if found.in_deviations is None else found.in_deviations,
                "first": found.first_only,
                "second": found.second_only,
                "p": f"{found.p:.2g}",
            }
        rows.append(Row(f"over {other.name}", entries))
    return Table(
        title=f"Lead of {first.name} in Top-1",
        columns=[
            Column("lead", "lead, points", paper=False),
            Column("deviations", "in standard deviations over seeds", paper=False),
            Column("first", f"found by {first.name} alone", digits=0, paper=False),
            Column("second", "found by the other alone", digits=0, paper=False),
            Column("p", "p, sign test", paper=False),
        ],
        rows=rows,
        names=f"{first.name} ...",
        notes=(
            "The lead is a mean over seeds of differences between models of one seed. The standard deviation"
            " is that of a model's Top-1 over seeds, pooled over the two models. The sign test counts"
            " molecules that one model finds first and the other does not, over all seeds; a molecule counts"
            " once for each seed, which makes p somewhat too small.",
        ),
    )


MAIN = Study(
    "main",
    "Sparse against dense models of equal active and equal total parameters",
    "The sparse model with the best settings against dense ones that read the same compressed spectra: with as"
    " many parameters as the sparse one uses for a token, as wide as one heavy expert, and with as many as it"
    " has. The same with experts in encoder and decoder, against a dense model that is wider in both.",
    _main_cells,
    _main_tables,
    lambda results: rows_figure("main", _main_tables(results)[0]),
)


MATCHER = Variant("matcher, no learning", trains=False)


def baseline_variants(budget: Budget) -> list[Variant]:
    """Every baseline, and the sparse model with modality dropout and without."""
    dense = equal_active(budget)
    gradients = {"ogm_ge": "OGM-GE", "pcgrad": "PCGrad", "blending": "gradient blending"}
    return [
        SPARSE,
        with_dropout(SPARSE, MODALITY_DROPOUT),
        dense_text(budget),
        dense,
        equal_total(budget),
        with_dropout(dense, MODALITY_DROPOUT),
        one_heavy(budget).but("late fusion", model={"fusion": "late"}),
        dense.but("dense, contrastive alignment", objective={"alignment": 0.1}),
        *(dense.but(f"dense, {name}", training={"modality_gradients": key}) for key, name in gradients.items()),
    ]


def _baseline_cells(budget: Budget) -> list[Cell]:
    measures = (*STANDARD, "missing")
    trained = [cell for one in baseline_variants(budget) for cell in one.cells(budget.seeds, measures)]
    return [*trained, MATCHER.cell(0, ("matcher",))]


def _baseline_tables(results: Results) -> list[Table]:
    variants = baseline_variants(results.budget)
    cell = MATCHER.cell(0, ("matcher",))
    matcher: dict[str, Entry] = dict.fromkeys((LOSS.key, *(column.key for column in COMPARED)), NOTHING)
    matcher |= {key: results.value(cell, "matcher", key) for key in ("top_1", "top_5", "top_10")}
    planned = {"n": min(MATCHED, results.budget.evaluate)}
    asked = (results.of(cell, "matcher") or planned)["n"]
    full = Table(
        title="Baselines that could win",
        columns=[*top_columns(paper=False), LOSS, *COMPARED],
        rows=[*(full_row(results, one) for one in variants), Row(MATCHER.name, matcher)],
        names="model",
        about=[*equal_lines(results, variants), asked_line(results)],
        notes=(
            "The matcher knows the candidates: it ranks the predicted spectra of all molecules of a list that"
            " holds the right one. It shows how much of the task needs no learning. It is asked about the first"
            f" {asked:,} test molecules.",
            "PCGrad and gradient blending make several passes a step, as their training FLOPs say. In late"
            " fusion a token uses one encoder of several, and the active parameters are those.",
            "Alignment and OGM-GE come from models with an encoder for each modality. Here they act on the one"
            " encoder of the dense model of equal active parameters.",
        ),
    )
    return [full, *(_degradation(results, variants, how) for how in ("tokens", "channels"))]


def _degradation(results: Results, variants: Sequence[Variant], how: str) -> Table:
    rows = []
    for one in variants:
        values = {name: over_seeds(results, one.cell(), "missing", (how, name, "top_1")) for name in SETTINGS}
        rows.append(Row(one.name, values))
    what = "a share of the tokens masked" if how == "tokens" else "whole channels removed"
    columns = [Column(name, f"{name} ({_ratios(name)})", better="higher", paper=False) for name in SETTINGS]
    return Table(
        title=f"Top-1 % with incomplete spectra: {what}",
        columns=columns,
        rows=rows,
        names="model",
        about=(
            "In brackets the missing shares of NMR, MS and IR. Nothing is trained anew.",
            asked_line(results, "missing", *fewer(results.budget)),
        ),
    )


def _ratios(name: str) -> str:
    return " / ".join(f"{SETTINGS[name][channel]:g}" for channel in ("nmr", "ms", "ir"))


BASELINES = Study(
    "baselines",
    "Baselines that could win, with complete and with incomplete spectra",
    "A matcher that learns nothing; dense models on text, with modality dropout, of equal active and equal"
    " total parameters; late fusion by cross-attention; contrastive alignment; and three remedies for"
    " imbalance itself: OGM-GE (Peng et al. 2022), PCGrad (Yu et al. 2020) and gradient blending (Wang et al."
    " 2020).",
    _baseline_cells,
    _baseline_tables,
    lambda results: rows_figure("baselines", _baseline_tables(results)[0]),
)

STUDIES = (MAIN, BASELINES)
