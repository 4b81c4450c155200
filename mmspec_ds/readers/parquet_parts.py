"""The benchmark's parquet as one of the formats: `spectra.parquet` behind the interface of the readers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.measured import looks_like_measured
from mmspec_ds.readers.part import Item, Part, RecordFault, Rejected, one_line
from mmspec_ds.readers.peaks import clean_peaks
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.readers.spectrum_rows import looks_like_spectrum_rows
from mmspec_ds.spectra.parquet import ReadReport, available_modalities, read_records
from mmspec_ds.spectra.records import ElectronIonisationMS, Modality, Record, Spectrum, TandemMS
from mmspec_ds.spectra.registry import REGISTRY

_MAGIC = "PAR1"


def looks_like_parquet(head: Head) -> bool:
    """Whether the file is parquet, and its columns are not those of `measured` or of `spectrum_rows`."""
    if not head.text.startswith(_MAGIC):
        return False
    return not (looks_like_measured(head) or looks_like_spectrum_rows(head))


def read_parquet(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The rows of a file of the benchmark's schema (Alberts et al. 2024), a part each, with all their spectra
    or those of one modality; SMILES in RDKit's canonical form.

    Raises:
        DataError: the file cannot be read as parquet, or has no column of the benchmark's spectra.
    """
    present = available_modalities(path)
    asked = tuple(one for one in present if modality in (None, one) and REGISTRY[one].is_instrument)
    if not asked:
        wanted = "spectra" if modality is None else modality.name.lower()
        raise DataError(f"the file has no column of the benchmark's schema for {wanted}", path=path)
    skipped: list[Rejected] = []
    report = ReadReport(on_skip=lambda record, reason: skipped.append(_rejected(path, record, reason)))
    for record in read_records(path, modalities=asked, require_smiles=False, on_invalid="skip", report=report):
        yield from skipped
        skipped.clear()
        yield _part(path, record, settings)
    yield from skipped


def _part(path: Path, record: Record, settings: FormatSettings) -> Item:
    """The record, its peaks of mass spectra by the rules of `peaks` where they are not in order."""
    remarks: list[str] = []
    spectra: list[Spectrum] = []
    for spectrum in record.spectra:
        if isinstance(spectrum, TandemMS | ElectronIonisationMS) and not _in_order(spectrum):
            try:
                mz, intensity, more = clean_peaks(spectrum.mz, spectrum.intensity, settings.ms.max_peaks)
            except RecordFault as fault:
                return _rejected(path, record.id, str(fault))
            spectrum = replace(spectrum, mz=mz, intensity=intensity)
            remarks += more
        spectra.append(spectrum)
    return Part(record.id, tuple(spectra), record.smiles, record.formula, remarks=tuple(remarks))


def _in_order(spectrum: TandemMS | ElectronIonisationMS) -> bool:
    return bool((np.diff(spectrum.mz) > 0).all() and (spectrum.intensity > 0).all())


def _rejected(path: Path, record: str, reason: str) -> Rejected:
    row = int(record.rpartition(":")[2])
    return Rejected(path, row, one_line(reason.removeprefix(f"{path}, row {row}, ")))
