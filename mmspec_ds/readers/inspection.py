"""What was read from a file of spectra: counts and remarks as text, and drawings of its first spectra."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected, one_line
from mmspec_ds.readers.spectrum_drawing import Panel, draw, plot_panels
from mmspec_ds.spectra.modalities.c_nmr import CARBON_TYPES
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    ElectronIonisationMS,
    FloatArray,
    HydrogenNMR,
    Infrared,
    Modality,
    Spectrum,
    TandemMS,
)
from mmspec_ds.spectra.registry import REGISTRY

_REASONS = 10
_REMARKS = 10
_MOST_KINDS = 100
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SHOWN_KEYS = (keys.NAME, keys.ADDUCT, keys.COLLISION_ENERGY, keys.SOLVENT, keys.FREQUENCY_MHZ, keys.INSTRUMENT)


@dataclass
class RemarkKind:
    """Remarks that differ in their numbers alone: the first one, their count, and whether the numbers vary."""

    first: str
    count: int = 0
    varied: bool = False

    def add(self, remark: str) -> None:
        """Count one more item of the file."""
        self.count += 1
        self.varied |= remark != self.first


@dataclass
class Inspection:
    """The result of reading one file.

    Attributes:
        path: the file.
        format: the label of its format.
        parts: number of records that gave a part.
        rejected: number of records at fault.
        passed_over: number of sound records of no use here (survey scans).
        spectra: number of spectra by modality.
        slots: number of MS/MS spectra by polarity and energy as the model reads them.
        remarks: remarks by their text with numbers as "N".
        others: what the passed-over records are, likewise.
        reasons: why the first few records were rejected, one line each.
        first: the first few parts.
        fault: why the reading ended before the end of the file, if it did.
    """

    path: Path
    format: str
    parts: int = 0
    rejected: int = 0
    passed_over: int = 0
    spectra: Counter[Modality] = field(default_factory=Counter)
    slots: Counter[str] = field(default_factory=Counter)
    remarks: dict[str, RemarkKind] = field(default_factory=dict)
    others: dict[str, RemarkKind] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    first: list[Part] = field(default_factory=list)
    fault: DataError | None = None


def inspect_file(path: Path, modality: Modality | None = None, keep: int = 5) -> Inspection:
    """Read a whole file of any known format and keep its first parts; the memory does not grow with the file.

    Raises:
        DataError: the file cannot be read at all. A truncated file gives the records before its end, and a
            `fault`.
    """
    found = Inspection(path, find_format(path, modality).label)
    try:
        for item in read_file(path, modality):
            if isinstance(item, Rejected):
                _count_rejected(found, item)
            else:
                _count_part(found, item, keep)
    except DataError as error:
        if not found.parts:
            raise
        found.fault = error
    return found


def _count_rejected(found: Inspection, item: Rejected) -> None:
    if not item.fault:
        found.passed_over += 1
        _count_kind(found.others, item.reason)
        return
    found.rejected += 1
    if len(found.reasons) < _REASONS:
        line = f", line {item.line}" if item.line is not None else ""
        found.reasons.append(f"record {item.number}{line}: {item.reason}")


def _count_part(found: Inspection, part: Part, keep: int) -> None:
    found.parts += 1
    found.spectra.update(spectrum.modality for spectrum in part.spectra)
    found.slots.update(_slot(spectrum) for spectrum in part.spectra if isinstance(spectrum, TandemMS))
    for remark in part.remarks:
        _count_kind(found.remarks, remark)
    if len(found.first) < keep:
        found.first.append(part)


def _count_kind(kinds: dict[str, RemarkKind], text: str) -> None:
    """Count a text among those that differ from it in numbers alone."""
    kind = _NUMBER.sub("N", text)
    if kind not in kinds and len(kinds) >= _MOST_KINDS:
        kind, text = "", "others"
    kinds.setdefault(kind, RemarkKind(text)).add(text)


def report_lines(found: Inspection) -> Iterator[str]:
    """The inspection as lines of text."""
    yield str(found.path)
    yield f"  format    {found.format}"
    passed = f", {found.passed_over} passed over" if found.passed_over else ""
    yield f"  records   {found.parts} read, {found.rejected} rejected{passed}"
    if found.spectra:
        kinds = (f"{count} {REGISTRY[modality].label}" for modality, count in sorted(found.spectra.items()))
        yield f"  spectra   {', '.join(kinds)}"
    if found.slots:
        slots = (f"{count} at {slot}" for slot, count in sorted(found.slots.items()))
        yield f"  MS/MS     {', '.join(slots)}"
    for title, kinds_of in (("passed over", found.others), ("remarks", found.remarks)):
        if kinds_of:
            yield f"  {title}"
        for kind in sorted(kinds_of.values(), key=lambda kind: -kind.count)[:_REMARKS]:
            yield f"    {kind.count} x {kind.first}{' (the first; numbers vary)' if kind.varied else ''}"
    if found.reasons:
        more = f", the first {len(found.reasons)}" if found.rejected > len(found.reasons) else ""
        yield f"  rejected{more}"
        yield from (f"    {reason}" for reason in found.reasons)
    for part in found.first:
        yield from _part_lines(part)


def _part_lines(part: Part) -> Iterator[str]:
    known = [one_line(part.metadata[key], 60) for key in _SHOWN_KEYS if key in part.metadata]
    known += [one_line(text, 80) for text in (part.formula, part.smiles) if text is not None]
    yield f"  {part.id}  {', '.join(known)}"
    yield from (f"    {described(spectrum)}" for spectrum in part.spectra)


def described(spectrum: Spectrum) -> str:
    """One spectrum as a line of text: its kind, how it was measured, and its first or strongest signals."""
    label = REGISTRY[spectrum.modality].label
    match spectrum:
        case TandemMS(mz=mz, intensity=intensity):
            return f"{label}{_precursor(spectrum)}, {_slot(spectrum)}: {_peaks(mz, intensity)}"
        case ElectronIonisationMS(mz=mz, intensity=intensity, energy_ev=energy):
            return f"{label}{'' if energy is None else f', {energy:g} eV'}: {_peaks(mz, intensity)}"
        case HydrogenNMR(multiplets=multiplets):
            hydrogens = sum(one.hydrogens for one in multiplets)
            texts = [f"{one.centroid_ppm:.2f} ({one.category}, {one.hydrogens}H)" for one in multiplets]
            return f"{label}, {len(multiplets)} multiplets, {hydrogens} H: {_listed(texts, 8)}"
        case CarbonNMR(shifts_ppm=shifts, attached_hydrogens=attached):
            lines = zip_longest(shifts, attached)
            texts = [f"{ppm:.1f}{'' if n is None else f' ({CARBON_TYPES[n]})'}" for ppm, n in lines]
            return f"{label}, {len(shifts)} lines: {_listed(texts, 12)}"
        case HSQC(peaks=peaks):
            texts = [
                f"{one.carbon_ppm:.1f}/{one.hydrogen_ppm:.2f}"
                f"{'' if one.hydrogens is None else f' ({one.hydrogens}H)'}"
                for one in peaks
            ]
            return f"{label}, {len(peaks)} cross peaks (13C/1H): {_listed(texts, 8)}"
        case Infrared(absorbance=absorbance, start_cm1=start, stop_cm1=stop):
            return f"{label}, {len(absorbance)} points from {start:g} to {stop:g} cm-1, absorbance"
    raise AssertionError(f"no text for {type(spectrum).__name__}")


def _peaks(mz: FloatArray, intensity: FloatArray) -> str:
    strongest = mz[intensity.argmax()]
    return f"{len(mz)} peaks from {mz[0]:.4f} to {mz[-1]:.4f}, the strongest at {strongest:.4f}"


def _listed(texts: Sequence[str], limit: int) -> str:
    return ", ".join(texts[:limit]) + (" ..." if len(texts) > limit else "")


def _precursor(spectrum: TandemMS) -> str:
    """The known properties of the precursor: m/z, adduct and charge."""
    known = [f"m/z {spectrum.precursor_mz:.4f}"] if spectrum.precursor_mz is not None else []
    known += [spectrum.adduct] if spectrum.adduct is not None else []
    known += [f"charge {spectrum.charge:+d}"] if spectrum.charge is not None else []
    return f" of {', '.join(known)}" if known else ""


def _slot(spectrum: TandemMS) -> str:
    energy = spectrum.collision_energy_ev
    return f"{spectrum.polarity} {'unknown energy' if energy is None else f'{energy:g} eV'}"


def plot_parts(parts: Sequence[Part], path: Path) -> int:
    """Draw the first spectra of parts, see `plot_panels`."""
    return plot_panels(panels_of(parts), path)


def panels_of(parts: Sequence[Part]) -> list[Panel]:
    """A panel for each spectrum of some parts."""
    return [
        Panel(_title(part, spectrum), partial(draw, spectrum, part))
        for part in parts
        for spectrum in part.spectra
    ]


def _title(part: Part, spectrum: Spectrum) -> str:
    """Id, kind and name, with "$" escaped, which matplotlib takes for mathematics."""
    words = [part.id, REGISTRY[spectrum.modality].label]
    if isinstance(spectrum, TandemMS):
        words.append(_slot(spectrum))
    name = part.metadata.get(keys.NAME)
    if name is not None:
        words.append(one_line(name, 50))
    return "  ".join(words).replace("$", r"\$")
