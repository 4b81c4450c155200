"""`mmspec train`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command
from mmspec_ds.errors import ConfigError, DataError

STOPPED = 143


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _train,
        "train a model as a run file says, alone or under the deepspeed launcher",
        "deepspeed --num_gpus 2 --no_local_rank --module mmspec_ds train ds_configs/runs/demo.yaml \\\n"
        "      training.batch_size=16 training.ep_size=2",
    )
    command.add_argument("run", type=Path, help="a run file, or the name of one of ours, such as demo")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="section.key=value", help="settings to change"
    )
    command.add_argument("--skip-invalid", action="store_true", help="count unusable rows instead of failing")
    again = command.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    again.add_argument("--overwrite", action="store_true", help="discard an earlier run of this name")
    command.add_argument("--local_rank", "--local-rank", help=argparse.SUPPRESS)  # some launchers append it


def _train(options: argparse.Namespace) -> int:
    from mmspec_ds.systems.run_file import load_run, system_of
    from mmspec_ds.trainer.distributed import let_rank_0_speak
    from mmspec_ds.trainer.loop import train

    skip = ["data.skip_invalid=true"] if options.skip_invalid else []
    try:
        run = load_run(options.run, [*options.overrides, *skip])
        finished = train(run, system_of(run), resume=options.resume, overwrite=options.overwrite)
    except (ConfigError, DataError):
        let_rank_0_speak()  # every rank finds these errors
        raise
    return 0 if finished else STOPPED
