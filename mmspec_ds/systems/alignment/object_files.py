"""Objects from files: the cells of an h5ad or NPZ file, the proteins of a FASTA file, the molecules of a
list."""

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import parse_smiles
from mmspec_ds.readers.candidate_list import read_suspects
from mmspec_ds.readers.cell_table import CellTable
from mmspec_ds.readers.fasta import read_fasta
from mmspec_ds.systems.alignment.objects import Cell, Molecule, Protein


class Cells(Sequence[Cell]):
    """The cells of a table, made when they are asked for; they share its genes."""

    def __init__(self, table: CellTable) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, at: int) -> Cell: ...
    @overload
    def __getitem__(self, at: slice) -> list[Cell]: ...
    def __getitem__(self, at: int | slice) -> Cell | list[Cell]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        at %= len(self)
        matrix = self.table.values
        row = slice(matrix.indptr[at], matrix.indptr[at + 1])
        values = np.zeros(len(self.table.genes), dtype=np.float32)
        values[matrix.indices[row]] = matrix.data[row]
        return Cell(values, self.table.genes, self.table.names[at])


def read_proteins(path: Path) -> list[Protein]:
    """The proteins of a FASTA file.

    Raises:
        DataError: as `read_fasta`.
    """
    return [Protein(one.letters, one.name) for one in read_fasta(path)]


def read_molecules(path: Path) -> list[Molecule]:
    """The molecules of a list, as it writes them; see `readers.candidate_list`.

    Raises:
        DataError: the file cannot be read, has no molecule, or an entry is none; names its number, from 1.
    """
    found = []
    for number, entry in enumerate(read_suspects(path), start=1):
        try:
            parse_smiles(entry.smiles)
        except ValueError as error:
            raise DataError(f"molecule {number}: {error}", path=path) from None
        found.append(Molecule(entry.smiles))
    if not found:
        raise DataError("no molecule in the file: expected one SMILES a line", path=path)
    return found
