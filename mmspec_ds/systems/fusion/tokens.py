"""Spectra and feature tables as tokens of one form: a position on an axis, and the intensities there.

A peak, a line, a multiplet or a feature of a table is one token with one intensity. A curve is cut into patches
of W intensities that follow each other, each at its centre. No token tells the kind of instrument, only the
unit of its axis: what is learnt of a position serves every spectrum that has such an axis.

Axes: T tokens, P pieces (the tokens of one modality of one sample), W intensities of a token, F real numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.axes import STEP, Axis, Form
from mmspec_ds.spectra.packed import IntArray, counts_at, offsets_of, ranges
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    ElectronIonisationMS,
    HydrogenNMR,
    Infrared,
    Modality,
    Record,
    Spectrum,
    TandemMS,
)

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


class TokenSettings(Settings):
    """How spectra and tables become tokens.

    Attributes:
        patch: W, intensities of a patch of a curve.
        max_peaks: the strongest peaks of a mass spectrum that are kept.
        precursor: tell the m/z of the precursor, where it is known.
        table_points: a table of at most so many features gives a token for each, a larger one whose features
            have positions is cut into patches like a curve.
    """

    patch: int = Field(16, ge=1)
    max_peaks: int = Field(64, ge=1)
    precursor: bool = True
    table_points: int = Field(128, ge=1)


@dataclass(frozen=True)
class Points:
    """The tokens of P pieces, laid end to end.

    Attributes:
        position_T: in the unit of the axis, float64.
        second_T: a second coordinate in steps: of a cross peak its 1H shift, of a feature of a table its
            number; NaN where there is none.
        values_TW: intensities, float32; of a token with one intensity the others are 0.
        extent_T: how far the token reaches along its axis, in steps (`STEP`), float32; 0 for a line.
        sign_T: 1 or -1 for a mass spectrum of positive or negative ions, else 0, float32.
        axis_T, form_T: int8, see `Axis` and `Form`.
        offsets: where each piece starts and the last one ends, int64 [P + 1].
    """

    position_T: Vector
    second_T: Vector
    values_TW: npt.NDArray[np.float32]
    extent_T: npt.NDArray[np.float32]
    sign_T: npt.NDArray[np.float32]
    axis_T: npt.NDArray[np.int8]
    form_T: npt.NDArray[np.int8]
    offsets: IntArray

    @property
    def counts(self) -> IntArray:
        """Tokens of each piece, int64 [P]."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def subset(self, pieces: IntArray) -> Self:
        """The pieces of these numbers, in that order."""
        counts = counts_at(self.offsets, pieces)
        items = ranges(self.offsets[pieces], counts)
        return type(self)(*(array[items] for array in self._arrays()), offsets_of(counts))  # type: ignore[call-arg]

    def where(self, kept_P: npt.NDArray[np.bool_]) -> Self:
        """The same P pieces, those outside of the mask without any token."""
        counts = self.counts
        arrays = [array[np.repeat(kept_P, counts)] for array in self._arrays()]
        return type(self)(*arrays, offsets_of(counts * kept_P))  # type: ignore[call-arg]

    def _arrays(self) -> list[npt.NDArray[Any]]:
        return [getattr(self, one.name) for one in fields(self)[:-1]]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The pieces of several, one after the other; `parts` must not be empty."""
        arrays = map(np.concatenate, zip(*(part._arrays() for part in parts)))
        offsets = offsets_of(np.concatenate([part.counts for part in parts]))
        return cls(*arrays, offsets)  # type: ignore[call-arg]

    @classmethod
    def merged(cls, parts: Sequence[Self], patch: int) -> Self:
        """The tokens of several as one piece; a piece without tokens for none. `patch` is W."""
        parts = (cls.nothing(patch), *parts)
        arrays = [np.concatenate(one) for one in zip(*(part._arrays() for part in parts))]
        offsets = np.array([0, len(arrays[0])], dtype=np.int64)
        return cls(*arrays, offsets)  # type: ignore[call-arg]

    @classmethod
    def nothing(cls, patch: int) -> Self:
        """One piece without any token. `patch` is W."""
        return cls.of(np.zeros(0), np.zeros((0, patch)), Axis.FEATURE, Form.PEAK)

    @classmethod
    def of(
        cls,
        position_T: Vector,
        values_TW: Matrix,
        axis: Axis,
        form: Form,
        *,
        extent: Vector | float = 0.0,
        second_T: Vector | None = None,
        sign: float = 0.0,
    ) -> Self:
        """One piece whose T tokens are of one axis and one form.

        Args:
            position_T: in the unit of the axis.
            values_TW: intensities.
            axis, form: of all tokens.
            extent: how far each token reaches along its axis, or all of them, in the unit of the axis.
            second_T: a second coordinate, see `Points`; none without.
            sign: see `Points.sign_T`.
        """
        count = len(position_T)
        return cls(
            np.asarray(position_T, dtype=np.float64),
            np.full(count, np.nan) if second_T is None else np.asarray(second_T, dtype=np.float64),
            np.asarray(values_TW, dtype=np.float32),
            np.broadcast_to(np.float32(np.asarray(extent) / STEP[axis]), (count,)).copy(),
            np.full(count, sign, dtype=np.float32),
            np.full(count, axis, dtype=np.int8),
            np.full(count, form, dtype=np.int8),
            np.array([0, count], dtype=np.int64),
        )


def peaks(position_T: npt.ArrayLike, intensity_T: npt.ArrayLike, axis: Axis, patch: int, **more: Any) -> Points:
    """One piece with a token for each peak.

    Args:
        position_T: in the unit of the axis.
        intensity_T: of each peak.
        axis: of the positions.
        patch: W.
        more: as in `Points.of`.
    """
    intensity = np.asarray(intensity_T, dtype=np.float64)
    values_TW = np.zeros((len(intensity), patch))
    values_TW[:, 0] = intensity
    return Points.of(np.asarray(position_T, dtype=np.float64), values_TW, axis, Form.PEAK, **more)


def patches(position_N: Vector, intensity_N: Vector, axis: Axis, patch: int) -> Points:
    """One piece of a curve that is cut into patches of `patch` intensities. The last one is filled up with 0,
    and its centre is that of what it has.

    Args:
        position_N: of each intensity, rising or falling, in the unit of the axis.
        intensity_N: the curve.
        axis: of the positions.
        patch: W.
    """
    count = -(-len(position_N) // patch)
    values_TW = np.zeros((count, patch))
    values_TW.reshape(-1)[: len(intensity_N)] = intensity_N
    starts = np.arange(count) * patch
    last = np.minimum(starts + patch, len(position_N)) - 1
    centre_T = (position_N[starts] + position_N[last]) / 2
    extent_T = np.abs(position_N[last] - position_N[starts])
    return Points.of(centre_T, values_TW, axis, Form.PATCH, extent=extent_T)


def _of_hydrogen(spectrum: HydrogenNMR, settings: TokenSettings) -> Points:
    """A token for each multiplet, its intensity a tenth of the number of hydrogens."""
    signals = spectrum.multiplets
    extent_T = np.array([abs(one.max_ppm - one.min_ppm) for one in signals])
    hydrogens = [one.hydrogens / 10 for one in signals]
    return peaks([s.centroid_ppm for s in signals], hydrogens, Axis.H_PPM, settings.patch, extent=extent_T)


def _of_carbon(spectrum: CarbonNMR, settings: TokenSettings) -> Points:
    """A token for each line, all of intensity 1: 13C intensities do not tell numbers of atoms."""
    return peaks(spectrum.shifts_ppm, np.ones(len(spectrum.shifts_ppm)), Axis.C_PPM, settings.patch)


def _of_infrared(spectrum: Infrared, settings: TokenSettings) -> Points:
    """Patches of the absorbance as a share of its largest."""
    heights_N = np.asarray(spectrum.absorbance, dtype=np.float64)
    position_N = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, len(heights_N))
    most = np.abs(heights_N).max(initial=0.0)
    return patches(position_N, heights_N / (most or 1.0), Axis.WAVENUMBER, settings.patch)


def _of_masses(spectrum: TandemMS | ElectronIonisationMS, settings: TokenSettings) -> Points:
    """A token for each of the strongest peaks, its intensity the square root of its share of the strongest; and
    one for the precursor."""
    mz_T, intensity_T = (np.asarray(one, dtype=np.float64) for one in (spectrum.mz, spectrum.intensity))
    strongest = np.sort(np.argsort(-intensity_T, kind="stable")[: settings.max_peaks])
    most = intensity_T.max(initial=0.0)
    shares_T = np.sqrt(np.clip(intensity_T[strongest], 0, None) / (most or 1.0))
    sign = 0.0
    parts = []
    if isinstance(spectrum, TandemMS):
        sign = -1.0 if spectrum.polarity == "negative" else 1.0
        if settings.precursor and spectrum.precursor_mz is not None:
            at_T = np.array([spectrum.precursor_mz])
            none_TW = np.zeros((1, settings.patch))
            parts.append(Points.of(at_T, none_TW, Axis.MZ, Form.PRECURSOR, sign=sign))
    parts.append(peaks(mz_T[strongest], shares_T, Axis.MZ, settings.patch, sign=sign))
    return Points.merged(parts, settings.patch)


def _of_cross_peaks(spectrum: HSQC, settings: TokenSettings) -> Points:
    """A token for each cross peak, at its 13C shift and its 1H shift; its intensity is the sign that tells CH2
    from CH and CH3 in an edited spectrum, or 1."""
    signs = [1.0 if one.intensity is None else float(np.sign(one.intensity)) for one in spectrum.peaks]
    second_T = np.array([one.hydrogen_ppm for one in spectrum.peaks]) / STEP[Axis.H_PPM]
    carbons = [one.carbon_ppm for one in spectrum.peaks]
    return peaks(carbons, signs, Axis.C_PPM, settings.patch, second_T=second_T)


MAKERS: Mapping[Modality, Callable[[Any, TokenSettings], Points]] = {
    Modality.H_NMR: _of_hydrogen,
    Modality.C_NMR: _of_carbon,
    Modality.IR: _of_infrared,
    Modality.MS: _of_masses,
    Modality.HSQC: _of_cross_peaks,
    Modality.EI: _of_masses,
}
"""What makes the tokens of a spectrum of each kind."""


def of_spectra(spectra: Iterable[Spectrum], settings: TokenSettings) -> Points:
    """One piece with the tokens of all of some spectra, such as the mass spectra of a molecule at several
    energies."""
    return Points.merged([MAKERS[one.modality](one, settings) for one in spectra], settings.patch)


def of_records(records: Sequence[Record], modality: Modality, settings: TokenSettings) -> Points:
    """A piece for each record, with the tokens of all its spectra of one kind."""
    return Points.joined([of_spectra(record.of(modality), settings) for record in records])
