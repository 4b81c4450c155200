"""JCAMP-DX: IR and NMR spectra, a part for each block of a file."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.jcamp_cross_peaks import is_two_dimensional, read_cross_peaks
from mmspec_ds.readers.jcamp_curve import read_curve
from mmspec_ds.readers.jcamp_nmr import nucleus_of, read_nmr, solvent_of
from mmspec_ds.readers.jcamp_text import Block, read_blocks
from mmspec_ds.readers.part import Item, Part, RecordFault, Rejected, Trace, counted, one_line, part_id
from mmspec_ds.readers.picking.infrared import axis_unit, ordinate, to_grid
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, read_head, read_lines
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY

_START = re.compile(r"^\s*##\s*(TITLE|JCAMP[\s_-]*DX)\s*=", re.IGNORECASE | re.MULTILINE)
_LINK = re.compile(r"##\s*DATA\s*TYPE\s*=\s*LINK", re.IGNORECASE)
_INFRARED = re.compile(r"INFRA-?\s?RED|\bFT-?IR\b|\bIR\b")
_Ranks = Mapping[Modality, Counter[int]]
"""How many blocks of each modality in a file have each rank."""

_LEAST_CURVE = 256
"""Points of a table of IR peaks that is taken for a curve: a list of bands has some tens."""


def looks_like_jcamp(head: Head) -> bool:
    """By one of the two labels that every block begins with."""
    return bool(_START.search(head.text[:8192]))


def read_jcamp(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of a JCAMP-DX file (4.24 to 6.0), a part for each block; structures are passed over.

    Read are IR spectra (XYDATA or XYPOINTS; 1/CM, MICROMETERS, NANOMETERS; ABSORBANCE, TRANSMITTANCE, per cent
    or not), NMR of one dimension (XYDATA and NTUPLES, which are picked; PEAK TABLE and PEAK ASSIGNMENTS), and
    peak tables of HSQC. Of several blocks of one kind the best is read (see `_rank`): they are the same
    spectrum. A list of IR bands is not a spectrum, and refused.

    Raises:
        DataError: the file cannot be read.
    """
    number = 0
    ranks: _Ranks | None = None
    try:
        if _LINK.search(read_head(path).text):
            ranks = _ranks_in(path, modality)
        for block in read_blocks(read_lines(path)):
            if "JCAMPCS" in block.labels:
                continue
            if ranks is None and _rank(block) > 0:
                ranks = _ranks_in(path, modality)
            yield _item(path, number, block, modality, ranks or {}, settings)
            number += 1
    except RecordFault as fault:
        yield fault.rejected(path, number)


def _rank(block: Block) -> int:
    """Rank of a block; of two of one kind the lower is read: 0 a curve, 1 assignments with multiplicities, 2 a
    table of peaks, 3 other assignments."""
    kind = (block.text("DATATYPE") + " " + block.text("DATACLASS")).upper()
    tables = {table.label: table for table in block.tables}
    if "PEAKTABLE" in tables and (len(tables["PEAKTABLE"].lines) < _LEAST_CURVE or "NMR" in kind):
        return 2
    if "NMR" not in kind or "PEAKASSIGNMENTS" not in tables:
        return 0
    table = tables["PEAKASSIGNMENTS"]
    first = table.lines[0].text.split(",") if table.lines else []
    return 1 if "M" in table.form.upper() and len(first) > 2 and first[2].strip() else 3


def _ranks_in(path: Path, modality: Modality | None) -> _Ranks:
    """Ranks of the blocks of a file, which is read once more for it."""
    ranks: dict[Modality, Counter[int]] = {}
    for block in read_blocks(read_lines(path)):
        if "JCAMPCS" in block.labels or not block.tables:
            continue
        try:
            found = _modality_of(block, modality)
        except RecordFault:
            continue
        ranks.setdefault(found, Counter())[_rank(block)] += 1
    return ranks


