"""What all kinds of mass spectra share: lists of peaks in files, as tokens, with noise and as drawings.

Axes: N rows, S spectra of all rows end to end, I peaks of all spectra end to end, T tokens.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from mmspec_ds.spectra.axes import Intensities, Number
from mmspec_ds.spectra.columns import (
    BoolArray,
    Faults,
    Items,
    ListCells,
    float_values,
    is_number,
    item_type,
    struct_of,
)
from mmspec_ds.spectra.modalities.definition import Drawing
from mmspec_ds.spectra.packed import IntArray, offsets_of, places, ranges
from mmspec_ds.spectra.records import ElectronIonisationMS, FloatArray, TandemMS
from mmspec_ds.spectra.token_noise import Draws, PeakNoise
from mmspec_ds.spectra.tokens import ContinuousField

PEAK_FIELDS = (
    # The shortest wavelength tells exact masses 0.01 apart, the longest spans the spectrum.
    ContinuousField("mz", wavelengths=(0.02, 2000.0)),
    ContinuousField("intensity"),
)
"""m/z and relative intensity of a peak, as fields of a token."""

PEAK_POSITION, PEAK_INTENSITY = Number("mz"), Intensities(("intensity",), scale="root")
"""The same on the axis of m/z: the intensity is the square root of the share of the strongest."""


@dataclass(frozen=True, slots=True)
class PeakColumns:
    """The spectra of N rows. `spectra` has for each its number of `peaks` and what else its kind has (NaN:
    unknown); the peaks stand end to end."""

    spectra: Items
    mz_I: FloatArray
    intensity_I: FloatArray


class MassPeakNoise(PeakNoise):
    """Peaks moved, missing, false and of other intensity. A false peak stands in the place of a true one, so
    that the strongest peaks remain as many."""

    mz_ppm: float = Field(default=0.0, ge=0, description="standard deviation of m/z, parts per million")
    intensity: float = Field(default=0.0, ge=0, description="standard deviation of the logarithm of intensity")


def is_peak_entry(kind: pa.DataType, numbers: Collection[str], texts: Collection[str] = ()) -> bool:
    """Whether a type is a list of structs with lists `mz` and `intensity` and these fields. Numbers that are
    null in all rows may have Arrow's null type or no field."""
    if not struct_of(kind, (), texts):
        return False
    found = {field.name: field.type for field in item_type(kind) or ()}
    known = [found.get(name, pa.null()) for name in numbers]
    lists = [item_type(found.get(name)) for name in ("mz", "intensity")]
    return all(is_number(one) or pa.types.is_null(one) for one in known) and all(map(is_number, lists))


def entry_peaks(
    lists: ListCells, found: Faults, own_S: BoolArray | None = None
) -> tuple[IntArray, FloatArray, FloatArray]:
    """The peaks of structs with lists `mz` and `intensity`; what is wrong with them is noted in `found`.

    Args:
        lists: a column of lists of such structs.
        found: of that column.
        own_S: structs that have peaks; others are not looked at. All, if None.

    Returns:
        The number of peaks of each struct [S], and m/z and intensity of each peak [I].
    """
    row_S = lists.row_I
    own_S = np.ones(len(row_S), dtype=np.bool_) if own_S is None else own_S
    inner = [ListCells(lists.values.field(name)) for name in ("mz", "intensity")]
    counts, sizes = (lists.pick(one.counts_N) for one in inner)
    whole_S = own_S & (counts == sizes) & (counts > 0)
    found.items(
        own_S & ~whole_S, row_S, lambda at: f"a spectrum has {counts[at]} m/z and {sizes[at]} intensities"
    )
    peaks_S = np.where(whole_S, counts, 0)
    mz, intensity = (
        one.pick(float_values(one.values))[ranges(lists.pick(offsets_of(one.counts_N)[:-1]), peaks_S)]
        for one in inner
    )
    sound = (mz > 0) & (mz < np.inf) & (intensity >= 0) & (intensity < np.inf)
    row_I = np.repeat(row_S, peaks_S)
    found.items(~sound, row_I, lambda at: f"peak {mz[at]:g} {intensity[at]:g} is not m/z and intensity")
    return peaks_S, mz, intensity


