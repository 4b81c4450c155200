"""Raw MALDI-TOF spectra as Bruker's flexControl keeps them: folders SPOT/NUMBER/1SLin with `acqu` and `fid`.

A spectrum is of a sample, such as a colony of bacteria, and not of one molecule: it is no record. It goes into
the tables of `mmspec cohort` by way of its peaks (`flex_table`); whoever reads a folder for the spectra of
molecules gets one line that says so.

`fid` holds counts as integers of 32 bits. With the time t = DELAY + i DW in ns of point i, the m/z of a point
solves t = ML2 + sqrt(1e12 / ML1) r + ML3 r^2, r = sqrt(m/z). What the parameters mean is told by the
documentation of readBrukerFlexData (Gibb, CRAN); that the equation is the instrument's is shown by the
calibrants in `acqu`, whose times and masses it joins (`tests/readers/test_bruker_flex.py`). Two finer
calibrations, whose equations the maker does not publish, are refused.
"""

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.bruker_peaks import parameters
from mmspec_ds.readers.jcamp_tables import MOST_POINTS
from mmspec_ds.readers.jcamp_text import Block
from mmspec_ds.readers.part import Item, RecordFault, Rejected, counted, one_line
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, open_bytes, readable
from mmspec_ds.spectra.records import FloatArray, Modality

PARAMETERS, COUNTS = "acqu", "fid"
MOST_SPECTRA = 20_000
"""Of one folder: a target plate has 384 spots."""
DEEPEST = 8
"""Folders in folders."""
MOST_FOLDERS = 100_000
LOOKED_AT = 500
"""Folders that are looked at to tell whether there is a spectrum in one; of those that have one, the first."""
FIRST = 10
LONGEST_NAME = 1000
HIGHEST_MZ = 2e6
LONGEST_NS = 1e7

_OF_TOF = re.compile(r"##\s*\$ML1\s*=")
_FINER = "CTOF2CalibrationConstants"
_UNREAD = "expected the quadratic calibration alone"


