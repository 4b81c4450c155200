"""The data of a study: made once, prepared once, and found again by every cell.

OUT/data/<folder>/
    made.json    what they were made of, so that no other recipe takes them
    *.parquet    made by the system, cut out of the user's files, or links to these
    ...          what the system adds, such as shards
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import MANIFEST, write_json
from mmspec_ds.studies.cells import read_json, recipe_identity, recipe_of, settings_of
from mmspec_ds.studies.plan import Budget, Cell, DataFiles, DataRecipe
from mmspec_ds.studies.systems import StudyData, system_of
from mmspec_ds.trainer.run_lock import RunLock

DATA, MADE = "data", "made.json"


def with_data(budget: Budget, data: StudyData, files: Sequence[Path] = (), given: Path | None = None) -> Budget:
    """The budget with the user's files, or a folder of the user, in the place of what would be simulated.

    Args:
        budget: of a study.
        data: makes the data of its system.
        files: of the user.
        given: a folder that `mmspec simulate` wrote.

    Raises:
        DataError: a file is missing, or named twice.
        ConfigError: a budget that simulates nothing without files.
    """
    for number, path in enumerate(files):
        if not path.is_file():
            raise DataError(f"no such file: expected {data.wanted}", path=path)
        if any(path.samefile(one) for one in files[:number]):  # its molecules would be on both sides of a split
            raise DataError("is named twice: expected different files", path=path)
    changes: dict[str, DataRecipe] = {}
    words = budget.molecules
    for name, recipe in budget.data.items():
        if files:
            changes[name] = replace(recipe, files=tuple(files))
            words = f"the molecules of {', '.join(path.name for path in files)}"
        elif given is not None:
            changes[name] = replace(recipe, given=given, molecules=data.count(given))
            words = f"{changes[name].molecules:,} molecules of the folder {given.resolve().name}"
        elif not recipe.molecules:
            raise ConfigError(f"the {budget.name} budget needs {data.wanted}: --data FILE...")
        else:
            changes[name] = recipe
    return replace(budget, data=changes, molecules=words)


def files_of(cell: Cell, budget: Budget, out: Path) -> DataFiles:
    """Where the data of a cell are, whether or not they are made."""
    recipe = recipe_of(cell, budget)
    return system_of(cell).data.files(recipe, out / DATA / recipe.folder, settings_of(cell, budget))


def make_data(cell: Cell, budget: Budget, out: Path, workers: int) -> DataFiles:
    """Make what is missing of a cell's data. Another process that makes the same data is waited for.

    Raises:
        DataError: a file that cannot be used, a given folder that lacks one, or data of another recipe in their
            place.
        ConfigError: settings that the simulation does not have.
    """
    found, recipe, data = files_of(cell, budget, out), recipe_of(cell, budget), system_of(cell).data
    folder = out / DATA / recipe.folder
    _refuse_others(recipe, folder)
    if _are_made(found):
        data.refuse_others(recipe, found)
        return found
    with _held(folder):
        _refuse_others(recipe, folder)
        is_new = not _has_files(found)
        if is_new:
            data.make(recipe, folder, workers)
            write_json(folder / MADE, _made_of(recipe))
        data.refuse_others(recipe, found)
        if is_new or not _are_made(found):  # shards of files that are gone are refused by the preparation
            data.prepare(found, settings_of(cell, budget), workers)
    return found


def _are_made(files: DataFiles) -> bool:
    return _has_files(files) and (files.shards is None or (files.shards / MANIFEST).is_file())


def _has_files(files: DataFiles) -> bool:
    return all(path.is_file() for path in (*files.train, *files.validation, *files.test))


def _made_of(recipe: DataRecipe) -> Mapping[str, Any]:
    """What a recipe makes its files of, in JSON's types. Shards are made of the files, so they have no part."""
    content = {key: value for key, value in recipe_identity(recipe).items() if key != "shards"}
    made: dict[str, Any] = json.loads(json.dumps(content))
    return made


def _refuse_others(recipe: DataRecipe, folder: Path) -> None:
    """Refuse files that were made of something else: a cell would learn from other data than it says. Of a
    folder that an older version made nothing is known.

    Raises:
        DataError: says what they were made of.
    """
    made, wanted = read_json(folder / MADE), _made_of(recipe)
    if made is not None and made != wanted:
        raise DataError(
            f"was made of {json.dumps(made)}, and {json.dumps(wanted)} is asked for: take another --out, or"
            " move it away",
            path=folder,
        )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock of a data folder; wait for whoever holds it."""
    lock, told = RunLock(folder), False
    while (fault := lock.acquire()) is not None:
        if not fault.startswith("in use"):
            raise DataError(fault, path=folder)
        if not told:
            print(f"{folder.name}: made by another process; waiting", flush=True)
            told = True
        time.sleep(2.0)
    try:
        yield
    finally:
        lock.release()
