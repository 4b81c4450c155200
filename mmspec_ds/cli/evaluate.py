"""Score the proposals of trained models: `mmspec evaluate`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command, check_writable, positive
from mmspec_ds.progress import ProgressLines


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _evaluate,
        "score the structures that trained models propose for molecules whose structure is known",
        "mmspec evaluate runs/demo --data starter/test.parquet --controls starter/train.parquet",
    )
    command.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="folder of a trained run")
    command.add_argument("--data", type=Path, nargs="+", required=True, help="files of any format, with SMILES")
    command.add_argument(
        "--raw",
        action="store_true",
        help="rank by the benchmark's rule: strings as they were written, where invalid and repeated molecules"
        " keep their rank (default: valid molecules, none twice)",
    )
    command.add_argument("--beam", type=positive, help="beam width (default: 50, with --raw 10)")
    command.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a second row for the same molecules, ranked by the spectra that are predicted for them as well"
        " (default; not with --raw)",
    )
    command.add_argument("--modalities", help="use only these, such as h_nmr,c_nmr")
    command.add_argument("--limit", type=positive, help="only the first so many molecules")
    command.add_argument(
        "--controls",
        type=Path,
        nargs="+",
        metavar="TRAIN",
        help="the first model's training files: adds shuffled spectra and the nearest training spectrum",
    )
    command.add_argument("--skip-invalid", action="store_true", help="count unusable rows instead of failing")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")


def _evaluate(options: argparse.Namespace) -> int:
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

    check_writable(options.json)
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
