"""The data of studies of retrieval: files of the user, which tell `split` and `role`, or simulated MS/MS."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import replacing
from mmspec_ds.progress import ProgressLines
from mmspec_ds.settings import validated
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import Record, TandemMS
from mmspec_ds.studies.plan import DataFiles, DataRecipe
from mmspec_ds.trainer.run_settings import RunSettings

SIMULATED = "spectra.parquet"

_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("accession", "smiles", "ion_mode", "precursor_type", "split")),
        *((name, pa.string()) for name in ("role", "institute")),
        *((name, pa.float64()) for name in ("precursor_mz", "collision_energy")),
        *((name, pa.list_(pa.float64())) for name in ("mz", "intensity")),
    ]
)
"""A spectrum a row, as `readers.spectrum_rows` reads it."""


class RetrievalData:
    """Makes and finds the data, see `StudyData`. What is learnt from, sought and searched are rows of the same
    files."""

    wanted = "files of spectra with split (train, val) and role (library, query)"

    def count(self, folder: Path) -> int:
        """Refuse a folder: a search needs to know which spectra are queries.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"--data-dir {folder}: this study takes {self.wanted}: --data FILE...")

    def files(self, recipe: DataRecipe, folder: Path, run: RunSettings) -> DataFiles:
        """Where the data of a recipe are, whatever the run."""
        names = [path.name for path in recipe.files] or [SIMULATED]
        found = tuple(folder / name for name in names)
        return DataFiles(found, (), found)

    def make(self, recipe: DataRecipe, folder: Path, workers: int) -> None:
        """Link the user's files, or simulate.

        Raises:
            DataError: two of the files have one name.
            ConfigError: settings that the simulation does not have.
        """
        names = [path.name for path in recipe.files]
        for path in recipe.files:
            if names.count(path.name) > 1:
                raise DataError("has the name of another file: expected different names", path=path)
            link = folder / path.name
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
        if not names:
            simulate_spectra(recipe, folder / SIMULATED, workers)

    def refuse_others(self, recipe: DataRecipe, found: DataFiles) -> None:
        """No folder is given, and the user's files are known by name and size."""

    def prepare(self, files: DataFiles, run: RunSettings, workers: int) -> None:
        """There is nothing to prepare: a run reads the files into memory."""


def simulate_spectra(recipe: DataRecipe, path: Path, workers: int) -> None:
    """Write the simulated MS/MS of molecules as a file of spectra: three collision energies each, as if each
    were another institute's. Of the held-back molecules the first is the query.

    Raises:
        ConfigError: settings that the simulation does not have.
    """
    wanted = {"molecules": recipe.molecules, "max_heavy_atoms": recipe.max_heavy_atoms, "seed": recipe.seed}
    content = {"validation": 0.3, "test": 0.0, **wanted, **recipe.simulation}
    settings = validated(SimulationSettings, content, f"data {recipe.folder}")
    with TemporaryDirectory(dir=path.parent) as scratch:
        with ProgressLines(f"simulating {path.parent.name}", unit="molecules") as progress:
            simulate_dataset(Path(scratch), settings, workers=workers, progress=progress.at)
        rows = [
            row
            for split in ("train", "val")
            for record in read_records(Path(scratch) / f"{split}.parquet")
            for row in _rows(record, split)
        ]
    with replacing(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), partial)


def _rows(record: Record, split: str) -> Iterator[dict[str, Any]]:
    spectra = (one for one in record.spectra if isinstance(one, TandemMS) and one.polarity == "positive")
    for number, one in enumerate(spectra):
        yield {
            "accession": f"{split}:{record.id}:{number}",
            "smiles": record.smiles,
            "ion_mode": one.polarity,
            "precursor_type": one.adduct,
            "split": split,
            "role": "query" if split == "val" and number == 0 else "library",
            "institute": f"simulated {number}",
            "precursor_mz": one.precursor_mz,
            "collision_energy": one.collision_energy_ev,
            "mz": one.mz.tolist(),
            "intensity": one.intensity.tolist(),
        }
