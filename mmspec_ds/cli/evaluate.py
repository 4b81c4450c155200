"""Score trained models on molecules whose structure is known: `mmspec evaluate`.

The system of the models decides what is asked: structures that they propose, molecules that a search finds,
answers to questions, or functional groups.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import (
    MODEL,
    Command,
    Commands,
    add_command,
    add_places,
    check_writable,
    positive,
)
from mmspec_ds.errors import ConfigError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.trainer.run_settings import RunSettings

NO_MODEL = "none"
"""Stands in the place of a model for the classical scores alone."""

WHAT = {
    "elucidation": "propose structures",
    "retrieval": "search",
    "alignment": "answer questions",
    "fusion": "tell functional groups",
}
"""By system what its models do."""
PROPOSING = ("raw", "beam", "verify", "modalities", "controls", "skip_invalid")
SEARCHING = ("queries", "library", "train", "fit", "precursor_ppm", "quick", "fusion")
ANSWERING = ("examples", "captions", "encoders", "encoder", "language_model", "free")
TELLING = ("spoil", "rates")
"""The options of models that propose structures, of those that search, of those that answer questions, and of
those that tell functional groups."""


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _evaluate,
        "score trained models on molecules whose structure is known",
        "mmspec evaluate runs/demo --data starter/test.parquet --controls starter/train.parquet\n"
        "  mmspec evaluate none --data spectra.msp --queries role=query --library role=library\n"
        "  mmspec evaluate runs/retrieval --data massbank_msms.parquet --fusion runs/retrieval/fusion.json\n"
        "  mmspec evaluate none --data questions/test.jsonl --encoders morgan composition\n"
        "  mmspec evaluate runs/fusion --data starter/test.parquet --spoil ms --rates 0 0.3 0.6",
    )
    command.add_argument(
        "models",
        type=Path,
        nargs="+",
        metavar="MODEL",
        help=f"{MODEL}; models that are compared are of one system. `none` compares the"
        " classical scores of a search alone, or what answers questions without a model",
    )
    command.add_argument(
        "--data", type=Path, nargs="+", required=True, help="files of any format, with SMILES, or of questions"
    )
    command.add_argument(
        "--limit", type=positive, help="only the first so many molecules, queries or questions of each kind"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    _add_proposing(command)
    _add_searching(command)
    _add_answering(command)
    _add_telling(command)


def _add_proposing(command: Command) -> None:
    group = command.add_argument_group("models that propose structures")
    group.add_argument(
        "--raw",
        action="store_true",
        help="rank by the benchmark's rule: strings as they were written, where invalid and repeated molecules"
        " keep their rank (default: valid molecules, none twice)",
    )
    group.add_argument("--beam", type=positive, help="beam width (default: 50, with --raw 10)")
    group.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a second row for the same molecules, ranked by the spectra that are predicted for them as well"
        " (default; not with --raw)",
    )
    group.add_argument("--modalities", help="use only these, such as h_nmr,c_nmr")
    group.add_argument(
        "--controls",
        type=Path,
        nargs="+",
        metavar="TRAIN",
        help="the first model's training files: adds shuffled spectra and the nearest training spectrum",
    )
    group.add_argument("--skip-invalid", action="store_true", help="count unusable rows instead of failing")


def _add_searching(command: Command) -> None:
    group = command.add_argument_group(
        "models that search", "what entries have in their metadata, such as split=val,role=query"
    )
    group.add_argument(
        "--queries", help="entries to find (default: split=val,role=query, where the files tell)"
    )
    group.add_argument("--library", help="entries to search (default: role=library, where the files tell)")
    group.add_argument(
        "--train",
        help="entries that Spec2Vec learns from, none of whose molecules is sought (default: split=train)",
    )
    group.add_argument(
        "--fit",
        help="entries from which the fusion learns beside the queries, of molecules that no model has learned"
        " (default: all; '' for none)",
    )
    group.add_argument(
        "--precursor-ppm", type=float, metavar="PPM", help="the window around a precursor (default: 10)"
    )
    group.add_argument(
        "--quick",
        action="store_true",
        help="without Spec2Vec and modified cosine, or without a language model that reads text and a"
        " regression that searches for descriptions",
    )
    group.add_argument(
        "--fusion",
        type=Path,
        metavar="FILE",
        help="write the fusion there, fitted on all queries, for `mmspec search`, which takes that of a model"
        " from MODEL/fusion.json",
    )


def _add_answering(command: Command) -> None:
    group = command.add_argument_group("models that answer questions", "--data are files of questions (.jsonl)")
    group.add_argument(
        "--examples",
        type=Path,
        metavar="FILE",
        help="questions that regressions learn from and a language model is shown (default: train.jsonl beside"
        " the first file of --data)",
    )
    group.add_argument("--encoders", nargs="+", metavar="NAME", help="also linear probes of these encoders")
    group.add_argument(
        "--captions",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="descriptions that other models wrote: SMILES, ground truth and output, parted by tabs",
    )
    add_places(group)
    group.add_argument(
        "--free", action="store_true", help="let models write freely where the possible answers are known"
    )


def _add_telling(command: Command) -> None:
    group = command.add_argument_group("models that tell functional groups")
    group.add_argument("--spoil", metavar="NAME", help="also with this modality spoilt, such as ms")
    group.add_argument(
        "--rates",
        type=float,
        nargs="+",
        metavar="SHARE",
        help="shares of the records in which it is: noise, another record's spectrum, or none (default: 0 0.2"
        " 0.4 0.6)",
    )


def _evaluate(options: argparse.Namespace) -> int:
    from mmspec_ds.cli.evaluate_alignment import QUESTIONS, evaluate_alignment
    from mmspec_ds.cli.evaluate_fusion import evaluate_fusion
    from mmspec_ds.cli.evaluate_retrieval import evaluate_retrieval

    check_writable(options.json)
    runs = _runs(options.models)
    questions = any(path.suffix == QUESTIONS for path in options.data)
    systems = {run.system for run in runs.values()} or {"alignment" if questions else "retrieval"}
    if len(systems) > 1:
        raise ConfigError(f"the models are of the systems {' and '.join(sorted(systems))}: expected one")
    system = systems.pop()
    others = {"elucidation": PROPOSING, "retrieval": SEARCHING, "alignment": ANSWERING, "fusion": TELLING}
    own = ("quick", *others.pop(system)) if system == "alignment" else others.pop(system)
    for name, what in WHAT.items():
        if name in others:
            _refuse(options, tuple(one for one in others[name] if one not in own), what)
    if system == "alignment":
        return evaluate_alignment(options, list(runs))
    if system == "fusion":
        return evaluate_fusion(options, list(runs))
    return evaluate_retrieval(options, runs) if system == "retrieval" else _evaluate_proposals(options)


def _runs(models: list[Path]) -> "dict[Path, RunSettings]":
    """The settings of each model but `none`."""
    from mmspec_ds.systems.run_file import load_run_of
    from mmspec_ds.trainer.run_settings import CONFIG

    if NO_MODEL in map(str, models) and len(models) > 1:
        raise ConfigError(f"{NO_MODEL!r} stands for no model: expected it alone")
    named = [one for one in models if str(one) != NO_MODEL or (one / CONFIG).is_file()]
    return {one: load_run_of(one) for one in named}


def _refuse(options: argparse.Namespace, names: tuple[str, ...], what: str) -> None:
    """Refuse options of models that do something else."""
    usual = {"raw": False, "verify": True, "skip_invalid": False, "quick": False, "free": False}
    for name in names:
        if getattr(options, name) != usual.get(name):
            flag = "--no-verify" if name == "verify" else f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} is for models that {what}: these do not")


def _evaluate_proposals(options: argparse.Namespace) -> int:
    from mmspec_ds.evaluation.metrics import EvaluationResult
    from mmspec_ds.evaluation.score_table import print_results, print_trainings, write_results
    from mmspec_ds.spectra.registry import modality_by_name
    from mmspec_ds.systems.elucidation.compared import read_compared
    from mmspec_ds.systems.elucidation.evaluate import (
        Question,
        evaluate_controls,
        evaluate_model,
        evaluate_verified,
        question_records,
        read_library,
        read_question,
        shared_with_training,
    )
    from mmspec_ds.systems.elucidation.predict import BEAM
    from mmspec_ds.systems.elucidation.trained import load_model

    named = options.modalities.split(",") if options.modalities else None
    question = Question(
        files=tuple(options.data),
        beam=options.beam or (10 if options.raw else BEAM),
        rule="raw" if options.raw else "verified" if options.verify else "unique",
        modalities=tuple(modality_by_name(name.strip()) for name in named) if named else None,
        limit=options.limit,
        skip_invalid=options.skip_invalid,
    )
    results: dict[str, EvaluationResult] = {}
    for folder in options.models:
        trained = load_model(folder)
        dataset = read_question(trained, question)
        for remark, count in dataset.remarks.items():
            print(f"{folder}: {remark}: {count}")
        with ProgressLines(f"decoding with {folder}", len(dataset), unit="molecules") as progress:
            if question.rule == "verified":
                records = question_records(dataset, question)
                both = evaluate_verified(trained, dataset, records, question.beam, progress.at)
                results |= dict(zip((str(folder), f"{folder}, verified"), both))
            else:
                results[str(folder)] = evaluate_model(
                    trained, dataset, question.beam, question.rule, progress.at
                )
        if options.controls and folder == options.models[0]:
            library = read_library(trained, options.controls)
            shared = shared_with_training(dataset, library)
            print(f"canonical SMILES shared with the training files: {shared} of {len(dataset)}")
            results |= evaluate_controls(trained, dataset, library, question)
    print_results(results)
    models = [read_compared(folder) for folder in options.models]
    print_trainings([model for model, _ in models])
    if options.json:
        trainings = {model.name: usage.to_json() for model, usage in models}
        write_results(options.json, results, trainings, [model for model, _ in models])
    return 0