@dataclass(frozen=True, slots=True)
class FlexSpectrum:
    """A MALDI-TOF curve.

    Attributes:
        folder: that of `acqu` and `fid`.
        sample: the folder of its spot, below the folder that was read; else the name of that folder.
        group: the name of the folder about that of the spot, such as a species; "" if none was read.
        number: of the spectrum among those of its spot, as its folder is named.
        mz: rising, float64 [n].
        counts: float64 [n].
        mode: "linear", "reflector" or "", as the folder is named.
        spot: place on the target, such as "F9"; "" where it is not stated.
        plate: the target's name; "" where it is not stated.
        date: when it was measured, as the file has it.
        remarks: what was left out or does not agree.
    """

    folder: Path
    sample: str
    group: str
    number: str
    mz: FloatArray
    counts: FloatArray
    mode: str
    spot: str
    plate: str
    date: str
    remarks: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Sample and number: "species1/0_F9/2"."""
        return f"{self.sample}/{self.number}" if self.number else self.sample


def looks_like_flex(head: Head) -> bool:
    """A folder with `fid` and `acqu` of a time of flight in it, or one of these two files."""
    if head.is_folder:
        return any(_is_tof(found) for found in islice(_folders(head.path, LOOKED_AT), FIRST))
    if head.path.name == PARAMETERS:
        return _OF_TOF.search(head.text) is not None
    return head.path.name == COUNTS and _is_tof(head.path.parent)


def read_bruker_flex(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """No records: these are spectra of samples, not of molecules.

    Raises:
        DataError: always; says what they are and what reads them.
    """
    raise DataError(
        "holds MALDI-TOF spectra of samples (Bruker flex), not spectra of one molecule: expected those here;"
        " `mmspec inspect` shows them, `mmspec cohort` tells classes of samples apart by them",
        path=path,
    )
    yield  # as all readers, it is a generator


def read_flex(path: Path) -> Iterator[FlexSpectrum | Rejected]:
    """All spectra of a folder and of the folders in it, in the order of their names, one at a time; or the one
    of an `acqu` or `fid`.

    Raises:
        DataError: there is no such folder or no spectrum in it, or there are more than `MOST_SPECTRA`.
    """
    if not path.is_dir() and path.name not in (PARAMETERS, COUNTS):
        raise DataError("is no folder of Bruker flex, and no acqu or fid in one", path=path)
    root = path if path.is_dir() else path.parent
    found = 0
    for number, folder in enumerate(_folders(root, MOST_FOLDERS)):
        found += 1
        if found > MOST_SPECTRA:
            raise DataError(f"more than {MOST_SPECTRA} spectra in the folder", path=path)
        where = one_line(folder.relative_to(root).as_posix())
        try:
            yield _spectrum(root, folder)
        except RecordFault as fault:
            reason = fault.reason if where == "." else f"{where}: {fault.reason}"
            yield Rejected(path, number, reason, None, fault.fault)
        except DataError as error:
            yield Rejected(path, number, one_line(f"{error.path}: {error.message}"))
    if not found:
        raise DataError("no MALDI-TOF spectrum of Bruker flex (acqu and fid) in the folder", path=path)


def _folders(root: Path, most: int) -> Iterator[Path]:
    """The folders with `acqu` or `fid`, among the first so many folders below one; links are not followed."""
    for seen, (place, inner, files) in enumerate(os.walk(root)):
        if seen == most:
            return
        folder = Path(place)
        inner.sort(key=_in_order)
        if PARAMETERS in files or COUNTS in files:
            yield folder
            inner.clear()  # what lies below is made of this spectrum
        elif len(folder.relative_to(root).parts) >= DEEPEST:
            inner.clear()


def _in_order(name: str) -> tuple[tuple[bool, int, str], ...]:
    """F2 before F10: numbers in a name count as such."""
    parts = re.split(r"(\d{1,9})", name)
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


def _is_tof(folder: Path) -> bool:
    """Whether `acqu` in a folder has the constants of a time of flight: one of NMR has not."""
    try:
        with open_bytes(folder / PARAMETERS) as file:
            return _OF_TOF.search(file.read(2**18).decode("latin-1")) is not None
    except DataError:
        return False


def _spectrum(root: Path, folder: Path) -> FlexSpectrum:
    acquired = parameters(folder / PARAMETERS)
    _check_kind(folder, acquired)
    mz, counts, remarks = _curve(folder, acquired)
    sample, group, number = _names(root, folder)
    method = folder.name.lower()
    mode = "linear" if "lin" in method else "reflector" if "ref" in method else ""
    return FlexSpectrum(
        folder,
        sample,
        group,
        number,
        mz,
        counts,
        mode,
        one_line(acquired.text("$SPOTNO", "$PATCHNO"), 20),
        one_line(acquired.text("$TGIDS"), 80),
        one_line(acquired.text("$AQDATE"), 40),
        tuple(remarks),
    )


def _names(root: Path, folder: Path) -> tuple[str, str, str]:
    """Sample, group and number of the spectrum in a folder, by the names of folders.

    flexControl writes SPOT/NUMBER/METHOD; of any other layout the folder itself is the sample.
    """
    root, folder = root.absolute(), folder.absolute()
    numbered = folder.parent.name.isdecimal()
    spot = folder.parent.parent if numbered else folder
    number = folder.parent.name if numbered else ""
    if root not in spot.parents:
        return one_line(spot.name), "", number
    group = spot.parent.name if spot.parent != root else ""
    return one_line(spot.relative_to(root).as_posix(), LONGEST_NAME), one_line(group), number


def _check_kind(folder: Path, acquired: Block) -> None:
    """Refuse what is no mass spectrum of one stage by the quadratic calibration.

    Raises:
        RecordFault: says what it is.
    """
    if acquired.number("$ML1") is None:
        raise RecordFault("acqu has no ML1, the calibration of a time of flight")
    if "lift" in folder.name.lower():
        raise RecordFault("a LIFT (MS/MS) spectrum, expected one of MS", fault=False)
    if acquired.text("$HPCLUSE").lower() == "yes" or re.search(r"bUse\s+1\b", acquired.text("$HPCSTR")):
        raise RecordFault(f"its m/z need the high precision calibration (HPC), which is not read: {_UNREAD}")
    if _FINER in acquired.text("$NTBCAL"):
        raise RecordFault(f"its m/z need the cubic calibration, which is not read: {_UNREAD}")


def _number(acquired: Block, label: str, low: float, high: float) -> float:
    value = acquired.number(f"${label}")
    if value is None or not low <= value <= high:
        said = "is missing" if value is None else f"is {value:g}"
        raise RecordFault(f"{label} in acqu {said}, expected {low:g} to {high:g}")
    return value


def _curve(folder: Path, acquired: Block) -> tuple[FloatArray, FloatArray, list[str]]:
    """m/z and counts of the points, and what is told of them."""
    points = _number(acquired, "TD", 2, MOST_POINTS)
    if points != int(points):
        raise RecordFault(f"TD in acqu is {points:g}, expected a whole number of points")
    delay, step = _number(acquired, "DELAY", 0, LONGEST_NS), _number(acquired, "DW", 1e-3, 1e4)
    time = delay + step * np.arange(int(points), dtype=np.float64)
    counts = _counts(folder / COUNTS, int(points), acquired)
    root = _square_root(
        time,
        math.sqrt(1e12 / _number(acquired, "ML1", 1e-6, 1e15)),
        _number(acquired, "ML2", -LONGEST_NS, LONGEST_NS),
        _number(acquired, "ML3", -1e6, 1e6),
    )
    flown = root > 0
    if not flown.any() or not (np.diff(root[flown]) > 0).all() or root[-1] ** 2 > HIGHEST_MZ:
        raise RecordFault(
            f"ML1, ML2 and ML3 in acqu give no rising m/z up to {HIGHEST_MZ:g} for times of {time[0]:g} to"
            f" {time[-1]:g} ns: expected the calibration of this spectrum"
        )
    remarks = []
    early = int((~flown).sum())
    if early:
        remarks.append(f"{counted(early, 'point')} before any ion arrives left out")
    stated = acquired.number("$YMAXA")
    if stated and stated != counts.max():
        remarks.append(f"the highest count is {counts.max():g}, acqu states {stated:g}")
    return root[flown] ** 2, counts[flown], remarks


def _square_root(time: FloatArray, linear: float, start: float, quadratic: float) -> FloatArray:
    """The roots r of the m/z that arrive at times in ns: start + linear r + quadratic r^2 = time.

    Of the two solutions it is that which tends to (time - start) / linear as `quadratic` goes to 0, in a form
    that does not cancel; NaN where there is none.
    """
    late = time - start
    with np.errstate(invalid="ignore"):
        found: FloatArray = 2.0 * late / (linear + np.sqrt(linear**2 + 4.0 * quadratic * late))
    return found


def _counts(path: Path, points: int, acquired: Block) -> FloatArray:
    """The counts of `fid`, in the byte order that BYTORDA tells: 0 the low byte first, 1 the high byte."""
    order = _number(acquired, "BYTORDA", 0, 1)
    with readable(path):
        state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise RecordFault("fid is not a regular file")
    if state.st_size != 4 * points:
        raise RecordFault(f"fid has {state.st_size} bytes, but TD is {points}, which makes {4 * points}")
    with readable(path):
        stored = np.fromfile(path, dtype=">i4" if order == 1 else "<i4")
    counts = stored.astype(np.float64)
    swapped = stored.byteswap().astype(np.float64)
    if np.abs(counts).mean() > 1000 * np.abs(swapped).mean() > 0:
        raise RecordFault(
            f"counts in fid reach {np.abs(counts).max():.3g}, and {np.abs(swapped).max():.3g} in the other"
            f" order of bytes: expected BYTORDA {1 - int(order)} in acqu, which has {int(order)}"
        )
    if not counts.any():
        raise RecordFault("all counts in fid are 0")
    return counts
