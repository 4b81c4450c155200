"""The data of studies of elucidation: simulated or split once, and encoded as shards once.

train.parquet val.parquet test.parquet    simulated, or cut out of the user's files, or links to given ones
shards-<hash>/                            train.parquet as shards, for one setting of the operators
cache/                                    what trainings on the files themselves have read of them
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards
from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing
from mmspec_ds.molecules.splits import BENCHMARK_SEED, SPLITS, SplitSettings, assign_splits
from mmspec_ds.progress import ProgressLines
from mmspec_ds.settings import validated
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.registry import PAPER_MODALITIES, REGISTRY
from mmspec_ds.studies.plan import DataFiles, DataRecipe
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.trainer.run_settings import RunSettings

CACHE = "cache"
PARTS = ("train", "val", "test")

_SHARD_SPLIT = SplitSettings(validation=0.01, test=0.001)
"""What training holds back of `train.parquet` for its own validation. The test molecules are in a file of their
own; the preparation wants a share for them nevertheless."""


class ElucidationData:
    """Makes and finds the data, see `StudyData`."""

    wanted = "the benchmark's files"

    def count(self, folder: Path) -> int:
        """The molecules of a given folder.

        Raises:
            DataError: it lacks a file.
        """
        return _count(folder)

    def files(self, recipe: DataRecipe, folder: Path, run: RunSettings) -> DataFiles:
        """Where the data of a recipe are, for a run."""
        train, val, test = ((folder / f"{part}.parquet",) for part in PARTS)
        if recipe.shards:
            return DataFiles(train, val, test, shards=_shards(folder, cast(ElucidationRun, run).data))
        if recipe.files:
            # The benchmark's rule divides rows, so that isomers are in both parts, which a training refuses:
            # it holds back molecules of its own.
            return DataFiles(train, (), test, cache=folder / CACHE)
        return DataFiles(train, val, test, cache=folder / CACHE)

    def make(self, recipe: DataRecipe, folder: Path, workers: int) -> None:
        """Write or link the three files.

        Raises:
            DataError: a file of the user cannot be used.
            ConfigError: settings that the simulation does not have.
        """
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

    def refuse_others(self, recipe: DataRecipe, found: DataFiles) -> None:
        """Refuse a given folder whose test molecules are not those of the files that are there: a folder is
        known by its number of molecules alone.

        Raises:
            DataError: names the file.
        """
        for path in found.test if recipe.given is not None else ():
            assert recipe.given is not None
            given = recipe.given / path.name
            if not given.samefile(path) and _smiles(given) != _smiles(path):
                raise DataError(
                    f"holds other molecules than {path}, as many in all: take another --out", path=given
                )

    def prepare(self, files: DataFiles, run: RunSettings, workers: int) -> None:
        """Encode the training file as shards, where a run learns from shards."""
        if files.shards is None:
            return
        settings = _preparation(cast(ElucidationRun, run).data)
        with ProgressLines(f"preparing {files.shards.parent.name}", unit="rows", last_line=True) as progress:
            prepare_shards(files.train, files.shards, settings, workers=workers, progress=progress.at)


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
        for group in _row_groups(files, opened, schema):
            of_group = split_N[done : done + len(group)]
            for number, name in enumerate(SPLITS):
                writers[name].write_table(group.filter(pa.array(of_group == number)))
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


def _row_groups(
    files: Sequence[Path], opened: Sequence[pq.ParquetFile], schema: pa.Schema
) -> Iterator[pa.Table]:
    for path, one in zip(files, opened):
        for number in range(one.num_row_groups):
            try:
                group = one.read_row_group(number).cast(schema)
            except (OSError, pa.ArrowException) as error:
                why = " ".join(str(error).split())
                raise DataError(f"row group {number} cannot be read: {why}", path=path) from None
            yield group


def _smiles(path: Path) -> list[str | None]:
    """The structures of a file in its order.

    Raises:
        DataError: they cannot be read.
    """
    try:
        found: list[str | None] = pq.read_table(path, columns=["smiles"])["smiles"].to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DataError(f"cannot be read: {' '.join(str(error).split())}", path=path) from None
    return found


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
