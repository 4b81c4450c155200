"""Who the samples of a cohort are of: patients that no split may part, and columns that seem to name them
although no setting says so.

Axes in the names of arrays: N samples, F features of a block.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.number_cells import is_missing
from mmspec_ds.readers.part import counted, one_line
from mmspec_ds.readers.sample_columns import shortened
from mmspec_ds.systems.fusion.cohort.cohort import Block, IntArray

_LEAST_NUMBERS = 4
"""Different numbers of a feature that may be one of patients."""


def check_people(
    samples: Sequence[str], people: Sequence[Mapping[str, str]], paths: Mapping[str, Path], *, wanted: bool
) -> list[str]:
    """Return what is told of columns that seem to name patients; refuse one with several samples of a patient.

    Args:
        samples: their names, each once.
        people: of each sample, what these columns say, by the name of the column.
        paths: the file of each column.
        wanted: whether the settings leave open which column names patients; else repeats are told alone.

    Raises:
        DataError: such a column has a value of several samples: folds would part the samples of a patient.
    """
    remarks = []
    for column, path in paths.items():
        members: dict[str, list[str]] = {}
        for sample, cells in zip(samples, people):
            cell = cells.get(column, "")
            if not is_missing(cell):
                members.setdefault(cell, []).append(sample)
        several = {cell: some for cell, some in members.items() if len(some) > 1}
        if not several or len(members) < 2:  # the same everywhere: it names no patients
            continue
        cell, some = next(iter(several.items()))
        told = (
            f"{counted(len(several), 'value')} with several samples, such as {one_line(cell, 30)!r}"
            f" ({shortened(some, 2)})"
        )
        if wanted:
            raise DataError(
                f"seems to name patients: {told}, which folds would part; expected"
                f" `patient={one_line(column, 60)}`, or `patient=none` if each sample is a patient of its own",
                path=path,
                column=column,
            )
        remarks.append(
            f"column {one_line(column, 60)} of {path.name} seems to name patients and is not used, as the"
            f" settings say: {told}"
        )
    return remarks


def told_of_patients(patients: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return what is told of patients with several samples, by patient and class of each sample, [N]."""
    classes: dict[str, set[str]] = {}
    for patient, label in zip(patients, labels):
        classes.setdefault(patient, set()).add(label)
    several = [patient for patient, some in classes.items() if len(some) > 1]
    told = []
    if len(classes) < len(patients):
        told.append(
            f"{len(patients)} samples of {counted(len(classes), 'patient')}, who are never parted by a split"
        )
    if several:
        told.append(
            f"{counted(len(several), 'patient')} with samples of more than one class: {shortened(several)}"
        )
    return told


def told_of_numbers(block: Block, label_N: IntArray) -> list[str]:
    """Return a remark on features that may be numbers of patients: whole numbers of which at least half occur
    several times, and none in two classes."""
    found = []
    for name, values_N in zip(block.features, block.values_NF.T):
        known_N = np.isfinite(values_N)
        values_N, labels_N = values_N[known_N], label_N[known_N]
        if not len(values_N) or not np.array_equal(values_N, np.round(values_N)):
            continue
        count = Counter(values_N.tolist())
        often = sum(number > 1 for number in count.values())
        pairs = len(set(zip(values_N.tolist(), labels_N.tolist())))
        if len(count) >= _LEAST_NUMBERS and 2 * often >= len(count) and pairs == len(count):
            found.append(name)
    if not found:
        return []
    return [
        f"{block.name}: {counted(len(found), 'feature')} of whole numbers that recur within a class alone, as"
        f" the numbers of patients do: {shortened(found)}; `patient` names the column of patients, `leave_out`"
        " what is not measured"
    ]


def numbered(names: Sequence[str]) -> IntArray:
    """Return the same names as the same numbers, from 0 in the order of appearance."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int64)
