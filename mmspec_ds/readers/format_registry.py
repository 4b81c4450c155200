"""All formats of files, and how the one of a given file is found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers.bruker import looks_like_bruker, read_bruker
from mmspec_ds.readers.bruker_flex import looks_like_flex, read_bruker_flex
from mmspec_ds.readers.bruker_peaks import looks_like_peak_list, read_peak_list
from mmspec_ds.readers.hsqc_table import looks_like_hsqc_table, read_hsqc_table
from mmspec_ds.readers.infrared_table import looks_like_infrared_table, read_infrared_table
from mmspec_ds.readers.jcamp import looks_like_jcamp, read_jcamp
from mmspec_ds.readers.mass_fields import NOT_TANDEM
from mmspec_ds.readers.massbank import looks_like_massbank, read_massbank
from mmspec_ds.readers.massspecgym import looks_like_massspecgym, read_massspecgym
from mmspec_ds.readers.measured import looks_like_measured, read_measured
from mmspec_ds.readers.mgf import looks_like_mgf, read_mgf
from mmspec_ds.readers.msp import looks_like_msp, read_msp
from mmspec_ds.readers.mzml import looks_like_mzml, read_mzml
from mmspec_ds.readers.mzxml import looks_like_mzxml, read_mzxml
from mmspec_ds.readers.nmr_table import looks_like_nmr_table, read_nmr_table
from mmspec_ds.readers.nmredata import looks_like_nmredata, read_nmredata
from mmspec_ds.readers.nmrshiftdb import looks_like_nmrshiftdb, read_nmrshiftdb
from mmspec_ds.readers.parquet_parts import looks_like_parquet, read_parquet
from mmspec_ds.readers.part import Item, Part, Rejected
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, read_head
from mmspec_ds.readers.spectrum_rows import looks_like_spectrum_rows, read_spectrum_rows
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY

Reader = Callable[[Path, Modality | None, FormatSettings], Iterator[Item]]

SPECTRA = tuple(modality for modality, entry in REGISTRY.items() if entry.is_instrument)
NMR = (Modality.H_NMR, Modality.C_NMR, Modality.HSQC)
_SHIFTS, _MS, _MASS = (Modality.H_NMR, Modality.C_NMR), (Modality.MS,), (Modality.MS, Modality.EI)
_MEASURED = "parquet of measured shifts and MS/MS"
_ROWS = "parquet of mass spectra, one a row"
_PARQUET, _SDF, _TEXT = (".parquet",), (".sdf", ".sd"), (".csv", ".txt", ".tsv")
FLEX = "bruker-flex"
"""The format that holds spectra of samples, none of a molecule: no modality."""
_JCAMP = (".jdx", ".dx", ".jcamp", ".jcm")


@dataclass(frozen=True, slots=True)
class Format:
    """A file format and its reader.

    Attributes:
        name: as `--format` and messages give it.
        label: as tables give it.
        suffixes: of its files, lower case, with the dot; ".gz" after them is understood.
        modalities: what such a file may hold; none where its spectra are not those of a molecule.
        looks_like: whether the head of a file (or a folder) is of this format. False where in doubt: the
            suffix then decides.
        read: the reader.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    modalities: tuple[Modality, ...]
    looks_like: Callable[[Head], bool]
    read: Reader


