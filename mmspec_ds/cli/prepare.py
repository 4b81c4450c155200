"""Prepare parquet files as shards: `mmspec prepare`."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mmspec_ds.cli.common import Commands, add_command, positive
from mmspec_ds.errors import UserError
from mmspec_ds.progress import ProgressLines


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _prepare,
        "turn parquet files of any number into shards that training reads where they lie",
        "mmspec prepare part_*.parquet --out shards --split scaffold\n  mmspec prepare --verify shards",
    )
    command.add_argument(
        "files", type=Path, nargs="*", default=[], metavar="FILE", help="parquet files, in any number"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="folder for the shards; a begun one goes on")
    command.add_argument(
        "--split",
        choices=("inchikey", "scaffold", "benchmark"),
        default="inchikey",
        help="what may not be on two sides: the first block of an InChIKey, a Murcko scaffold, or no more than"
        " the benchmark asks for (default: inchikey)",
    )
    command.add_argument("--seed", type=int, help="of the split (default: 0; the benchmark's is 3245)")
    command.add_argument("--validation", type=float, help="share of the molecules (default: 0.05)")
    command.add_argument("--test", type=float, help="share of the molecules (default: 0.1)")
    command.add_argument(
        "--run",
        type=Path,
        metavar="RUN.yaml",
        help="store modalities and compression as this run file has them",
    )
    command.add_argument("--skip-invalid", action="store_true", help="count unusable rows instead of failing")
    command.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="processes (default: one a core)"
    )
    command.add_argument("--verify", type=Path, metavar="DIR", help="only read a prepared folder and check it")
    command.set_defaults(wrong_usage=command.error)


def _prepare(options: argparse.Namespace) -> int:
    from mmspec_ds.data.shards.prepare import prepare_shards

    if options.verify is not None:
        if options.files or options.out is not None:
            options.wrong_usage("--verify stands alone: it takes a prepared folder and no files")
        return _verify(options.verify)
    if not options.files or options.out is None:
        options.wrong_usage("expected parquet files, and --out with a folder for the shards")
    settings = _settings(options)
    with ProgressLines("preparing", unit="rows", last_line=True) as progress:
        summary = prepare_shards(
            options.files,
            options.out,
            settings,
            skip_invalid=options.skip_invalid,
            workers=options.workers,
            progress=progress.at,
        )
    print(f"{options.out}: {summary.shards:,} shards, {summary.bytes / 1e6:,.1f} MB")
    for name, count in summary.splits.items():
        print(f"{name}: {count:,} molecules")
    if summary.duplicates:
        print(f"left out: {summary.duplicates:,} duplicates")
    for column, count in summary.rejected.items():
        print(f"left out: {count:,} rows for their {column}")
    for reason in summary.examples:
        print(f"  {reason}")
    return 0


def _settings(options: argparse.Namespace) -> Any:
    """Read the settings from the options and the run file."""
    from mmspec_ds.data.shards.plan import PrepareSettings
    from mmspec_ds.molecules.splits import BENCHMARK_SEED
    from mmspec_ds.settings import validated
    from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
    from mmspec_ds.systems.run_file import load_run

    split: dict[str, Any] = {"rule": options.split, "seed": options.seed}
    shares = {name: getattr(options, name) for name in ("validation", "test")}
    split |= {name: share for name, share in shares.items() if share is not None}
    if options.split == "benchmark" and len(split) > 2:
        options.wrong_usage("--split benchmark has shares of its own: leave --validation and --test out")
    if options.seed is None:
        split["seed"] = BENCHMARK_SEED if options.split == "benchmark" else 0
    content: dict[str, Any] = {"split": split}
    if options.run is not None:
        data = load_run(options.run, (), ElucidationRun).data
        content |= {"modalities": data.modalities, "compression": data.compression}
    return validated(PrepareSettings, content, "prepare")


def _verify(folder: Path) -> int:
    from mmspec_ds.data.shards.folder import verify_folder
    from mmspec_ds.data.shards.prepare import summary_of

    wrong = verify_folder(folder)
    for line in wrong[1:]:
        print(f"mmspec: {line}", file=sys.stderr)
    if wrong:
        raise UserError(wrong[0])
    summary = summary_of(folder)
    print(
        f"{folder}: {summary.shards:,} shards, {sum(summary.splits.values()):,} molecules, as they were written"
    )
    return 0
