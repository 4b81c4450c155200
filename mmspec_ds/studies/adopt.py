"""Take a run that `mmspec train` has finished as a cell of a folder of studies."""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing, write_json
from mmspec_ds.studies.cells import (
    CELLS,
    ENGINE,
    MEASURES_FOLDER,
    RESULT,
    RUN,
    RUN_FILE,
    CellFolder,
    identity_of_run,
)
from mmspec_ds.studies.language import LANGUAGE_MODEL, link_language
from mmspec_ds.studies.outcome import training_result
from mmspec_ds.studies.plan import DataRecipe
from mmspec_ds.studies.systems import system_of_run
from mmspec_ds.systems.run_file import load_run_of
from mmspec_ds.trainer.checkpoints import CHECKPOINTS
from mmspec_ds.trainer.monitor.record import read_metrics
from mmspec_ds.trainer.run_lock import LOCK, RunLock
from mmspec_ds.trainer.run_settings import RunSettings, check_run_folder
from mmspec_ds.trainer.weights import WEIGHTS

_KEPT_OUT = (CHECKPOINTS, LOCK, "tensorboard")


def adopt(out: Path, source: Path, recipe: DataRecipe) -> CellFolder:
    """Copy a finished run into its cell; a cell that is there already stays as it is.

    Whether the run learnt from the data of the recipe is not checked: its files may be anywhere.

    Args:
        out: the folder of studies.
        source: the folder of the run.
        recipe: the data that it learnt from.

    Raises:
        DataError: a folder that holds no finished run, one on several ranks, or one that began with the
            weights of another; or a cell that another process works on.
        ConfigError: settings that this version cannot read.
    """
    run = load_run_of(source)
    check_run_folder(source, (WEIGHTS,))
    result = training_result(source, run)
    _refuse_ranks(source)
    if run.training.start_from is not None:
        raise DataError(
            "began with the weights of another run: expected one that began from its seed", path=source
        )
    cell = CellFolder(out / CELLS / identity_of_run(run, recipe))
    with ExitStack() as held:
        for folder in (cell.path, cell.run):  # a training that outlived its study holds the second alone
            lock = RunLock(folder)
            fault = lock.acquire()
            if fault is not None:
                raise DataError(fault, path=folder)
            held.callback(lock.release)
        if cell.result() is None:
            language = system_of_run(run).language_of(run)
            if language is not None:
                link_language(out, language)
            _copy(source, run, result, cell)
    return cell


def _refuse_ranks(source: Path) -> None:
    """Refuse a run on several ranks: its steps had as many batches as ranks, and those of a cell have one.

    Raises:
        DataError: says how many.
    """
    most = max(line.get("ranks", 1) for line in read_metrics(source) if line["kind"] == "start")
    if most > 1:
        raise DataError(f"was trained on {most} ranks: expected one, as a cell is trained", path=source)


def _copy(source: Path, run: Any, result: Mapping[str, Any], cell: CellFolder) -> None:
    """Write the files of a cell; the result comes last, which makes it a finished one. What was measured on
    weights that the cell had before goes."""
    shutil.rmtree(cell.path / MEASURES_FOLDER, ignore_errors=True)
    with replacing(cell.path / RUN) as partial:
        shutil.copytree(source, partial, ignore=shutil.ignore_patterns(*_KEPT_OUT))
        shutil.rmtree(cell.path / RUN, ignore_errors=True)
    shutil.copyfile(run.engine, cell.path / ENGINE)
    data = run.data.model_copy(update={"train": (), "validation": ()})
    changes = {"name": RUN, "output": Path("."), "engine": Path(ENGINE), "data": data}
    settings: RunSettings = system_of_run(run).with_language(
        run.model_copy(update=changes), Path("..", "..", LANGUAGE_MODEL)
    )
    with replacing(cell.path / RUN_FILE) as path:
        path.write_text(settings.to_yaml(), encoding="utf-8")
    write_json(cell.path / RESULT, result)
