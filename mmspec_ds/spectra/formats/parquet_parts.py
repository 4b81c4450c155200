"""The benchmark's parquet, as one more format: `spectra.parquet` in the contract of the readers."""

from collections.abc import Iterator
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.formats.measured import looks_like_measured
from mmspec_ds.spectra.formats.part import Item, Part, Rejected, one_line
from mmspec_ds.spectra.formats.settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.spectra.formats.source import Head
from mmspec_ds.spectra.parquet import ReadReport, available_modalities, read_records
from mmspec_ds.spectra.records import Modality

_MAGIC = "PAR1"


def looks_like_parquet(head: Head) -> bool:
    """By the four letters at its start, unless its columns are those of the other parquet."""
    return head.text.startswith(_MAGIC) and not looks_like_measured(head)


def read_parquet(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The rows of a file of the benchmark's schema (Alberts et al. 2024), a part each, with all their spectra
    or those of one modality; SMILES in RDKit's canonical form.

    Raises:
        DataError: the file cannot be read as parquet, or has no column of the benchmark's spectra.
    """
    present = available_modalities(path)
    asked = tuple(one for one in present if modality in (None, one) and one is not Modality.FORMULA)
    if not asked:
        wanted = "spectra" if modality is None else modality.name.lower()
        raise DataError(f"the file has no column of the benchmark's schema for {wanted}", path=path)
    skipped: list[Rejected] = []
    report = ReadReport(on_skip=lambda record, reason: skipped.append(_rejected(path, record, reason)))
    for record in read_records(path, modalities=asked, require_smiles=False, on_invalid="skip", report=report):
        yield from skipped
        skipped.clear()
        yield Part(record.id, record.spectra, record.smiles, record.formula)
    yield from skipped


def _rejected(path: Path, record: str, reason: str) -> Rejected:
    row = int(record.rpartition(":")[2])
    return Rejected(path, row, one_line(reason.removeprefix(f"{path}, row {row}, ")))
