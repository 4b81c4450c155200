"""MSP, the text format of NIST, as NIST, MoNA, MassBank, MS-DIAL, GOLM and matchms write it.

"Key: value" lines, then "Num Peaks: n" and the peaks. Peaks are pairs of m/z and intensity, one or several a
line, with blanks, tabs, commas or semicolons between them, as "mz:intensity" or in parentheses; text in quotes
is an annotation. A comma inside a number is a decimal mark if that gives as many peaks as are declared.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.readers.mass_fields import Fields
from mmspec_ds.readers.mass_spectra import TextRecord
from mmspec_ds.readers.part import Item, RecordFault
from mmspec_ds.readers.peaks import PeakList, is_number
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, Line, read_lines
from mmspec_ds.spectra.records import Modality

_KEY = re.compile(r"(?P<key>[A-Za-z][^:\n]{0,60}):(?P<value>.*)", re.DOTALL)
_NUM_PEAKS_LINE = re.compile(r"num[ _]?peaks\s*[:=]\s*(?P<count>\S*)\s*(?P<rest>.*)", re.IGNORECASE)
_PEAKS_KEY = re.compile(r"^num[ _]?peaks\s*:", re.IGNORECASE | re.MULTILINE)
_QUOTED = re.compile(r'"[^"]*"?')
_WHOLE_COMMENT = re.compile(r'"([^"=]{1,60})=([^"]*)"')  # MoNA: "key=value" "key=value"
_QUOTED_VALUE = re.compile(r'([^\s"=]{1,60})="([^"]*)"')  # NIST: key="value" key=value
_INNER_COMMA = re.compile(r"(?<=\d),(?=\d)")
_SEPARATORS = re.compile(r"[()]|,(?!\d)|(?<!\d),")
_COMMENTS, _SYNONYMS = ("comment", "comments"), ("synon", "synonym")


def looks_like_msp(head: Head) -> bool:
    """Whether the text begins with a key and has a "Num Peaks:" line."""
    return bool(_KEY.match(head.text.lstrip())) and bool(_PEAKS_KEY.search(head.text))


def read_msp(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of an MSP file, a part for each record. A record with another number of peaks than it
    declares is rejected; fields inside "Comments" count where the record has no such field of its own.
    """
    for number, record in enumerate(_records(path)):
        yield record.item(path, number, settings)


def _records(path: Path) -> Iterator["_Record"]:
    record = _Record()
    for line in read_lines(path):
        if record.ends_before(line.text.strip()):
            yield record
            record = _Record()
        record.take(line)
    if record.line is not None:
        yield record


@dataclass
class _Reading:
    """The peaks of a record under one reading of commas inside numbers."""

    comma: str
    """What stands for such a comma: a blank between two numbers, or itself, the decimal mark."""
    peaks: PeakList
    fault: RecordFault | None = None


class _Record(TextRecord):
    """One record; from the first comma inside a number on, its peaks in two readings."""

    def __init__(self) -> None:
        super().__init__()
        self.comments = Fields()
        self.readings = [_Reading(" ", self.peaks)]
        self.declared: int | None = None
        self._keys: set[str] = set()
        self._has_gap = False

    def ends_before(self, text: str) -> bool:
        """Whether this line begins the next record: a name after a name, or a key after an empty line or after
        peaks that this record has already."""
        if self.line is None:
            return False
        if not text:
            self._has_gap = True
            return False
        match = _KEY.match(text)
        if match is None:
            return False
        key = _squeezed(match["key"])
        has_count = "numpeaks" in self._keys
        has_peaks = has_count and (len(self.peaks) > 0 or not self.declared or self.fault is not None)
        if key == "name" and (key in self._keys or has_count or self.fault is not None):
            return True
        if self._has_gap and has_peaks:
            return True
        is_new = key not in self._keys or key in (*_COMMENTS, *_SYNONYMS)
        self._keys.add(key)
        return not is_new and (self._has_gap or has_peaks)

    def read_line(self, line: Line) -> None:
        text = line.text.strip()
        key, colon, value = text.partition(":")
        match = _NUM_PEAKS_LINE.match(text)
        if match is not None and self.declared is None:
            self._keys.add("numpeaks")
            if not match["count"].isdecimal() or len(match["count"]) > 9:
                raise RecordFault(f"Num Peaks is {match['count'][:20]!r}, expected a count", line=line.number)
            self.declared = int(match["count"])
            self._read_peaks(match["rest"], line.number)
        elif colon and _KEY.match(text):
            self._read_field(key, value)
        elif self.declared is not None:
            self._read_peaks(text, line.number)
        else:
            raise RecordFault(
                f'{text[:40]!r} is not "Key: value", nor a peak after Num Peaks', line=line.number
            )

    def _read_field(self, key: str, value: str) -> None:
        self._keys.add(_squeezed(key))
        if _squeezed(key) in _COMMENTS:
            for name, inner in (*_WHOLE_COMMENT.findall(value), *_QUOTED_VALUE.findall(value)):
                self.comments.set(name, inner)
        elif _squeezed(key) not in _SYNONYMS:
            self.fields.set(key, value)

    def _read_peaks(self, text: str, number: int) -> None:
        bare = _QUOTED.sub(" ", text) if '"' in text else text
        if len(self.readings) == 1 and _INNER_COMMA.search(bare):
            self.readings.append(_Reading(",", deepcopy(self.peaks)))
        for reading in self.readings:
            if reading.fault is None:
                try:
                    _add_pairs(reading.peaks, _INNER_COMMA.sub(reading.comma, bare), number)
                except RecordFault as fault:
                    reading.fault = fault
        if all(reading.fault is not None for reading in self.readings):
            raise self.readings[0].fault or RecordFault("no peaks")

    def item(self, path: Path, number: int, settings: FormatSettings) -> Item:
        for name, value in self.comments.values.items():
            self.fields.set(name, value)
        return super().item(path, number, settings)

    def finish(self) -> None:
        if self.declared is None:
            raise RecordFault("no Num Peaks")
        sound = [reading.peaks for reading in self.readings if reading.fault is None]
        self.peaks = next((peaks for peaks in sound if len(peaks) == self.declared), sound[0])
        if len(self.peaks) != self.declared:
            why = "truncated or damaged" if len(self.peaks) < self.declared else "more than declared"
            hint = ", perhaps for decimal commas" if len(self.readings) > 1 else ""
            raise RecordFault(f"{self.declared} peaks declared, {len(self.peaks)} found: {why}{hint}")


def _squeezed(key: str) -> str:
    return "".join(letter for letter in key.lower() if letter not in " _")


def _add_pairs(peaks: PeakList, text: str, number: int) -> None:
    """Add the peaks of a line.

    Raises:
        RecordFault: the numbers do not make pairs.
    """
    text = _SEPARATORS.sub(" ", text)
    if ":" in text:
        pieces = [piece.split(":") for piece in text.split()]
    else:
        pieces = [piece.split() for piece in text.split(";")]
    for words in pieces:
        count = next((place for place, word in enumerate(words) if not is_number(word)), len(words))
        if count < len(words) or count <= 2:  # one peak, perhaps with an annotation
            if words:
                peaks.add(words, number)
        elif count % 2:
            raise RecordFault(f"{count} numbers in a row, expected pairs of m/z and intensity", line=number)
        else:
            for place in range(0, count, 2):
                peaks.add(words[place : place + 2], number)
