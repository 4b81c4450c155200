"""Take runs that `mmspec train` has finished as cells of a folder of studies."""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing, write_json
from mmspec_ds.studies.cells import (
    CELLS,
    ENGINE,
    RESULT,
    RUN,
    RUN_FILE,
    CellFolder,
    identity_of_run,
)
from mmspec_ds.studies.outcome import training_result
from mmspec_ds.studies.plan import DataRecipe
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run_of
from mmspec_ds.trainer.checkpoints import CHECKPOINTS
from mmspec_ds.trainer.run_lock import LOCK, RunLock
from mmspec_ds.trainer.run_settings import check_run_folder
from mmspec_ds.trainer.weights import WEIGHTS

_KEPT_OUT = (CHECKPOINTS, LOCK, "tensorboard")


def adopt(out: Path, runs: Iterable[Path], recipe: DataRecipe) -> list[CellFolder]:
    """Copy finished runs into cells; a cell that is there already stays as it is.

    Whether a run learnt from the data of the recipe is not checked: its files may be anywhere.

    Args:
        out: the folder of studies.
        runs: folders of runs.
        recipe: the data that they learnt from.

    Raises:
        DataError: a folder that holds no finished run, or one that began with the weights of another; or a
            cell that another process works on.
        ConfigError: settings that this version cannot read.
    """
    return [_adopted(out, run, recipe) for run in runs]


def _adopted(out: Path, source: Path, recipe: DataRecipe) -> CellFolder:
    run = load_run_of(source, ElucidationRun)
    check_run_folder(source, (WEIGHTS,))
    result = training_result(source, run)
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
            _copy(source, run, result, cell)
    return cell


def _copy(source: Path, run: ElucidationRun, result: Mapping[str, Any], cell: CellFolder) -> None:
    """Write the files of a cell; the result comes last, which makes it a finished one."""
    with replacing(cell.path / RUN) as partial:
        shutil.copytree(source, partial, ignore=shutil.ignore_patterns(*_KEPT_OUT))
        shutil.rmtree(cell.path / RUN, ignore_errors=True)
    shutil.copyfile(run.engine, cell.path / ENGINE)
    data = run.data.model_copy(update={"train": (), "validation": ()})
    settings = run.model_copy(update={"name": RUN, "output": Path("."), "engine": Path(ENGINE), "data": data})
    with replacing(cell.path / RUN_FILE) as path:
        path.write_text(settings.to_yaml(), encoding="utf-8")
    write_json(cell.path / RESULT, result)
