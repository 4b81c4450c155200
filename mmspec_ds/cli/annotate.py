"""`mmspec annotate`."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import (
    ALIGNMENT,
    Commands,
    add_command,
    add_places,
    check_writable,
    encoder_folders,
    positive,
)
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.systems.alignment.annotated_file import Added
    from mmspec_ds.systems.alignment.annotation import Annotation
    from mmspec_ds.systems.alignment.questions.cell_types import CellType

UNASSIGNED = "unassigned"


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _annotate,
        "name the types of single cells, as columns that scanpy reads",
        "mmspec annotate runs/alignment pbmc.h5ad --out annotated.h5ad --types 'B cell,NK cell,CD4 T cell'",
    )
    command.add_argument("model", type=Path, metavar="MODEL", help=ALIGNMENT)
    command.add_argument("cells", type=Path, metavar="CELLS", help="cells, as h5ad or NPZ")
    command.add_argument(
        "--out", type=Path, required=True, metavar="H5AD", help="the new file; CELLS is left as it is"
    )
    command.add_argument(
        "--types",
        metavar="FILE|NAMES",
        help="types to choose from: a file of lines with a name, other names and marker genes, parted by tabs;"
        " or names of the package's own table, parted by commas (default: all of that table)",
    )
    command.add_argument(
        "--no-markers",
        dest="markers",
        action="store_false",
        help="name the types alone; by their marker genes types can be told that the model never saw",
    )
    command.add_argument(
        "--orders",
        type=positive,
        default=1,
        metavar="N",
        help="ask with the types in so many orders and average (default: 1)",
    )
    command.add_argument(
        "--least", type=_share, default=0.0, metavar="SCORE", help=f"below this score a cell is {UNASSIGNED!r}"
    )
    command.add_argument(
        "--key", default="mmspec_cell_type", help="name of the column (default: mmspec_cell_type)"
    )
    command.add_argument("--replace", action="store_true", help="replace columns of these names")
    add_places(command)


def _annotate(options: argparse.Namespace) -> int:
    if not options.cells.exists():
        raise DataError("there is no such file", path=options.cells)
    check_writable(options.out)
    key = options.key
    if not key or "/" in key or not key.isprintable():
        raise ConfigError(f"--key {key!r}: expected a name without a slash")
    from mmspec_ds.readers.cells import read_cells
    from mmspec_ds.systems.alignment.annotated_file import check_annotated, write_annotated
    from mmspec_ds.systems.alignment.annotation import annotate
    from mmspec_ds.systems.alignment.trained import load_alignment

    types = _types(options.types)
    table = read_cells(options.cells)
    names = {"obs": (key, f"{key}_score"), "obsm": (key,), "uns": (key,)}
    check_annotated(options.cells, options.out, table, names, replace=options.replace)
    for remark in table.remarks:
        print(f"mmspec: {options.cells}: {remark}", file=sys.stderr)
    model = load_alignment(options.model, options.language_model, encoder_folders=encoder_folders(options))
    with ProgressLines("annotating", len(table), unit="cells") as progress:
        found = annotate(
            model, table, types, markers=options.markers, orders=options.orders, progress=progress.at
        )
    labels = found.names(options.least, UNASSIGNED)
    added = _added(key, labels, found, options.model)
    write_annotated(options.cells, options.out, table, added, replace=options.replace)
    print(f"{options.out}: {len(table):,} cells; columns {key}, {key}_score; scores of all types in obsm/{key}")
    for name, count in Counter(labels).most_common():
        print(f"  {name}: {count:,}")
    return 0


def _types(given: str | None) -> "list[CellType]":
    """The types of a file, or those that are named, or all of our table."""
    from mmspec_ds.systems.alignment.questions.cell_types import read_cell_types

    if given is None:
        return list(read_cell_types().types)
    if Path(given).is_file():
        return list(read_cell_types(Path(given)).types)
    ours, found = read_cell_types(), []
    for name in (part.strip() for part in given.split(",")):
        one = ours.of(name)
        if one is None:
            known = ", ".join(known.name for known in ours.types)
            raise ConfigError(f"--types: {name!r} is neither a file nor a type of our table (known: {known})")
        found.append(one)
    return found


def _added(key: str, labels: list[str], found: "Annotation", model: Path) -> "Added":
    from mmspec_ds.systems.alignment.annotated_file import Added

    known = [*found.types, *([UNASSIGNED] if UNASSIGNED in labels else [])]
    return Added(
        labels={key: (labels, known)},
        numbers={f"{key}_score": found.scores.max(axis=1)},
        arrays={key: found.scores},
        about={key: {"types": list(found.types), "model": model.name, "question": found.prompt}},
    )


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to 1")
    return number
