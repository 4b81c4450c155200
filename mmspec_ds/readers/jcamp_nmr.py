"""NMR in JCAMP-DX: the shift axis, continuous spectra, peak tables and assignments (Davies and Lampen 1993)."""

import re

from mmspec_ds.readers.jcamp_curve import BlockCurve, decode_table, pairs_fit, read_curve
from mmspec_ds.readers.jcamp_peaks import check_peak_count, read_assignments
from mmspec_ds.readers.jcamp_tables import decode_pairs
from mmspec_ds.readers.jcamp_text import Block
from mmspec_ds.readers.nmr_curves import from_curve, make_curve
from mmspec_ds.readers.nmr_lists import Reading, carbon_lines, hydrogen_lines
from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.readers.picking.curve import Nucleus
from mmspec_ds.readers.picking.pick_settings import NMRProcessingSettings
from mmspec_ds.spectra.records import FloatArray, Modality

_HYDROGEN = re.compile(r"\^?<?\s*1\s*h\b|^h1?$|proton", re.IGNORECASE)
_CARBON = re.compile(r"\^?<?\s*13\s*c\b|^c13$|carbon", re.IGNORECASE)
_MOST_PEAKS = 5000
"""A longer table of pairs is a curve: a program that writes no XYDATA."""


def nucleus_of(block: Block, modality: Modality | None) -> Nucleus:
    """The nucleus observed: as the block says, else as was asked for, else as the title says.

    Raises:
        RecordFault: it is another one (no fault of the file), or cannot be told.
    """
    said = block.text(".OBSERVENUCLEUS", "$NUC1", ".NUCLEUS", "$NUCLEUS").split(",")[0]
    if said:
        if _HYDROGEN.search(said):
            return "1H"
        if _CARBON.search(said):
            return "13C"
        raise RecordFault(f"the nucleus is {one_line(said, 20)!r}, not 1H or 13C", line=block.line, fault=False)
    if modality in (Modality.H_NMR, Modality.C_NMR):
        return "1H" if modality is Modality.H_NMR else "13C"
    title = block.text("TITLE")
    hydrogen, carbon = re.search(r"\b1H\b", title), re.search(r"\b13C\b", title)
    if bool(hydrogen) != bool(carbon):
        return "1H" if hydrogen else "13C"
    raise RecordFault("no .OBSERVE NUCLEUS: is it 1H or 13C?", line=block.line)


def read_nmr(block: Block, nucleus: Nucleus, settings: NMRProcessingSettings) -> Reading:
    """The spectrum of an NMR block, picked if it is continuous.

    Raises:
        RecordFault: it is a FID, damaged, or has no line.
    """
    kind = block.text("DATATYPE").upper()
    if "FID" in kind or _symbol_unit(block).startswith("SEC"):
        raise RecordFault("an FID: process it to a spectrum first (Fourier transform, phase)", line=block.line)
    assigned = next((table for table in block.tables if table.label == "PEAKASSIGNMENTS"), None)
    if assigned is not None:
        return read_assignments(block, assigned, nucleus)
    table = next((table for table in block.tables if table.label == "PEAKTABLE"), None)
    if table is not None and len(table.lines) <= _MOST_PEAKS:
        width = 3 if "W" in table.form.upper() else 2
        peaks, commas = decode_table(
            block,
            table,
            lambda lines: decode_pairs(lines, width),
            lambda pairs: pairs_fit(pairs, block.number("NPOINTS")),
        )
        if len(peaks) <= _MOST_PEAKS:
            return _from_table(block, peaks[:, :2], nucleus, settings).with_remarks(commas)
    curve = read_curve(block)
    ppm, remarks = _ppm_of_curve(block, curve)
    solvent = solvent_of(block)
    reading = from_curve(make_curve(ppm, curve.y, nucleus, _frequency(block), solvent), settings)
    return reading.with_remarks(curve.remarks + remarks)


def solvent_of(block: Block) -> str:
    """The solvent as the block names it, or nothing."""
    named = block.text(".SOLVENTNAME", "$SOLVENT", "SOLVENT")
    reference = _reference_fields(block)
    return one_line(named or (reference[1] if len(reference) > 1 else ""), 40)


def _symbol_unit(block: Block) -> str:
    return (block.text("XUNITS") or block.text("UNITS").split(",")[0]).strip().upper()


def _frequency(block: Block) -> float:
    mhz = block.number(".OBSERVEFREQUENCY") or block.number("$SFO1") or block.number("$SF")
    if mhz is None or not 1 <= mhz <= 2000:
        said = "is missing" if mhz is None else f"is {mhz:g} MHz"
        raise RecordFault(f".OBSERVE FREQUENCY {said}, expected 1 to 2000 MHz", line=block.line)
    return mhz


def _ppm_of_curve(block: Block, curve: BlockCurve) -> tuple[FloatArray, tuple[str, ...]]:
    unit = curve.x_unit.upper()
    if "PPM" in unit:
        return curve.x, ()
    if "HZ" not in unit and "HERTZ" not in unit:
        raise RecordFault(f"XUNITS is {one_line(curve.x_unit, 30)!r}, expected HZ or PPM", line=block.line)
    mhz = _frequency(block)
    ppm = curve.x / mhz
    reference = _shift_reference(block, len(ppm))
    if reference is not None:
        place, shift = reference
        return ppm - ppm[place] + shift, (f"shifts from .SHIFT REFERENCE: point {place + 1} is {shift:g} ppm",)
    offset = block.number("$OFFSET")
    if offset is not None and 0.0 in (curve.x[0], curve.x[-1]):
        # Bruker's older exports count Hz from one end; OFFSET is the shift at the left end.
        left = 0 if curve.x[0] > curve.x[-1] else -1
        return ppm - ppm[left] + offset, (f"shifts from $OFFSET: the left end is {offset:g} ppm",)
    return ppm, ("no .SHIFT REFERENCE: 0 Hz taken for 0 ppm",)


def _reference_fields(block: Block) -> list[str]:
    return [part.strip() for part in block.text(".SHIFTREFERENCE").strip("()").split(",")]


def _shift_reference(block: Block, points: int) -> tuple[int, float] | None:
    """Index of a point, and its shift; None where the label is missing or says neither."""
    fields = _reference_fields(block)
    if len(fields) < 4:
        return None
    try:
        point, shift = float(fields[2]), float(fields[3])
    except ValueError:
        return None
    if point < 1 and shift == 0:
        return None  # "point 0 is 0 ppm" says that 0 Hz is 0 ppm: points count from 1
    if not (0 <= point <= points + 1 and abs(shift) < 1000):
        raise RecordFault(f".SHIFT REFERENCE names point {point:g} of {points}", line=block.line)
    return min(max(int(point) - 1, 0), points - 1), shift


def _from_table(block: Block, peaks: FloatArray, nucleus: Nucleus, settings: NMRProcessingSettings) -> Reading:
    check_peak_count(block, len(peaks))
    x = peaks[:, 0] * (block.number("XFACTOR") or 1.0)
    if "HZ" in block.text("XUNITS").upper():
        x = x / _frequency(block)
    if nucleus == "13C":
        return carbon_lines(x)
    return hydrogen_lines(x, peaks[:, 1], block.number(".OBSERVEFREQUENCY"), settings)