FORMATS: tuple[Format, ...] = (
    Format("parquet", "parquet of the benchmark", _PARQUET, SPECTRA, looks_like_parquet, read_parquet),
    Format("measured", _MEASURED, _PARQUET, (*_SHIFTS, *_MS), looks_like_measured, read_measured),
    Format("spectrum-rows", _ROWS, _PARQUET, _MASS, looks_like_spectrum_rows, read_spectrum_rows),
    Format("mzml", "mzML", (".mzml",), _MS, looks_like_mzml, read_mzml),
    Format("mzxml", "mzXML", (".mzxml",), _MS, looks_like_mzxml, read_mzxml),
    Format("massbank", "MassBank record", (), _MASS, looks_like_massbank, read_massbank),
    Format("massspecgym", "MassSpecGym table", (".tsv",), _MASS, looks_like_massspecgym, read_massspecgym),
    Format("mgf", "MGF", (".mgf",), _MASS, looks_like_mgf, read_mgf),
    Format("msp", "MSP", (".msp",), _MASS, looks_like_msp, read_msp),
    Format(FLEX, "Bruker flex MALDI-TOF folder", (), (), looks_like_flex, read_bruker_flex),
    Format("jcamp", "JCAMP-DX", _JCAMP, (*NMR, Modality.IR), looks_like_jcamp, read_jcamp),
    Format("bruker", "Bruker processed folder", (), NMR, looks_like_bruker, read_bruker),
    Format("bruker-peaks", "TopSpin peaklist.xml", (), NMR, looks_like_peak_list, read_peak_list),
    Format("nmrshiftdb", "nmrshiftdb2 SDF", _SDF, _SHIFTS, looks_like_nmrshiftdb, read_nmrshiftdb),
    Format("nmredata", "NMReDATA SDF", _SDF, NMR, looks_like_nmredata, read_nmredata),
    Format("nmr-table", "NMR peak list", _TEXT, _SHIFTS, looks_like_nmr_table, read_nmr_table),
    Format(
        "ir-table", "IR table", (*_TEXT, ".xy"), (Modality.IR,), looks_like_infrared_table, read_infrared_table
    ),
    Format("hsqc-table", "HSQC peak list", _TEXT, (Modality.HSQC,), looks_like_hsqc_table, read_hsqc_table),
)
"""Every format. Where several look like a file's content, the first counts: strict ones before lax ones."""


def read_file(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The records of a file of any known format, one by one.

    Args:
        path: the file, or the folder of a format that is one.
        modality: what the file holds, where its format leaves that open (a CSV of shifts); of a file of many
            modalities, the one to read.
        settings: of the readers.

    Yields:
        A `Part` or a `Rejected` for each record.

    Raises:
        DataError: at once if the format is not known or does not hold that modality; while iterating, if the
            file cannot be read or has no record at all. Names the file.
    """
    found = find_format(path, modality)
    items = found.read(path, modality, settings)
    if found.modalities == _MASS and modality is not None:
        items = _of_kind(path, items, modality)
    return _some(path, items)


def find_format(path: Path, modality: Modality | None = None) -> Format:
    """The format of a file: one that its suffix names and its content confirms, else one that its content
    shows, else one that its suffix names.

    Raises:
        DataError: the file cannot be opened, is of no known format, or of one without that modality.
    """
    head = read_head(path)
    named = [one for one in FORMATS if suffix_of(path) in one.suffixes]
    shown = [one for one in FORMATS if one.looks_like(head)]
    candidates = [one for one in shown if one in named] + shown + ([] if head.is_folder else named)
    if not candidates:
        known = ", ".join(one.label for one in FORMATS)
        kind = "a folder of no known format" if head.is_folder else "of no known format"
        raise DataError(f"is {kind} (known: {known})", path=path)
    if modality is None or not candidates[0].modalities:
        return candidates[0]
    for one in candidates:
        if modality in one.modalities:
            return one
    holds = ", ".join(REGISTRY[m].label for m in candidates[0].modalities)
    asked = REGISTRY[modality].label
    raise DataError(f"is {candidates[0].label}, which holds {holds}, not {asked}", path=path)


def suffix_of(path: Path) -> str:
    """The suffix that tells the format: lower case, that before ".gz" if there is one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _of_kind(path: Path, items: Iterator[Item], modality: Modality) -> Iterator[Item]:
    """The items of a file of mass spectra; those of the other kind are passed over."""
    reason = NOT_TANDEM if modality is Modality.MS else "an MS/MS spectrum, not EI"
    for item in items:
        if isinstance(item, Part) and modality not in item.modalities:
            number = int(item.id.rpartition(":")[2])
            yield Rejected(path, number, reason, fault=False)
        else:
            yield item


def _some(path: Path, items: Iterator[Item]) -> Iterator[Item]:
    """The items as they are; an error where there are none."""
    empty = True
    for item in items:
        empty = False
        yield item
    if empty:
        raise DataError("no record in the file", path=path)
