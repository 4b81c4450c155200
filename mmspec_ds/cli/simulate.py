"""`mmspec simulate`."""

import argparse
import os
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command, positive
from mmspec_ds.errors import ConfigError
from mmspec_ds.progress import ProgressLines

_SETTINGS = ("molecules", "max_heavy_atoms", "fragments", "hold_out", "seed", "split", "shifts")
_OF_MOLECULES = (*_SETTINGS, "smiles", "profile", "noise_free", "noise", "skip_invalid")
"""Options that say nothing about a cohort, but for the seed."""


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _simulate,
        "make a starter set of molecules with their spectra, offline, in the benchmark's schema",
        "mmspec simulate --molecules 15000 --max-heavy-atoms 8 --seed 0 --out starter",
    )
    command.add_argument("--molecules", type=positive, default=15_000, help="how many (default: 15000)")
    command.add_argument("--max-heavy-atoms", type=positive, default=8, help="size of the largest (default: 8)")
    command.add_argument("--seed", type=int, default=0, help="of molecules and noise (default: 0)")
    command.add_argument("--smiles", type=Path, help="take the molecules from this file, one SMILES a line")
    command.add_argument(
        "--fragments",
        action="store_true",
        help="make molecules of pieces of those in the --smiles file: fragments, pairs, edits of both",
    )
    command.add_argument(
        "--hold-out",
        default="",
        metavar="SALT",
        help="leave out one molecule in ten: those where sha256 of SALT and the first block of the InChIKey"
        " is a multiple of ten",
    )
    command.add_argument(
        "--split",
        choices=("inchikey", "scaffold", "none"),
        default="inchikey",
        help="what is never in two files: the first block of an InChIKey, or a Murcko scaffold; none: all"
        " molecules go into train.parquet, such as for a library of predicted spectra (default: inchikey)",
    )
    kinds = command.add_mutually_exclusive_group()
    kinds.add_argument(
        "--profile",
        choices=("benchmark", "measured-lists", "hard"),
        default="benchmark",
        help="noise of the benchmark; or of lists of measured shifts: no couplings and ranges, few numbers of"
        " hydrogens; or such that no spectrum alone identifies a molecule (default: benchmark)",
    )
    kinds.add_argument("--noise-free", action="store_true", help="without measurement noise")
    command.add_argument(
        "--noise",
        type=_setting,
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="other noise than the profile's, for instance missing_peak=0.1 (keys: docs/simulator.md); after"
        " --noise-free this and no other",
    )
    command.add_argument(
        "--shifts",
        choices=("table", "csp5"),
        default="table",
        help="of NMR: the shipped table, or the optional package csp5, nearer and slower (default: table)",
    )
    command.add_argument("--skip-invalid", action="store_true", help="count unusable lines instead of failing")
    command.add_argument(
        "--cohort",
        type=positive,
        metavar="N",
        help="instead of molecules: blood samples of N patients, cases and controls, as tables of NMR and MS",
    )
    command.add_argument(
        "--cohort-settings",
        type=_setting,
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="what the cohort is like, for instance effect=0.5 one_table_only=0.2 (keys: docs/simulator.md)",
    )
    command.add_argument("--workers", type=positive, default=os.cpu_count() or 1, help="processes")
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    command.set_defaults(alone={name: command.get_default(name) for name in _OF_MOLECULES if name != "seed"})


def _simulate(options: argparse.Namespace) -> int:
    if options.cohort is not None:
        return _cohort(options)
    if options.cohort_settings:
        raise ConfigError("--cohort-settings: expected --cohort beside it, with a number of patients")
    from mmspec_ds.settings import validated
    from mmspec_ds.simulator.noise_settings import NoiseSettings
    from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset

    base = NoiseSettings.off() if options.noise_free else NoiseSettings.of_profile(options.profile)
    values = {name: getattr(options, name) for name in _SETTINGS}
    if options.split == "none":
        values |= {"split": "inchikey", "validation": 0.0, "test": 0.0}
    values["noise"] = base.model_dump() | dict(options.noise)
    settings = validated(SimulationSettings, values, "simulate")
    with ProgressLines("simulating", unit="molecules") as progress:
        gathering = ProgressLines("making molecules", unit="molecules", bar=False, console=progress.console)
        summary = simulate_dataset(
            options.out,
            settings,
            smiles_file=options.smiles,
            skip_invalid=options.skip_invalid,
            workers=options.workers,
            progress=progress.at,
            gathering=gathering.at,
        )
    for path, count in summary.files.items():
        print(f"{path}: {count:,} molecules")
    for reason, count in summary.skipped.items():
        print(f"skipped: {count:,} {reason}")
    return 0


def _cohort(options: argparse.Namespace) -> int:
    from mmspec_ds.settings import validated
    from mmspec_ds.simulator.mixture_files import write_cohort
    from mmspec_ds.simulator.mixtures import MixtureSettings, simulate_mixtures

    for name, usual in options.alone.items():
        if getattr(options, name) != usual:
            raise ConfigError(
                f"--{name.replace('_', '-')}: cannot be given with --cohort, which makes no molecules"
            )
    values = {"patients": options.cohort, "seed": options.seed, **dict(options.cohort_settings)}
    settings = validated(MixtureSettings, values, "simulate --cohort")
    for path, what in write_cohort(options.out, simulate_mixtures(settings)).items():
        print(f"{path}: {what}")
    return 0


def _setting(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    try:
        return key, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a name, = and a number") from None
