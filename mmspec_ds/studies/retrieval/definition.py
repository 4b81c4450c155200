"""The study `retrieval`: what finds a molecule in a library, classical scores, our encoder or a language model
(LLM4MS, Xu et al. 2025)."""

from collections.abc import Mapping, Sequence

from mmspec_ds.studies.lookup import NOTHING, over_seeds, pick, scaled
from mmspec_ds.studies.plan import Budget, Cell, Column, Entry, Results, Row, Study, Table
from mmspec_ds.studies.results import TRAINING
from mmspec_ds.studies.retrieval.rows import CLASSICAL, ENCODER, SCORES, Model, forms, models

RECALL = ("R@1", "R@5", "R@10", "MRR")
ANALOGUES = ("Tanimoto of 1", "mean of 10", "best of 10")
SETTINGS: Mapping[str, str] = {
    "open": "Open search: all rows of the library",
    "precursor": "Within the precursor window: rows of the query's polarity within 10 ppm",
    "cross-source": "Cross-source, open: without rows of the query's institute",
    "cross-source, precursor": "Cross-source, within the precursor window",
    "analogues": "Analogues: without every spectrum of the query's molecule",
}
"""Title by setting of `mmspec evaluate`."""

PAPER: Mapping[str, tuple[float, float]] = {
    "cosine": (0.286, 0.566),
    "m^1.3 I^0.53 cosine": (0.565, 0.841),
    "Spec2Vec": (0.583, 0.857),
    "language model, trained": (0.663, 0.927),
}
"""By row R@1 and R@10 of LLM4MS."""

PAPER_NOTE = (
    "The paper's values are of other data: 9,921 queries of NIST23 against a million-scale library of predicted"
    " EI spectra. Its weighted cosine stands beside ours with NIST's weights, its model beside ours trained."
)
NO_LANGUAGE_NOTE = "Rows of a language model are left out: none was named (--language-model DIR)."


def _cells(budget: Budget) -> list[Cell]:
    """The cheap ones first: a study that is stopped has most of its rows."""
    ours = [one for one in models(budget) if one.base == ENCODER]
    others = [one for one in models(budget) if one.base != ENCODER]
    trained = [*ours, *reversed(forms(budget)), *(one for one in others if one.trains)]
    cells = [one.cell(seed) for one in trained for seed in range(budget.seeds)]
    return [CLASSICAL, *cells, *(one.cell() for one in others if not one.trains)]


def _tables(results: Results) -> list[Table]:
    notes = () if results.budget.language else (NO_LANGUAGE_NOTE,)
    tables = [_setting_table(results, setting, notes) for setting in SETTINGS]
    tables += [_leads_table(results), _cost_table(results)]
    return [*tables, _forms_table(results)] if results.budget.language else tables


def _setting_table(results: Results, setting: str, notes: Sequence[str]) -> Table:
    measures = ANALOGUES if setting == "analogues" else RECALL
    rows = []
    errors: list[float] = []
    for group, name, cell, measure, method in _lines(results):
        path = ("settings", setting, "methods", method)
        entries = {one: over_seeds(results, cell, measure, (*path, one, "mean")) for one in measures}
        known = pick(results.of(cell, measure), (*path, measures[0], "error"))
        errors += [] if known is None else [known]
        missing = results.of(cell, measure) is not None and all(one is None for one in entries.values())
        shown: dict[str, Entry] = dict.fromkeys(entries, NOTHING) if missing else dict(entries)
        rows.append(Row(name, shown, _paper(name) if setting == "open" and group != FUSED else {}, group))
    return Table(
        title=SETTINGS[setting],
        columns=[Column(one, one, digits=3, better="higher", paper=one in ("R@1", "R@10")) for one in measures],
        rows=rows,
        names="method",
        about=_asked(results, setting, measures[0], errors),
        notes=[*((PAPER_NOTE,) if setting == "open" else ()), *notes],
    )


NO_MODEL, OURS, TEXT, FUSED = "no model", "our encoder", "language model", "fused with the scores of peaks"


def _lines(results: Results) -> list[tuple[str, str, Cell, str, str]]:
    """The rows of a table of searches: group, name, cell, measure, method."""
    lines = [(NO_MODEL, one, CLASSICAL, "classical", one) for one in SCORES]
    rows = models(results.budget)
    for one in rows:
        lines.append((OURS if one.base == ENCODER else TEXT, one.name, one.cell(), "search", "model"))
    return lines + [(FUSED, one.name, one.cell(), "search", "fusion") for one in rows]


def _paper(name: str) -> dict[str, Entry]:
    found = PAPER.get(name)
    return {} if found is None else {"R@1": found[0], "R@10": found[1]}


