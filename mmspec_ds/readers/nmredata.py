"""NMReDATA: assigned NMR spectra in the tags of an SDF file (Pupier et al., Magn. Reson. Chem. 2018, 56, 703;
the tags and the attributes of signals as on nmredata.org, versions 1.0 to 2.0).

Of the assignment only the number of hydrogens under each label is used.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.cross_peaks import CrossPeaks, hsqc_of
from mmspec_ds.readers.nmr_lists import (
    ListedSignal,
    Reading,
    carbon_lines,
    check_shift,
    hydrogen_list,
    scaled_hydrogens,
    whole_hydrogens,
)
from mmspec_ds.readers.part import Item, Part, RecordFault, counted, one_line, part_id
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.sdf import (
    SDRecord,
    formula_of,
    hydrogens_of_labels,
    molecule_of,
    read_sdf,
    smiles_of,
)
from mmspec_ds.readers.source import Head, Line
from mmspec_ds.spectra.records import Modality

if TYPE_CHECKING:
    from rdkit import Chem

UNKNOWN_SHIFT = 777.777
"""What the format writes for a shift that is not known."""

_TAG = re.compile(r">.*<\s*NMREDATA_", re.IGNORECASE)
_HYDROGEN, _CARBON, _ONE_BOND = "NMREDATA_1D_1H", "NMREDATA_1D_13C", "NMREDATA_2D_13C_1J_1H"
_LABELS = re.compile(r"\s*([^,/=]+)/([^,/=]+)")
_SAME_CARBON_PPM = 0.15  # of a line in the 13C spectrum and in a DEPT
_SHIFT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*(?:(?:-|–)\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*)?")
_KEY = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*)\s*=(.*)", re.DOTALL)
_BETWEEN = re.compile(r",|\s+(?=[A-Z][A-Za-z0-9]*=)")
_COUPLING = re.compile(r"\s*([+-]?\d+\.?\d*)\s*(?:Hz)?\s*(?:\(.*)?")
_MOST_SIGNALS = 5000


def looks_like_nmredata(head: Head) -> bool:
    """By a tag of the format."""
    return bool(_TAG.search(head.text))


@dataclass(slots=True)
class _Signal:
    """A line of a 1D tag: a shift or a range, and its attributes, each a list."""

    line: int
    low: float
    high: float
    attributes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def shift(self) -> float:
        return (self.low + self.high) / 2

    def first(self, key: str) -> str:
        """The first value of an attribute, or nothing."""
        values = self.attributes.get(key, [])
        return values[0] if values else ""


def read_nmredata(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The records of an SDF file, a part each with its 1H and 13C spectra. SMILES and formula are those of the
    structure where RDKit reads it, else of the tags.

    Raises:
        DataError: the file cannot be read.
    """
    return read_sdf(path, lambda number, record: _part(path, number, record, modality))


def _part(path: Path, number: int, record: SDRecord, modality: Modality | None) -> Part:
    molecule = molecule_of(record)
    remarks: list[str] = []
    readings: list[Reading] = []
    hydrogen, carbon = _signals(record, _HYDROGEN, remarks), _signals(record, _CARBON, remarks)
    if modality in (None, Modality.H_NMR) and hydrogen:
        readings.append(_hydrogen(hydrogen, record, molecule))
    if modality in (None, Modality.C_NMR) and carbon:
        readings.append(_carbon(carbon, record))
    if modality in (None, Modality.HSQC) and (reading := _cross_peaks(record, carbon, hydrogen)):
        readings.append(reading)
    if not readings:
        wanted = {Modality.H_NMR: _HYDROGEN, Modality.C_NMR: _CARBON, Modality.HSQC: _ONE_BOND}
        names = f"{_HYDROGEN} or {_CARBON}" if modality is None else wanted.get(modality, "a 1D spectrum")
        raise RecordFault(f"no signals in a tag {names}", fault=False)
    return Part(
        part_id(path, number),
        tuple(reading.spectrum for reading in readings),
        smiles_of(molecule, record.text_of("NMREDATA_SMILES").strip("\\ ")),
        formula_of(molecule, record.text_of("NMREDATA_FORMULA").strip("\\ ")),
        _metadata(record),
        (*remarks, *(remark for reading in readings for remark in reading.remarks)),
    )


