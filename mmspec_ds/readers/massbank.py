"""Records of MassBank (record format 2): "TAG: value" lines, peaks under PK$PEAK, "//" at the end.

One record a file is the rule; several, one after the other, are read as well.
"""

from collections.abc import Iterator
from pathlib import Path

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.mass_fields import (
    ACCESSION,
    FORMULA,
    INSTRUMENT_TYPE,
    IONIZATION,
    IONIZATION_ENERGY,
    MS_LEVEL,
    POLARITY,
    SMILES,
)
from mmspec_ds.readers.mass_spectra import TextRecord
from mmspec_ds.readers.part import Item, RecordFault
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, Line, read_lines
from mmspec_ds.spectra.records import Modality

_FIELDS = {
    "ACCESSION": ACCESSION,
    "RECORD_TITLE": keys.NAME,
    "LICENSE": keys.LICENCE,
    "CH$FORMULA": FORMULA,
    "CH$SMILES": SMILES,
    "CH$LINK INCHIKEY": keys.INCHIKEY,
    "AC$INSTRUMENT": keys.INSTRUMENT,
    "AC$INSTRUMENT_TYPE": INSTRUMENT_TYPE,
    "AC$MASS_SPECTROMETRY MS_TYPE": MS_LEVEL,
    "AC$MASS_SPECTROMETRY ION_MODE": POLARITY,
    "AC$MASS_SPECTROMETRY COLLISION_ENERGY": keys.COLLISION_ENERGY,
    "AC$MASS_SPECTROMETRY FRAGMENTATION_MODE": "fragmentation_mode",
    "AC$MASS_SPECTROMETRY IONIZATION": IONIZATION,
    "AC$MASS_SPECTROMETRY IONIZATION_ENERGY": IONIZATION_ENERGY,
    "MS$FOCUSED_ION PRECURSOR_M/Z": keys.PRECURSOR_MZ,
    "MS$FOCUSED_ION PRECURSOR_TYPE": keys.ADDUCT,
}
"""The fields that are read, by tag or by tag and subtag."""


def looks_like_massbank(head: Head) -> bool:
    """Whether the text begins with the first tag of a record."""
    return head.text.lstrip().startswith("ACCESSION:")


def read_massbank(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of MassBank records, a part each, with the intensities of the second column; the relative
    ones of the third are rounded. A record with another number of peaks than PK$NUM_PEAK, or without "//", is
    rejected as truncated.
    """
    for number, record in enumerate(_records(path)):
        yield record.item(path, number, settings)


def _records(path: Path) -> Iterator["_Record"]:
    record = _Record()
    for line in read_lines(path):
        if line.text.strip() != "//":
            record.take(line)
        elif record.line is not None:
            yield record
            record = _Record()
    if record.line is not None:
        record.fault = RecordFault('the record has no "//" at its end: truncated or damaged')
        yield record


class _Record(TextRecord):
    """One record of MassBank, read line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.tag = ""
        self.declared: str | None = None

    def read_line(self, line: Line) -> None:
        if not line.text[0].isspace():
            self._read_tag(line)
        elif self.tag == "PK$PEAK":
            self.peaks.add(line.text.split(), line.number, further=1)

    def _read_tag(self, line: Line) -> None:
        self.tag, colon, value = line.text.partition(":")
        if not colon:
            raise RecordFault(f'{line.text[:40]!r} is not "TAG: value"', line=line.number)
        value = value.strip()
        subtag, _, rest = value.partition(" ")
        if self.tag == "PK$NUM_PEAK":
            self.declared = value
        elif self.tag in _FIELDS:
            self.fields.set(_FIELDS[self.tag], value)
        elif f"{self.tag} {subtag}" in _FIELDS:
            self.fields.set(_FIELDS[f"{self.tag} {subtag}"], rest)

    def finish(self) -> None:
        if self.declared is None or self.declared != str(len(self.peaks)):
            raise RecordFault(
                f"PK$NUM_PEAK is {(self.declared or 'missing')[:20]}, {len(self.peaks)} peaks found:"
                " truncated or damaged"
            )
