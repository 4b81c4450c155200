"""One table of a cohort with what is known of its samples: names, classes, patients, from it and its metadata.

Axis in comments: N rows of the table.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.column_names import names_patients
from mmspec_ds.readers.number_cells import is_missing
from mmspec_ds.readers.part import counted, one_line
from mmspec_ds.readers.sample_columns import Columns, Layout, missing_column, shortened
from mmspec_ds.readers.sample_table import SampleTable, measured, read_columns
from mmspec_ds.systems.fusion.cohort.run_settings import (
    ClassSettings,
    CohortRun,
    MetadataSettings,
    TableSettings,
)

Cells = tuple[str, ...]


@dataclass(frozen=True)
class Described:
    """A table and what describes its rows.

    Attributes:
        name: of the block.
        table: the values.
        samples: [N], names by which tables are matched.
        classes: [N], the class, or the value of its column that is none; "" where nothing is known.
        patients: [N], "" where nothing is known.
        batches: [N], "" where nothing is known.
        covariates: by name, [N].
        people: other columns that seem to name patients, by name: the file and the cells, [N].
        known: names of all columns that describe or measure its samples, those of metadata first.
        remarks: of the table and its metadata.
    """

    name: str
    table: SampleTable
    samples: Cells
    classes: Cells
    patients: Cells
    batches: Cells
    covariates: Mapping[str, Cells]
    people: Mapping[str, tuple[Path, Cells]]
    known: Cells
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """Columns that describe the rows of a table, in its order, and where they are from."""

    path: Path
    columns: Mapping[str, Cells]


def read_described(settings: TableSettings, run: CohortRun, known: frozenset[str] = frozenset()) -> Described:
    """A table with what its own columns, its metadata and the metadata of the run say of its rows.

    Args:
        settings: of the table.
        run: of the cohort.
        known: names of samples that other tables have.

    Raises:
        DataError: a file cannot be used, a column is not there, or metadata match no row.
    """
    own, common = settings.metadata, run.metadata
    in_order = own is not None and own.join == "order"
    beside = [_read_metadata(one, settings, run) for one in (own, common) if one is not None]
    known |= {name for one in beside for name in one.names}
    layout = _layout(settings, run, known, named=not in_order)
    columns = read_columns(settings.file, layout, settings.section)
    remarks: list[str] = []
    sources = [_Source(columns.path, columns.columns)]
    for metadata, found in zip([one for one in (own, common) if one is not None], beside):
        source, told = _joined(columns, found, metadata, sources, settings.sample)
        sources.append(source)
        remarks += told
    keys = [one.key for one in (own, common) if one is not None and one.key]
    wanted = [*run.classes.column, run.patient_column, run.batch, *run.covariates, settings.sample, *keys]
    describing = tuple(dict.fromkeys(name for name in wanted if name in columns.columns))
    table = measured(columns, _layout(settings, run, known, describing, named=not in_order))
    samples = _samples(columns, sources, settings)
    blank = ("",) * len(samples)
    found_covariates = {name: _looked_up(sources, name) for name in run.covariates}
    known_columns = dict.fromkeys(column for one in reversed(sources) for column in one.columns)
    return Described(
        settings.name,
        table,
        samples,
        _class(sources, run.classes, table),
        _looked_up(sources, run.patient_column) or blank,
        _looked_up(sources, run.batch) or blank,
        {name: cells or blank for name, cells in found_covariates.items()},
        _people(sources, run, {columns.sample, settings.sample}),
        tuple(known_columns),
        (*table.remarks, *remarks),
    )


def _layout(
    settings: TableSettings,
    run: CohortRun,
    known: frozenset[str],
    describing: Cells = (),
    *,
    named: bool = True,
) -> Layout:
    key = settings.metadata.key if settings.metadata is not None else ""
    return Layout(
        sheet=settings.sheet,
        samples=settings.samples,
        sample=key or (settings.sample if settings.metadata is None else ""),
        named=named,
        describing=describing or (),
        leave_out=settings.leave_out,
        decimal=settings.decimal,
        positions=settings.positions,
        zeros_missing=settings.zeros == "missing",
        known=known,
        bin_ppm=settings.bin_ppm,
    )


def _read_metadata(metadata: MetadataSettings, settings: TableSettings, run: CohortRun) -> Columns:
    described = tuple(name for name in (*run.classes.column, run.patient_column, run.batch) if name)
    named = metadata.join == "key"
    layout = Layout(sheet=metadata.sheet, sample=metadata.key, named=named, describing=described)
    if named and not metadata.key and settings.sample:
        table = read_columns(metadata.file, Layout(sheet=metadata.sheet, describing=described))
        if settings.sample in table.columns:
            layout = Layout(sheet=metadata.sheet, sample=settings.sample, describing=described)
    return read_columns(metadata.file, layout)


def _joined(
    columns: Columns, found: Columns, metadata: MetadataSettings, sources: Sequence[_Source], sample: str
) -> tuple[_Source, list[str]]:
    """The columns of metadata in the order of the rows of a table."""
    if metadata.join == "order":
        if len(found) != len(columns):
            raise DataError(
                f"has {counted(len(found), 'row')}, but {columns.path.name} has {len(columns)}: expected as"
                " many, to match them by their order",
                path=found.path,
            )
        told = f"described by {found.path.name}, row by row in its order: nothing checks that the orders agree"
        return _Source(found.path, found.columns), [told]
    names = (_looked_up(sources, metadata.key) if metadata.key else None) or columns.names
    names = names or next((one.columns[sample] for one in sources if sample in one.columns), ())
    if not names:
        raise DataError(
            "no column names its samples, to match metadata by: expected `sample`, or `join: order` if the rows"
            " have the same order",
            path=columns.path,
        )
    place = _places(found)
    rows = [place.get(name) for name in names]
    without = list(dict.fromkeys(name for name, row in zip(names, rows) if row is None))
    if len(without) == len(set(names)):
        raise DataError(
            f"matches no row of {columns.path.name}: it names {shortened(list(place), 3)}, the table"
            f" {shortened(list(dict.fromkeys(names)), 3)}",
            path=found.path,
            column=found.sample,
        )
    spare = [name for name in place if name not in set(names)]
    told_of = [f"described by {found.path.name}, matched by {found.sample or 'the first column'}"]
    if without:
        told_of.append(f"{counted(len(without), 'sample')} not in {found.path.name}: {shortened(without)}")
    if spare:
        told_of.append(f"{counted(len(spare), 'sample')} of {found.path.name} not in it: {shortened(spare)}")
    taken = {
        name: tuple("" if row is None else cells[row] for row in rows) for name, cells in found.columns.items()
    }
    return _Source(found.path, taken), told_of


def _places(found: Columns) -> dict[str, int]:
    """The row of each sample in a table of metadata. Rows that say the same may recur."""
    if not found.sample:
        raise DataError("no column names samples: expected `key`, the column that does", path=found.path)
    place: dict[str, int] = {}
    for row, name in enumerate(found.names):
        if not name:
            continue
        first = place.setdefault(name, row)
        for column, cells in found.columns.items():
            if cells[row] != cells[first]:
                told = f"{one_line(cells[first], 30)!r} and {one_line(cells[row], 30)!r}"
                where = f"in {found.places[first]} and {found.places[row]}"
                raise DataError(
                    f"{one_line(name, 40)!r} is described twice, {where}, with {told}: expected one row",
                    path=found.path,
                    column=column,
                )
    return place


def _samples(columns: Columns, sources: Sequence[_Source], settings: TableSettings) -> Cells:
    """The names of the samples, none of them blank."""
    if settings.sample:
        names = _looked_up(sources, settings.sample) or ()
        if not names:
            known = list(dict.fromkeys(column for one in reversed(sources) for column in one.columns))
            raise DataError(missing_column(settings.sample, known), path=settings.file)
    else:
        names = columns.names
    if not names:
        raise DataError(
            f"no column names its samples: expected `sample` for the table {settings.name!r}", path=columns.path
        )
    blank = [place for place, name in enumerate(names) if is_missing(name)]
    if blank:
        raise DataError(
            f"{counted(len(blank), 'row')} without a name of a sample, first {columns.places[blank[0]]}",
            path=columns.path,
            column=settings.sample or columns.sample,
        )
    return names


def _looked_up(sources: Sequence[_Source], name: str) -> Cells | None:
    """A column by its name, of the first source that has it, blank cells filled from the next ones; None if no
    source has it."""
    having = [one.columns[name] for one in sources if name in one.columns]
    if not having:
        return None
    return tuple(next((cell for cell in cells if not is_missing(cell)), "") for cells in zip(*having))


def _people(sources: Sequence[_Source], run: CohortRun, samples: set[str]) -> dict[str, tuple[Path, Cells]]:
    """The columns that seem to name patients, but for those whose meaning the settings tell."""
    told = {*samples, run.patient_column, run.batch, *run.classes.column}
    names = dict.fromkeys(column for one in sources for column in one.columns if names_patients(column))
    return {
        name: (
            next(one.path for one in sources if name in one.columns),
            _looked_up(sources, name) or (),
        )
        for name in names
        if name not in told
    }


def _class(sources: Sequence[_Source], classes: ClassSettings, table: SampleTable) -> Cells:
    """The class of each row by its name, or the value of the column where no class has it; "" where no source
    says one.

    Raises:
        DataError: two sources say different things of a row, or a value is the name of a class that does not
            list it.
    """
    named = {value: name for name, values in classes.names.items() for value in values}
    having = [
        (one.path, one.columns[name]) for one in sources for name in classes.column if name in one.columns
    ]
    for path, cells in having:
        unlisted = next((one for one in cells if one in classes.names and one not in named), None)
        if unlisted is not None:
            raise DataError(
                f"has {one_line(unlisted, 40)!r} in the column of classes, the name of a class that does not"
                " list it: expected it among the values of one in classes.names, or another name for the class",
                path=path,
            )
    found = []
    for row in range(len(table.places)):
        told = [
            (path, named.get(cells[row], cells[row]))
            for path, cells in having
            if cells[row] in named or not is_missing(cells[row])
        ]
        for path, value in told[1:]:
            if value != told[0][1]:
                raise DataError(
                    f"says class {one_line(value, 40)!r} of {table.places[row]} of {table.path.name}, where"
                    f" {told[0][0].name} says {one_line(told[0][1], 40)!r}",
                    path=path,
                )
        found.append(told[0][1] if told else "")
    return tuple(found)


def described_tables(run: CohortRun) -> Iterator[Described]:
    """The tables of a run, one after the other; each knows the samples of those before it."""
    known: frozenset[str] = frozenset()
    for settings in run.tables:
        found = read_described(settings, run, known)
        known |= set(found.samples)
        yield found
