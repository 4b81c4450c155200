"""Peak assignments of JCAMP-DX: (XYA), (XYMA) and (XYWA) entries in brackets (Davies and Lampen 1993)."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmspec_ds.readers.jcamp_tables import MOST_POINTS
from mmspec_ds.readers.jcamp_text import Block, Table
from mmspec_ds.readers.nmr_lists import ListedSignal, Reading, carbon_lines, hydrogen_list
from mmspec_ds.readers.part import RecordFault, counted, one_line
from mmspec_ds.readers.picking.curve import Nucleus
from mmspec_ds.readers.source import Line

_LONGEST_ENTRY = 10_000
_RANGE = re.compile(r"([+-]?[\d.]+(?:e[+-]?\d+)?) to ([+-]?[\d.]+(?:e[+-]?\d+)?) ppm", re.IGNORECASE)
_COUPLINGS = re.compile(r"\bJ\s*=\s*([\d., e+-]+)Hz", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """An assigned signal: X, height or number, multiplicity (empty if the form has none), the text in <>."""

    line: int
    x: float
    y: float
    multiplicity: str
    text: str


def check_peak_count(block: Block, count: int) -> None:
    """Raises RecordFault where NPOINTS says another number of peaks."""
    if not block.allows(count):
        points = block.number("NPOINTS")
        raise RecordFault(f"{counted(count, 'peak')}, but NPOINTS is {points:g}", line=block.line)


def read_assignments(block: Block, table: Table, nucleus: Nucleus) -> Reading:
    """A spectrum of assigned signals. What they are assigned to is not read: entries of one X are one signal.

    1H: with multiplicities, Y is the integral, and J and a range are read from text such as <J= 7.1, 1.5 Hz;
    4.18 to 4.06 ppm>; without, a signal has a hydrogen for each of its entries.

    Raises:
        RecordFault: an entry cannot be read.
    """
    if "HZ" in block.text("XUNITS").upper():
        raise RecordFault("assignments in HZ, expected PPM", line=table.line)
    entries = _entries(table)
    check_peak_count(block, len(entries))
    if nucleus == "13C":
        return carbon_lines([entry.x for entry in entries])
    return _named(entries) if all(entry.multiplicity for entry in entries) else _counted(entries)


def _named(entries: Sequence[Entry]) -> Reading:
    signals = []
    for entry in entries:
        listed = _COUPLINGS.search(entry.text)
        texts = listed[1].replace(",", " ").split() if listed else []
        found = _RANGE.search(entry.text)
        edges = (_number(found[1], entry.line), _number(found[2], entry.line)) if found else None
        couplings = tuple(_number(text, entry.line) for text in texts)
        signals.append(ListedSignal(entry.x, entry.multiplicity, entry.y, couplings, edges, entry.line))
    return hydrogen_list(signals)


def _counted(entries: Sequence[Entry]) -> Reading:
    counts = Counter(entry.x for entry in entries)
    reading = hydrogen_list([ListedSignal(x, "", min(count, 200)) for x, count in counts.items()])
    return reading.with_remarks(["assignments without multiplicities: a hydrogen for every atom assigned"])


def _entries(table: Table) -> list[Entry]:
    with_multiplicity = "M" in table.form.upper().partition(")")[0]
    entries = []
    for line in _bracketed(table.lines):
        fields, _, text = line.text[1:-1].partition("<")
        parts = [part.strip() for part in fields.split(";" if ";" in fields else ",")]
        if len(parts) < 2:
            raise RecordFault(f"{one_line(line.text, 40)!r} is not an entry (X, Y, ...)", line=line.number)
        said = parts[2] if with_multiplicity and len(parts) > 2 else ""
        x, y = _number(parts[0], line.number), _number(parts[1] or "1", line.number)
        entries.append(Entry(line.number, x, y, said, text.rstrip("> ")))
    if not entries:
        raise RecordFault("no entry in the assignments", line=table.line)
    return entries


def _bracketed(lines: Sequence[Line]) -> list[Line]:
    """Entries in brackets, which may go over several lines, and hold brackets in their <text>."""
    entries: list[Line] = []
    held, start = "", 0
    for line in lines:
        start = start if held else line.number
        held = f"{held} {line.text}".strip()
        while (end := _end(held)) >= 0:
            entry, held = held[: end + 1], held[end + 1 :].strip()
            if not entry.startswith("("):
                raise RecordFault(f"{one_line(entry, 40)!r} is not an entry (X, Y, ...)", line=start)
            entries.append(Line(start, entry))
        if len(held) > _LONGEST_ENTRY or len(entries) > MOST_POINTS:
            raise RecordFault("an entry without its closing bracket", line=start)
    if held:
        raise RecordFault("an entry without its closing bracket", line=start)
    return entries


def _end(text: str) -> int:
    """Where the first entry's closing bracket is, -1 if it is not there; brackets between < and > are text."""
    inside = False
    for place, letter in enumerate(text):
        if letter == "<":
            inside = True
        elif letter == ">":
            inside = False
        elif letter == ")" and not inside:
            return place
    return -1


def _number(text: str, line: int) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise RecordFault(f"{one_line(text, 30)!r} is not a number", line=line) from None
