"""The part of `mmspec evaluate` for models that search, and for the classical scores."""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mmspec_ds.cli.common import check_writable
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.evaluation.equality import Compared
    from mmspec_ds.library.entry import Embedder
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
    from mmspec_ds.systems.retrieval.comparison import fused_of, molecules_of, scores_of
    from mmspec_ds.systems.retrieval.embedders import load_embedder
    from mmspec_ds.systems.retrieval.evaluate import evaluate_search
    from mmspec_ds.systems.retrieval.read_question import read_files, read_question

    check_writable(options.fusion)
    selection = _selection(options)
    embedders = {name: load_embedder(folder) for name, folder in _names(list(runs)).items()}
    parts = _parts(embedders, written=options.fusion is not None)
    with ProgressLines("reading", unit="spectra") as progress:
        entries, remarks = read_files(options.data, progress.at)
    data = {str(folder): cast("RetrievalRun", run).data for folder, run in runs.items()}
    trained = molecules_of(data, options.data, entries, remarks)
    if selection.learned is None and len(trained) < len(runs):
        selection = replace(selection, learned={})  # any of them may be of a molecule that the model has seen
    read = read_question(entries, selection, trained, remarks)
    scores, told = scores_of(read, embedders, quick=options.quick)
    fused = fused_of(read, parts)
    with ProgressLines("searching", len(read.question.queries), unit="queries") as progress:
        report = evaluate_search(read.question, scores, progress.at, [*read.remarks, *told], fused)
    print_report(report)
    print_trainings([_compared(folder, run) for folder, run in runs.items()])
    if options.json:
        write_report(options.json, report)
    if options.fusion:
        _write_fusions(options.fusion, fused, read, options.data)
    return 0


def _selection(options: argparse.Namespace) -> "Selection":
    from mmspec_ds.systems.retrieval.read_question import Selection, parse_where

    ppm = PRECURSOR_PPM if options.precursor_ppm is None else options.precursor_ppm
    if not 0 < ppm < math.inf:
        raise ConfigError(f"--precursor-ppm {ppm:g}: expected a number above 0")
    asked = (options.queries, options.library, options.train, options.fit)
    queries, library, training, learned = (None if text is None else parse_where(text) for text in asked)
    return Selection(queries, library, training, options.limit, ppm, learned)


def _parts(embedders: "Mapping[str, Embedder]", *, written: bool) -> dict[str, str]:
    """By method the name of its part in a fusion: that of the model in a library. Where two models have one
    name, which no library can hold, and nothing is `written`, the name of the method."""
    parts = {method: embedder.name for method, embedder in embedders.items()}
    if len(set(parts.values())) == len(parts):
        return parts
    if written:
        twice = next(name for name in parts.values() if list(parts.values()).count(name) > 1)
        raise ConfigError(f"--fusion: two of the models have the name {twice!r}, and a library holds one")
    return {method: method for method in parts}


def _write_fusions(
    path: Path, fused: "FusedScores | None", read: "ReadQuestion", files: Sequence[Path]
) -> None:
    """Write what `mmspec search` weighs the parts of a score by, fitted on all queries."""
    from mmspec_ds.library.fusion import write_fusions

    question = read.question
    source = (
        f"{len(question.queries):,} queries against {len(question.library):,} entries of"
        f" {', '.join(one.name for one in files)}"
    )
    fitted = fused.fitted(source) if fused is not None else []
    if not fitted:
        raise DataError("not written: no query was found by two methods to learn from", path=path)
    write_fusions(path, fitted)
    for one in fitted:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(one.parts, one.weights))
        print(f"{path}: {'open' if one.open else 'precursor'}: {weights}")
    if question.has_precursors and all(one.open for one in fitted):
        print(f"{path}: precursor: nothing to learn from, so that similarities will count equally")


def _names(folders: Sequence[Path]) -> dict[str, Path]:
    """The models by the last part of each path, or by all of it where two are the same or another method has
    that name."""
    from mmspec_ds.systems.retrieval.fused_scores import NAME
    from mmspec_ds.systems.retrieval.peak_scores import COSINES, ENTROPY, MODIFIED
    from mmspec_ds.systems.retrieval.spec2vec import Spec2Vec

    taken = [NAME, ENTROPY, MODIFIED, Spec2Vec.name, *COSINES, *(folder.name for folder in folders)]
    return {folder.name if taken.count(folder.name) == 1 else str(folder): folder for folder in folders}


def _compared(folder: Path, run: "RunSettings") -> "Compared":
    """What the training of a model used."""
    from mmspec_ds.evaluation.equality import COUNTS, Compared
    from mmspec_ds.trainer.usage import read_usage

    usage = read_usage(folder, run).to_json()
    return Compared(folder.name, {name: usage[name] for name in COUNTS if name in usage})
