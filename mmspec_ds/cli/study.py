"""`mmspec study`: a table or figure of the paper as a command."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import Commands, add_command, positive
from mmspec_ds.errors import ConfigError, DataError, UserError
from mmspec_ds.settings import nearest

if TYPE_CHECKING:
    from mmspec_ds.studies.plan import Budget, Study

STOPPED = 143
ADOPT = "adopt"


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _study,
        "train, measure and lay out what a table or figure of the paper shows, or go on with it",
        "mmspec study modalities --budget cpu --out studies\n"
        "  mmspec study main --budget paper --data part_*.parquet --out studies\n"
        "  mmspec study adopt studies runs/demo runs/demo_dense",
    )
    command.add_argument("name", nargs="?", help="of the study (--list names them), or adopt")
    command.add_argument("files", nargs="*", type=Path, metavar="PATH", help="after adopt: OUT and RUN_DIR...")
    command.add_argument("--list", action="store_true", help="name all studies, a line each")
    command.add_argument("--budget", default="cpu", help="smoke, cpu, gpu or paper (default: cpu)")
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
        "--data", type=Path, nargs="+", default=(), metavar="FILE", help="the benchmark's own parquet files"
    )
    data.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="a folder that `mmspec simulate` wrote, in the place of simulating one",
    )
    command.add_argument("--recipe", default="hard", help="after adopt: the data of the runs (default: hard)")
    command.set_defaults(wrong_usage=command.error)


def _study(options: argparse.Namespace) -> int:
    from mmspec_ds.studies.definitions import STUDIES

    if options.list:
        width = max(map(len, STUDIES), default=0)
        for study in STUDIES.values():
            print(f"{study.name:{width}}  {study.title}")
        return 0
    if options.name is None:
        options.wrong_usage("expected the name of a study, or --list")
    if options.name != ADOPT and options.files:
        options.wrong_usage(f"unrecognized arguments: {' '.join(map(str, options.files))}")
    if options.name != ADOPT and options.name not in STUDIES:
        raise UserError(f"unknown study {options.name!r}; {nearest(options.name, STUDIES, 'studies')}")
    budget = _budget(options)
    if options.name == ADOPT:
        return _adopt(options, budget)
    return _run(STUDIES[options.name], budget, options)


def _budget(options: argparse.Namespace) -> "Budget":
    from dataclasses import replace

    from mmspec_ds.studies.budgets import BUDGETS
    from mmspec_ds.studies.data import with_data

    if options.budget not in BUDGETS:
        raise ConfigError(f"unknown budget {options.budget!r}; {nearest(options.budget, BUDGETS, 'budgets')}")
    budget = BUDGETS[options.budget]
    if options.seeds is not None:
        budget = replace(budget, seeds=options.seeds, main_seeds=None)
    return with_data(budget, options.data, options.data_dir)


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


def _adopt(options: argparse.Namespace, budget: "Budget") -> int:
    from mmspec_ds.studies.adopt import adopt
    from mmspec_ds.studies.runner import open_out

    if len(options.files) < 2:
        options.wrong_usage("adopt: expected the folder of studies and folders of runs")
    if options.recipe not in budget.data:
        raise ConfigError(f"unknown data {options.recipe!r}; {nearest(options.recipe, budget.data, 'data')}")
    out, *runs = options.files
    for run in runs:
        if not run.is_dir():
            raise DataError("no such folder: expected that of a trained run", path=run)
    open_out(out)
    for run, cell in zip(runs, adopt(out, runs, budget.data[options.recipe])):
        print(f"{run}: {cell.path}")
    return 0