def _signals(record: SDRecord, tag: str, remarks: list[str]) -> list[_Signal]:
    """The signals of the first tag of the name that has any and is no DEPT; further ones are other spectra."""
    found: list[_Signal] = []
    further = 0
    for name, values in record.tags:
        if name.partition("#")[0] != tag:
            continue
        lines = _entries(values)
        dept = bool(_dept_angle(lines))
        if found or dept:
            further += not dept
        else:
            found = _parsed(lines)
    if further:
        remarks.append(f"{counted(further, 'further tag')} {tag} not read")
    return found


def _entries(values: list[Line]) -> list[Line]:
    """Entries of a tag: parted by backslashes where there are any, whatever the line ends (since 1.1), else by
    lines; what follows a semicolon is a comment."""
    if not any("\\" in line.text for line in values):
        entries = values
    else:
        entries, held, start = [], "", values[0].number
        for line in values:
            pieces = line.text.split("\\")
            for piece in pieces[:-1]:
                entries.append(Line(start, held + piece))
                held, start = "", line.number
            held += pieces[-1]
        entries.append(Line(start, held))
    return [Line(entry.number, entry.text.partition(";")[0]) for entry in entries]


def _parsed(lines: list[Line]) -> list[_Signal]:
    signals = []
    for line in lines:
        if not line.text.strip() or _KEY.match(line.text):
            continue  # Larmor=, Spectrum_Location= and the like
        head, *rest = _BETWEEN.split(line.text)
        if "=" in head or re.match(r"\s*[A-Za-z_]+\s*=", line.text):
            continue
        found = _SHIFT.fullmatch(head)
        if found is None:
            raise RecordFault(f"the shift {one_line(head, 30)!r} is not a number", line=line.number)
        first = float(found[1])
        second = float(found[2]) if found[2] else first
        if first == UNKNOWN_SHIFT:
            continue
        signal = _Signal(line.number, min(first, second), max(first, second))
        key = ""
        for text in rest:
            pair = _KEY.match(text)
            key, text = (pair[1].upper(), pair[2]) if pair else (key, text)
            if key and text.strip():
                signal.attributes.setdefault(key, []).append(text.strip())
        signals.append(signal)
        if len(signals) > _MOST_SIGNALS:
            raise RecordFault(f"more than {_MOST_SIGNALS} signals", line=line.number)
    return signals


def _hydrogen(signals: list[_Signal], record: SDRecord, molecule: "Chem.Mol | None") -> Reading:
    remarks: list[str] = []
    counts = _hydrogens(signals, hydrogens_of_labels(_assignment(record), molecule), remarks)
    listed = []
    for signal, count in zip(signals, counts):
        edges = (signal.low, signal.high) if signal.high > signal.low else None
        couplings = _couplings(signal)
        listed.append(ListedSignal(signal.shift, signal.first("S"), count, couplings, edges, signal.line))
    return hydrogen_list(listed).with_remarks(remarks)


def _hydrogens(signals: list[_Signal], by_label: Mapping[str, int], remarks: list[str]) -> list[int]:
    """Hydrogens of each signal: N, else the atoms of its labels, else the integrals E of all, else one."""
    counts: list[int | None] = []
    for signal in signals:
        said = [one for one in signal.attributes.get("N", []) if re.fullmatch(r"\d{1,3}", one)]
        labels = [label.strip("()") for label in signal.attributes.get("L", [])]
        assigned = sum(by_label.get(label, 0) for label in labels)
        counts.append(sum(map(int, said)) if said else assigned or None)
    missing = sum(count is None for count in counts)
    if missing == 0:
        return [count or 1 for count in counts]
    integrals = [_float(signal.first("E")) for signal in signals]
    if all(integral is not None and integral > 0 for integral in integrals):
        whole = [integral for integral in integrals if integral is not None]
        scaled, remark = whole_hydrogens(whole) if max(whole) < 20 else scaled_hydrogens(whole)
        remarks.append(remark or "hydrogens from the integrals E")
        return scaled
    remarks.append(
        f"{counted(missing, 'signal')} without N, known label or integrals: one hydrogen taken for each"
    )
    return [count or 1 for count in counts]


def _couplings(signal: _Signal) -> tuple[float, ...]:
    constants = []
    for text in signal.attributes.get("J", []):
        found = _COUPLING.fullmatch(text)
        if found is None:
            raise RecordFault(f"the coupling {one_line(text, 30)!r} is not a number", line=signal.line)
        if value := abs(float(found[1])):
            constants.append(value)
    return tuple(constants)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _carbon(signals: list[_Signal], record: SDRecord) -> Reading:
    remarks: list[str] = []
    for signal in signals:
        check_shift(signal.shift, "13C", signal.line)
    said = ["" if signal.attributes.get("J") else signal.first("S") for signal in signals]
    letters = [text if text.isalpha() else "" for text in said]
    if not any(letters):
        letters = _dept(signals, record, remarks)
    return carbon_lines([signal.shift for signal in signals], letters).with_remarks(remarks)