def _asked(results: Results, setting: str, measure: str, errors: Sequence[float]) -> list[str]:
    """How many queries and rows there were, and how sure the figures are."""
    known = results.of(CLASSICAL, "classical") or {}
    found = pick(known, ("settings", setting))
    if found is None:
        return []
    told = f"{found['n']:,} queries against {known['rows']:,} rows of {known['row_molecules']:,} molecules."
    if found["unanswerable"]:
        told += f" Left out, for no row has their molecule: {found['unanswerable']:,}."
    sure = f"Standard errors of {measure} (bootstrap over molecules): {min(errors):.3f} to {max(errors):.3f}."
    return [told, sure]


def _leads_table(results: Results) -> Table:
    rows = []
    for group, name, cell, measure, method in _lines(results):
        if name == "spectral entropy":
            continue
        entries: dict[str, Entry] = {}
        for setting in SETTINGS:
            first = ANALOGUES[0] if setting == "analogues" else RECALL[0]
            path = ("settings", setting, "leads", method, first)
            lead = pick(results.of(cell, measure), path)
            entries[setting] = f"{lead['mean']:+.3f} ± {lead['error']:.3f}" if lead else None
            if lead is None and results.of(cell, measure) is not None:
                entries[setting] = NOTHING
        rows.append(Row(name, entries, {}, group))
    return Table(
        title="Ahead of spectral entropy",
        columns=[Column(one, one, paper=False) for one in SETTINGS],
        rows=rows,
        names="method",
        about=[
            "R@1, and of analogues the Tanimoto similarity of the first, less that of the spectral entropy on"
            " the same queries, with the standard error of a paired bootstrap over molecules; the first seed.",
        ],
    )


def _cost_table(results: Results) -> Table:
    columns = [
        Column("steps", "steps", digits=0, paper=False),
        Column("samples", "spectra seen", digits=0, paper=False),
        Column("flops", "training TFLOP", digits=1, paper=False),
        Column("parameters", "parameters, M", digits=2, paper=False),
        Column("seconds", "training, s", digits=0, paper=False),
        Column("tokens", "tokens a spectrum", digits=1, paper=False),
    ]
    rows = []
    for one in models(results.budget):
        entries: dict[str, Entry] = {"steps": 0, "samples": 0}
        if one.trains:
            entries = _costs(results, one)
        if "text" in one.measures:
            entries["tokens"] = results.value(one.cell(), "text", "tokens")
        rows.append(Row(one.name, entries))
    return Table(
        "What the trainings used",
        columns,
        rows,
        "model",
        about=["Seconds are of a machine on which other work may be running."],
    )


def _costs(results: Results, model: Model) -> dict[str, Entry]:
    cell = model.cell()
    return {
        "steps": results.value(cell, TRAINING, "steps"),
        "samples": results.value(cell, TRAINING, "samples"),
        "flops": scaled(results.value(cell, TRAINING, "flops"), 1e-12),
        "parameters": scaled(results.value(cell, TRAINING, "parameters"), 1e-6),
        "seconds": results.value(cell, TRAINING, "seconds"),
    }


def _forms_table(results: Results) -> Table:
    columns = [
        Column("tokens", "tokens a spectrum", digits=1, better="lower", paper=False),
        Column("positions", "positions", digits=1, better="lower", paper=False),
        Column("new_tokens", "new tokens", digits=0, paper=False),
        Column("recall", "R@1 among the held-back spectra", digits=3, better="higher", paper=False),
        Column("loss", "loss", digits=3, better="lower", paper=False),
        Column("steps", "steps", digits=0, paper=False),
        Column("seconds", "training, s", digits=0, paper=False),
    ]
    rows = []
    for one in forms(results.budget):
        cell, costs = one.cell(), _costs(results, one)
        entries: dict[str, Entry] = {
            key: results.value(cell, "text", key) for key in ("tokens", "positions", "new_tokens")
        }
        entries |= {
            "recall": results.value(cell, TRAINING, "final_validation.recall_at_1"),
            "loss": results.value(cell, TRAINING, "final_validation.loss"),
            "steps": costs["steps"],
            "seconds": costs["seconds"],
        }
        rows.append(Row(one.name, entries))
    return Table(
        title="Forms of text",
        columns=columns,
        rows=rows,
        names="form",
        about=[
            "Equal: steps, spectra of a step, layers, mean pooling without a skip, data and their order.",
            "The R@1 is that of the last validation: how often the nearest of all other held-back spectra is of"
            " the same molecule, of those whose molecule has another one.",
            "Tokens of about 2,000 spectra or of all, at most 30 peaks; in `summed` up to three tokens share a"
            " position.",
        ],
    )


RETRIEVAL = Study(
    "retrieval",
    "Finding a molecule in a library: classical scores, our encoder, a language model",
    "Which molecule a mass spectrum is of, by the nearest spectrum of a library: scores of peaks without"
    " training, our encoder of spectra with and without the precursor, and a pretrained language model that"
    " reads spectra as text, untrained, trained, and trained from random weights of the same shape; each alone"
    " and fused with the scores of peaks. Queries are molecules that nothing was trained on.",
    _cells,
    _tables,
)

STUDIES: dict[str, Study] = {RETRIEVAL.name: RETRIEVAL}
