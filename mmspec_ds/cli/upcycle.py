"""Make a sparse model from a dense one: `mmspec upcycle`."""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmspec_ds.cli.common import Commands, add_command
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import replacing
from mmspec_ds.settings import flattened

if TYPE_CHECKING:
    from mmspec_ds.systems.elucidation.model import Elucidator
    from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

NO_SIZES = {"dropout", "encoder_ffn_width"}
"""Keys of the model block that do not change the shapes of the weights that both models have."""

ENCODING = ("representation", "formula")
"""Keys of the data block that decide how a record becomes tokens in every representation."""


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _upcycle,
        "make a sparse model out of a trained dense one, to train it further with training.start_from",
        "mmspec upcycle runs/demo_dense ds_configs/runs/demo.yaml --out upcycled\n"
        "  mmspec train ds_configs/runs/demo.yaml training.start_from=upcycled",
    )
    command.add_argument("dense", type=Path, metavar="DENSE_MODEL", help="folder of a trained dense model")
    command.add_argument("run", type=Path, metavar="RUN.yaml", help="the run file of the sparse model")
    command.add_argument(
        "overrides", nargs="*", default=[], metavar="section.key=value", help="settings to change"
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the model")


def _upcycle(options: argparse.Namespace) -> int:
    from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
    from mmspec_ds.systems.elucidation.trained import load_model
    from mmspec_ds.systems.elucidation.upcycling import taken_units, upcycle
    from mmspec_ds.systems.run_file import load_run
    from mmspec_ds.trainer.engine_file import read_engine

    if options.out.exists():
        raise DataError("exists already: expected the name of a new folder", path=options.out)
    run, trained = load_run(options.run, options.overrides, ElucidationRun), load_model(options.dense)
    _check(run, options.run, trained.run, options.dense)
    read_engine(run.engine)  # refuses one that no training could have
    assert run.moe is not None
    sparse = upcycle(trained.model, run.moe, run.objective, run.seed)
    _write(options.out, run, options.dense, sparse)
    for taken in taken_units(trained.model, run.moe):
        print(
            f"encoder layer {taken.layer}: experts of width {taken.width} take {taken.units} of"
            f" {trained.run.model.dense_width} hidden units, {100 * taken.share:.1f} % of their summed norm"
        )
    print(f"{options.out}: a model of {sum(p.numel() for p in sparse.parameters()):,} parameters")
    return 0


def _check(run: "ElucidationRun", file: Path, dense: "ElucidationRun", folder: Path) -> None:
    """Refuse two runs that do not fit; name every key that differs."""
    if dense.moe is not None:
        raise DataError("has experts already: expected a dense model", path=folder)
    if run.moe is None:
        raise ConfigError(f"{file}: moe: missing: expected the run file of a sparse model")
    ours, theirs = dict(_decisive(run)), dict(_decisive(dense))
    differing = [
        f"{key} is {ours.get(key)}, in the dense model {theirs.get(key)}"
        for key in ours | theirs
        if ours.get(key) != theirs.get(key)
    ]
    if differing:
        raise ConfigError(f"{file}: does not fit {folder}: {'; '.join(differing)}")


def _decisive(run: "ElucidationRun") -> Iterator[tuple[str, Any]]:
    """Yield the settings on which both models must agree: sizes, and the meaning of the inputs."""
    for key, value in run.model.model_dump().items():
        if key not in NO_SIZES:
            yield f"model.{key}", value
    yield "data.modalities", ", ".join(modality.name.lower() for modality in run.data.chosen_modalities())
    for key in ENCODING:
        yield f"data.{key}", getattr(run.data, key)
    if run.data.representation == "text":
        yield "data.max_text_tokens", run.data.max_text_tokens
    else:
        yield from flattened(run.data.compression.model_dump(), "data.compression.")


def _write(folder: Path, run: "ElucidationRun", dense: Path, model: "Elucidator") -> None:
    """Write the files of a run's folder, whole or not at all."""
    from mmspec_ds.systems.trained_folder import resolve_model
    from mmspec_ds.trainer.weights import WEIGHTS, write_weights

    with replacing(folder) as partial:
        partial.mkdir()
        shutil.copyfile(run.engine, partial / "engine.json")
        settings = run.model_copy(update={"engine": Path("engine.json")}).to_yaml()
        (partial / "config.yaml").write_text(settings, encoding="utf-8")
        shutil.copyfile(resolve_model(dense) / "vocabulary.json", partial / "vocabulary.json")
        weights = {key: value.contiguous() for key, value in model.state_dict().items()}
        write_weights(weights, partial / WEIGHTS)
