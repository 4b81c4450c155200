"""Mascot Generic Format: blocks of KEY=value lines and peak lines between BEGIN IONS and END IONS.

Read here, since the readers of the libraries end at the first bad peak; written so that they can read it.
The keys of GNPS, MassSpecGym and matchms are known (see `mass_fields`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.mass_fields import FORMULA, POLARITY, SMILES
from mmspec_ds.readers.mass_spectra import TextRecord
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, Line, read_lines
from mmspec_ds.spectra.records import Modality, TandemMS

_BEGIN, _END = "BEGIN IONS", "END IONS"
_COMMENTS = ("#", ";", "!", "/")
_FRAGMENT_CHARGE = re.compile(r"[-+]?\d{1,2}[-+]?")
_MOST_COMMON = 64


def looks_like_mgf(head: Head) -> bool:
    """Whether a line opens a block."""
    return any(line.strip().upper() == _BEGIN for line in head.text.splitlines())


def read_mgf(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of an MGF file, a part for each block.

    KEY=value lines before the first block hold for all blocks that lack the key. A block without END IONS, at
    the end of the file or before the next BEGIN IONS, is rejected as truncated.
    """
    for number, block in enumerate(_blocks(path)):
        yield block.item(path, number, settings)


def _blocks(path: Path) -> Iterator["_Block"]:
    common: dict[str, str] = {}
    block: _Block | None = None
    for line in read_lines(path):
        text = line.text.strip()
        mark = text.upper()
        if mark in (_BEGIN, _END):
            if block is not None:
                yield block.ended(common if mark == _END else None)
            block = _Block(line.number) if mark == _BEGIN else None
        elif block is not None:
            block.take(line)
        elif "=" in text and len(common) < _MOST_COMMON:
            key, _, value = text.partition("=")
            common.setdefault(key, value)
    if block is not None:
        yield block.ended(None)


class _Block(TextRecord):
    """One block, which begins at a line."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line

    def read_line(self, line: Line) -> None:
        text = line.text.strip()
        if text.startswith(_COMMENTS):
            return
        if text[0].isdigit() or text[0] in ".+-" or "=" not in text:
            words = text.split()
            if len(words) == 3 and _FRAGMENT_CHARGE.fullmatch(words[2]):
                words.pop()
            self.peaks.add(words, line.number)
            return
        key, _, value = text.partition("=")
        if key.strip().upper() == "PEPMASS":
            # "mass intensity charge": Mascot allows the charge here.
            words = value.split()
            if len(words) > 2 and words[0][0] != "(":
                self.fields.values[keys.CHARGE] = words[2]
        self.fields.set(key, value)

    def ended(self, common: Mapping[str, str] | None) -> "_Block":
        """The block with the keys of the file's head; None if it has no END IONS."""
        if common is None:
            self.fault = RecordFault(
                "the block has no END IONS: the file is truncated or damaged", line=self.line
            )
        for key, value in (common or {}).items():
            self.fields.set(key, value, keep=False)
        return self


def write_mgf(path: Path | str, parts: Iterable[Part]) -> int:
    """Write the MS/MS spectra of parts, a block each; the file appears whole or not at all.

    Numbers are written with all their digits, so that `read_mgf` gives them back as they were. Spectra of other
    kinds are left out. The collision energy written is the measured one where it is known, and never one that
    was assumed.

    Returns:
        The number of blocks written.

    Raises:
        DataError: there is no MS/MS spectrum.
    """
    written = 0
    with replacing(Path(path)) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for part in parts:
            for spectrum in part.spectra:
                if isinstance(spectrum, TandemMS):
                    file.write("\n".join(_block_lines(part, spectrum)))
                    written += 1
        if not written:
            raise DataError("no MS/MS spectrum to write", path=path)
    return written


_MGF_KEYS = {keys.NAME: "TITLE", keys.PRECURSOR_MZ: "PEPMASS", keys.CHARGE: "CHARGE"}
_NOT_WRITTEN = frozenset({keys.MEASURED_EV, keys.ASSUMED_EV, SMILES, FORMULA, POLARITY})


def _block_lines(part: Part, spectrum: TandemMS) -> Iterator[str]:
    charge, ev = spectrum.charge, spectrum.measured_energy_ev
    if ev is None and keys.ASSUMED_EV not in part.metadata:
        ev = spectrum.collision_energy_ev
    known: dict[str, str | float | int | None] = {
        keys.NAME: part.id,
        keys.COLLISION_ENERGY: None if ev is None else f"{ev!r} eV",
        **part.metadata,
        keys.PRECURSOR_MZ: spectrum.precursor_mz,
        keys.CHARGE: None if charge is None else f"{abs(charge)}{'-' if charge < 0 else '+'}",
    }
    if spectrum.adduct is not None:
        known[keys.ADDUCT] = spectrum.adduct
    yield _BEGIN
    for name, value in known.items():
        if name not in _NOT_WRITTEN and value is not None:
            text = repr(value) if isinstance(value, float) else one_line(value, 1000)
            yield f"{_MGF_KEYS.get(name, _mgf_key(name))}={text}"
    yield f"IONMODE={spectrum.polarity}"
    yield from (f"{name}={text}" for name, text in (("SMILES", part.smiles), ("FORMULA", part.formula)) if text)
    for mz, intensity in zip(spectrum.mz.tolist(), spectrum.intensity.tolist()):
        yield f"{mz!r} {intensity!r}"
    yield f"{_END}\n\n"


def _mgf_key(name: str) -> str:
    """The name as a key that cannot be taken for a peak or a comment and has no "=" in it."""
    key = "".join(letter if letter.isalnum() else "_" for letter in name.upper())
    return key if key[:1].isalpha() else f"X_{key}"
