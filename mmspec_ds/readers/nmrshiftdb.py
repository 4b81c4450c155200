"""SD files as nmrshiftdb2 writes them: a structure, and its spectra in tags such as <Spectrum 13C 0>.

An entry is "shift;number and multiplicity;atom" ("60.4;0.0T;4", atoms from 0), entries are parted by "|". A 1H
spectrum lists a shift once for each of its hydrogens.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.multiplicities import multiplicity
from mmspec_ds.readers.nmr_lists import ListedSignal, Reading, carbon_lines, hydrogen_list
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line, part_id
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.sdf import SDRecord, formula_of, molecule_of, read_sdf, smiles_of
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.records import Modality, Spectrum

_HEAD_TAG = re.compile(r"^>.*<\s*Spectrum\s+(?:13C|1H)\s+\d+\s*>", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r"SPECTRUM\s+(13C|1H)\s+(\d+)")
_ENTRY = re.compile(
    r"\s*([+-]?\d+(?:[.,]\d+)?)\s*;\s*([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)?\s*([A-Za-z]*)\s*(?:;\s*(\d*)\s*)?"
)
_MOST_ENTRIES = 5000
_WIDEST_COUPLING = 30.0  # Hz; a larger number before the multiplicity is an intensity
_ONE_COUPLING = ("d", "t", "q", "p", "h", "hept")
_MODALITIES = {"1H": Modality.H_NMR, "13C": Modality.C_NMR}


@dataclass(frozen=True, slots=True)
class _Entry:
    """Shift in ppm, the number and the letters after it, and the atom, from 0."""

    shift: float
    number: float
    letters: str
    atom: str


def looks_like_nmrshiftdb(head: Head) -> bool:
    """By a tag of a spectrum."""
    return bool(_HEAD_TAG.search(head.text))


def read_nmrshiftdb(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The records of the file, a part each with the first 1H and the first 13C spectrum, SMILES and formula.

    Raises:
        DataError: the file cannot be read.
    """
    return read_sdf(path, lambda number, record: _part(path, number, record, modality))


def _part(path: Path, number: int, record: SDRecord, modality: Modality | None) -> Part:
    remarks: list[str] = []
    spectra: list[Spectrum] = []
    metadata: dict[str, str | float | int] = {}
    if name := one_line(record.name):
        metadata[keys.NAME] = name
    for nucleus, kind in _MODALITIES.items():
        if modality not in (None, kind):
            continue
        tags = [
            (found[2], lines)
            for tag, lines in record.tags
            if (found := _TAG.fullmatch(tag)) and found[1] == nucleus
        ]
        if not tags:
            continue
        place, lines = tags[0]
        if len(tags) > 1:
            further = f"{len(tags) - 1} further {nucleus}"
            remarks.append(f"{further} {'spectrum' if len(tags) == 2 else 'spectra'} of the record not read")
        entries = _entries(" ".join(line.text for line in lines), lines[0].number if lines else record.line)
        reading = _hydrogen(entries) if nucleus == "1H" else _carbon(entries)
        spectra.append(reading.spectrum)
        remarks += reading.remarks
        if (solvent := _numbered(record, "SOLVENT", place)) and keys.SOLVENT not in metadata:
            metadata[keys.SOLVENT] = one_line(solvent, 60)
    if not spectra:
        raise RecordFault("no tag <Spectrum 13C 0> or <Spectrum 1H 0> with what was asked for", fault=False)
    molecule = molecule_of(record)
    return Part(
        part_id(path, number),
        tuple(spectra),
        smiles_of(molecule),
        formula_of(molecule),
        metadata,
        tuple(remarks),
    )


def _entries(text: str, line: int) -> list[_Entry]:
    entries = []
    for piece in text.split("|"):
        if not piece.strip():
            continue
        found = _ENTRY.fullmatch(piece)
        if found is None:
            raise RecordFault(f"{one_line(piece, 40)!r} is not 'shift;number and multiplicity;atom'", line=line)
        shift, number, letters, atom = found.groups()
        entries.append(_Entry(_float(shift), _float(number or "0"), letters, atom or ""))
        if len(entries) > _MOST_ENTRIES:
            raise RecordFault(f"more than {_MOST_ENTRIES} signals", line=line)
    if not entries:
        raise RecordFault("the tag of the spectrum is empty", line=line)
    return entries


def _float(text: str) -> float:
    return float(text.replace(",", "."))


def _carbon(entries: Sequence[_Entry]) -> Reading:
    return carbon_lines([entry.shift for entry in entries], [entry.letters for entry in entries])


def _hydrogen(entries: Sequence[_Entry]) -> Reading:
    counts = Counter(entry.shift for entry in entries)
    signals: dict[float, ListedSignal] = {}
    coupled = 0
    for entry in entries:
        letters = entry.letters.lower()
        is_coupling = multiplicity(letters) in _ONE_COUPLING and 0 < entry.number < _WIDEST_COUPLING
        coupled += is_coupling
        couplings = (entry.number,) if is_coupling else ()
        signals.setdefault(entry.shift, ListedSignal(entry.shift, letters, counts[entry.shift], couplings))
    remarks = ["the number before the multiplicity is taken for J in Hz"] if coupled else []
    if len(counts) == len(entries) > 1:
        remarks.append("no shift is listed twice: one hydrogen taken for every signal")
    return hydrogen_list(list(signals.values())).with_remarks(remarks)


def _numbered(record: SDRecord, tag: str, place: str) -> str:
    """The value of a tag such as "0:CDCl3 1:DMSO" for the spectrum of a number."""
    said = re.split(r"(?:^|\s)(\d+):", record.text_of(tag))
    return dict(zip(said[1::2], said[2::2])).get(place, "").strip()
