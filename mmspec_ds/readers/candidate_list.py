"""Lists of molecules to choose from, a chemist's handful or a dump of a database, read as a stream.

- Text, plain or gzip: a line each, a SMILES and, after a blank, a name. Empty lines and lines that start with
  `#` are comments; a first line whose first word is `smiles` is a header.
- A table: CSV parted by comma, semicolon or tab whose first line names a column `smiles`, perhaps also `name`,
  `id` or `title`.
- Parquet with such columns.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.smiles import is_flat, parse_smiles, write_smiles
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.source import read_head, read_lines

_NAMES = ("name", "id", "title")
_BATCH_ROWS = 8192


class Suspect(NamedTuple):
    """A molecule that may be the right one: its SMILES, what the list calls it ("" if nothing), and RDKit's
    molecule where it was made."""

    smiles: str
    name: str = ""
    molecule: Chem.Mol | None = None


@dataclass
class Sifted:
    """The molecules of a list that can be the right one; how many others there were is counted on the way.

    Attributes:
        read: entries of the list so far.
        left_out: those that are not given, by reason: "of another formula" (or "of another mass"), "invalid",
            "repeated".
        first_invalid: why the first invalid one is that.
    """

    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first_invalid: str = ""

    def sift(self, listed: Iterator[Suspect], composition: Composition | None) -> Iterator[Suspect]:
        """The molecules that fit the composition (all if there is none), their SMILES canonical with stereo as
        written. Those with one canonical SMILES but for stereo, which predicted spectra do not tell apart, are
        given once: the first. Memory holds a number for each molecule that was given."""
        other = (
            "of another mass"
            if composition is not None and composition.elements is None
            else "of another formula"
        )
        seen: set[int] = set()
        for smiles, name, _ in listed:
            self.read += 1
            if composition is not None and not composition.may_fit(smiles):
                self.left_out[other] += 1
                continue
            try:
                molecule = parse_smiles(smiles)
            except ValueError as error:
                self.left_out["invalid"] += 1
                self.first_invalid = self.first_invalid or one_line(error)
                continue
            if composition is not None and not composition.fits(molecule):
                self.left_out[other] += 1
                continue
            flat = str(Chem.MolToSmiles(molecule, isomericSmiles=False))
            if hash(flat) in seen:
                self.left_out["repeated"] += 1
                continue
            seen.add(hash(flat))
            canonical = flat if is_flat(smiles) and is_flat(flat) else write_smiles(molecule)
            yield Suspect(canonical, name, molecule)


def read_suspects(path: Path) -> Iterator[Suspect]:
    """The entries of a list, one at a time, as they are written.

    Raises:
        DataError: the file cannot be read, or is a table without a column of SMILES.
    """
    if read_head(path).text.startswith("PAR1"):
        yield from _of_parquet(path)
        return
    lines = (line.text for line in read_lines(path))
    first = next(lines, "")
    delimiter = next((mark for mark in "\t,;" if mark in first and "smiles" in _cells(first, mark)), None)
    if delimiter is None:
        yield from _of_lines(chain([first], lines))
        return
    columns = _cells(first, delimiter)
    at, name_at = columns.index("smiles"), _name_column(columns)
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            if len(cells) > at and cells[at].strip():
                named = name_at is not None and name_at < len(cells)
                yield Suspect(
                    cells[at].strip(), cells[name_at].strip() if named and name_at is not None else ""
                )
    except csv.Error as error:
        raise DataError(f"is not a table: {one_line(error)}", path=path) from None


def _of_lines(lines: Iterator[str]) -> Iterator[Suspect]:
    for number, line in enumerate(lines):
        smiles, _, name = line.strip().partition("\t" if "\t" in line.strip() else " ")
        if smiles and not smiles.startswith("#") and not (number == 0 and smiles.lower() == "smiles"):
            yield Suspect(smiles, name.strip())


def _of_parquet(path: Path) -> Iterator[Suspect]:
    try:
        with pq.ParquetFile(path) as file:
            written = list(file.schema_arrow.names)
            columns = [name.lower() for name in written]
            if "smiles" not in columns:
                raise DataError(f"has no column smiles (has {one_line(', '.join(written))})", path=path)
            chosen = [written[columns.index("smiles")]]
            name_at = _name_column(columns)
            chosen += [] if name_at is None else [written[name_at]]
            for batch in file.iter_batches(_BATCH_ROWS, columns=chosen, use_threads=False):
                lists = [batch.column(name).to_pylist() for name in chosen]
                names = lists[1] if len(lists) == 2 else [""] * batch.num_rows
                yield from (Suspect(str(s), "" if n is None else str(n)) for s, n in zip(lists[0], names) if s)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(f"cannot be read as parquet: {one_line(error)}", path=path) from None


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().lower() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _name_column(columns: Sequence[str]) -> int | None:
    return next((columns.index(name) for name in _NAMES if name in columns), None)
