"""What is measured on a model that searches, and on the classical scores: as `mmspec evaluate` does it."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.bootstrap import Estimate
from mmspec_ds.evaluation.search_report import SearchReport, SettingResult, difference_of
from mmspec_ds.library.entries import matches
from mmspec_ds.progress import ProgressLines
from mmspec_ds.spectra.textualize import new_tokens, text_of_record
from mmspec_ds.studies.cells import settings_of
from mmspec_ds.studies.plan import Measure, MeasureContext
from mmspec_ds.systems.retrieval.comparison import fused_of, scores_of
from mmspec_ds.systems.retrieval.evaluate import evaluate_search
from mmspec_ds.systems.retrieval.fused_scores import NAME as FUSION
from mmspec_ds.systems.retrieval.peak_scores import ENTROPY
from mmspec_ds.systems.retrieval.read_question import (
    QUERIES,
    TRAINING,
    ReadQuestion,
    Selection,
    blocks_of,
    read_files,
    read_question,
)
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
from mmspec_ds.systems.retrieval.text_encoding import TextEncoding

MODEL = "model"
TEXTS = 2_000
"""Spectra whose tokens are counted, about as many."""


def classical(context: MeasureContext) -> dict[str, Any]:
    """The measure `classical`: what finds molecules without a model, Spec2Vec included, and the fusion of the
    scores of peaks.

    Returns:
        See `figures`; the methods are named as in `mmspec evaluate`.
    """
    read = read_asked(context)
    scores, told = scores_of(read, {}, quick=False)
    with ProgressLines("searching", len(read.question.queries), unit="queries") as progress:
        report = evaluate_search(read.question, scores, progress.at, [*read.remarks, *told], fused_of(read, {}))
    return figures(report)


def search(context: MeasureContext) -> dict[str, Any]:
    """The measure `search`: what a model finds, and its fusion with the scores of peaks.

    Returns:
        See `figures`; the methods are "model" and "fusion".
    """
    read, models = read_asked(context), {MODEL: context.trained}
    scores, told = scores_of(read, models, quick=True)
    with ProgressLines("searching", len(read.question.queries), unit="queries") as progress:
        fused = fused_of(read, {MODEL: MODEL})
        report = evaluate_search(read.question, scores, progress.at, [*read.remarks, *told], fused)
    return figures(report, (MODEL, FUSION))


def text(context: MeasureContext) -> dict[str, Any]:
    """The measure `text`: how long spectra are in the form of text that a language model reads.

    Returns:
        `form`; `n` spectra, evenly over the file; `tokens` and `positions` of one on average, and the `median`
        of the positions; `cut`, the share of them that is longer than the model reads; `new_tokens` that the
        model must learn.
    """
    run = settings_of(context.cell, context.budget, RetrievalRun)
    assert run.language is not None
    settings = run.language.text
    records = [one.record for one in read_files(context.data.test)[0]]
    records = [one for one in records if text_of_record(one, settings)]
    records = records[:: max(1, round(len(records) / TEXTS))]
    whole = run.language.model_copy(update={"max_tokens": 10_000})
    rows = TextEncoding(whole, energies=run.data.collision_energy).encode(records)
    return {
        "form": settings.form,
        "n": len(records),
        "tokens": float((rows.ids_TP >= 0).sum() / len(records)),
        "positions": float(rows.lengths.mean()),
        "median": float(np.median(rows.lengths)),
        "cut": float((rows.lengths > run.language.max_tokens).mean()),
        "new_tokens": len(new_tokens(settings)),
    }


def read_asked(context: MeasureContext) -> ReadQuestion:
    """The queries and the library: those of the files' `split` and `role`, as many as the budget has. Fusions
    learn from other spectra of the split of the queries, in every cell from the same; not from molecules that
    have a spectrum in the split of the training as well, on which models would seem better than they are.

    Raises:
        DataError: no query or no row, or no mass spectra.
    """
    with ProgressLines("reading", unit="spectra") as progress:
        entries, remarks = read_files(context.data.test, progress.at)
    selection = Selection(limit=context.budget.evaluate, learned={"split": QUERIES["split"]})
    trained = blocks_of(one for one in entries if matches(one.metadata, TRAINING))
    read = read_question(entries, selection, {"the training": trained}, remarks)
    if read.kind is None:
        raise DataError("the queries have no mass spectra", path=context.data.test[0])
    return read


def figures(report: SearchReport, methods: Iterable[str] | None = None) -> dict[str, Any]:
    """A report in JSON's types.

    Args:
        report: of a search.
        methods: to tell of; all without.

    Returns:
        `queries`, `rows`, `row_molecules`, `remarks`, `seconds` by method; `settings` by name with `n`,
        `unanswerable`, `methods`: by measure the mean and its standard error; and `leads`: the same of what
        each method has more than the spectral entropy.
    """
    found = {one.name: _setting(one, methods) for one in report.settings}
    whole = report.to_json()
    kept = ("queries", "rows", "row_molecules", "remarks", "seconds")
    return {**{name: whole[name] for name in kept}, "settings": found}


def _setting(result: SettingResult, methods: Iterable[str] | None) -> dict[str, Any]:
    chosen = [name for name in methods or result.methods if name in result.methods]
    leads = {
        name: _plain(difference_of(result, name, ENTROPY))
        for name in chosen
        if name != ENTROPY and ENTROPY in result.methods
    }
    return {
        "n": result.n,
        "unanswerable": result.unanswerable,
        "methods": {name: _plain(result.methods[name]) for name in chosen},
        "leads": leads,
    }


def _plain(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    return {name: {"mean": one.mean, "error": one.error} for name, one in estimates.items()}


MEASURES: dict[str, Measure] = {one.__name__: one for one in (classical, search, text)}
