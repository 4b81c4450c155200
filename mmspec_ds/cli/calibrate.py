"""Fit verification and confidence of a trained model: `mmspec calibrate`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command, positive
from mmspec_ds.errors import DataError
from mmspec_ds.progress import ProgressLines


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _calibrate,
        "fit how a model's candidates are checked against the spectra, and how sure its answers are",
        "mmspec calibrate runs/demo --data starter/val.parquet",
    )
    command.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="folder of a trained run or an export of elucidation",
    )
    command.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        help="files of any format, with SMILES of molecules that the model was not trained on",
    )
    command.add_argument(
        "--limit", type=positive, default=1000, help="the first so many molecules (default: 1000)"
    )
    command.add_argument(
        "--beam", type=positive, help="beam width, that of the answers to be judged (default: 50)"
    )
    command.add_argument("--seed", type=int, default=0, help="of the spectra that are left out (default: 0)")


def _calibrate(options: argparse.Namespace) -> int:
    from mmspec_ds.systems.elucidation.calibrate import calibrate
    from mmspec_ds.systems.elucidation.predict import BEAM
    from mmspec_ds.systems.elucidation.trained import load_model
    from mmspec_ds.systems.trained_folder import resolve_model
    from mmspec_ds.verification.calibration import save_calibration

    if resolve_model(options.model) != options.model:
        raise DataError(
            "belongs to the package, and is calibrated: expected a folder of your own, such as that of"
            f" `mmspec export {options.model} DIR`",
            path=options.model,
        )
    trained = load_model(options.model)
    with ProgressLines("decoding", unit="molecules") as progress:
        fitted = calibrate(
            trained,
            options.data,
            limit=options.limit,
            beam=options.beam or BEAM,
            seed=options.seed,
            progress=progress.at,
        )
    path = save_calibration(fitted, options.model)
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in fitted.errors.weights.items())
    print(f"{path}: weights: model {fitted.model_weight:.2f}, {weights}")
    for name, check in fitted.checks.items():
        print(f"expected calibration error, {name}: {check['error']:.3f} of {check['n']} molecules")
    return 0
