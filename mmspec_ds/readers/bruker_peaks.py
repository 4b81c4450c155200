"""Peak lists of TopSpin, `pdata/1/peaklist.xml`: lines of a 1H or 13C spectrum, or cross peaks of an HSQC."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.cross_peaks import HIGHEST_1H, CrossPeaks, hsqc_of
from mmspec_ds.readers.delimited import to_number
from mmspec_ds.readers.jcamp_nmr import nucleus_of
from mmspec_ds.readers.jcamp_text import Block, read_blocks
from mmspec_ds.readers.nmr_columns import not_of_sample
from mmspec_ds.readers.nmr_lists import MOST_LISTED, Reading, carbon_lines, hydrogen_lines
from mmspec_ds.readers.part import Item, RecordFault, counted, one_line
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, read_lines
from mmspec_ds.readers.xml_records import local_name, read_elements
from mmspec_ds.spectra.records import Modality

PEAK_LIST = "peaklist.xml"
_ROOTS, _PEAKS = frozenset({"PeakList"}), frozenset({"Peak1D", "Peak2D"})


def looks_like_peak_list(head: Head) -> bool:
    """By the outermost element."""
    return bool(re.search(r"<PeakList[\s>]", head.text[:4096]))


def read_peak_list(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The one list of the file. Nucleus, frequency and experiment are those of `acqus` in the experiment's
    folder; without it the nucleus is that asked for, else 13C if a shift is over 20 ppm, else 1H.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        acquisition = parameters(path.parent.parent.parent / "acqus", needed=False)
        reading = read_peaks(path, modality, settings, acquisition)
        solvent = one_line(acquisition.text("$SOLVENT"), 40)
        yield reading.part(path, 0, {keys.SOLVENT: solvent} if solvent else {})
    except RecordFault as fault:
        yield fault.rejected(path, 0)


def read_peaks(path: Path, modality: Modality | None, settings: FormatSettings, acquisition: Block) -> Reading:
    """The spectrum of a peak list; `acquisition` holds the parameters of `acqus`, if there are any.

    Raises:
        RecordFault: there is no peak, a number is impossible, or the spectrum is of another kind.
        DataError: the file cannot be read.
    """
    lines: list[tuple[float, float]] = []
    cross = CrossPeaks()
    left_out = 0
    for element in read_elements(path, _ROOTS, _PEAKS):
        if not_of_sample("", [element.get("annotation", "")]):
            left_out += 1
            continue
        shift, intensity = _number(element.get("F1"), "F1"), to_number(element.get("intensity", ""))
        if local_name(element) == "Peak1D":
            lines.append((shift, 1.0 if intensity is None else intensity))
        else:
            cross.add(shift, _number(element.get("F2"), "F2"), intensity)
        if len(lines) + len(cross.peaks) > MOST_LISTED:
            raise RecordFault(f"more than {MOST_LISTED} peaks")
    if not lines and not cross.peaks:
        raise RecordFault("no peak in the list")
    remarks = [f"{counted(left_out, 'peak')} of solvent or impurities left out"] if left_out else []
    if cross.peaks:
        if modality not in (None, Modality.HSQC):
            raise RecordFault("cross peaks of two dimensions, expected lines of one", fault=False)
        said = f"{acquisition.text('$PULPROG', '$EXP')} {path.name}"
        return hsqc_of(cross, said).with_remarks(remarks)
    if modality is Modality.HSQC:
        raise RecordFault("lines of one dimension, expected cross peaks", fault=False)
    return _one_dimension(lines, modality, settings, acquisition, remarks)


def _one_dimension(
    lines: list[tuple[float, float]],
    modality: Modality | None,
    settings: FormatSettings,
    acquisition: Block,
    remarks: list[str],
) -> Reading:
    shifts, heights = np.array(lines).T
    said = acquisition.text("$NUC1", "$NUCLEUS")
    if said or modality is not None:
        nucleus = nucleus_of(Block(1, {".OBSERVENUCLEUS": said}), modality)
    else:
        nucleus = "13C" if bool((np.abs(shifts) > HIGHEST_1H).any()) else "1H"
        remarks.append(f"taken for {nucleus} by its shifts: there is no acqus")
    found = Modality.H_NMR if nucleus == "1H" else Modality.C_NMR
    if modality not in (None, found):
        raise RecordFault(f"peaks of {nucleus}, another nucleus was expected", fault=False)
    if nucleus == "13C":
        return carbon_lines(shifts).with_remarks(remarks)
    mhz = acquisition.number("$SFO1")
    return hydrogen_lines(shifts, heights, mhz, settings.nmr).with_remarks(remarks)


def _number(text: str | None, name: str) -> float:
    number = to_number(text or "")
    if number is None:
        raise RecordFault(f"{name} of a peak is {one_line(text or '', 30)!r}, expected a shift in ppm")
    return number


def parameters(path: Path, *, needed: bool = True) -> Block:
    """The labels of a parameter file such as `acqus` or `procs`; no labels where it may be missing and is.

    Raises:
        RecordFault: the file holds none.
        DataError: it cannot be read.
    """
    if not needed and not path.is_file():
        return Block(1)
    block = next(read_blocks(read_lines(path)), None)
    if block is None or block.too_long:
        raise RecordFault(f"{path.name} holds no parameters")
    return block