def _dept(signals: list[_Signal], record: SDRecord, remarks: list[str]) -> list[str]:
    """Types of the carbons as DEPT tags tell them, empty texts where they do not: in a DEPT-135 a CH2 is
    negative and a carbon without hydrogens is missing; a DEPT-90 shows CH alone."""
    lists: dict[str, list[_Signal]] = {}
    for name, values in record.tags:
        if name.partition("#")[0] == _CARBON and (found := _dept_angle(_entries(values))):
            lists.setdefault(found, _parsed(_entries(values)))
    if "135" not in lists or not any(_float(one.first("I")) for one in lists["135"]):
        return [""] * len(signals)
    remarks.append(f"hydrogens on the carbons from DEPT-{' and DEPT-'.join(sorted(lists))}")
    letters = []
    for signal in signals:
        here = _nearest(lists["135"], signal.shift)
        if here is None:
            letters.append("C")
        elif (_float(here.first("I")) or 0.0) < 0:
            letters.append("CH2")
        elif "90" in lists:
            letters.append("CH3" if _nearest(lists["90"], signal.shift) is None else "CH")
        else:
            letters.append("")
    return letters


def _dept_angle(lines: list[Line]) -> str:
    """The angle in the pulse sequence of a DEPT, 135 where it is not written; empty for another experiment."""
    for line in lines:
        if found := re.match(r"\s*(?:sequence|pulseprogram)\s*=.*?dept\D{0,4}(\d{2,3})?", line.text, re.I):
            return found[1] or "135"
    return ""


def _nearest(signals: list[_Signal], shift: float) -> _Signal | None:
    near = [signal for signal in signals if abs(signal.shift - shift) <= _SAME_CARBON_PPM]
    return min(near, key=lambda signal: abs(signal.shift - shift), default=None)


def _cross_peaks(record: SDRecord, carbon: list[_Signal], hydrogen: list[_Signal]) -> Reading | None:
    """The HSQC spectrum of a tag of one-bond correlations, "label/label", whose labels are those of the signals
    of the 13C and 1H tags; None where no label is known there."""
    lines = _entries(record.lines_of(_ONE_BOND))
    at = [
        {_label(text): one.shift for one in tag for text in one.attributes.get("L", [])}
        for tag in (carbon, hydrogen)
    ]
    peaks = CrossPeaks(carbon_first=True)
    for line in lines:
        found = _LABELS.match(line.text)
        if found is None or "=" in found[0]:
            continue
        one, other = _label(found[1]), _label(found[2])
        for c, h in ((one, other), (other, one)):
            if c in at[0] and h in at[1]:
                intensity = re.search(r"\b[IE]\s*=\s*([+-]?[\d.]+)", line.text)
                peaks.add(at[0][c], at[1][h], _float(intensity[1]) if intensity else None, None, line.number)
                break
    return hsqc_of(peaks, "HSQC") if peaks.peaks else None


def _label(text: str) -> str:
    return text.strip().strip("()")


def _assignment(record: SDRecord) -> dict[str, list[str]]:
    """Atoms by label: "a, 4.8020, H1, H2"."""
    found: dict[str, list[str]] = {}
    for line in _entries(record.lines_of("NMREDATA_ASSIGNMENT")):
        label, *rest = [piece.strip() for piece in line.text.split(",")]
        if label and "=" not in label and len(rest) > 1:
            found.setdefault(label.strip("()"), []).extend(rest[1:])
    return found


def _metadata(record: SDRecord) -> dict[str, str | float | int]:
    found: dict[str, str | float | int] = {}
    for key, tag in (
        (keys.SOLVENT, "SOLVENT"),
        ("level", "LEVEL"),
        ("nmredata_version", "VERSION"),
        ("temperature", "TEMPERATURE"),
        ("id", "ID"),
    ):
        if value := one_line(record.text_of(f"NMREDATA_{tag}").replace("\\", " ")).strip():
            found[key] = value
    if name := one_line(record.name):
        found[keys.NAME] = name
    for line in record.lines_of(_HYDROGEN):
        if larmor := re.match(r"\s*Larmor\s*=\s*(\d+\.?\d*)", line.text):
            found[keys.FREQUENCY_MHZ] = float(larmor[1])
    return found