def _item(
    path: Path, number: int, block: Block, asked: Modality | None, ranks: _Ranks, settings: FormatSettings
) -> Part | Rejected:
    try:
        if block.too_long:
            raise RecordFault("the block is longer than any spectrum", line=block.line)
        found = _modality_of(block, asked)
        if asked is not None and found is not asked:
            raise RecordFault(
                f"is {REGISTRY[found].label}, not {REGISTRY[asked].label}", line=block.line, fault=False
            )
        counts = ranks.get(found, Counter())
        best = min(counts, default=9)
        if _rank(block) > best:
            better = "curve" if best == 0 else "more telling list"
            reason = f"{REGISTRY[found].label} peaks, left out for the {better} in the same file"
            raise RecordFault(reason, line=block.line, fault=False)
        if found is Modality.IR:
            part = _infrared(path, number, block, settings)
        else:
            part = _nmr(path, number, block, asked, settings)
        if left_out := sum(count for rank, count in counts.items() if rank > best):
            lists = counted(left_out, "further list")
            remark = f"{lists} of {REGISTRY[found].label} peaks in the file left out"
            part = replace(part, remarks=(*part.remarks, remark))
        return part
    except RecordFault as fault:
        return fault.rejected(path, number, block.line)


def _modality_of(block: Block, asked: Modality | None) -> Modality:
    kind = block.text("DATATYPE", "DATATYP").upper()
    unit = (block.text("XUNITS") or block.text("UNITS")).upper()
    if "NMR" in kind or (not kind and re.match(r"HZ|HERTZ|\(?PPM", unit)):
        if is_two_dimensional(block):
            return Modality.HSQC
        return Modality.H_NMR if nucleus_of(block, asked) == "1H" else Modality.C_NMR
    if _INFRARED.search(kind) or (not kind and axis_unit(unit) is not None):
        return Modality.IR
    if not kind and not block.tables:
        raise RecordFault("no DATA TYPE and no table: cut off, or no spectrum", line=block.line)
    said = one_line(kind, 40) or f"of XUNITS {one_line(unit, 20)!r}"
    raise RecordFault(f"the block is {said}, not IR or NMR", line=block.line, fault=False)


def _infrared(path: Path, number: int, block: Block, settings: FormatSettings) -> Part:
    if _rank(block) > 0:
        count = len(next(table.lines for table in block.tables if table.label == "PEAKTABLE"))
        raise RecordFault(
            f"a table of {count} lines of IR bands, not a curve: expected XYDATA or XYPOINTS", line=block.line
        )
    curve = read_curve(block)
    made = to_grid(curve.x, curve.y, axis_unit(curve.x_unit), ordinate(curve.y_unit), settings.ir)
    trace = Trace(made.wavenumber_cm1, made.absorbance, "cm-1")
    remarks = curve.remarks + made.remarks
    return Part(
        part_id(path, number), (made.spectrum,), None, _formula(block), _metadata(block), remarks, trace
    )


def _nmr(path: Path, number: int, block: Block, asked: Modality | None, settings: FormatSettings) -> Part:
    if is_two_dimensional(block):
        reading = read_cross_peaks(block)
    else:
        processing = settings.with_formula(_formula(block)).nmr
        reading = read_nmr(block, nucleus_of(block, asked), processing)
    metadata = _metadata(block)
    if solvent := solvent_of(block):
        metadata[keys.SOLVENT] = solvent
    if frequency := block.number(".OBSERVEFREQUENCY"):
        metadata[keys.FREQUENCY_MHZ] = frequency
    return reading.part(path, number, metadata, _formula(block))


def _metadata(block: Block) -> dict[str, str | float | int]:
    labels = {
        keys.NAME: "TITLE",
        keys.INSTRUMENT: "SPECTROMETERDATASYSTEM",
        "cas": "CASREGISTRYNO",
        "state": "STATE",
        "sampling": "SAMPLINGPROCEDURE",
    }
    return {key: value for key, label in labels.items() if (value := one_line(block.text(label)))}


def _formula(block: Block) -> str | None:
    formula = "".join(block.text("MOLFORM").split())
    try:
        parse_formula(formula)
    except ValueError:
        return None
    return formula
