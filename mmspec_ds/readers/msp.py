"""MSP, the text format of NIST, as NIST, MoNA, MassBank, MS-DIAL, GOLM and matchms write it.

"Key: value" lines, then "Num Peaks: n" and the peaks; an empty line or a new key ends a record. Peaks are
"mz intensity", one a line or several parted by semicolons, "mz:intensity", several a line, or "(mz,intensity)";
what follows in quotes is an annotation.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mmspec_ds.readers.part import Item, RecordFault
from mmspec_ds.readers.peaks import PeakList
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, Line, read_lines
from mmspec_ds.readers.tandem import Fields, tandem_part
from mmspec_ds.spectra.records import Modality

_NUM_PEAKS = re.compile(r"num[ _]?peaks\s*[:=]\s*(?P<count>\S*)\s*(?P<rest>.*)", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z][^:\n]{0,60}:")
_PEAKS_KEY = re.compile(r"^num[ _]?peaks\s*:", re.IGNORECASE | re.MULTILINE)
_QUOTED = re.compile(r'"[^"]*"?')
_WHOLE_COMMENT = re.compile(r'"([^"=]{1,60})=([^"]*)"')  # MoNA: "key=value" "key=value"
_QUOTED_VALUE = re.compile(r'([^\s"=]{1,60})="([^"]*)"')  # NIST: key="value" key=value
_PEAK_LINE = re.compile(r"[(\s]*[-+]?[\d.]")


def looks_like_msp(head: Head) -> bool:
    """By a key at its start, and a "Num Peaks:" line."""
    return bool(_KEY.match(head.text.lstrip())) and bool(_PEAKS_KEY.search(head.text))


def read_msp(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of an MSP file, a part for each record. A record with fewer peaks than it declares is
    rejected as truncated; fields inside "Comments" count where the record has no such field of its own.

    Raises:
        DataError: the file cannot be read.
    """
    record = _Record()
    number = 0
    for line in read_lines(path):
        if record.ends_before(line.text):
            yield record.item(path, number, settings)
            number += 1
            record = _Record()
        record.take(line)
    if record.begun:
        yield record.item(path, number, settings)


class _Record:
    """One record while it is read; its first fault is kept, the rest of it passed over."""

    def __init__(self) -> None:
        self.line: int | None = None
        self.fields, self.comments, self.peaks = Fields(), Fields(), PeakList()
        self.declared: int | None = None
        self.fault: RecordFault | None = None

    @property
    def begun(self) -> bool:
        return self.line is not None

    def ends_before(self, text: str) -> bool:
        """Whether this line is no longer of the record: an empty one, except before the first peak, or the
        first of the next record."""
        if not self.begun:
            return False
        if not text.strip():
            return not self.declared or len(self.peaks) > 0 or self.fault is not None
        if self.fault is not None and text.lower().startswith("name:"):
            return True
        return self.declared is not None and ":" in text and not _PEAK_LINE.match(text)

    def take(self, line: Line) -> None:
        """A line of the record, or an empty one before it."""
        text = line.text.strip()
        if not text:
            return
        if self.line is None:
            self.line = line.number
        if self.fault is not None:
            return
        try:
            self._take(text, line.number)
        except RecordFault as fault:
            self.fault = fault

    def _take(self, text: str, number: int) -> None:
        match = _NUM_PEAKS.match(text)
        if match is not None and self.declared is None:
            if not match["count"].isdecimal() or len(match["count"]) > 9:
                raise RecordFault(f"Num Peaks is {match['count'][:20]!r}, expected a count", line=number)
            self.declared = int(match["count"])
            text = match["rest"]
        elif self.declared is None:
            self._take_field(text, number)
            return
        for words in _pairs(text):
            self.peaks.add(words, number)

    def _take_field(self, text: str, number: int) -> None:
        key, colon, value = text.partition(":")
        if not colon:
            raise RecordFault(f'{text[:40]!r} is no "Key: value", and the record has no Num Peaks', line=number)
        if key.strip().lower() in ("comment", "comments"):
            for name, inner in (*_WHOLE_COMMENT.findall(value), *_QUOTED_VALUE.findall(value)):
                self.comments.set(name, inner)
        elif key.strip().lower() not in ("synon", "synonym"):
            self.fields.set(key, value)

    def item(self, path: Path, number: int, settings: FormatSettings) -> Item:
        """What the record gives, now that it has ended."""
        for name, value in self.comments.values.items():
            self.fields.set(name, value)
        try:
            if self.fault is not None:
                raise self.fault
            if self.declared is None:
                raise RecordFault("no Num Peaks")
            if len(self.peaks) < self.declared:
                raise RecordFault(
                    f"{self.declared} peaks declared, {len(self.peaks)} found: truncated or damaged"
                )
            return tandem_part(path, number, self.peaks.arrays(), self.fields, settings.ms)
        except RecordFault as fault:
            return fault.rejected(path, number, self.line)


def _pairs(text: str) -> Iterator[list[str]]:
    """The peaks of a line, as words."""
    bare = _QUOTED.sub(" ", text) if '"' in text else text
    if ";" in bare:
        yield from (words for words in (piece.split() for piece in bare.split(";")) if words)
    elif ":" in bare:
        yield from (piece.split(":") for piece in bare.split())
    elif "(" in bare:
        yield from (piece.replace(",", " ").split() for piece in re.findall(r"\(([^()]*)\)?", bare))
    elif bare.strip():
        yield bare.replace(",", " ").split()
