"""What studies need to know of a system: its studies and budgets, how its data are made, what is measured.

The system of a cell is that of its run file. A system is a folder beside this file and a line in `MODULES`; its
modules are imported when a study of it is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from mmspec_ds.errors import UserError
from mmspec_ds.settings import nearest, read_yaml
from mmspec_ds.studies.plan import Budget, Cell, DataFiles, DataRecipe, Measure, MeasureContext, Study
from mmspec_ds.systems.run_file import find_run_file, system_named
from mmspec_ds.trainer.run_settings import RunSettings

MODULES = {
    "elucidation": "mmspec_ds.studies.elucidation.system",
    "retrieval": "mmspec_ds.studies.retrieval.system",
}
"""By the name of a system the module whose `SYSTEM` is its `StudySystem`."""


class StudyData(Protocol):
    """Makes the data of a system, each recipe in a folder of its own.

    Attributes:
        wanted: what the user's files are, in words, such as "the benchmark's files".
    """

    @property
    def wanted(self) -> str:
        """What the user's files are, in words."""

    def count(self, folder: Path) -> int:
        """The molecules of a folder that the user gives in the place of simulated data.

        Raises:
            UserError: it cannot be used.
        """

    def files(self, recipe: DataRecipe, folder: Path, run: RunSettings) -> DataFiles:
        """Where the data of a recipe are in `folder`, for a run, whether or not they are made."""

    def make(self, recipe: DataRecipe, folder: Path, workers: int) -> None:
        """Write the parquet files of a recipe.

        Raises:
            UserError: a file that cannot be used, or settings that no simulation has.
        """

    def refuse_others(self, recipe: DataRecipe, found: DataFiles) -> None:
        """Refuse files that are there already and hold other molecules than a given folder.

        Raises:
            DataError: names the file.
        """

    def prepare(self, files: DataFiles, run: RunSettings, workers: int) -> None:
        """Make the shards of files that are there, where a run learns from shards."""


@dataclass(frozen=True)
class StudySystem:
    """A system as studies see it.

    Attributes:
        studies, budgets, measures: by name.
        data: makes its data.
        load: reads the trained model of a cell, which its measures share; in evaluation mode, on the device.
        reads_language: whether any of its cells reads a pretrained language model.
        language_of: the folder of the language model that a run reads; None where it reads none.
        with_language: the run with that model in another folder.
        is_upcycled: whether a run that begins with the weights of another, the second, is made sparse first.
    """

    studies: dict[str, Study]
    budgets: Mapping[str, Budget]
    measures: dict[str, Measure]
    data: StudyData
    load: Callable[[MeasureContext], Any]
    reads_language: bool = False
    language_of: Callable[[Any], Path | None] = lambda run: None
    with_language: Callable[[Any, Path], Any] = lambda run, folder: run
    is_upcycled: Callable[[Any, Any], bool] = lambda run, source: False


def study_system(name: str) -> StudySystem:
    """A system by its name.

    Raises:
        UserError: there are no studies of it.
    """
    if name not in MODULES:
        raise UserError(f"there are no studies of the system {name!r}; {nearest(name, MODULES, 'systems')}")
    system: StudySystem = import_module(MODULES[name]).SYSTEM
    return system


def system_of_run(run: RunSettings) -> StudySystem:
    """The system that a run belongs to, by the `system` of its settings."""
    return study_system(run.system)


def system_of(cell: Cell) -> StudySystem:
    """The system of a cell, which its run file says."""
    path = find_run_file(Path(cell.base))
    return study_system(system_named(read_yaml(path), path))


def all_studies() -> dict[str, tuple[StudySystem, Study]]:
    """The studies of all systems by name, in the order of `mmspec study --list`, each with its system."""
    found: dict[str, tuple[StudySystem, Study]] = {}
    for system in map(study_system, MODULES):
        found |= {name: (system, study) for name, study in system.studies.items()}
    return found
