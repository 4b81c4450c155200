"""Options of reading, and the records of files in any format, in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.parquet import BATCH_ROWS, RowReader
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.spectra.rows import RecordRows, Rows

BENCHMARK = "parquet"
"""The name of the benchmark's schema among the formats."""


@dataclass(frozen=True)
class ReadOptions:
    """Which records are read, and which of the others are faults.

    Attributes:
        require_smiles: a record without a structure is invalid. Files to predict have none.
        skip_invalid: invalid records are skipped and counted, else refused.
        max_target_tokens: tokens of a SMILES, without begin and end; None for no limit.
        skip_long_targets: records beyond that are skipped and counted, else refused.
        max_records: stop after so many.
    """

    require_smiles: bool = True
    skip_invalid: bool = False
    max_target_tokens: int | None = None
    skip_long_targets: bool = False
    max_records: int | None = None

    @classmethod
    def from_settings(cls, settings: DataSettings) -> "ReadOptions":
        """The options of a training run."""
        return cls(
            skip_invalid=settings.skip_invalid,
            max_target_tokens=settings.max_target_tokens,
            skip_long_targets=settings.skip_long_targets,
        )


ALL_REQUIRED = ReadOptions()
"""The default: everything is required."""


def rows_of_file(path: Path, modalities: tuple[Modality, ...], options: ReadOptions) -> Iterator[Rows]:
    """The records of a file, at most `BATCH_ROWS` at a time, with those that cannot be used.

    A file of the benchmark's schema is read by whole columns, and only those that are needed. Of any other
    format, modalities that the file does not hold are simply absent, as a spectrum that was not measured; a
    record with none of them is invalid. So is, where structures are asked for, one without a structure or
    without a formula that is among the modalities. Sound spectra of no use (survey scans) are passed over.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    if find_format(path).name == BENCHMARK:
        with RowReader(path, modalities, require_smiles=options.require_smiles) as reader:
            yield from reader.rows()
        return
    items = (item for item in read_file(path) if not isinstance(item, Rejected) or item.fault)
    while batch := list(islice(items, BATCH_ROWS)):
        yield RecordRows(
            [item.id for item in batch], [_record(path, one, modalities, options) for one in batch]
        )


def _record(
    path: Path, item: Part | Rejected, modalities: tuple[Modality, ...], options: ReadOptions
) -> Record | DataError:
    """The record of a part, or why it cannot be used."""
    if isinstance(item, Rejected):
        return DataError(str(item))
    spectra = tuple(spectrum for spectrum in item.spectra if spectrum.modality in modalities)
    smiles = canonical_smiles(item.smiles) if item.smiles is not None else None
    where = f"{path}, record {item.id.rpartition(':')[2]}"
    if not spectra:
        names = ", ".join(REGISTRY[modality].name for modality in modalities)
        return DataError(f"{where}: has no spectrum of {names}")
    if options.require_smiles and smiles is None:
        return DataError(f"{where}: has no SMILES")
    record = Record(item.id, spectra, smiles, item.formula)
    for entry in (REGISTRY[modality] for modality in modalities):
        if options.require_smiles and not entry.is_instrument and not entry.is_in(record):
            return DataError(f"{where}: has no {entry.label}, which is an input of this model")
    return record
