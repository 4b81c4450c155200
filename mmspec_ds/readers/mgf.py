"""Mascot Generic Format: blocks of KEY=value lines and peak lines between BEGIN IONS and END IONS.

Read by hand, since the readers of the libraries end at the first bad peak; written so that they can read it.
The keys of GNPS, MassSpecGym and matchms are known (see `tandem`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from mmspec_ds.files import replacing
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line
from mmspec_ds.readers.peaks import PeakList
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, Line, read_lines
from mmspec_ds.readers.tandem import FORMULA, POLARITY, SMILES, Fields, tandem_part
from mmspec_ds.spectra.records import Modality, TandemMS

_BEGIN, _END = "BEGIN IONS", "END IONS"
_COMMENTS = ("#", ";", "!", "/")


def looks_like_mgf(head: Head) -> bool:
    """By the line that opens a block."""
    return any(line.strip().upper() == _BEGIN for line in head.text.splitlines())


def read_mgf(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of an MGF file, a part for each block.

    KEY=value lines before the first block hold for all blocks that lack the key. A block without END IONS, at
    the end of the file or before the next BEGIN IONS, is rejected as truncated.

    Raises:
        DataError: the file cannot be read.
    """
    common: dict[str, str] = {}
    block: _Block | None = None
    number = 0
    for line in read_lines(path):
        text = line.text.strip()
        mark = text.upper()
        if mark == _BEGIN:
            if block is not None:
                yield block.unfinished().rejected(path, number)
                number += 1
            block = _Block(line.number)
        elif mark == _END:
            if block is not None:
                yield block.item(path, number, common, settings)
                number += 1
            block = None
        elif block is not None:
            block.take(line, text)
        elif "=" in text and len(common) < _MOST_COMMON:
            key, _, value = text.partition("=")
            common.setdefault(key, value)
    if block is not None:
        yield block.unfinished().rejected(path, number)


_MOST_COMMON = 64


class _Block:
    """One block while it is read; its first fault is kept, the rest of it passed over."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.fields, self.peaks = Fields(), PeakList()
        self.fault: RecordFault | None = None

    def take(self, line: Line, text: str) -> None:
        """A line of the block."""
        if not text or self.fault is not None or text.startswith(_COMMENTS):
            return
        if text[0].isdigit() or text[0] in ".+-" or "=" not in text:
            try:
                self.peaks.add(text.split(), line.number)
            except RecordFault as fault:
                self.fault = fault
            return
        key, _, value = text.partition("=")
        if key.strip().upper() == "PEPMASS":
            # "mass intensity charge": Mascot allows the charge here.
            mass, *more = value.split() or [""]
            value = mass
            if len(more) > 1:
                self.fields.values[keys.CHARGE] = more[1]
        self.fields.set(key, value)

    def item(self, path: Path, number: int, common: dict[str, str], settings: FormatSettings) -> Item:
        """What the block gives, now that it has ended."""
        for key, value in common.items():
            self.fields.set(key, value, keep=False)
        try:
            if self.fault is not None:
                raise self.fault
            return tandem_part(path, number, self.peaks.arrays(), self.fields, settings.ms)
        except RecordFault as fault:
            return fault.rejected(path, number, self.line)

    def unfinished(self) -> RecordFault:
        """That the block has no end."""
        return RecordFault("the block has no END IONS: the file is truncated or damaged", line=self.line)


def write_mgf(path: Path | str, parts: Iterable[Part]) -> int:
    """Write the MS/MS spectra of parts, a block each; the file appears whole or not at all.

    Numbers are written with all their digits, so that `read_mgf` gives them back as they were. Spectra of other
    kinds are left out. The collision energy written is the measured one where it is known.

    Returns:
        The number of blocks written.
    """
    target = Path(path)
    written = 0
    with replacing(target) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for part in parts:
            for spectrum in part.spectra:
                if isinstance(spectrum, TandemMS):
                    _write_block(file, part, spectrum)
                    written += 1
    return written


_MGF_KEYS = {keys.NAME: "TITLE", keys.PRECURSOR_MZ: "PEPMASS", keys.CHARGE: "CHARGE"}
_NOT_WRITTEN = frozenset({keys.MEASURED_EV, SMILES, FORMULA, POLARITY})


def _write_block(file: TextIO, part: Part, spectrum: TandemMS) -> None:
    lines = [_BEGIN]
    known = {keys.NAME: part.id, **part.metadata}
    if keys.COLLISION_ENERGY not in known and spectrum.collision_energy_ev is not None:
        known[keys.COLLISION_ENERGY] = f"{spectrum.collision_energy_ev!r} eV"
    for name, value in known.items():
        if name == keys.CHARGE:
            value = f"{abs(int(value))}{'-' if int(value) < 0 else '+'}"
        if name not in _NOT_WRITTEN:
            lines.append(f"{_MGF_KEYS.get(name, _mgf_key(name))}={_written(value)}")
    lines.append(f"IONMODE={spectrum.polarity}")
    for name, text in (("SMILES", part.smiles), ("FORMULA", part.formula)):
        if text is not None:
            lines.append(f"{name}={text}")
    lines += [
        f"{mz!r} {intensity!r}" for mz, intensity in zip(spectrum.mz.tolist(), spectrum.intensity.tolist())
    ]
    file.write("\n".join(lines) + f"\n{_END}\n\n")


def _mgf_key(name: str) -> str:
    """A key that is no peak line, no comment and has no "=" of its own."""
    key = "".join(letter if letter.isalnum() else "_" for letter in name.upper())
    return key if key[:1].isalpha() else f"X_{key}"


def _written(value: str | float | int) -> str:
    return repr(value) if isinstance(value, float) else one_line(value, 1000)