def most_peaks(spectra: Items, max_peaks: int, max_tokens: int, extra: int = 0) -> IntArray:
    """The peaks that each spectrum may keep, [S]: at most `max_peaks`, and of a record `max_tokens`, shared
    evenly among its spectra, each of which has `extra` tokens besides its peaks."""
    share_N = np.maximum(1 + extra, max_tokens // np.maximum(1, spectra.counts_N))
    limit_S: IntArray = np.minimum(max_peaks, share_N - extra)[spectra.row_I]
    limit_S[places(spectra.counts_N) >= max_tokens // (1 + extra)] = 0
    return limit_S


def kept_peaks(columns: PeakColumns, limit_S: IntArray) -> tuple[IntArray, FloatArray]:
    """The strongest peaks of each spectrum in the order of m/z, at most `limit_S`; of equally strong ones those
    of lower m/z. Their places among all peaks, and their intensities relative to the strongest of the
    spectrum."""
    peaks = Items(columns.spectra["peaks"], {"mz": columns.mz_I})
    relative_I = columns.intensity_I / peaks.largest(columns.intensity_I)
    kept = _strongest(peaks, relative_I, limit_S)
    kept = kept[_by_mz(columns.mz_I[kept], relative_I[kept], peaks.row_I[kept])]
    return kept, relative_I[kept]


def _strongest(peaks: Items, relative: FloatArray, limit_S: IntArray) -> IntArray:
    """The peaks that are kept, in their order: of spectra with more than `limit_S` the strongest, of equally
    strong ones that of lower m/z."""
    long_S, kept = peaks.counts_N > limit_S, np.ones(len(relative), dtype=np.bool_)
    if long_S.any():
        candidates = np.flatnonzero(long_S[peaks.row_I])
        of = peaks.row_I[candidates]
        order = candidates[np.lexsort((peaks["mz"][candidates], -relative[candidates], of))]
        kept[order[places(peaks.counts_N[long_S]) >= limit_S[of]]] = False
    return np.flatnonzero(kept)


def _by_mz(mz: FloatArray, relative: FloatArray, spectrum: IntArray) -> IntArray:
    """The order of rising m/z within each spectrum. Files mostly hold it already: then nothing is sorted."""
    if ((np.diff(mz) > 0) | (np.diff(spectrum) > 0)).all():
        return np.arange(len(mz))
    return np.lexsort((-relative, mz, spectrum))


def noisy_peaks(
    peaks: npt.NDArray[np.float32],
    counts_N: IntArray,
    spectra: Items,
    fixed_T: BoolArray,
    noise: MassPeakNoise,
    draws: Draws,
) -> tuple[FloatArray, FloatArray]:
    """m/z and intensity of peaks with noise, [T] each; intensities relative to the strongest of each spectrum.

    Args:
        peaks: m/z and relative intensity, [T, 2], not yet in order again.
        counts_N: tokens of each row.
        spectra: the tokens of each spectrum.
        fixed_T: tokens that are not peaks, whose m/z is never that of a false one.
        noise: what noise.
        draws: a random number for each row or item.
    """
    mz, intensity = peaks.astype(np.float64).T
    mz = mz * (1.0 + 1e-6 * noise.mz_ppm * draws.normal_items(counts_N))
    anywhere = draws.items(counts_N) * spectra.largest(np.where(fixed_T, 0.0, mz))
    mz = np.where(~fixed_T & (draws.items(counts_N) < noise.false_peak), anywhere, mz)
    intensity = intensity * np.exp(noise.intensity * draws.normal_items(counts_N))
    return mz, intensity / spectra.largest(intensity)


def sticks(
    spectrum: TandemMS | ElectronIonisationMS, marker: tuple[float, str] | None, label_format: str
) -> Drawing:
    """The peaks as sticks, in per cent of the strongest."""
    relative = 100.0 * spectrum.intensity / spectrum.intensity.max()
    axes = ("m/z", "relative intensity (%)")
    return Drawing("sticks", spectrum.mz, relative, *axes, marker=marker, label_format=label_format)
