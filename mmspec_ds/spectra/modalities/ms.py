"""MS/MS: one token a peak; one for the precursor of each spectrum where a run asks for it.

Axes: N rows, S spectra of all rows end to end, I peaks of all spectra end to end, T tokens.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from mmspec_ds.errors import DataError
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.axes import Axis, AxisReading, Number
from mmspec_ds.spectra.columns import Array, BoolArray, Faults, FileColumn, Items
from mmspec_ds.spectra.modalities import ms_file
from mmspec_ds.spectra.modalities.definition import Drawing, ModalityDefinition
from mmspec_ds.spectra.modalities.ms_file import ENTRY_NUMBERS
from mmspec_ds.spectra.modalities.peak_lists import (
    PEAK_FIELDS,
    PEAK_INTENSITY,
    PEAK_POSITION,
    MassPeakNoise,
    PeakColumns,
    kept_peaks,
    most_peaks,
    noisy_peaks,
    sticks,
)
from mmspec_ds.spectra.packed import IntArray, PackedTokens, bounds_of, offsets_of, ranges
from mmspec_ds.spectra.records import FloatArray, Modality, Polarity, Record, Spectrum, TandemMS
from mmspec_ds.spectra.token_noise import Draws, kept_items
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema

ADDUCTS = (
    *("unknown", "other", "[M+H]+", "[M+Na]+", "[M+K]+", "[M+NH4]+", "[M+H-H2O]+", "[M]+", "[M+2H]2+"),
    *("[2M+H]+", "[2M+Na]+", "[M-H]-", "[M+Cl]-", "[M+HCOO]-", "[M+CH3COO]-", "[M-H-H2O]-", "[M]-", "[2M-H]-"),
)
"""Values of the adduct field of a precursor."""

MOST_CHARGES = 3
_ENERGY_BIN_EV, _ENERGY_BINS = 5.0, 40  # up to 200 eV
_MEASURED_BIN_EV, _MEASURED_BINS = 1.0, 200
_ENERGIES = ((0, _ENERGY_BIN_EV, _ENERGY_BINS), (5, _MEASURED_BIN_EV, _MEASURED_BINS))
"""The two fields with a collision energy: place, width and number of bins; the second is of a precursor."""
_ADDUCT_IDS = {name: index for index, name in enumerate(ADDUCTS)}
_TEXT_NAMES = {10.0: "E0", 20.0: "E1", 40.0: "E2"}


class TandemMSSettings(Settings):
    """MS/MS: one token a peak."""

    max_peaks: int = Field(default=100, ge=1, description="strongest peaks kept of each spectrum (paper B.5)")
    max_tokens: int = Field(
        default=1024,
        ge=1,
        description="tokens kept of a record, shared evenly among its spectra (paper table 9)",
    )
    precursor: bool = Field(
        default=False,
        description="a further token for the precursor of each spectrum: m/z, adduct, charge, collision energy;"
        " the benchmark has none",
    )


class TandemMSNoise(MassPeakNoise):
    """Noise of peaks; fewer spectra; energies and precursors not known."""

    missing_spectrum: float = Field(
        default=0.0, ge=0, lt=1, description="probability that a spectrum of several is missing"
    )
    energy: float = Field(
        default=0.0,
        ge=0,
        description="standard deviation of the logarithm of a factor of all collision energies of a sample",
    )
    energy_lost: float = Field(
        default=0.0, ge=0, le=1, description="probability that no collision energy of a sample is known"
    )
    precursor_lost: float = Field(
        default=0.0, ge=0, le=1, description="probability that no precursor of a sample is known"
    )


class TandemMSDefinition(ModalityDefinition[PeakColumns, TandemMSSettings]):
    """The MS/MS spectra of a record, of any number of polarities and energies."""

    modality = Modality.MS
    name = "ms"
    label = "MS/MS"
    unit = "m/z"
    token_kind = "peak"
    stored_in = "msms_{positive,negative}_{10,20,40}ev"
    settings = TandemMSSettings()
    noise = TandemMSNoise()

    def schema(self, settings: TandemMSSettings) -> TokenSchema:
        """m/z and relative intensity, with collision energy and polarity as attributes of the peak.

        With `precursor` a token tells what it is (0: a peak, 1: the precursor, 2: a precursor of unknown m/z),
        and that of a precursor its adduct, its charge (0: unknown, then -3 to -1, 1 to 3) and the measured
        collision energy in bins of 1 eV (0: unknown).

        On the axis of m/z a token tells its polarity and whether it is a precursor, whose position is 0 where
        it is not known; adduct, charge and energies are not told.
        """
        discrete = [DiscreteField("energy", _ENERGY_BINS + 1, ordinal=True), DiscreteField("polarity", 2)]
        if settings.precursor:
            discrete += [
                DiscreteField("precursor", 3),
                DiscreteField("adduct", len(ADDUCTS)),
                DiscreteField("charge", 2 * MOST_CHARGES + 1),
                DiscreteField("measured_energy", _MEASURED_BINS + 1, ordinal=True),
            ]
        axis = AxisReading(
            Axis.MZ,
            PEAK_POSITION,
            PEAK_INTENSITY,
            sign=Number("polarity", -2.0, 1.0),
            precursor="precursor" if settings.precursor else "",
        )
        return TokenSchema(tuple(discrete), PEAK_FIELDS, axis=axis)

    def most_tokens(self, settings: TandemMSSettings) -> int:
        """The largest number of tokens of a sample that the settings allow."""
        return settings.max_tokens

    def compress(self, columns: PeakColumns, settings: TandemMSSettings) -> PackedTokens:
        """The strongest peaks of each spectrum in the order of m/z, with intensities relative to the strongest.

        At most `max_peaks` of a spectrum and `max_tokens` of a record, shared evenly among its spectra. Of
        equally strong peaks the one of lower m/z is kept. Energy bin 0 is "unknown", bin 1 is 0 to 5 eV.
        """
        extra, spectra = int(settings.precursor), columns.spectra
        limit_S = most_peaks(spectra, settings.max_peaks, settings.max_tokens, extra)
        kept, relative = kept_peaks(columns, limit_S)

        kept_S = np.minimum(spectra["peaks"], limit_S)
        shown_S = kept_S > 0
        tokens_S = kept_S + extra * shown_S
        starts_S = offsets_of(tokens_S)[:-1]
        place_T = ranges(starts_S + extra * shown_S, kept_S) if extra else slice(None)
        continuous = np.zeros((int(tokens_S.sum()), 2), dtype=np.float32)
        continuous[place_T, 0], continuous[place_T, 1] = columns.mz_I[kept], relative
        discrete_S = np.zeros((len(kept_S), 6 if extra else 2), dtype=np.int16)
        discrete_S[:, 0] = _energy_bins(spectra["collision_energy_ev"], _ENERGY_BIN_EV, _ENERGY_BINS)
        discrete_S[:, 1] = spectra["negative"]
        discrete = np.repeat(discrete_S, tokens_S, axis=0)
        if extra:
            discrete[starts_S[shown_S], 2:] = _precursors(spectra)[shown_S]
            continuous[starts_S[shown_S], 0] = np.nan_to_num(spectra["precursor_mz"][shown_S])
        counts_N = np.bincount(spectra.row_I, weights=tokens_S, minlength=len(spectra.counts_N))
        return PackedTokens(discrete, continuous, offsets_of(counts_N))

    def with_noise(
        self, tokens: PackedTokens, settings: TandemMSSettings, noise: TandemMSNoise, draws: Draws
    ) -> PackedTokens:
        """Precursors stay first in their spectra, peaks in the order of m/z."""
        ion_T = tokens.discrete[:, 2] > 0 if settings.precursor else np.zeros(len(tokens), dtype=np.bool_)
        row_T = np.repeat(np.arange(len(tokens.counts)), tokens.counts)
        first_T = _begins_spectrum(tokens, ion_T, row_T)
        spectra_N = np.bincount(row_T[first_T], minlength=len(tokens.counts))
        seen_S = kept_items(spectra_N, noise.missing_spectrum, draws.items(spectra_N))
        spectrum_T, kept_T = np.cumsum(first_T) - 1, ion_T.copy()
        peaks_S = np.bincount(spectrum_T[~ion_T], minlength=len(seen_S))
        kept_T[~ion_T] = kept_items(peaks_S, noise.missing_peak, draws.items(tokens.counts)[~ion_T])
        kept = np.flatnonzero(kept_T & seen_S[spectrum_T])

        counts_N = np.bincount(row_T[kept], minlength=len(tokens.counts))
        spectra = Items(np.unique(spectrum_T[kept], return_counts=True)[1], {})
        discrete, ion_T = tokens.discrete[kept], ion_T[kept]
        mz, intensity = noisy_peaks(tokens.continuous[kept], counts_N, spectra, ion_T, noise, draws)
        factor = np.repeat(np.exp(noise.energy * draws.normal_rows()), counts_N)
        lost_T = draws.lost(noise.energy_lost, counts_N)
        for at, width, count in _ENERGIES[: 1 + settings.precursor]:
            energy = np.where(discrete[:, at] == 0, np.nan, (discrete[:, at] - 0.5) * width * factor)
            discrete[:, at] = np.where(lost_T, 0, _energy_bins(energy, width, count))
        if settings.precursor:
            lost_T = draws.lost(noise.precursor_lost, counts_N) & ion_T
            discrete[lost_T, 2:5], mz[lost_T] = (2, 0, 0), 0.0
        order = np.lexsort((-intensity, mz, ~ion_T, spectra.row_I))
        continuous = np.stack([mz, intensity], axis=1).astype(np.float32)
        return PackedTokens(discrete[order], continuous[order], offsets_of(counts_N))

    def from_records(self, records: Sequence[Record]) -> PeakColumns:
        """The spectra, each with its number of `peaks`, `negative`, the `ENTRY_NUMBERS`, NaN where not known,
        and the adduct or None; m/z and intensities."""
        rows = [[s for s in record.spectra if isinstance(s, TandemMS)] for record in records]
        spectra = [one for row in rows for one in row]
        # None becomes NaN.
        numbers = [[getattr(one, name) for one in spectra] for name in ENTRY_NUMBERS]
        fields: dict[str, Array] = {
            **dict(zip(ENTRY_NUMBERS, np.array(numbers, dtype=np.float64))),
            "peaks": np.array([len(one.mz) for one in spectra], dtype=np.int64),
            "negative": np.array([one.polarity == "negative" for one in spectra], dtype=np.bool_),
            "adduct": np.array([one.adduct for one in spectra], dtype=object),
        }
        return PeakColumns(
            Items(np.array([len(row) for row in rows], dtype=np.int64), fields),
            np.concatenate([np.empty(0), *(one.mz for one in spectra)]),
            np.concatenate([np.empty(0), *(one.intensity for one in spectra)]),
        )

    def file_columns(self, names: Collection[str]) -> list[FileColumn]:
        """The columns that hold it, among those of a parquet file; empty where there is none."""
        return ms_file.file_columns(names)

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[PeakColumns, list[Faults]]:
        """See `ms_file.decode`."""
        return ms_file.decode(cells)

    def spectra(self, columns: PeakColumns) -> list[tuple[Spectrum, ...]]:
        """The spectra of each of N rows."""
        items, found = columns.spectra, list[Spectrum]()
        numbers = zip(*(items[name].tolist() for name in ENTRY_NUMBERS))
        known = zip(bounds_of(items["peaks"]), items["negative"], numbers, items["adduct"])
        for (start, end), negative, values, adduct in known:
            polarity: Polarity = "negative" if negative else "positive"
            energy, measured, precursor, charge = (None if value != value else value for value in values)
            ion = precursor, adduct, None if charge is None else int(charge), measured
            mz, intensity = columns.mz_I[start:end].copy(), columns.intensity_I[start:end].copy()
            found.append(TandemMS(mz, intensity, polarity, energy, *ion))
        return [tuple(found[a:b]) for a, b in bounds_of(items.counts_N)]

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """See `ModalityDefinition`."""
        return ms_file.arrays(records)

    def text(self, record: Record) -> list[str] | None:
        """The spectra, positive before negative and by rising energy. Each begins with its name (E0Pos at 10,
        E1Pos at 20, E2Pos at 40 eV, Neg likewise); m/z and intensity of each peak with one decimal follow.

        Raises:
            DataError: a spectrum has another collision energy.
        """
        found: dict[str, TandemMS] = {}
        for spectrum in record.spectra:
            if isinstance(spectrum, TandemMS):
                energy = spectrum.collision_energy_ev
                if energy not in _TEXT_NAMES:
                    raise DataError(
                        f"record {record.id} has MS/MS at {energy} eV, the benchmark's text knows 10, 20, 40"
                    )
                found.setdefault(f"{_TEXT_NAMES[energy]}{spectrum.polarity[:3].capitalize()}", spectrum)
        if not found:
            return None
        tokens: list[str] = []
        for name in sorted(found, key=lambda name: ("Pos" not in name, name)):
            # numpy rounds value * 10, format() the exact binary value: 4.35 is 4.4 to the one, as in the
            # benchmark, and 4.3 to the other. The published peaks have two decimals, so such ties are frequent.
            peaks = np.round(np.stack([found[name].mz, found[name].intensity], axis=1), 1)
            tokens += [name, *(f"{value:.1f}" for value in peaks.ravel().tolist())]
        return tokens

    def drawing(self, spectrum: TandemMS) -> Drawing:
        """What to draw of one spectrum."""
        precursor = spectrum.precursor_mz
        return sticks(
            spectrum, None if precursor is None else (precursor, spectrum.adduct or "precursor"), "{:.4f}"
        )


def _begins_spectrum(tokens: PackedTokens, ion_T: BoolArray, row_T: IntArray) -> BoolArray:
    """Whether a token is the first of its spectrum: the precursor, or, where there is none, the first of
    another row, energy or polarity, or of lower m/z than the one before."""
    if ion_T.any():
        return ion_T
    first_T = np.ones(len(tokens), dtype=np.bool_)
    same = (np.diff(row_T) == 0) & (np.diff(tokens.discrete[:, :2], axis=0) == 0).all(axis=1)
    first_T[1:] = ~same | (np.diff(tokens.continuous[:, 0]) < 0)
    return first_T


def _energy_bins(energy: FloatArray, width: float, count: int) -> FloatArray:
    return np.where(np.isnan(energy), 0, 1 + np.clip(np.nan_to_num(energy) // width, 0, count - 1))


def _precursors(spectra: Items) -> npt.NDArray[np.int16]:
    """The fields that a precursor has besides those of its peaks, [S, 4]."""
    measured, energy = spectra["measured_energy_ev"], spectra["collision_energy_ev"]
    charge = np.clip(np.nan_to_num(spectra["charge"]), -MOST_CHARGES, MOST_CHARGES)
    adducts = [0 if text is None else _ADDUCT_IDS.get(text, 1) for text in spectra["adduct"]]
    fields = [
        np.where(np.isnan(spectra["precursor_mz"]), 2, 1),
        np.array(adducts, dtype=np.int64),
        np.where(charge == 0, 0, charge + MOST_CHARGES + (charge < 0)),
        _energy_bins(np.where(np.isnan(measured), energy, measured), _MEASURED_BIN_EV, _MEASURED_BINS),
    ]
    return np.stack(fields, axis=1).astype(np.int16)
