"""Measure a trained cell, in a process of its own: python -m mmspec_ds.studies.measure CELL_FOLDER JOB NAME...

JOB is a file that the study wrote for this process: the cell, the budget, and where the data are.
"""

import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from mmspec_ds.errors import UserError
from mmspec_ds.files import write_json
from mmspec_ds.settings import nearest
from mmspec_ds.studies.cells import MEASURES_FOLDER, CellFolder, measure_budget
from mmspec_ds.studies.plan import Budget, Cell, DataFiles, MeasureContext
from mmspec_ds.studies.systems import system_of


@dataclass(frozen=True)
class MeasureJob:
    """What the process that measures is told."""

    cell: Cell
    budget: Budget
    data: DataFiles
    device: str

    def write(self, path: Path) -> None:
        """Write the job as a JSON file, which `read` reads."""
        path.write_bytes(TypeAdapter(MeasureJob).dump_json(self, indent=2))

    @classmethod
    def read(cls, path: Path) -> "MeasureJob":
        """Read what `write` wrote."""
        return TypeAdapter(MeasureJob).validate_json(path.read_bytes())


def check_measures(cells: Sequence[Cell]) -> None:
    """Refuse a measure that the system of its cell does not have, before anything is trained.

    Raises:
        UserError: names it.
    """
    for cell in cells:
        known = system_of(cell).measures
        for name in cell.measures:
            if name not in known:
                raise UserError(f"unknown measure {name!r}; {nearest(name, known, 'measures')}")


def measure(folder: CellFolder, job: MeasureJob, names: Sequence[str]) -> list[str]:
    """Make measures of a cell, each written as soon as it is made.

    Args:
        folder: of the cell; they are written to its `measures`.
        job: what is measured, and where.
        names: of the measures; the cell's system must have them.

    Returns:
        The names of those that failed. What went wrong is printed.
    """
    kept = folder.path / MEASURES_FOLDER
    kept.mkdir(exist_ok=True)
    system = system_of(job.cell)
    context = MeasureContext(job.cell, job.budget, folder.run, job.data, system.load, job.device, kept)
    failed = []
    for name in names:
        print(f"measuring {name}", flush=True)
        started = time.monotonic()
        try:
            values = system.measures[name](context)
        except UserError as error:
            print(f"{name}: {error}", flush=True)
            failed.append(name)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        else:
            seconds = round(time.monotonic() - started, 1)
            content = {"budget": measure_budget(job.budget), "seconds": seconds, "values": values}
            write_json(kept / f"{name}.json", content)
    return failed


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 1 where a measure failed."""
    folder, job, *names = arguments
    return 1 if measure(CellFolder(Path(folder)), MeasureJob.read(Path(job)), names) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
