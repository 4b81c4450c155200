"""Plan memory and traffic: `mmspec plan`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command, check_writable, positive, positives


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _plan,
        "say what a run needs in memory and traffic on so many GPUs, and which ZeRO stage and ep fit",
        "mmspec plan ds_configs/runs/alberts.yaml --gpus 8 --memory 80 --extrapolate 8,64,512",
    )
    command.add_argument("run", type=Path, help="a run file, such as those in ds_configs/runs")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="section.key=value", help="settings to change"
    )
    command.add_argument("--gpus", type=positive, required=True, help="how many, a rank each")
    command.add_argument("--memory", type=float, required=True, help="GB (10^9 bytes) of each GPU")
    command.add_argument(
        "--tokens",
        type=positive,
        help="spectrum tokens of a sample (default: from data.train, or the most allowed)",
    )
    command.add_argument(
        "--extrapolate",
        type=positives,
        default=(),
        metavar="N,N",
        help="also the recommended row on so many GPUs",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="also write the plan there")


def _plan(options: argparse.Namespace) -> int:
    from mmspec_ds.files import write_json
    from mmspec_ds.profiling.plan_report import make_report, print_report, to_json
    from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
    from mmspec_ds.systems.run_file import load_run
    from mmspec_ds.trainer.engine_file import read_engine

    check_writable(options.json)
    run = load_run(options.run, options.overrides, ElucidationRun)
    engine = read_engine(run.engine)
    report = make_report(
        run, engine, options.gpus, options.memory * 1e9, tokens=options.tokens, extrapolate=options.extrapolate
    )
    print_report(report)
    if options.json is not None:
        write_json(options.json, to_json(report))
    return 0
