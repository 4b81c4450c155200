"""The command line: `mmspec simulate | train | evaluate | predict`.

Exit status: 0 done, 1 a fault in data or run (one line on stderr), 2 wrong usage, 143 stopped on request.
Rooms are imported by the command that needs them, so that `--help` is there at once.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError, UserError

STOPPED = 143
Commands = Any  # argparse keeps the type of add_subparsers() private


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parsed(arguments)
    try:
        status: int = options.command(options)
    except UserError as error:
        print(f"mmspec: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has left; the interpreter must not write to it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"mmspec: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mmspec: interrupted", file=sys.stderr)
        return 130
    return status


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; `section.key=value` may stand after a flag too, where argparse alone would not take it."""
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    strangers = [text for text in rest if text.startswith("-") or "=" not in text]
    if strangers or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(strangers or rest)}")
    if rest:
        options.overrides = [*options.overrides, *rest]
    return options


def make_parser() -> argparse.ArgumentParser:
    """All commands with their options; each `--help` ends with a worked example."""
    parser = argparse.ArgumentParser(prog="mmspec", description="Read molecular structures out of spectra.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_simulate, _add_train, _add_evaluate, _add_predict):
        add(commands)
    return parser


def _add_command(
    commands: Commands, run: Callable[[argparse.Namespace], int], what: str, example: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        run.__name__.removeprefix("_"),
        help=what,
        description=what[:1].upper() + what[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=run)
    return command


def _add_simulate(commands: Commands) -> None:
    command = _add_command(
        commands,
        _simulate,
        "make a starter set of molecules with their spectra, offline, in the benchmark's schema",
        "mmspec simulate --molecules 15000 --max-heavy-atoms 8 --seed 0 --out starter",
    )
    command.add_argument("--molecules", type=_positive, default=15_000, help="how many (default: 15000)")
    command.add_argument(
        "--max-heavy-atoms", type=_positive, default=8, help="size of the largest (default: 8)"
    )
    command.add_argument("--seed", type=int, default=0, help="of molecules and noise (default: 0)")
    command.add_argument("--smiles", type=Path, help="take the molecules from this file, one SMILES a line")
    command.add_argument("--noise-free", action="store_true", help="without measurement noise")
    command.add_argument("--skip-invalid", action="store_true", help="count unusable lines instead of failing")
    command.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, help="processes")
    command.add_argument("--out", type=Path, required=True, help="folder for train, val and test.parquet")


def _simulate(options: argparse.Namespace) -> int:
    from mmspec_ds.config import validated
    from mmspec_ds.spectra.simulator.noise import NoiseSettings
    from mmspec_ds.spectra.simulator.simulate import SimulationSettings, simulate_dataset

    settings = validated(
        SimulationSettings,
        {
            "molecules": options.molecules,
            "max_heavy_atoms": options.max_heavy_atoms,
            "seed": options.seed,
            "noise": NoiseSettings.off() if options.noise_free else NoiseSettings(),
        },
        "simulate",
    )
    with _Counter("simulating") as counter:
        summary = simulate_dataset(
            options.out,
            settings,
            smiles_file=options.smiles,
            skip_invalid=options.skip_invalid,
            workers=options.workers,
            progress=counter.at,
        )
    for path, count in summary.files.items():
        print(f"{path}: {count:,} molecules")
    for reason, count in summary.skipped.items():
        print(f"skipped: {count:,} {reason}")
    return 0


def _add_train(commands: Commands) -> None:
    command = _add_command(
        commands,
        _train,
        "train a model as a run file says, alone or under the deepspeed launcher",
        "deepspeed --num_gpus 2 --no_local_rank --module mmspec_ds train ds_configs/runs/demo.yaml seed=1",
    )
    command.add_argument("run", type=Path, help="a run file, such as those in ds_configs/runs")
    command.add_argument("overrides", nargs="*", metavar="section.key=value", help="settings to change")
    command.add_argument("--skip-invalid", action="store_true", help="count unusable rows instead of failing")
    again = command.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    again.add_argument("--overwrite", action="store_true", help="discard an earlier run of this name")


def _train(options: argparse.Namespace) -> int:
    from mmspec_ds.config import load_run
    from mmspec_ds.training.loop import train

    skip = ["data.skip_invalid=true"] if options.skip_invalid else []
    run = load_run(options.run, [*options.overrides, *skip])
    finished = train(run, resume=options.resume, overwrite=options.overwrite)
    return 0 if finished else STOPPED


def _add_evaluate(commands: Commands) -> None:
    command = _add_command(
        commands,
        _evaluate,
        "score the structures that trained models propose for molecules whose structure is known",
        "mmspec evaluate runs/demo --data starter/test.parquet --controls starter/train.parquet",
    )
    command.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="folder of a trained run")
    command.add_argument("--data", type=Path, nargs="+", required=True, help="parquet files with SMILES")
    command.add_argument("--beam", type=_positive, default=10, help="beam width (default: 10)")
    command.add_argument("--modalities", help="use only these, such as h_nmr,c_nmr")
    command.add_argument("--limit", type=_positive, help="only the first so many molecules")
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
    from mmspec_ds.evaluation.evaluate import (
        Question,
        evaluate_controls,
        evaluate_model,
        read_question,
        shared_with_training,
    )
    from mmspec_ds.evaluation.report import print_results, write_results
    from mmspec_ds.evaluation.trained import load_model
    from mmspec_ds.spectra.registry import modality_by_name

    _check_writable(options.json)
    named = options.modalities.split(",") if options.modalities else None
    question = Question(
        files=tuple(options.data),
        beam=options.beam,
        modalities=tuple(modality_by_name(name.strip()) for name in named) if named else None,
        limit=options.limit,
        skip_invalid=options.skip_invalid,
    )
    results = {}
    for folder in options.models:
        trained = load_model(folder)
        dataset = read_question(trained, question)
        for remark, count in dataset.remarks.items():
            print(f"{folder}: {remark}: {count}")
        with _Counter(f"decoding with {folder}", len(dataset)) as counter:
            results[str(folder)] = evaluate_model(trained, dataset, question.beam, counter.at)
        if options.controls and folder == options.models[0]:
            shared = shared_with_training(dataset, trained, options.controls)
            print(f"canonical SMILES shared with the training files: {shared} of {len(dataset)}")
            results |= evaluate_controls(trained, dataset, options.controls, question.beam)
    print_results(results)
    if options.json:
        write_results(options.json, results)
    return 0


