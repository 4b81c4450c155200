"""NMR peak lists as tables: 1H multiplets or 13C lines, a row each.

Columns are known by their names, whatever their case, blanks and brackets, under `ALIASES`; without a header,
by what stands in them: the shift (or a range) first, then letters are the multiplicity, the first number after
it the integral, further numbers couplings; of a 13C list all but the first column is left.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.delimited import DelimitedTable, Row, read_table, sample_table, to_number
from mmspec_ds.readers.nmr_parts import (
    Reading,
    carbon_lines,
    check_shift,
    listed_multiplet,
    multiplicity,
    whole_hydrogens,
)
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line, part_id
from mmspec_ds.readers.picking.curve import Nucleus
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.modalities.h_nmr import CATEGORY
from mmspec_ds.spectra.records import HydrogenNMR, Modality, Multiplet

ALIASES: dict[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "shift": "shift shifts chemicalshift chemicalshifts delta deltah deltac δ δh δc d ppm centroid center"
        " centre position peak peaks signal 1h 13c",
        "range": "range ppmrange shiftrange region interval",
        "high": "rangemax max from start begin maxppm high upper rangehigh",
        "low": "rangemin min to end stop minppm low lower rangelow",
        "multiplicity": "multiplicity multiplicities mult category type pattern splitting class multiplet m",
        "integral": "integral integrals integration int nh h hs hydrogens protons noofh numh numberofh"
        " numberofhydrogens numberofprotons count n",
        "coupling": "j js jhz jvalue jvalues coupling couplings couplingconstant couplingconstants jcoupling"
        " jcouplings",
        "intensity": "intensity intensities height area relintensity relativeintensity i",
    }.items()
}
"""Names of columns, without case, blanks, punctuation and what is in brackets."""

_MOST_ROWS = 5000
_RANGE = re.compile(r"\s*([+-]?\d+(?:[.,]\d+)?)\s*(?:-|–|—|−|to|\.\.)\s*([+-]?\d+(?:[.,]\d+)?)\s*(?:ppm)?\s*")
_COUPLING = re.compile(r"\d+(?:[.,]\d+)?")
_COUPLING_CELL = re.compile(r"(?:[\d.,;:/|_&\s()=+-]|hz|and|\d?j(?:[a-z]{1,3})?)*", re.IGNORECASE)
_INTEGRAL = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*H?s?\s*", re.IGNORECASE)
_WORDS_1H = re.compile(r"(?<![0-9.])1\s*h(?![a-z0-9])|\bh[-_ ]?nmr|proton", re.IGNORECASE)
_WORDS_13C = re.compile(r"(?<![0-9.])13\s*c(?![a-z0-9])|\bc[-_ ]?nmr|carbon", re.IGNORECASE)
_HIGHEST_1H = 20.0


def looks_like_nmr_table(head: Head) -> bool:
    """Rows that begin with a shift, and a header that names one or a multiplicity."""
    preamble, rows = sample_table(head.text)
    if not rows or any(len(row) > 40 for row in rows[:20]):
        return False
    header = next((line for line in reversed(preamble) if line.strip()), "")
    names = {_kind_of(cell) for cell in re.split(r"[\t;,]", header)}
    if "shift" in names or "range" in names or {"high", "low"} <= names:
        return all(_shift_of(row[0]) is not None or len(row) > 1 for row in rows[:20])
    letters = [row for row in rows[:50] if len(row) > 1 and multiplicity(row[1]) is not None]
    shifts = [_shift_of(row[0]) for row in rows[:50]]
    plausible = all(shift is not None and abs(shift) <= 300 for shift in shifts)
    return plausible and (len(letters) == len(rows[:50]) or bool(_WORDS_1H.search(header + head.path.name)))


@dataclass(slots=True)
class _Signal:
    """A row of a list, as far as it says anything."""

    line: int
    shift: float
    edges: tuple[float, float] | None = None
    category: str = ""
    integral: float | None = None
    couplings: list[float] = field(default_factory=list)


def read_nmr_table(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The one list of the file. The nucleus is that asked for, else what the lines before the data or the name
    of the file say, else 13C if a shift is over 20 ppm, else 1H if there are multiplicities, couplings or
    integrals.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        yield _part(path, modality)
    except RecordFault as fault:
        yield fault.rejected(path, 0)


def _part(path: Path, modality: Modality | None) -> Part:
    table = read_table(path)
    columns = _columns(table)
    signals = []
    for row in table.rows:
        if any(row.cells):
            signals.append(_signal(row, columns))
        if len(signals) > _MOST_ROWS:
            raise RecordFault(f"more than {_MOST_ROWS} rows: is it a list of peaks?", line=row.number)
    if not signals:
        raise RecordFault("no row of the list could be read")
    nucleus = _nucleus(path, table, signals, modality)
    reading = _hydrogen(signals) if nucleus == "1H" else carbon_lines([signal.shift for signal in signals])
    return Part(part_id(path, 0), (reading.spectrum,), metadata=_metadata(table), remarks=reading.remarks)


def _metadata(table: DelimitedTable) -> dict[str, str | float | int]:
    found: dict[str, str | float | int] = {}
    if name := table.remark("name", "title", "compound", "sample"):
        found[keys.NAME] = name
    if solvent := table.remark("solvent"):
        found[keys.SOLVENT] = solvent
    frequency = to_number(table.remark("frequency", "mhz", "field").removesuffix("MHz").strip())
    if frequency is not None and 1 <= frequency <= 2000:
        found[keys.FREQUENCY_MHZ] = frequency
    return found


def _kind_of(cell: str) -> str | None:
    plain = re.sub(r"\(.*?\)|\[.*?\]|/.*", "", cell.lower())
    name = re.sub(r"[^a-z0-9δ]", "", plain) or re.sub(r"[^a-z0-9δ]", "", cell.lower())
    kind = next((kind for kind, names in ALIASES.items() if name in names), None)
    if kind is None and re.fullmatch(r"j\d*(hz)?|\d*j[hf]*(hz)?", name):
        return "coupling"
    return kind


def _columns(table: DelimitedTable) -> dict[str, list[int]] | None:
    """Places of the columns by kind; None where no header names the shift."""
    found: dict[str, list[int]] = {}
    for place, cell in enumerate(table.header or ()):
        kind = _kind_of(cell)
        if kind is not None and (kind == "coupling" or kind not in found):
            found.setdefault(kind, []).append(place)
    return found if {"shift", "range"} & set(found) or {"high", "low"} <= set(found) else None


def _signal(row: Row, columns: dict[str, list[int]] | None) -> _Signal:
    if columns is None:
        return _unnamed(row)

    def cell(kind: str) -> str:
        place = columns.get(kind, [-1])[0]
        return row.cells[place] if 0 <= place < len(row.cells) else ""

    edges = _edges(row, cell("range"), cell("high"), cell("low"))
    text = cell("shift")
    shift = _shift_of(text) if text else None
    if text and shift is None:
        raise RecordFault(f"the shift {one_line(text, 30)!r} is no number", line=row.number)
    if edges is None and text:
        edges = _edges(row, text, "", "")
    if shift is None and edges is not None:
        shift = sum(edges) / 2
    if shift is None:
        raise RecordFault("the shift is missing", line=row.number)
    signal = _Signal(row.number, shift, edges)
    signal.category = _category(cell("multiplicity"), row)
    if integral := cell("integral"):
        signal.integral = _integral(integral, row)
    for place in columns.get("coupling", []):
        signal.couplings += _couplings(row.cells[place] if place < len(row.cells) else "", row)
    return signal


def _unnamed(row: Row) -> _Signal:
    """A row of a table without header."""
    shift = _shift_of(row.cells[0])
    if shift is None:
        raise RecordFault(f"the shift {one_line(row.cells[0], 30)!r} is no number", line=row.number)
    signal = _Signal(row.number, shift, _edges(row, row.cells[0], "", ""))
    for text in row.cells[1:]:
        if not text:
            continue
        if not signal.category and (category := multiplicity(text)) is not None:
            signal.category = category
        elif signal.category and signal.integral is None and _INTEGRAL.fullmatch(text):
            signal.integral = _integral(text, row)
        elif signal.category:
            signal.couplings += _couplings(text, row)
        elif to_number(text) is None and not _INTEGRAL.fullmatch(text):
            raise RecordFault(f"{one_line(text, 30)!r} is no number or multiplicity", line=row.number)
        elif text.rstrip().upper().endswith("H"):
            signal.integral = _integral(text, row)
    return signal


def _shift_of(text: str) -> float | None:
    """A number, with or without "ppm", or the middle of a range."""
    plain = re.sub(r"\s*(ppm|δ)\s*$", "", text.strip(), flags=re.IGNORECASE)
    number = to_number(plain)
    if number is not None:
        return number
    found = _RANGE.fullmatch(text)
    return sum(float(part.replace(",", ".")) for part in found.groups()) / 2 if found else None


def _edges(row: Row, text: str, high: str, low: str) -> tuple[float, float] | None:
    if high and low:
        pair = to_number(high), to_number(low)
        if pair[0] is None or pair[1] is None or not (math.isfinite(pair[0]) and math.isfinite(pair[1])):
            raise RecordFault(f"the range {one_line(f'{high} to {low}', 40)} is none", line=row.number)
        return pair[0], pair[1]
    found = _RANGE.fullmatch(text)
    if found is None:
        if text and to_number(text) is None:
            raise RecordFault(f"the range {one_line(text, 30)!r} is none", line=row.number)
        return None
    first, second = (float(part.replace(",", ".")) for part in found.groups())
    return first, second


def _category(text: str, row: Row) -> str:
    if not text:
        return ""
    category = multiplicity(text)
    if category is None:
        raise RecordFault(f"the multiplicity {one_line(text, 30)!r} is unknown", line=row.number)
    return category


def _integral(text: str, row: Row) -> float:
    found = _INTEGRAL.fullmatch(text)
    if found is None:
        raise RecordFault(f"the integral {one_line(text, 30)!r} is no number of hydrogens", line=row.number)
    return float(found[1].replace(",", "."))


def _couplings(text: str, row: Row) -> list[float]:
    """Constants in Hz, in any order: "7.1, 1.5", "7,1 1,5", "J = 7.1 Hz", "1.63_14.08_"."""
    if not text.strip() or text.strip().lower() in ("none", "-", "–", "n/a", "na", "null"):
        return []
    if not _COUPLING_CELL.fullmatch(text):
        raise RecordFault(f"the couplings {one_line(text, 30)!r} are no numbers", line=row.number)
    plain = re.sub(r"\d?[jJ][a-zA-Z]{0,3}\s*=?", " ", text)
    if "." in plain or ", " in plain:
        plain = plain.replace(",", " ")
    return [float(one.replace(",", ".")) for one in _COUPLING.findall(plain)]


def _nucleus(
    path: Path, table: DelimitedTable, signals: Sequence[_Signal], modality: Modality | None
) -> Nucleus:
    if modality in (Modality.H_NMR, Modality.C_NMR):
        return "1H" if modality is Modality.H_NMR else "13C"
    for text in (" ".join(table.preamble), path.name):
        hydrogen, carbon = bool(_WORDS_1H.search(text)), bool(_WORDS_13C.search(text))
        if hydrogen != carbon:
            return "1H" if hydrogen else "13C"
    if any(signal.shift > _HIGHEST_1H for signal in signals):
        return "13C"
    if any(signal.category or signal.couplings or signal.integral for signal in signals):
        return "1H"
    raise RecordFault("is it 1H or 13C? Neither header, file name nor columns tell: say so on the command line")


def _hydrogen(signals: Sequence[_Signal]) -> Reading:
    remarks: list[str] = []
    for signal in signals:
        check_shift(signal.shift, "1H", signal.line)
    hydrogens = _hydrogens(signals, remarks)
    unnamed = sum(not signal.category for signal in signals)
    if unnamed:
        remarks.append(f"{unnamed} signals without a multiplicity taken for m")
    multiplets: dict[Multiplet, None] = {}
    for signal, count in zip(signals, hydrogens):
        category = signal.category or "m"
        assert CATEGORY.fullmatch(category)
        try:
            multiplet = listed_multiplet(signal.shift, category, count, signal.couplings, signal.edges)
        except RecordFault as fault:
            raise RecordFault(fault.reason, line=signal.line) from None
        multiplets.setdefault(multiplet)
    if len(multiplets) < len(signals):
        remarks.append(f"{len(signals) - len(multiplets)} repeated rows left out")
    ordered = sorted(multiplets, key=lambda multiplet: -multiplet.centroid_ppm)
    return Reading(HydrogenNMR(tuple(ordered)), None, tuple(remarks))


def _hydrogens(signals: Sequence[_Signal], remarks: list[str]) -> list[int]:
    integrals = [signal.integral for signal in signals]
    known = [integral for integral in integrals if integral is not None]
    if not known:
        remarks.append("no integrals: one hydrogen taken for every signal")
        return [1] * len(signals)
    counts, remark = whole_hydrogens(known)
    if remark:
        remarks.append(remark)
    if len(known) < len(signals):
        remarks.append(f"{len(signals) - len(known)} signals without an integral taken for one hydrogen")
    left = iter(counts)
    return [1 if integral is None else next(left) for integral in integrals]
