"""Processed spectra as Bruker's TopSpin keeps them: folders EXPNO/pdata/PROCNO with `procs` and `1r`.

Of a two-dimensional experiment the list of its peaks is read, `peaklist.xml`. `1r` is read by nmrglue; the
parameter files are not: nmrglue's reader never returns from a string or an array that a truncated file does not
end, and they are labelled records like those of JCAMP-DX.
"""

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.bruker_peaks import PEAK_LIST, parameters, read_peaks
from mmspec_ds.readers.jcamp_nmr import nucleus_of
from mmspec_ds.readers.jcamp_tables import MOST_POINTS
from mmspec_ds.readers.jcamp_text import Block
from mmspec_ds.readers.nmr_curves import from_curve, make_curve
from mmspec_ds.readers.nmr_lists import Reading
from mmspec_ds.readers.part import Item, Part, RecordFault, Rejected, one_line
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head, read_lines, readable
from mmspec_ds.spectra.records import FloatArray, Modality
from mmspec_ds.spectra.registry import REGISTRY

MOST_SPECTRA = 1000
"""Of one folder; an automation run keeps some hundreds of experiments."""

_REAL, _PARAMETERS = "1r", "procs"
_OTHERS = ("2rr", "3rrr", "fid", "ser")


def looks_like_bruker(head: Head) -> bool:
    """A folder with a processed spectrum in it, two levels down at most, or the file `1r` beside `procs`."""
    if head.is_folder:
        return next(_processed(head.path), None) is not None
    return head.path.name == _REAL and (head.path.parent / _PARAMETERS).is_file()


