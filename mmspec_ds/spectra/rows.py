"""Batches of records, whether they come from a file's columns or one by one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import CompressionSettings, compress_records


class Rows(Protocol):
    """N records, some of which may be unusable."""

    def __len__(self) -> int: ...

    def id(self, place: int) -> str:
        """The id of the record at a place."""

    def smiles_at(self, place: int) -> str | DataError | None:
        """The canonical SMILES of a record, or what is wrong with it."""

    def fault(self, place: int) -> DataError | None:
        """What else is wrong with the record at a place; None for a usable one."""

    def records(self) -> Iterator[Record | DataError]:
        """Each as a record, or why it is not one."""

    def tokens(
        self, modalities: Iterable[Modality], settings: CompressionSettings
    ) -> dict[Modality, PackedTokens]:
        """The tokens of each modality, for all N."""


@dataclass(frozen=True)
class RecordRows:
    """Records, or why they cannot be used, each with its id."""

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
        """Why there is no record."""
        item = self.items[place]
        return item if isinstance(item, DataError) else None

    def records(self) -> Iterator[Record | DataError]:
        """All items."""
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
