"""The tables of a simulated cohort as files: nmr.csv, ms.csv, samples.csv and markers.csv."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing_output
from mmspec_ds.simulator.mixtures import CLASSES, MixtureCohort
from mmspec_ds.spectra.records import FloatArray


def write_cohort(folder: Path, cohort: MixtureCohort) -> dict[Path, str]:
    """Write the four files, each whole or not at all, and return what is in each.

    The first column of a table of measurements is `sample`. Samples that were not measured have no row, values
    below the limit are empty. The columns of nmr.csv are the centres of the bins in ppm, those of ms.csv the
    metabolites with the m/z of their ions. samples.csv has sample, patient, class and batch; markers.csv the
    metabolites that differ, with their signals and ions and the tables that show them.

    Raises:
        DataError: the folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be made: {error.strerror or error}", path=folder) from None
    rows = {
        "nmr.csv": _table(cohort.samples, [f"{ppm:.3f}" for ppm in cohort.bins_ppm], cohort.nmr_NB, 3),
        "ms.csv": _table(
            cohort.samples, [f"{ion.name} ({ion.mz:.4f})" for ion in cohort.ions], cohort.ms_NK, 1
        ),
        "samples.csv": _samples(cohort),
        "markers.csv": _markers(cohort),
    }
    for name, lines in rows.items():
        with (
            replacing_output(folder / name) as partial,
            partial.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(lines)
    return {
        folder / "nmr.csv": f"{len(rows['nmr.csv']) - 1:,} samples, {len(cohort.bins_ppm)} bins",
        folder / "ms.csv": f"{len(rows['ms.csv']) - 1:,} samples, {len(cohort.ions)} metabolites",
        folder / "samples.csv": _counts(cohort),
        folder / "markers.csv": f"{len(cohort.markers)} metabolites that differ between the classes",
    }


def _table(samples: Sequence[str], names: Iterable[str], values_NF: FloatArray, digits: int) -> list[list[str]]:
    rows = [["sample", *names]]
    for sample, values_F in zip(samples, values_NF):
        if not np.isnan(values_F).all():
            rows.append([sample, *("" if np.isnan(value) else f"{value:.{digits}f}" for value in values_F)])
    return rows


def _samples(cohort: MixtureCohort) -> list[list[str]]:
    digits = len(str(cohort.patient_N.max() + 1))
    columns = zip(cohort.samples, cohort.patient_N, cohort.case_N, cohort.batch_N)
    return [
        ["sample", "patient", "class", "batch"],
        *(
            [s, f"P{patient + 1:0{digits}d}", CLASSES[int(case)], f"B{b + 1}"]
            for s, patient, case, b in columns
        ),
    ]


def _markers(cohort: MixtureCohort) -> list[list[str]]:
    """Return the rows of `markers.csv`; positions of several signals are parted by blanks."""
    rows = [["metabolite", "smiles", "fold_change", "ppm", "mz", "seen_by"]]
    for marker in cohort.markers:
        one = marker.metabolite
        ppm = " ".join(f"{signal.centroid_ppm:.2f}" for signal in one.multiplets)
        rows.append([one.name, one.smiles, f"{marker.fold_change:.3f}", ppm, f"{one.mz:.4f}", marker.seen_by])
    return rows


def _counts(cohort: MixtureCohort) -> str:
    patients = {int(patient): bool(case) for patient, case in zip(cohort.patient_N, cohort.case_N)}
    cases = sum(patients.values())
    return f"{len(patients):,} patients, {len(patients) - cases:,} controls and {cases:,} cases"