def read_bruker(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The spectra of a PROCNO, an EXPNO or a folder of EXPNOs, by their numbers; a `1r` itself too.

    Raises:
        DataError: there is no processed spectrum of one dimension.
    """
    if not path.is_dir():
        path = path.parent if path.name == _REAL else path
    found = 0
    for number, folder in enumerate(_processed(path)):
        found += 1
        if found > MOST_SPECTRA:
            raise DataError(f"more than {MOST_SPECTRA} spectra in the folder", path=path)
        yield _item(path, number, folder, modality, settings)
    if not found:
        raise DataError("no processed Bruker spectrum (pdata/1/1r with procs) in the folder", path=path)


def _processed(path: Path) -> Iterator[Path]:
    """Folders with `procs`: the path itself, those under its pdata, those under the pdata of its EXPNOs."""
    if (path / _PARAMETERS).is_file():
        yield path
        return
    for experiment in (path, *_numbered(path)):
        for folder in _numbered(experiment / "pdata"):
            if (folder / _PARAMETERS).is_file():
                yield folder


def _numbered(path: Path) -> list[Path]:
    """Folders whose names are numbers, in their order."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.name.isdecimal() and len(entry.name) < 10]
    except OSError:
        return []
    return [path / name for name in sorted(names, key=int) if (path / name).is_dir()]


def _item(
    path: Path, number: int, folder: Path, modality: Modality | None, settings: FormatSettings
) -> Part | Rejected:
    where = folder.relative_to(path).as_posix() if folder != path else ""
    try:
        return _part(path, number, folder, modality, settings)
    except RecordFault as fault:
        reason = f"{where}: {fault.reason}" if where else fault.reason
        return Rejected(path, number, reason, None, fault.fault)
    except DataError as error:
        return Rejected(path, number, one_line(f"{error.path}: {error.message}"))


def _part(path: Path, number: int, folder: Path, modality: Modality | None, settings: FormatSettings) -> Part:
    processing = parameters(folder / _PARAMETERS)
    acquisition = parameters(folder.parent.parent / "acqus", needed=False)
    solvent = one_line(acquisition.text("$SOLVENT"), 40)
    metadata: dict[str, str | float | int] = {}
    if not (folder / _REAL).exists() and (folder / PEAK_LIST).is_file():
        reading = read_peaks(folder / PEAK_LIST, modality, settings, acquisition)
    else:
        reading, mhz = _picked(folder, processing, acquisition, modality, settings)
        metadata[keys.FREQUENCY_MHZ] = mhz
    for key, value in (
        (keys.NAME, _title(folder)),
        (keys.SOLVENT, solvent),
        (keys.INSTRUMENT, one_line(acquisition.text("$INSTRUM"), 80)),
        ("pulse_program", one_line(acquisition.text("$PULPROG"), 80)),
        ("folder", folder.relative_to(path).as_posix() if folder != path else ""),
    ):
        if value:
            metadata[key] = value
    return reading.part(path, number, metadata)


def _picked(
    folder: Path, processing: Block, acquisition: Block, modality: Modality | None, settings: FormatSettings
) -> tuple[Reading, float]:
    """The spectrum picked from `1r`, and the frequency in MHz."""
    nucleus = nucleus_of(_nucleus_block(processing, acquisition), modality)
    found = Modality.H_NMR if nucleus == "1H" else Modality.C_NMR
    if modality is not None and modality is not found:
        raise RecordFault(f"is {REGISTRY[found].label}, not {REGISTRY[modality].label}", fault=False)
    if not (folder / _REAL).exists():
        others = [name for name in _OTHERS if (folder / name).exists()]
        raise RecordFault(f"no 1r beside procs ({', '.join(others) or 'not processed'})", fault=not others)
    values = _real_part(folder / _REAL, processing)
    ppm, mhz = _axis(processing, len(values))
    solvent = one_line(acquisition.text("$SOLVENT"), 40)
    return from_curve(make_curve(ppm, values, nucleus, mhz, solvent), settings.nmr), mhz


def _nucleus_block(processing: Block, acquisition: Block) -> Block:
    """The nucleus as procs names it; "off" there leaves it to acqus."""
    for block, label in ((processing, "$AXNUC"), (acquisition, "$NUC1"), (acquisition, "$NUCLEUS")):
        value = block.text(label)
        if value and value.lower() != "off":
            return Block(1, {".OBSERVENUCLEUS": value})
    return Block(1)


def _number(block: Block, label: str, name: str, low: float, high: float) -> float:
    value = block.number(label)
    if value is None or not low <= value <= high:
        said = "is missing" if value is None else f"is {value:g}"
        raise RecordFault(f"{name} in procs {said}, expected {low:g} to {high:g}")
    return value


def _real_part(path: Path, processing: Block) -> FloatArray:
    import nmrglue

    points = int(_number(processing, "$SI", "SI", 2, MOST_POINTS))
    big = processing.number("$BYTORDP") == 1
    is_float = processing.number("$DTYPP") == 2
    size = points * (8 if is_float else 4)
    with readable(path):
        state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise RecordFault("1r is not a regular file")
    if state.st_size != size:
        raise RecordFault(f"1r has {state.st_size} bytes, but SI is {points}, which makes {size}")
    with readable(path):
        _, values = nmrglue.bruker.read_pdata_binary(str(path), big=big, isfloat=is_float)
    exponent = processing.number("$NCPROC") or 0.0
    if abs(exponent) > 64:
        raise RecordFault(f"NC_proc in procs is {exponent:g}, expected -64 to 64")
    return np.asarray(values, dtype=np.float64) * math.pow(2.0, exponent)


def _axis(processing: Block, points: int) -> tuple[FloatArray, float]:
    """Shifts from OFFSET, that of the first point, downwards, and the frequency in MHz."""
    mhz = _number(processing, "$SF", "SF", 1, 2000)
    width_hz = _number(processing, "$SWP", "SW_p", 1, 1e7)
    offset = _number(processing, "$OFFSET", "OFFSET", -1000, 1000)
    return offset - np.arange(points, dtype=np.float64) * (width_hz / mhz / points), mhz


def _title(folder: Path) -> str:
    try:
        lines = read_lines(folder / "title")
        return one_line(next((line.text for line in lines if line.text.strip()), ""))
    except DataError:
        return ""
