"""The part of `mmspec evaluate` for models that search, and for the classical scores."""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mmspec_ds.errors import ConfigError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.evaluation.equality import Compared
    from mmspec_ds.library.entry import Embedder, Entry
    from mmspec_ds.library.peaks import PeakSettings
    from mmspec_ds.systems.retrieval.evaluate import Scores
    from mmspec_ds.systems.retrieval.fused_scores import FusedScores
    from mmspec_ds.systems.retrieval.read_question import ReadQuestion, Selection
    from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
    from mmspec_ds.trainer.run_settings import RunSettings

PRECURSOR_PPM = 10.0


def evaluate_retrieval(options: argparse.Namespace, runs: "Mapping[Path, RunSettings]") -> int:
    """Print, and write if asked, the figures of all methods on the same queries; the exit status.

    Args:
        options: of the command.
        runs: by their folders the settings of the models, all of retrieval.
    """
    from mmspec_ds.evaluation.score_table import print_trainings
    from mmspec_ds.evaluation.search_report import print_report, write_report
    from mmspec_ds.systems.retrieval.evaluate import evaluate_search
    from mmspec_ds.systems.retrieval.read_question import read_files, read_question

    selection = _selection(options)
    with ProgressLines("reading", unit="spectra") as progress:
        entries, remarks = read_files(options.data, progress.at)
    trained = _trained(cast("Mapping[Path, RetrievalRun]", runs), options.data, entries, remarks)
    read = read_question(entries, selection, trained, remarks)
    scores, told = _scores(read, list(runs), quick=options.quick)
    fused = _fused(read, list(_names(list(runs)).values()))
    with ProgressLines("searching", len(read.question.queries), unit="queries") as progress:
        report = evaluate_search(read.question, scores, progress.at, [*read.remarks, *told], fused)
    print_report(report)
    print_trainings([_compared(folder, run) for folder, run in runs.items()])
    if options.json:
        write_report(options.json, report)
    return 0


def _selection(options: argparse.Namespace) -> "Selection":
    from mmspec_ds.systems.retrieval.read_question import Selection, parse_where

    ppm = PRECURSOR_PPM if options.precursor_ppm is None else options.precursor_ppm
    if not 0 < ppm < math.inf:
        raise ConfigError(f"--precursor-ppm {ppm:g}: expected a number above 0")
    asked = (options.queries, options.library, options.train)
    queries, library, training = (None if text is None else parse_where(text) for text in asked)
    return Selection(queries, library, training, options.limit, ppm)


def _trained(
    runs: "Mapping[Path, RetrievalRun]", paths: Sequence[Path], entries: "Sequence[Entry]", remarks: list[str]
) -> "dict[str, frozenset[str]]":
    """By model the molecules that it was trained on; a remark where its training files are not here."""
    from mmspec_ds.systems.retrieval.read_question import read_files, trained_blocks

    found = {}
    for folder, run in runs.items():
        files = run.data.train
        if not files or not all(path.exists() for path in files):
            what = "are not here" if files else "are not told"
            remarks.append(
                f"{folder}: its training files {what}: molecules that it has seen may be among the queries"
            )
            continue
        same = [path.resolve() for path in files] == [path.resolve() for path in paths]
        learned = entries if same else read_files(files)[0]
        found[str(folder)] = trained_blocks(run.data, learned)
    return found


def _scores(read: "ReadQuestion", folders: Sequence[Path], *, quick: bool) -> "tuple[list[Scores], list[str]]":
    """All methods, and what was equal between them, a sentence each."""
    from mmspec_ds.spectra.records import Modality
    from mmspec_ds.systems.retrieval.embedders import load_embedder
    from mmspec_ds.systems.retrieval.peak_scores import ModifiedCosineScores, PeakScores, peak_settings

    question = read.question
    scores: list[Scores] = []
    told: list[str] = []
    if read.kind is not None:
        settings = peak_settings(read.kind)
        scores.append(PeakScores(question, settings))
        told.append(
            f"Equal for all methods: queries and library. Peaks of the classical scores: {_written(settings)}"
        )
        if read.kind is Modality.MS and not quick:
            scores.append(ModifiedCosineScores(question, settings))
        if not quick:
            scores += _spec2vec(read, told)
    names = _names(folders)
    for folder in folders:
        scores.append(_vectors(load_embedder(folder), read, names[folder]))
    if not scores:
        raise ConfigError("the queries have no mass spectra, and no model is named: nothing can be compared")
    return scores, told


def _fused(read: "ReadQuestion", models: Sequence[str]) -> "FusedScores | None":
    """The fusion of the classical scores and the models, where there are two or more."""
    from mmspec_ds.spectra.records import Modality
    from mmspec_ds.systems.retrieval.fused_scores import FusedScores

    if read.kind is None:
        return FusedScores(read.question, models, "any") if len(models) > 1 else None
    return FusedScores(read.question, models, "ei" if read.kind is Modality.EI else "ms")


def _spec2vec(read: "ReadQuestion", told: list[str]) -> "list[Scores]":
    from mmspec_ds.spectra.records import Modality
    from mmspec_ds.systems.retrieval.spec2vec import Spec2VecSettings, train_spec2vec

    if not read.training:
        told.append("Spec2Vec is left out: there are no spectra to learn from (--train)")
        return []
    settings = Spec2VecSettings(decimals=0 if read.kind is Modality.EI else 2)
    count = len(read.training)
    with ProgressLines(f"Spec2Vec learns from {count:,} spectra", settings.epochs, unit="epochs") as progress:
        model = train_spec2vec([one.record for one in read.training], settings, progress.at)
    told.append(
        f"Spec2Vec learned from {count:,} spectra, {settings.epochs} times; its words have"
        f" {settings.decimals} decimals"
    )
    return [_vectors(model, read, model.name)]


def _vectors(embedder: "Embedder", read: "ReadQuestion", name: str) -> "Scores":
    from mmspec_ds.systems.retrieval.evaluate import VectorScores

    question = read.question
    with ProgressLines(f"reading with {name}", unit="spectra") as progress:
        return VectorScores(embedder, question, name, progress.at)


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """The last part of each path, or all of it where two are the same."""
    last = [folder.name for folder in folders]
    return {folder: folder.name if last.count(folder.name) == 1 else str(folder) for folder in folders}


def _written(settings: "PeakSettings") -> str:
    equal = (
        "equal whole numbers of m/z" if settings.whole_numbers else f"equal within {settings.tolerance_da:g} Da"
    )
    return f"{equal}, below {settings.noise:.1%} of the largest left out"


def _compared(folder: Path, run: "RunSettings") -> "Compared":
    """What the training of a model used."""
    from mmspec_ds.evaluation.equality import COUNTS, Compared
    from mmspec_ds.trainer.usage import read_usage

    usage = read_usage(folder, run).to_json()
    return Compared(folder.name, {name: usage[name] for name in COUNTS if name in usage})
