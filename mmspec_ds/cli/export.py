"""Export a trained model: `mmspec export`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import MODEL, Commands, add_command, positive


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _export,
        "write a trained model into a folder of a few files and a manifest, read without DeepSpeed and pickle",
        "mmspec export runs/demo demo_model && mmspec predict demo_model unknown.parquet",
    )
    command.add_argument("model", metavar="MODEL", help=MODEL)
    command.add_argument("folder", type=Path, metavar="DIR", help="folder to make")
    command.add_argument("--half", action="store_true", help="store the weights as float16: half the size")
    command.add_argument("--step", type=positive, help="of a checkpoint (default: the best weights)")


def _export(options: argparse.Namespace) -> int:
    from mmspec_ds.systems.run_file import load_run_of, system_of
    from mmspec_ds.systems.trained_folder import resolve_model
    from mmspec_ds.trainer.export import export

    run = load_run_of(options.model)
    folder = resolve_model(options.model)
    about = export(run, system_of(run), folder, options.folder, options.step, half=options.half)
    print(f"{options.folder}: {about['parameters']:,} parameters")
    return 0
