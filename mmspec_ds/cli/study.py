"""`mmspec study`: a table or figure as a command."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import Commands, add_command, positive
from mmspec_ds.errors import ConfigError, DataError, UserError
from mmspec_ds.settings import nearest

if TYPE_CHECKING:
    from mmspec_ds.studies.plan import Budget, Study
    from mmspec_ds.studies.systems import StudySystem

STOPPED = 143
ADOPT = "adopt"


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _study,
        "train, measure and lay out what a table or figure of a paper shows, or go on with it",
        "mmspec study modalities --budget cpu --out studies\n"
        "  mmspec study main --budget paper --data part_*.parquet --out studies\n"
        "  mmspec study retrieval --data massbank_msms.parquet --language-model models/smollm2 --out studies\n"
        "  mmspec study adopt studies runs/demo runs/demo_dense",
    )
    command.add_argument("name", nargs="?", help="of the study (--list names them), or adopt")
    command.add_argument(
        "files", nargs="*", default=[], type=Path, metavar="PATH", help="after adopt: OUT and RUN_DIR..."
    )
    command.add_argument("--list", action="store_true", help="name all studies, a line each")
    command.add_argument("--budget", default="cpu", help="smoke, cpu, cpu-hard, gpu or paper (default: cpu)")
    command.add_argument("--out", type=Path, default=Path("studies"), metavar="DIR", help="default: studies")
    command.add_argument(
        "--seeds", type=positive, metavar="N", help="another number of seeds than the budget's"
    )
    command.add_argument(
        "--jobs", type=positive, metavar="N", help="cells side by side (default: one a GPU, or one a core)"
    )
    command.add_argument(
        "--only-trained", action="store_true", help="run nothing; show what is there, the rest as not run"
    )
    command.add_argument("--keep-checkpoints", action="store_true", help="of finished cells as well")
    data = command.add_mutually_exclusive_group()
    data.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="your own files, such as those of the benchmark, or of spectra with split and role",
    )
    data.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="a folder that `mmspec simulate` wrote, in the place of simulating one",
    )
    command.add_argument(
        "--language-model",
        type=Path,
        metavar="DIR",
        help="a pretrained language model, for the rows of `retrieval` that have one",
    )
    command.add_argument(
        "--recipe", metavar="NAME", help="after adopt: the data of the runs (default: the first of the budget)"
    )
    command.set_defaults(wrong_usage=command.error)


def _study(options: argparse.Namespace) -> int:
    from mmspec_ds.studies.systems import all_studies

    studies = all_studies()
    if options.list:
        width = max(map(len, studies), default=0)
        for _, study in studies.values():
            print(f"{study.name:{width}}  {study.title}")
        return 0
    if options.name is None:
        options.wrong_usage("expected the name of a study, or --list")
    if options.name == ADOPT:
        return _adopt(options)
    if options.files:
        options.wrong_usage(f"unrecognized arguments: {' '.join(map(str, options.files))}")
    if options.recipe is not None:
        options.wrong_usage("--recipe: expected after adopt alone")
    if options.name not in studies:
        raise UserError(f"unknown study {options.name!r}; {nearest(options.name, studies, 'studies')}")
    system, study = studies[options.name]
    return _run(study, _budget(options, system), options)


def _budget(options: argparse.Namespace, system: "StudySystem") -> "Budget":
    from dataclasses import replace

    from mmspec_ds.studies.data import with_data
    from mmspec_ds.studies.language import language_identity

    budgets = system.budgets
    if options.budget not in budgets:
        raise ConfigError(f"unknown budget {options.budget!r}; {nearest(options.budget, budgets, 'budgets')}")
    budget = budgets[options.budget]
    if options.seeds is not None:
        budget = replace(budget, seeds=options.seeds, main_seeds=None)
    if options.language_model is not None:
        if not system.reads_language:
            raise ConfigError("--language-model: no cell of this study reads a language model")
        language_identity(options.language_model)  # refuses what is none
        budget = replace(budget, language=options.language_model.absolute())
    return with_data(budget, system.data, options.data, options.data_dir)


def _run(study: "Study", budget: "Budget", options: argparse.Namespace) -> int:
    from mmspec_ds.studies.cells import CELLS, distinct
    from mmspec_ds.studies.commands import places
    from mmspec_ds.studies.measure import check_measures
    from mmspec_ds.studies.report import write_report
    from mmspec_ds.studies.results import StoredResults
    from mmspec_ds.studies.runner import Runner, open_out, with_sources

    cells = distinct(with_sources(study.cells(budget)), budget)
    check_measures(cells)
    status = 0
    if options.only_trained:
        if not (options.out / CELLS).is_dir():
            raise DataError(f"holds no {CELLS}: expected a folder of studies", path=options.out)
    else:
        open_out(options.out)
        where = places(options.jobs)
        outcome = Runner(cells, budget, options.out, where, keep_checkpoints=options.keep_checkpoints).run()
        for cell, fault in outcome.faults.items():
            print(f"{cell}: {fault}")
        print(f"{outcome.finished} of {len(cells)} cells done")
        status = STOPPED if outcome.stopped else 1 if outcome.faults else 0
    print(write_report(StoredResults(study, budget, options.out, cells)))
    return status


def _adopt(options: argparse.Namespace) -> int:
    from mmspec_ds.studies.adopt import adopt
    from mmspec_ds.studies.runner import open_out
    from mmspec_ds.studies.systems import system_of_run
    from mmspec_ds.systems.run_file import load_run_of

    if len(options.files) < 2:
        options.wrong_usage("adopt: expected the folder of studies and folders of runs")
    out, *runs = options.files
    recipes = []
    for run in runs:
        if not run.is_dir():
            raise DataError("no such folder: expected that of a trained run", path=run)
        known = _budget(options, system_of_run(load_run_of(run))).data
        name = next(iter(known)) if options.recipe is None else options.recipe
        if name not in known:
            raise ConfigError(f"unknown data {name!r}; {nearest(name, known, 'data')}")
        recipes.append(known[name])
    open_out(out)
    for run, recipe in zip(runs, recipes):
        print(f"{run}: {adopt(out, run, recipe).path}")
    return 0
