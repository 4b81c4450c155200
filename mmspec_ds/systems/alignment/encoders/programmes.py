"""Cells by the gene programmes of MetaTiME (Zhang et al. 2023, Nat Commun 14, 2634): 86 components that were
learnt from 1.7 million cells of tumours.

The table of their weights comes with the package `metatime`, under the GPL-3: it is read from an installed copy
or from the package's file, and is no part of this project. The package itself is not imported.

Axes: N cells, G shared genes, K programmes.
"""

import importlib.metadata
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.readers.part import one_line
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of, checksum_of
from mmspec_ds.systems.alignment.encoders.genes import on_panel
from mmspec_ds.systems.alignment.objects import Cell, Kind, Object, content_key

PACKAGE = "metatime"
TABLE = "MeC_allgene_average-weights.tsv"
LARGEST = 64 << 20
_HINT = "expected `pip install --no-deps metatime==1.3.0`, or the option path with its .whl file"


class ProgrammesOptions(Settings):
    """Where the table is.

    Attributes:
        path: the package's .whl file, or the table itself; the installed package without.
    """

    path: Path | None = None


class ProgrammesEncoder:
    """One vector for a cell: the correlation of the logarithms of its expression with the weights of each
    programme, over the genes that both know. See `ObjectEncoder`."""

    Options = ProgrammesOptions
    name = "metatime"
    kind: Kind = "cell"
    vectors = 1

    def __init__(self, options: ProgrammesOptions) -> None:
        source = _installed() if options.path is None else options.path
        self.genes, self._weights_PK = _parsed(_content(source), source)
        self.width = self._weights_PK.shape[1]
        self.identity: Mapping[str, Any] = {
            "encoder": self.name,
            "table": content_key(*self.genes, checksum_of(self._weights_PK)),
        }

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, K]."""
        cells = all_of(objects, Cell, self.name)
        found = np.zeros((len(cells), 1, self.width), dtype=np.float32)
        weights: dict[tuple[str, ...], NDArray[np.float64]] = {}
        for at, cell in enumerate(cells):
            values_NP, present_NP = on_panel([cell], self.genes, self.name)
            seen = present_NP[0]
            if cell.genes not in weights:  # the cells of a file share them
                weights[cell.genes] = _standard(self._weights_PK[seen])
            found[at, 0] = _standard(values_NP[0, seen].astype(np.float64)) @ weights[cell.genes] / seen.sum()
        return found


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values less their mean over their standard deviation, along the first axis; zeros where all are equal."""
    centred: NDArray[np.float64] = values - values.mean(0)
    return centred / np.maximum(values.std(0), 1e-9)


def _installed() -> Path:
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"encoder metatime: the package {PACKAGE} is not installed: {_HINT}") from None
    found = [Path(str(file.locate())) for file in files if file.name == TABLE]
    if len(found) != 1:
        raise UserError(f"encoder metatime: the package {PACKAGE} holds no {TABLE}: {_HINT}")
    return found[0]


def _content(source: Path) -> str:
    try:
        if source.suffix == ".whl":
            with zipfile.ZipFile(source) as archive:
                infos = [one for one in archive.infolist() if one.filename.endswith(f"/{TABLE}")]
                if len(infos) != 1 or infos[0].file_size > LARGEST:
                    raise DataError(f"holds no {TABLE}: {_HINT}", path=source)
                return archive.read(infos[0]).decode()
        if source.stat().st_size > LARGEST:
            raise DataError(f"is larger than {LARGEST >> 20} MiB: {_HINT}", path=source)
        return source.read_text(encoding="utf-8")
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {one_line(error)}", path=source) from None


def _parsed(content: str, source: Path) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The genes and their weights, [P, K], of a table whose first line names the programmes."""
    lines = io.StringIO(content)
    count = len(next(lines, "").rstrip("\n").split("\t")) - 1
    genes, rows = [], []
    for number, line in enumerate(lines, start=2):
        gene, *cells = line.rstrip("\n").split("\t")
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if len(row) != count or not np.isfinite(row).all():
            raise DataError(f"line {number}: expected a gene and {count} weights", path=source)
        genes.append(gene)
        rows.append(row)
    if count < 1 or not rows or len(set(genes)) != len(genes):
        raise DataError("is no table of genes by programmes", path=source)
    return tuple(genes), np.array(rows)
