"""Batches of records, whether they come from a file's columns or one by one.

Axes: N rows of a batch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.spectra.columns import BoolArray, Faults
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.records import Modality, Record, Spectrum
from mmspec_ds.spectra.registry import (
    REGISTRY,
    CompressionSettings,
    compress_columns,
    compress_records,
    schema_of,
)

SMILES = "smiles"
"""The column of structures."""


@dataclass(frozen=True)
class RecordRows:
    """Records, or why they cannot be used, each with its id; the methods are those of `FileRows`."""

    ids: Sequence[str]
    items: Sequence[Record | DataError]

    def __len__(self) -> int:
        return len(self.items)

    def id(self, place: int) -> str:
        """The id of the record at a place."""
        return self.ids[place]

    def smiles_at(self, place: int) -> str | DataError | None:
        """The SMILES of a record, as it is in it."""
        item = self.items[place]
        return item.smiles if isinstance(item, Record) else item

    def fault(self, place: int) -> DataError | None:
        """Why the record cannot be used, or None."""
        item = self.items[place]
        return item if isinstance(item, DataError) else None

    def records(self) -> Iterator[Record | DataError]:
        """The record of each row, or why there is none."""
        return iter(self.items)

    def tokens(
        self, modalities: Iterable[Modality], settings: CompressionSettings
    ) -> dict[Modality, PackedTokens]:
        """The tokens of each modality; none where there is no record.

        Raises:
            ValueError: a formula cannot be read.
        """
        records = [one if isinstance(one, Record) else Record("") for one in self.items]
        return compress_records(records, modalities, settings)


@dataclass(frozen=True)
class FileRows:
    """A batch of N rows, decoded and checked.

    Attributes:
        path, first_row: where they are.
        smiles: as written, None where the cell is null.
        columns: of each modality; a modality whose columns hold nothing but nulls is left out.
        faults: what is wrong with the cells, in the order of the columns.
        no_spectrum_N: rows that lack every spectrum that was asked for, whose columns are `asked_columns`.
        require_smiles, canonicalise: as for `read_records`.
    """

    path: Path
    first_row: int
    smiles: list[str | None]
    columns: Mapping[Modality, Any]
    faults: list[Faults]
    no_spectrum_N: BoolArray
    asked_columns: str
    require_smiles: bool
    canonicalise: bool

    def __len__(self) -> int:
        return len(self.smiles)

    @cached_property
    def _bad_N(self) -> BoolArray:
        return np.logical_or.reduce([self.no_spectrum_N, *(one.bad_N for one in self.faults)])

    def id(self, place: int) -> str:
        """The id of the record at a place."""
        return f"{self.path.name}:{self.first_row + place}"

    def error(self, place: int, column: str, why: str) -> DataError:
        """The error message of the row at a place."""
        return DataError(one_line(why), path=self.path, row=self.first_row + place, column=column)

    def fault(self, place: int) -> DataError | None:
        """Why the row at a place cannot be used, its SMILES not considered; None where it can."""
        if not self._bad_N[place]:
            return None
        for one in self.faults:
            if one.bad_N[place]:
                return self.error(place, one.column, one.why(place))
        return self.error(place, self.asked_columns, "every spectrum is null")

    def smiles_at(self, place: int) -> str | DataError | None:
        """The SMILES of a row, checked, or why it cannot be used."""
        text = self.smiles[place]
        if text is None:
            return self.error(place, SMILES, "the SMILES is missing (null)") if self.require_smiles else None
        try:
            canonical = canonical_smiles(text)
        except ValueError as error:
            return self.error(place, SMILES, str(error))
        return canonical if self.canonicalise else text

    def records(self) -> Iterator[Record | DataError]:
        """Each row as a record, or why it is not one."""
        parts: list[list[tuple[Spectrum, ...]]] = [
            REGISTRY[m].spectra(columns) for m, columns in self.columns.items() if REGISTRY[m].is_instrument
        ]
        known = self.columns.get(Modality.FORMULA)
        for place in range(len(self)):
            smiles = self.smiles_at(place)
            if isinstance(smiles, DataError):
                yield smiles
                continue
            if (fault := self.fault(place)) is not None:
                yield fault
                continue
            spectra = tuple(spectrum for part in parts for spectrum in part[place])
            formula = None if known is None else known.texts[place]
            yield Record(self.id(place), spectra, smiles, formula)

    def tokens(
        self, modalities: Iterable[Modality], settings: CompressionSettings
    ) -> dict[Modality, PackedTokens]:
        """The tokens of each of some modalities, without any where a row has a fault."""
        wanted = list(modalities)
        found = compress_columns({m: self.columns[m] for m in wanted if m in self.columns}, settings)
        empty = {m: PackedTokens.empty(schema_of(m, settings), len(self)) for m in wanted if m not in found}
        return {modality: (found | empty)[modality] for modality in wanted}


def one_line(text: object, limit: int = 200) -> str:
    """A text without line ends, and not longer than `limit`."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


Rows: TypeAlias = FileRows | RecordRows
