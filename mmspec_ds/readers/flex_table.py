"""MALDI-TOF spectra of a folder as a table of samples: a row for each spectrum, a column for each bin of m/z.

The bins lie on a grid that is the same for every study, each wider than the one before by the same share of its
m/z. So no bin depends on the spectra, and none of a held-out sample is known where others are learnt from.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.bruker_flex import FlexSpectrum, looks_like_flex, read_flex
from mmspec_ds.readers.column_names import SAMPLE
from mmspec_ds.readers.feature_positions import Axis
from mmspec_ds.readers.part import Rejected, counted
from mmspec_ds.readers.picking.time_of_flight import pick_flight_peaks
from mmspec_ds.readers.sample_columns import Columns, shortened
from mmspec_ds.readers.source import Head
from mmspec_ds.spectra.records import FloatArray

_FIRST_MZ = 100.0
"""Where the grid of bins begins."""
_MOST_TOLD = 3


def is_flex_folder(path: Path) -> bool:
    """Whether a path is a folder with MALDI-TOF spectra of Bruker flex."""
    return path.is_dir() and looks_like_flex(Head(path, "", is_folder=True))


def read_flex_table(path: Path, bin_ppm: float) -> Columns:
    """The highest peak of each spectrum in each bin, 0 where there is none; bins without any peak are left out.

    Columns that describe the rows: the sample (the folder of a spot, so that the spectra of a spot are repeats
    of one sample), the class (the folder about it), spot, plate, date and number.

    Args:
        path: the folder.
        bin_ppm: width of a bin in parts per million of its m/z.

    Raises:
        DataError: no spectrum can be used.
    """
    spectra: list[FlexSpectrum] = []
    heights: list[dict[int, float]] = []
    rejected: list[Rejected] = []
    for item in read_flex(path):
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        found = pick_flight_peaks(item.mz, item.counts)
        spectra.append(replace(item, mz=item.mz[[0, -1]], counts=item.counts[:0]))  # curves are large
        heights.append(_binned(found.mz, found.height, bin_ppm))
    if not spectra:
        raise DataError(f"no spectrum can be used: {rejected[0].reason}", path=path)
    bins = sorted({one for some in heights for one in some})
    if not bins:
        raise DataError(f"none of {len(spectra)} spectra has a peak: expected some", path=path)
    center_F = np.array([bin_centre(one, bin_ppm) for one in bins])
    names = [f"m/z {one:.2f}" for one in center_F]
    described = {
        SAMPLE: tuple(one.sample for one in spectra),
        "class": tuple(one.group for one in spectra),
        "number": tuple(one.number for one in spectra),
        "spot": tuple(one.spot for one in spectra),
        "plate": tuple(one.plate for one in spectra),
        "date": tuple(one.date for one in spectra),
    }
    described = {name: cells for name, cells in described.items() if name == SAMPLE or any(cells)}
    measured = {
        name: tuple(repr(some.get(one, 0.0)) for some in heights) for name, one in zip(names, bins, strict=True)
    }
    return Columns(
        path,
        described | measured,
        SAMPLE,
        tuple(f"spectrum {one.id}" for one in spectra),
        tuple(names),
        axis=Axis(center_F, "m/z", f"m/z {center_F[0]:.0f} to {center_F[-1]:.0f}, bins of {bin_ppm:g} ppm"),
        remarks=_told(spectra, heights, rejected),
    )


def bin_of(mz: float, bin_ppm: float) -> int:
    """The number of the bin that an m/z lies in; bin n begins at 100 (1 + ppm / 1e6)^n."""
    return math.floor(math.log(mz / _FIRST_MZ) / math.log1p(bin_ppm * 1e-6))


def bin_centre(number: int, bin_ppm: float) -> float:
    """The m/z in the middle of a bin, the geometric mean of its ends."""
    return _FIRST_MZ * math.exp((number + 0.5) * math.log1p(bin_ppm * 1e-6))


def _binned(mz: FloatArray, height: FloatArray, bin_ppm: float) -> dict[int, float]:
    """The highest peak of each bin, by its number."""
    found: dict[int, float] = {}
    for place, one in zip(mz.tolist(), height.tolist()):
        number = bin_of(place, bin_ppm)
        found[number] = max(one, found.get(number, 0.0))
    return found


def _told(
    spectra: list[FlexSpectrum], heights: list[dict[int, float]], rejected: list[Rejected]
) -> tuple[str, ...]:
    samples = dict.fromkeys(one.sample for one in spectra)
    modes = ", ".join(sorted({one.mode or "unknown" for one in spectra}))
    lowest, highest = min(one.mz[0] for one in spectra), max(one.mz[-1] for one in spectra)
    peaks = sorted(len(some) for some in heights)
    told = [
        f"{len(spectra)} MALDI-TOF spectra of {counted(len(samples), 'sample')} (Bruker flex, {modes} mode),"
        f" m/z {lowest:.0f} to {highest:.0f}; {peaks[0]} to {peaks[-1]} bins with a peak in a spectrum",
        "heights of peaks after square root, smoothing, baseline and division by the mean of the curve; 0 where"
        " there is no peak",
    ]
    without = [one.id for one, some in zip(spectra, heights) if not some]
    if without:
        told.append(f"{counted(len(without), 'row')} without any peak: {shortened(without)}")
    odd = sum(bool(one.remarks) for one in spectra)
    if odd:
        first = next(one for one in spectra if one.remarks)
        told.append(f"{counted(odd, 'row')} with remarks, first {first.id}: {first.remarks[0]}")
    if rejected:
        shown = "; ".join(one.reason for one in rejected[:_MOST_TOLD])
        more = " ..." if len(rejected) > _MOST_TOLD else ""
        told.append(f"{counted(len(rejected), 'folder')} left out: {shown}{more}")
    return tuple(told)