def _add_predict(commands: Commands) -> None:
    command = _add_command(
        commands,
        _predict,
        "propose structures for the records of files, one JSON line each",
        "mmspec predict runs/demo unknown.parquet --top 10 --out proposals.jsonl",
    )
    command.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained run")
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="parquet files; no SMILES needed")
    command.add_argument("--top", type=_positive, default=10, help="candidates for each record (default: 10)")
    command.add_argument("--beam", type=_positive, help="beam width (default: as --top)")
    command.add_argument("--out", type=Path, metavar="JSONL", help="write there instead of printing")


def _predict(options: argparse.Namespace) -> int:
    from mmspec_ds.evaluation.predict_files import predict_files
    from mmspec_ds.evaluation.trained import load_model

    _check_writable(options.out)
    trained = load_model(options.model)
    beam = max(options.beam or options.top, options.top)
    lines = predict_files(trained, options.files, beam=beam, n_best=options.top)
    if options.out is None:
        for line in lines:
            print(json.dumps(line), flush=True)
        return 0
    partial = options.out.with_name(f".{options.out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file, _Counter("predicting") as counter:
            for number, line in enumerate(lines, 1):
                file.write(json.dumps(line) + "\n")
                counter.at(number)
        os.replace(partial, options.out)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=options.out) from None
    finally:
        partial.unlink(missing_ok=True)
    return 0


def _check_writable(path: Path | None) -> None:
    """Refuse, before work of minutes, a file that cannot be written at its end."""
    if path is None:
        return
    if path.is_dir():
        raise DataError("cannot be written: it is a folder, expected a file", path=path)
    if not path.parent.is_dir():
        raise DataError("cannot be written: its folder does not exist", path=path)


class _Counter:
    """A progress bar on a terminal; elsewhere nothing, for the result is printed in the end."""

    def __init__(self, what: str, total: int | None = None) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> "_Counter":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def at(self, done: int, total: int | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive whole number")
    return number
