"""JCAMP-DX: IR and NMR spectra, a part for each block of a file."""

import re
from collections.abc import Iterator
from pathlib import Path

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.jcamp_curve import read_curve
from mmspec_ds.readers.jcamp_nmr import nucleus_of, read_nmr, solvent_of
from mmspec_ds.readers.jcamp_text import Block, read_blocks
from mmspec_ds.readers.part import Item, Part, RecordFault, Rejected, Trace, one_line, part_id
from mmspec_ds.readers.picking.infrared import axis_unit, ordinate, to_grid
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, read_lines
from mmspec_ds.spectra.records import Modality

_START = re.compile(r"^\s*##\s*(TITLE|JCAMP[\s_-]*DX)\s*=", re.IGNORECASE | re.MULTILINE)
_LABELS = {Modality.H_NMR: "1H NMR", Modality.C_NMR: "13C NMR", Modality.IR: "IR"}


def looks_like_jcamp(head: Head) -> bool:
    """By one of the two labels that every block begins with."""
    return bool(_START.search(head.text[:8192]))


def read_jcamp(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of a JCAMP-DX file (4.24 to 6.0), a part for each block; structures are passed over.

    Read are IR spectra (XYDATA or XYPOINTS; 1/CM, MICROMETERS, NANOMETERS; ABSORBANCE, TRANSMITTANCE, per cent
    or not) and NMR of one dimension (XYDATA and NTUPLES, which are picked; PEAK TABLE and PEAK ASSIGNMENTS).
    Of several blocks of one nucleus the best kind is read (see `_rank`): they are the same spectrum.

    Raises:
        DataError: the file cannot be read.
    """
    number = 0
    best: dict[Modality, int] | None = None
    try:
        for block in read_blocks(read_lines(path)):
            if "JCAMPCS" in block.labels:
                continue
            if best is None and _rank(block) > 0:
                best = _best_ranks(path, modality)
            yield _item(path, number, block, modality, best or {}, settings)
            number += 1
    except RecordFault as fault:
        yield fault.rejected(path, number)


def _rank(block: Block) -> int:
    """Of two blocks of one nucleus the one of lower rank is read: 0 a curve (or anything that is no NMR), 1
    assignments with multiplicities, 2 a table of peaks, 3 other assignments."""
    kind = (block.text("DATATYPE") + " " + block.text("DATACLASS")).upper()
    tables = {table.label: table for table in block.tables}
    if "NMR" not in kind or not tables.keys() & {"PEAKTABLE", "PEAKASSIGNMENTS"}:
        return 0
    if "PEAKTABLE" in tables:
        return 2
    table = tables["PEAKASSIGNMENTS"]
    first = table.lines[0].text.split(",") if table.lines else []
    return 1 if "M" in table.form.upper() and len(first) > 2 and first[2].strip() else 3


def _best_ranks(path: Path, modality: Modality | None) -> dict[Modality, int]:
    """The lowest rank of each nucleus in the file, which is read once more for it."""
    best: dict[Modality, int] = {}
    for block in read_blocks(read_lines(path)):
        if "JCAMPCS" in block.labels or not block.tables:
            continue
        try:
            found = _modality_of(block, modality)
        except RecordFault:
            continue
        best[found] = min(best.get(found, 9), _rank(block))
    return best


def _item(
    path: Path,
    number: int,
    block: Block,
    asked: Modality | None,
    best: dict[Modality, int],
    settings: FormatSettings,
) -> Part | Rejected:
    try:
        if block.too_long:
            raise RecordFault("the block is longer than any spectrum", line=block.line)
        found = _modality_of(block, asked)
        if asked is not None and found is not asked:
            raise RecordFault(f"is {_LABELS[found]}, not {_LABELS[asked]}", line=block.line, fault=False)
        if _rank(block) > best.get(found, 9):
            better = "curve" if best[found] == 0 else "more telling list"
            reason = f"{_LABELS[found]} peaks, left out for the {better} in the same file"
            raise RecordFault(reason, line=block.line, fault=False)
        if found is Modality.IR:
            return _infrared(path, number, block, settings)
        return _nmr(path, number, block, asked, settings)
    except RecordFault as fault:
        return fault.rejected(path, number, block.line)


def _modality_of(block: Block, asked: Modality | None) -> Modality:
    kind = block.text("DATATYPE", "DATATYP").upper()
    unit = (block.text("XUNITS") or block.text("UNITS")).upper()
    if "NMR" in kind or (not kind and re.match(r"HZ|HERTZ|\(?PPM", unit)):
        return Modality.H_NMR if nucleus_of(block, asked) == "1H" else Modality.C_NMR
    if re.search(r"\bINFRA-?RED\b|\bFT-?IR\b|\bIR\b", kind) or (not kind and axis_unit(unit) is not None):
        return Modality.IR
    if not kind and not block.tables:
        raise RecordFault("no DATA TYPE and no table: cut off, or no spectrum", line=block.line)
    said = one_line(kind, 40) or f"of XUNITS {one_line(unit, 20)!r}"
    raise RecordFault(f"the block is {said}, not IR or NMR", line=block.line, fault=False)


def _infrared(path: Path, number: int, block: Block, settings: FormatSettings) -> Part:
    curve = read_curve(block)
    try:
        made = to_grid(
            curve.x, curve.y, axis_unit(curve.x_unit), ordinate(curve.y_unit), settings.ir.processing
        )
    except ValueError as error:
        raise RecordFault(str(error), line=block.line) from None
    trace = Trace(made.wavenumber_cm1, made.absorbance, "cm-1")
    remarks = curve.remarks + made.remarks
    return Part(
        part_id(path, number), (made.spectrum,), None, _formula(block), _metadata(block), remarks, trace
    )


def _nmr(path: Path, number: int, block: Block, asked: Modality | None, settings: FormatSettings) -> Part:
    reading = read_nmr(block, nucleus_of(block, asked), settings.nmr.processing)
    metadata = _metadata(block) | dict(reading.metadata)
    if solvent := solvent_of(block):
        metadata[keys.SOLVENT] = solvent
    frequency = block.number(".OBSERVEFREQUENCY")
    if frequency:
        metadata[keys.FREQUENCY_MHZ] = frequency
    return Part(
        part_id(path, number),
        (reading.spectrum,),
        None,
        _formula(block),
        metadata,
        reading.remarks,
        reading.trace,
    )


def _metadata(block: Block) -> dict[str, str | float | int]:
    found: dict[str, str | float | int] = {}
    for key, names in (
        (keys.NAME, ("TITLE",)),
        (keys.INSTRUMENT, ("SPECTROMETERDATASYSTEM",)),
        ("cas", ("CASREGISTRYNO",)),
        ("state", ("STATE",)),
        ("sampling", ("SAMPLINGPROCEDURE",)),
    ):
        if value := one_line(block.text(*names)):
            found[key] = value
    return found


def _formula(block: Block) -> str | None:
    formula = "".join(block.text("MOLFORM").split())
    try:
        parse_formula(formula)
    except ValueError:
        return None
    return formula
