"""Text files of Metabolomics Workbench (mwTab): the block of data, and the factors of its samples."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.column_names import SAMPLE
from mmspec_ds.readers.feature_positions import positions_of
from mmspec_ds.readers.part import counted
from mmspec_ds.readers.sample_columns import Columns, shortened, unique_columns
from mmspec_ds.readers.text_grid import Cells, grid_of

_START = re.compile(r"(?:EXTENDED_)?(MS_METABOLITE_DATA|NMR_METABOLITE_DATA|NMR_BINNED_DATA)_START\b")
_FACTORS = "SUBJECT_SAMPLE_FACTORS"


def looks_like_workbench(lines: Sequence[str]) -> bool:
    """Whether a text holds a block of data of mwTab."""
    return any(_START.match(line) for line in lines)


def read_workbench(path: Path, lines: Sequence[str]) -> Columns:
    """The first block of data of a file, by sample, with the factors of the samples as columns.

    Raises:
        DataError: the block has no end, no samples or no rows.
    """
    start = next(at for at, line in enumerate(lines) if _START.match(line))
    kind = str(_START.match(lines[start])[1])  # type: ignore[index]
    end = next((at for at in range(start, len(lines)) if lines[at].startswith(f"{kind}_END")), None)
    if end is None:
        raise DataError(f"has no {kind}_END: is the file whole?", path=path)
    grid = grid_of(path, [line.rstrip("\t \r") for line in lines[start + 1 : end]], start + 2)
    samples = grid.names[1:]
    given = {row[0]: row[1:] for row in grid.rows if row[0].lower() == "factors"}
    names = [row[0] for row in grid.rows if row[0] not in given]
    cells = [row[1:] for row in grid.rows if row[0] not in given]
    columns, remarks = unique_columns(names, cells, "row")
    if not columns:
        raise DataError(f"{kind} has no row of a metabolite", path=path)
    factors = next(iter(given.values())) if given else _subject_factors(lines, samples)
    described = _described(factors)
    described = {name: some for name, some in described.items() if name not in columns}
    others = [one for line in lines[end:] if (one := _START.match(line))]
    told = [
        f"Metabolomics Workbench, block {kind}: {counted(len(columns), 'feature')} of"
        f" {counted(len(samples), 'sample')}; samples are columns",
        *([f"{counted(len(others), 'further block')} of data not read"] if others else []),
        *([f"factors of samples: {shortened(list(described))}"] if described else []),
        *remarks,
    ]
    axis = positions_of(list(columns), "ppm") if kind == "NMR_BINNED_DATA" else None
    places = tuple(f"column {name}" for name in samples)
    found = {SAMPLE: samples, **described, **columns}
    return Columns(path, found, SAMPLE, places, tuple(columns), axis=axis, remarks=tuple(told))


def _subject_factors(lines: Sequence[str], samples: Cells) -> Cells:
    """The factors that the head of the file lists by sample."""
    known: dict[str, str] = {}
    for line in lines:
        if line.startswith(_FACTORS):
            cells = [cell.strip() for cell in line.split("\t")]
            if len(cells) > 3:
                known[cells[2]] = cells[3]
    return tuple(known.get(sample, "") for sample in samples)


def _described(factors: Cells) -> Mapping[str, Cells]:
    """ "Class:ill | Sex:F" of each sample as columns "Class" and "Sex"."""
    parsed = []
    for text in factors:
        pairs = [part.partition(":") for part in text.split("|")]
        parsed.append({key.strip(): value.strip() for key, colon, value in pairs if colon})
    names = dict.fromkeys(name for one in parsed for name in one)
    return {name: tuple(one.get(name, "") for one in parsed) for name in names}
