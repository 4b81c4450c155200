"""Make questions whose answers are known: `mmspec questions`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import Commands, add_command, positive, whole
from mmspec_ds.errors import ConfigError

if TYPE_CHECKING:
    from mmspec_ds.systems.alignment.objects import Kind
    from mmspec_ds.systems.alignment.questions.cell_types import CellTypes
    from mmspec_ds.systems.alignment.questions.sides import Split

KINDS: "dict[str, Kind]" = {
    "molecules": "molecule",
    "spectra": "spectrum",
    "proteins": "protein",
    "cells": "cell",
}
"""By option the kind of the objects in its files."""


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _questions,
        "make questions whose answers follow from structures, classes and cell types, to train and test a model"
        " that answers in words",
        "mmspec questions --molecules molecules.smi --out questions --seed 0\n"
        "  mmspec questions --molecules val.txt test.txt --test test.txt --tasks description --out captions\n"
        "  mmspec questions --spectra starter/test.parquet --tasks 'functional group,rings' --out questions",
    )
    _add_files(command)
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for the questions"
    )
    command.add_argument(
        "--test",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="some of the files above: everything in them is for the test, and nothing else of their kind",
    )
    command.add_argument(
        "--allow-shared",
        action="store_true",
        help="keep molecules and proteins of the test files in training too, as in splits that others published"
        " (default: left out there)",
    )
    command.add_argument(
        "--tasks", help="kinds of questions, parted by commas (default: all that can be asked)"
    )
    command.add_argument(
        "--count", type=positive, default=1000, help="questions of each kind for training (default: 1000)"
    )
    command.add_argument(
        "--held-out-count",
        type=positive,
        default=300,
        help="questions of each kind for validation, and for the test (default: 300)",
    )
    command.add_argument(
        "--validation", type=float, default=0.1, help="share of the objects for validation (default: 0.1)"
    )
    command.add_argument(
        "--test-share",
        type=float,
        default=0.2,
        help="share of the objects for the test, of kinds without files for it (default: 0.2)",
    )
    _add_cells(command)
    command.add_argument("--seed", type=whole, default=0, help="of everything that is drawn (default: 0)")


def _add_files(command: argparse.ArgumentParser) -> None:
    files = command.add_argument_group("files of objects, one kind at least")
    files.add_argument(
        "--molecules",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="SMILES, one a line or in a column; with a tab-separated column `description`, that is what a"
        " description says",
    )
    files.add_argument(
        "--spectra", type=Path, nargs="+", metavar="FILE", help="spectra of known molecules, of any format"
    )
    files.add_argument(
        "--proteins",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="tab-separated Entry, EC number and Sequence, perhaps also cluster, which a split does not part",
    )
    files.add_argument(
        "--cells",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="h5ad or NPZ of typed cells, a study each",
    )


def _add_cells(command: argparse.ArgumentParser) -> None:
    cells = command.add_argument_group("cells")
    cells.add_argument("--cell-column", metavar="NAME", help="that has the types of cells (default: found)")
    cells.add_argument(
        "--types",
        type=Path,
        metavar="FILE",
        help="a type of cells a line, with tabs: name, other labels parted by semicolons, marker genes parted"
        " by commas (default: types of blood and pancreas)",
    )
    cells.add_argument(
        "--held-out-types", metavar="NAMES", help="types that are in the test alone, parted by commas"
    )
    cells.add_argument(
        "--unnamed-types",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the training questions about marker genes, in which types have letters and other genes that"
        " are high in their cells (default: 0)",
    )
    cells.add_argument(
        "--exchanged-names",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the training questions that list types with marker genes, in which each type has the name of"
        " another one, so that a model learns to go by the markers (default: 0)",
    )
    cells.add_argument(
        "--absent-types",
        action="store_true",
        help="let training questions also name types of which no file has a cell, the test's included",
    )


def _questions(options: argparse.Namespace) -> int:
    from mmspec_ds.systems.alignment.questions.cell_types import read_cell_types
    from mmspec_ds.systems.alignment.questions.make import (
        TASKS,
        Wanted,
        check_new,
        make_questions,
        write_folder,
    )

    files = {kind: [path.resolve() for path in getattr(options, name) or []] for name, kind in KINDS.items()}
    named = options.tasks.split(",") if options.tasks is not None else TASKS
    shares = {"--unnamed-types": options.unnamed_types, "--exchanged-names": options.exchanged_names}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"{name} {share:g}: expected a share from 0 to 1")
    tasks = tuple(name.strip() for name in named)
    counts = (options.count, options.held_out_count)
    wanted = Wanted(
        tasks,
        *counts,
        options.seed,
        unnamed_types=options.unnamed_types,
        exchanged_names=options.exchanged_names,
        absent_types=options.absent_types,
    )
    types = read_cell_types(options.types) if options.types else read_cell_types()
    check_new(options.out)
    made = make_questions(files, wanted, _split(options, files, types), types, options.cell_column)
    write_folder(options.out, made, files, wanted)
    for side, questions in made.questions.items():
        if questions:
            print(f"{options.out / side}.jsonl: {len(questions):,} questions")
    for what, count in sorted(made.remarks.items()):
        if count:
            print(f"left out: {count:,} of {what}")
    return 0


def _split(options: argparse.Namespace, files: "dict[Kind, list[Path]]", types: "CellTypes") -> "Split":
    from mmspec_ds.systems.alignment.questions.sides import Split

    named = {path for paths in files.values() for path in paths}
    if not named:
        names = ", ".join(f"--{name}" for name in KINDS)
        raise ConfigError(f"no file is named: expected {names}, or several of them")
    test = frozenset(path.resolve() for path in options.test)
    for path in sorted(test - named):
        raise ConfigError(f"--test {path}: is none of the files that questions are made from")
    shares = {"--validation": options.validation, "--test-share": options.test_share}
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ConfigError(f"{name} {share:g}: expected a share from 0 to 1")
    if sum(shares.values()) >= 1:
        raise ConfigError("--validation and --test-share leave nothing to train on")
    hidden = [name.strip() for name in (options.held_out_types or "").split(",") if name.strip()]
    for name in hidden:
        if types.of(name) is None:
            raise ConfigError(f"--held-out-types {name!r}: is none of the types of cells")
    held_out = frozenset(one.name for one in map(types.of, hidden) if one is not None)
    shares_out = (options.validation, options.test_share)
    return Split(test, *shares_out, held_out, options.seed, options.allow_shared)
