"""Fit an encoder to objects in files: `mmspec fit`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command
from mmspec_ds.progress import ProgressLines


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _fit,
        "fit an encoder of cells or molecules to files, for a language model to read (docs/encoders.md)",
        "mmspec fit genes blood.h5ad --out panel --set most=1000",
    )
    command.add_argument("encoder", help="genes, cell_model, smiles")
    command.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="of cells (h5ad, NPZ) or molecules (a SMILES a line)",
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the encoder")
    command.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="settings of the fit, such as seed=1 or steps=500",
    )


def _fit(options: argparse.Namespace) -> int:
    from mmspec_ds.settings import of_overrides
    from mmspec_ds.systems.alignment.encoders.folder import check_new
    from mmspec_ds.systems.alignment.encoders.registry import make_fit

    fit = make_fit(options.encoder, of_overrides(options.settings))
    check_new(options.out)
    with ProgressLines(f"fitting {options.encoder}", 100) as lines:
        told = fit.fit(options.files, options.out, lambda share: lines.at(round(100 * share)))
    print(f"{options.out}: {told}")
    return 0
