"""The data of a study: simulated or split once, encoded as shards once, and found again by every cell.

OUT/data/<folder>/
    made.json                                 what they were made of, so that no other recipe takes them
    train.parquet val.parquet test.parquet    simulated, or cut out of the user's files, or links to given ones
    shards-<hash>/                            train.parquet as shards, for one setting of the operators
    cache/                                    what trainings on the files themselves have read of them
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import MANIFEST, replacing, write_json
from mmspec_ds.molecules.splits import BENCHMARK_SEED, SPLITS, SplitSettings, assign_splits
from mmspec_ds.progress import ProgressLines
from mmspec_ds.settings import validated
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.registry import PAPER_MODALITIES, REGISTRY
from mmspec_ds.studies.cells import read_json, recipe_identity
from mmspec_ds.studies.plan import Budget, DataFiles, DataRecipe
from mmspec_ds.trainer.run_lock import RunLock

DATA, CACHE, MADE = "data", "cache", "made.json"
PARTS = ("train", "val", "test")

_SHARD_SPLIT = SplitSettings(validation=0.01, test=0.001)
"""What training holds back of `train.parquet` for its own validation. The test molecules are in a file of their
own; the preparation wants a share for them nevertheless."""


def with_data(budget: Budget, files: Sequence[Path] = (), given: Path | None = None) -> Budget:
    """The budget with the user's files, or a folder of the user, in the place of what would be simulated.

    Raises:
        DataError: a file is missing.
        ConfigError: the paper's budget without files.
    """
    for path in files:
        if not path.is_file():
            raise DataError("no such file: expected a parquet file of the benchmark's schema", path=path)
    changes: dict[str, DataRecipe] = {}
    words = budget.molecules
    for name, recipe in budget.data.items():
        if files:
            changes[name] = replace(recipe, files=tuple(files))
            words = f"the molecules of {', '.join(path.name for path in files)}"
        elif given is not None:
            changes[name] = replace(recipe, given=given, molecules=_count(given))
            words = f"{changes[name].molecules:,} molecules of the folder {given.resolve().name}"
        elif not recipe.molecules:
            raise ConfigError(f"the {budget.name} budget needs the benchmark's files: --data FILE...")
        else:
            changes[name] = recipe
    return replace(budget, data=changes, molecules=words)


def files_of(recipe: DataRecipe, out: Path, settings: DataSettings) -> DataFiles:
    """Where the data of a recipe are, for a run with these settings, whether or not they are made."""
    folder = out / DATA / recipe.folder
    train, val, test = ((folder / f"{part}.parquet",) for part in PARTS)
    if recipe.shards:
        return DataFiles(train, val, test, shards=_shards(folder, settings))
    return DataFiles(train, val, test, cache=folder / CACHE)


def make_data(recipe: DataRecipe, out: Path, settings: DataSettings, workers: int) -> DataFiles:
    """Make what is missing of a recipe's data for a run with these settings. Another process that makes the
    same data is waited for.

    Raises:
        DataError: a file that cannot be used, a given folder that lacks one, or data of another recipe in their
            place.
        ConfigError: settings that the simulation does not have.
    """
    found, folder = files_of(recipe, out, settings), out / DATA / recipe.folder
    if _are_made(found):
        _refuse_others(recipe, folder)
        return found
    with _held(folder):
        if _has_files(found):
            _refuse_others(recipe, folder)
        else:
            _make_files(recipe, folder, workers)
            write_json(folder / MADE, _made_of(recipe))
        if found.shards is not None and not (found.shards / MANIFEST).is_file():
            with ProgressLines(f"preparing {folder.name}", unit="rows", last_line=True) as progress:
                prepare_shards(
                    found.train, found.shards, _preparation(settings), workers=workers, progress=progress.at
                )
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


def _make_files(recipe: DataRecipe, folder: Path, workers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.files:
        split_files(recipe.files, folder)
    elif recipe.given is not None:
        for part in PARTS:
            link = folder / f"{part}.parquet"
            link.unlink(missing_ok=True)
            link.symlink_to((recipe.given / link.name).resolve())
    else:
        wanted = {name: getattr(recipe, name) for name in ("molecules", "max_heavy_atoms", "seed")}
        settings = validated(SimulationSettings, wanted | dict(recipe.simulation), f"data {recipe.folder}")
        with ProgressLines(f"simulating {folder.name}", unit="molecules") as progress:
            simulate_dataset(folder, settings, workers=workers, progress=progress.at)


def _shards(folder: Path, settings: DataSettings) -> Path:
    """Shards are named after what they hold, so that runs with other operators have their own."""
    content = _preparation(settings).model_dump(mode="json")
    return folder / f"shards-{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]}"


def _preparation(settings: DataSettings) -> PrepareSettings:
    """The four modalities of the paper, whichever a run reads of them, and others that it reads as well."""
    names = {REGISTRY[modality].name: None for modality in PAPER_MODALITIES} | dict.fromkeys(
        settings.modalities
    )
    return PrepareSettings(modalities=tuple(names), compression=settings.compression, split=_SHARD_SPLIT)


def split_files(files: Sequence[Path], folder: Path) -> None:
    """Cut files of the benchmark's schema into `train.parquet`, `val.parquet` and `test.parquet` by the
    benchmark's rule (`assign_splits`). Memory holds one row group.

    Raises:
        DataError: a file cannot be read, or has other columns than the first.
    """
    opened = [_opened(path) for path in files]
    schema = opened[0].schema_arrow
    for path, one in zip(files, opened):
        if one.schema_arrow.names != schema.names:
            raise DataError(f"has other columns than {files[0].name}: expected the same", path=path)
    rows = sum(one.metadata.num_rows for one in opened)
    rule = SplitSettings(rule="benchmark", seed=BENCHMARK_SEED)
    split_N = assign_splits(rule, np.zeros(rows, dtype=np.uint64))
    targets = dict(zip(SPLITS, PARTS))
    with ProgressLines("splitting", rows, unit="rows") as progress, replacing(folder / "parts") as partial:
        partial.mkdir()
        writers = {name: pq.ParquetWriter(partial / f"{targets[name]}.parquet", schema) for name in SPLITS}
        done = 0
        for group in _row_groups(opened):
            of_group = split_N[done : done + len(group)]
            for number, name in enumerate(SPLITS):
                writers[name].write_table(group.filter(pa.array(of_group == number)).cast(schema))
            done += len(group)
            progress.at(done)
        for writer in writers.values():
            writer.close()
        for part in PARTS:
            os.replace(partial / f"{part}.parquet", folder / f"{part}.parquet")
    (folder / "parts").rmdir()


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot be read: {' '.join(str(error).split())}", path=path) from None


def _row_groups(files: Sequence[pq.ParquetFile]) -> Iterator[pa.Table]:
    for one in files:
        for number in range(one.num_row_groups):
            yield one.read_row_group(number)


def _count(folder: Path) -> int:
    """The molecules of a given folder."""
    counted = 0
    for part in PARTS:
        path = folder / f"{part}.parquet"
        try:
            counted += pq.ParquetFile(path).metadata.num_rows
        except (OSError, pa.ArrowException) as error:
            why = " ".join(str(error).split())
            raise DataError(
                f"cannot be read ({why}): expected what `mmspec simulate` writes", path=path
            ) from None
    return counted


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
