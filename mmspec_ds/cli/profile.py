"""Profile one run or two: `mmspec profile`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command, check_writable, positive, positives
from mmspec_ds.errors import DataError


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _profile,
        "measure a run, or two against each other: parameters, FLOPs, speed, memory, decoding, traffic",
        "mmspec profile ds_configs/runs/demo.yaml --json profile.json \\\n"
        "      --against ds_configs/runs/demo.yaml name=demo_dense moe=null model.encoder_ffn_width=320\n\n"
        "with the experts shared by two ranks:\n"
        "  deepspeed --num_gpus 2 --no_local_rank --module mmspec_ds profile ds_configs/runs/demo.yaml \\\n"
        "      training.batch_size=16 training.ep_size=2",
    )
    command.add_argument("run", type=Path, help="a run file, such as those in ds_configs/runs: model A")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="section.key=value", help="settings of A to change"
    )
    command.add_argument(
        "--against",
        nargs="+",
        metavar=("RUN2", "section.key=value"),
        help="the run file of model B, and settings of B to change; measured in turn with A",
    )
    command.add_argument(
        "--both", nargs="+", default=[], metavar="section.key=value", help="settings of A and B to change"
    )
    command.add_argument("--runs", type=positive, default=3, help="of each kind of measurement (default: 3)")
    command.add_argument("--steps", type=positive, default=20, help="of a training run (default: 20)")
    command.add_argument("--warm-up", type=positive, default=5, help="steps before the first run (default: 5)")
    command.add_argument(
        "--beams",
        type=positives,
        default=(5, 10),
        metavar="N,N",
        help="beam widths of decoding (default: 5,10)",
    )
    command.add_argument(
        "--samples", type=positive, default=16, help="decoded in one run on each rank (default: 16)"
    )
    command.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    command.add_argument("--no-decoding", action="store_true", help="do not measure decoding")
    command.add_argument(
        "--generated",
        action="store_true",
        help="made-up tokens of the run's lengths, though it names files",
    )
    command.add_argument("--tokens", type=positive, help="spectrum tokens of a made-up sample")
    command.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    command.add_argument("--tensorboard", type=Path, metavar="DIR", help="also write them for TensorBoard")


def _profile(options: argparse.Namespace) -> int:
    from mmspec_ds.files import write_json
    from mmspec_ds.profiling.compare import Effort, profile
    from mmspec_ds.profiling.profile_report import print_profile, to_json, write_tensorboard
    from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
    from mmspec_ds.systems.run_file import load_run

    check_writable(options.json)
    if options.tensorboard is not None and options.tensorboard.is_file():
        raise DataError("cannot be written: it is a file, expected a folder", path=options.tensorboard)
    runs = [load_run(options.run, [*options.both, *options.overrides], ElucidationRun)]
    if options.against:
        path, *overrides = options.against
        runs.append(load_run(Path(path), [*options.both, *overrides], ElucidationRun))
    effort = Effort(
        runs=options.runs,
        steps=options.steps,
        warm_up=options.warm_up,
        beams=options.beams,
        samples=options.samples,
        memory=not options.no_memory,
        decoding=not options.no_decoding,
        generated=options.generated,
        tokens=options.tokens,
    )
    found = profile(runs, effort, lambda line: print(f"profile: {line}", flush=True))
    if found is None:  # the first rank tells
        return 0
    print_profile(found)
    if options.json is not None:
        write_json(options.json, to_json(found))
    if options.tensorboard is not None:
        write_tensorboard(options.tensorboard, found)
    return 0
