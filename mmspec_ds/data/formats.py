"""What is asked of a record, and the records of files that are not of the benchmark's schema."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.parquet import ReadReport
from mmspec_ds.spectra.records import Modality, Record

BENCHMARK = "parquet"
"""The name of the benchmark's schema among the formats."""


@dataclass(frozen=True)
class ReadOptions:
    """What is asked of a record.

    Attributes:
        require_smiles: a record without a structure is invalid. Files to predict have none.
        require_all_modalities: a file without a column for a modality is refused; else it is read without it.
        skip_invalid: invalid records are skipped and counted, else refused.
        max_target_tokens: tokens of a SMILES, without begin and end; None for no limit.
        skip_long_targets: records beyond that are skipped and counted, else refused.
        max_records: stop after so many.
    """

    require_smiles: bool = True
    require_all_modalities: bool = True
    skip_invalid: bool = False
    max_target_tokens: int | None = None
    skip_long_targets: bool = False
    max_records: int | None = None

    @classmethod
    def from_settings(cls, settings: DataSettings) -> "ReadOptions":
        """What a run asks of the records that it trains on."""
        return cls(
            skip_invalid=settings.skip_invalid,
            max_target_tokens=settings.max_target_tokens,
            skip_long_targets=settings.skip_long_targets,
        )


ALL_REQUIRED = ReadOptions()
"""What is asked unless something else is said."""


def records_of_file(
    path: Path, modalities: tuple[Modality, ...], options: ReadOptions, report: ReadReport
) -> Iterator[Record]:
    """The records of a file of any format, reduced to `modalities`, SMILES in canonical form.

    Modalities that the file does not hold are simply absent, as a spectrum that was not measured. A record with
    none of them, without a structure where one is asked for, or without a formula where FORMULA is among the
    modalities and structures are asked for, is invalid. What is sound but of no use (a survey scan) is passed
    over.

    Raises:
        DataError: the file cannot be read, or a record is invalid and `options.skip_invalid` is off.
    """
    for item in read_file(path):
        if isinstance(item, Rejected):
            if not item.fault:
                continue
            why: str | Record = str(item)
        else:
            why = _record(path, item, modalities, options)
        if isinstance(why, Record):
            report.rows_read += 1
            yield why
        elif options.skip_invalid:
            report.count_skipped(item.id, why)
        else:
            raise DataError(why)


def _record(path: Path, part: Part, modalities: tuple[Modality, ...], options: ReadOptions) -> Record | str:
    """The record that a part makes, or why it makes none."""
    spectra = tuple(spectrum for spectrum in part.spectra if spectrum.modality in modalities)
    smiles = canonical_smiles(part.smiles) if part.smiles is not None else None
    where = f"{path}, record {part.id.rpartition(':')[2]}"
    if not spectra:
        return f"{where}: has no spectrum of {', '.join(one.name.lower() for one in modalities)}"
    if options.require_smiles and smiles is None:
        return f"{where}: has no SMILES"
    if options.require_smiles and Modality.FORMULA in modalities and part.formula is None:
        return f"{where}: has no formula, which is an input of this model"
    return Record(part.id, spectra, smiles, part.formula)
