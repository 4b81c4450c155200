"""Tables of a run -> a cohort: samples matched by their names, repeats averaged or kept, classes named.

A sample that a table lacks is kept, and is missing in that block. Axes in the names of arrays: N samples,
F features of a block.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import counted, one_line
from mmspec_ds.readers.sample_columns import missing_column, shortened
from mmspec_ds.systems.fusion.cohort.batches import joined_batches, told_of_batches
from mmspec_ds.systems.fusion.cohort.blocks import block_of
from mmspec_ds.systems.fusion.cohort.cohort import Block, Cohort
from mmspec_ds.systems.fusion.cohort.described import Described, described_tables
from mmspec_ds.systems.fusion.cohort.matching import check_overlap
from mmspec_ds.systems.fusion.cohort.patients import (
    check_people,
    numbered,
    told_of_numbers,
    told_of_patients,
)
from mmspec_ds.systems.fusion.cohort.run_settings import ClassSettings, CohortRun

MOST_CLASSES = 12
"""Different values of a class column; one with more is rather a measurement or a name."""


@dataclass
class _Sample:
    """What the tables say of a sample, and by block the rows that measured it, with the batch of each.
    `repeat_of` names the sample of which this one is a repeat; `people` is what columns say that seem to name
    patients."""

    name: str
    repeat_of: str = ""
    patient: str = ""
    label: str = ""
    covariates: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)
    batch_of: dict[str, list[str]] = field(default_factory=dict)

    @property
    def batches(self) -> list[str]:
        """Those in which it was measured, each once."""
        return list(dict.fromkeys(one for some in self.batch_of.values() for one in some if one))

    def only(self, repeat: int) -> "_Sample":
        """The same sample with one of its rows in each table, the first being 0, and no other table."""
        part = slice(repeat, repeat + 1)
        rows = {block: some[part] for block, some in self.rows.items() if repeat < len(some)}
        batch_of = {block: some[part] for block, some in self.batch_of.items() if repeat < len(some)}
        return replace(self, rows=rows, batch_of=batch_of)


def read_cohort(run: CohortRun, progress: Callable[[int], None] | None = None) -> Cohort:
    """The cohort of the tables of a run, all classes of it.

    Args:
        run: names the tables, and says what their columns mean.
        progress: is told how many tables are read.

    Raises:
        DataError: a table cannot be used, a column is not there, a sample has two classes or patients, or no
            sample has a class. UserError: a file needs a library that is not installed.
    """
    tables = []
    for table in described_tables(run):
        tables.append(table)
        if progress is not None:
            progress(len(tables))
    _check_columns(run, tables)
    check_overlap(tables)
    samples, remarks = _matched(tables, run)
    classes, chosen, told = _classified(samples, run.classes, tables)
    remarks += told
    remarks += check_people(
        [one.name for one in chosen],
        [one.people for one in chosen],
        {name: path for table in reversed(tables) for name, (path, _) in table.people.items()},
        wanted=not run.patient,
    )
    if run.repeats == "keep":
        chosen = [part for sample in chosen for part in _kept(sample)]
    elif run.repeats == "first":
        chosen = [sample.only(0) for sample in chosen]
    chosen, told = _measured_at_all(chosen, tables)
    remarks += told
    batches = [sample.batches for sample in chosen]
    if run.batch:
        remarks += told_of_batches([sample.name for sample in chosen], batches)
    blocks, more = zip(*(block_of(table, [one.rows.get(table.name) for one in chosen]) for table in tables))
    remarks += [line for some in more for line in some]
    label_N = np.array([classes.index(sample.label) for sample in chosen], dtype=np.int64)
    remarks += [line for block in blocks for line in told_of_numbers(block, label_N)]
    remarks += _presence(blocks)
    without = sum(not sample.patient for sample in chosen)
    if run.patient_column and without:
        remarks.append(f"{counted(without, 'sample')} without a patient, each taken to be a patient of its own")
    patients = [one.patient or f"sample {one.repeat_of or one.name}" for one in chosen]
    remarks += told_of_patients(patients, [sample.label for sample in chosen])
    return Cohort(
        samples=tuple(sample.name for sample in chosen),
        group_N=numbered(patients),
        batch_N=joined_batches(batches) if run.batch else None,
        classes=tuple(classes),
        label_N=label_N,
        blocks=blocks,
        covariates={
            **({run.patient_column: tuple(one.patient for one in chosen)} if run.patient_column else {}),
            **{name: tuple(one.covariates.get(name, "") for one in chosen) for name in run.covariates},
        },
        remarks=tuple(remarks),
    )


def _check_columns(run: CohortRun, tables: Sequence[Described]) -> None:
    """Refuse columns that no table has."""
    known = list(dict.fromkeys(column for table in tables for column in table.known))
    for name in (run.patient_column, run.batch, *run.covariates):
        if name and name not in known:
            raise DataError(missing_column(name, known), path=_files(tables))
    if not set(run.classes.column) & set(known):
        raise DataError(missing_column(run.classes.column[0], known), path=_files(tables))


def _files(tables: Sequence[Described]) -> str:
    return " and ".join(str(table.table.path) for table in tables)


def _matched(tables: Sequence[Described], run: CohortRun) -> tuple[dict[str, _Sample], list[str]]:
    """The samples of all tables by name, in the order of their first appearance."""
    samples: dict[str, _Sample] = {}
    remarks = []
    for table in tables:
        path = table.table.path
        if table.name != path.name.split(".")[0]:
            remarks.append(f"{table.name}: the table {path.parent.name}/{path.name}")
        remarks += [f"{table.name}: {one}" for one in table.remarks]
        for row, name in enumerate(table.samples):
            sample = samples.setdefault(name, _Sample(name))
            sample.rows.setdefault(table.name, []).append(row)
            sample.batch_of.setdefault(table.name, []).append(table.batches[row])
            where = f"{table.table.path.name}, {table.table.places[row]}"
            _agree(sample, "label", table.classes[row], where)
            _agree(sample, "patient", table.patients[row], where)
            for covariate, cells in table.covariates.items():
                sample.covariates[covariate] = sample.covariates.get(covariate) or cells[row]
            for column, (_, cells) in table.people.items():
                sample.people[column] = sample.people.get(column) or cells[row]
        repeated = [name for name, count in Counter(table.samples).items() if count > 1]
        if repeated:
            what = {"mean": "averaged", "first": "the first is used", "keep": "kept as samples of their own"}
            remarks.append(
                f"{table.name}: {counted(len(repeated), 'sample')} measured more than once,"
                f" {what[run.repeats]}: {shortened(repeated)}"
            )
    return samples, remarks


def _agree(sample: _Sample, what: str, value: str, where: str) -> None:
    """Take a class or patient for a sample.

    Raises:
        DataError: the tables say two different ones.
    """
    known = getattr(sample, what)
    if known and value and value != known:
        word = "classes" if what == "label" else "patients"
        raise DataError(
            f"sample {one_line(sample.name, 40)!r} has two {word}: {one_line(known, 40)!r} and"
            f" {one_line(value, 40)!r} ({where}): expected one"
        )
    if value:
        setattr(sample, what, value)


def _classified(
    samples: Mapping[str, _Sample], settings: ClassSettings, tables: Sequence[Described]
) -> tuple[list[str], list[_Sample], list[str]]:
    """The classes, the samples that have one, and what is told of the others."""
    count = Counter(sample.label for sample in samples.values())
    unknown = count.pop("", 0)
    remarks = []
    if settings.names:
        classes = list(settings.names)
        others = {value: number for value, number in count.items() if value not in classes}
        if others:
            shown = ", ".join(f"{one_line(value, 40)} {number}" for value, number in list(others.items())[:5])
            remarks.append(f"{counted(sum(others.values()), 'sample')} of no class named left out: {shown}")
    else:
        classes = sorted(count)
        remarks += _alike(classes)
        if len(classes) > MOST_CLASSES:
            raise DataError(
                f"has {len(classes)} different values ({shortened(classes, 3)}): expected at most"
                f" {MOST_CLASSES}, or `classes.names`",
                path=_files(tables),
                column=" or ".join(settings.column),
            )
    if unknown:
        remarks.append(f"{counted(unknown, 'sample')} without a class left out")
    chosen = [sample for sample in samples.values() if sample.label in classes]
    for name in classes:
        if name not in count:
            raise DataError(
                f"has no sample of class {name!r}: values are {shortened(list(count)) or 'all blank'}",
                path=_files(tables),
                column=" or ".join(settings.column),
            )
    if not chosen:
        raise DataError("no sample has a class", path=_files(tables), column=" or ".join(settings.column))
    told = ", ".join(f"{name} {count[name]}" for name in classes)
    return classes, chosen, [f"{counted(len(chosen), 'sample')}: {told}", *remarks]


def _alike(classes: Sequence[str]) -> list[str]:
    """What is told of classes whose names differ in case or blanks alone: they may be meant as one."""
    found: dict[str, list[str]] = {}
    for name in classes:
        found.setdefault("".join(name.casefold().split()), []).append(name)
    return [
        f"classes {' and '.join(map(repr, some))} differ in case or blanks alone, and are told apart:"
        " `classes.names` makes one of them"
        for some in found.values()
        if len(some) > 1
    ]


def _measured_at_all(
    samples: Sequence[_Sample], tables: Sequence[Described]
) -> tuple[list[_Sample], list[str]]:
    """The samples of which some table has a value."""
    filled: dict[str, list[bool]] = {
        table.name: [bool(np.isfinite(values_F).any()) for values_F in table.table.values_NF]
        for table in tables
    }
    kept: list[_Sample] = []
    lost: list[str] = []
    for one in samples:
        if any(filled[name][row] for name, rows in one.rows.items() for row in rows):
            kept.append(one)
        else:
            lost.append(one.name)
    told = [f"{counted(len(lost), 'sample')} without any value left out: {shortened(lost)}"]
    return kept, told if lost else []


def _kept(sample: _Sample) -> Iterator[_Sample]:
    """The repeats of a sample as samples of one patient: the first of each table together, then the second."""
    most = max(len(rows) for rows in sample.rows.values())
    for repeat in range(most):
        name = sample.name if most == 1 else f"{sample.name} #{repeat + 1}"
        yield replace(sample.only(repeat), name=name, repeat_of=sample.name)


def _presence(blocks: Sequence[Block]) -> list[str]:
    """How many samples have which blocks."""
    if len(blocks) == 1:
        return []
    names = [
        " and ".join(block.name for block in blocks if block.present_N[place])
        for place in range(len(blocks[0].present_N))
    ]
    return [
        f"{counted(count, 'sample')} measured by {name or 'none'}" for name, count in Counter(names).items()
    ]
