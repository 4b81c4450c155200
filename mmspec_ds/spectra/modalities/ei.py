"""EI-MS, mass spectra by electron ionisation: one token a peak. Not among the modalities of the paper.

Axes: N rows, S spectra of all rows end to end, I peaks of all spectra end to end, T tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.axes import Axis, AxisReading
from mmspec_ds.spectra.columns import Faults, FileColumn, Items, ListCells, optional_field
from mmspec_ds.spectra.modalities.definition import Drawing, ModalityDefinition, without_faults
from mmspec_ds.spectra.modalities.peak_lists import (
    PEAK_FIELDS,
    PEAK_INTENSITY,
    PEAK_POSITION,
    MassPeakNoise,
    PeakColumns,
    entry_peaks,
    is_peak_entry,
    kept_peaks,
    most_peaks,
    noisy_peaks,
    sticks,
)
from mmspec_ds.spectra.packed import PackedTokens, bounds_of, offsets_of
from mmspec_ds.spectra.records import ElectronIonisationMS, Modality, Record, Spectrum
from mmspec_ds.spectra.token_noise import Draws, kept_items
from mmspec_ds.spectra.tokens import TokenSchema

COLUMN = "ei_spectra"
ENERGY = "energy_ev"
_ENTRY = pa.struct({"mz": pa.list_(pa.float64()), "intensity": pa.list_(pa.float64()), ENERGY: pa.float64()})


class ElectronIonisationSettings(Settings):
    """EI-MS: one token a peak."""

    max_peaks: int = Field(default=100, ge=1, description="strongest peaks kept of each spectrum")
    max_tokens: int = Field(
        default=256, ge=1, description="tokens kept of a record, shared evenly among its spectra"
    )


class ElectronIonisationDefinition(ModalityDefinition[PeakColumns, ElectronIonisationSettings]):
    """The EI spectra of a record. In a parquet file they are a list of structs with lists `mz` and `intensity`
    and the energy of the electrons in eV, null where it is not known; tokens do not tell it."""

    modality = Modality.EI
    name = "ei"
    label = "EI-MS"
    unit = "m/z"
    token_kind = "peak"
    stored_in = COLUMN
    file_column = FileColumn(
        COLUMN,
        lambda kind: is_peak_entry(kind, (ENERGY,)),
        f"a list of structs with {', '.join(field.name for field in _ENTRY)}",
    )
    has_text = False
    settings = ElectronIonisationSettings()
    noise = MassPeakNoise()

    def schema(self, settings: ElectronIonisationSettings) -> TokenSchema:
        """m/z and relative intensity."""
        axis = AxisReading(Axis.MZ, PEAK_POSITION, PEAK_INTENSITY)
        return TokenSchema(continuous=PEAK_FIELDS, axis=axis)

    def most_tokens(self, settings: ElectronIonisationSettings) -> int:
        """The largest number of tokens of a sample that the settings allow."""
        return settings.max_tokens

    def compress(self, columns: PeakColumns, settings: ElectronIonisationSettings) -> PackedTokens:
        """The strongest peaks of each spectrum in the order of m/z, with intensities relative to the strongest:
        at most `max_peaks` of a spectrum and `max_tokens` of a record, shared evenly among its spectra."""
        spectra = columns.spectra
        limit_S = most_peaks(spectra, settings.max_peaks, settings.max_tokens)
        kept, relative = kept_peaks(columns, limit_S)
        continuous = np.stack([columns.mz_I[kept], relative], axis=1).astype(np.float32)
        kept_S = np.minimum(spectra["peaks"], limit_S)
        counts_N = np.bincount(spectra.row_I, weights=kept_S, minlength=len(spectra.counts_N))
        return PackedTokens(np.empty((len(kept), 0), dtype=np.int16), continuous, offsets_of(counts_N))

    def with_noise(
        self, tokens: PackedTokens, settings: ElectronIonisationSettings, noise: MassPeakNoise, draws: Draws
    ) -> PackedTokens:
        """The tokens with other noise; of each row one peak stays. A spectrum begins where m/z falls."""
        row_T = np.repeat(np.arange(len(tokens.counts)), tokens.counts)
        first_T = np.ones(len(tokens), dtype=np.bool_)
        first_T[1:] = (np.diff(row_T) > 0) | (np.diff(tokens.continuous[:, 0]) < 0)
        spectrum_T = np.cumsum(first_T) - 1
        kept = np.flatnonzero(kept_items(tokens.counts, noise.missing_peak, draws.items(tokens.counts)))
        counts_N = np.bincount(row_T[kept], minlength=len(tokens.counts))
        spectra = Items(np.unique(spectrum_T[kept], return_counts=True)[1], {})
        fixed_T = np.zeros(len(kept), dtype=np.bool_)
        mz, intensity = noisy_peaks(tokens.continuous[kept], counts_N, spectra, fixed_T, noise, draws)
        order = np.lexsort((-intensity, mz, spectra.row_I))
        continuous = np.stack([mz, intensity], axis=1).astype(np.float32)[order]
        return PackedTokens(tokens.discrete[kept], continuous, offsets_of(counts_N))

    def from_records(self, records: Sequence[Record]) -> PeakColumns:
        """The spectra, each with its number of `peaks` and its energy in eV, NaN where not known; m/z and
        intensities."""
        rows = [[s for s in record.spectra if isinstance(s, ElectronIonisationMS)] for record in records]
        spectra = [one for row in rows for one in row]
        fields = {
            "peaks": np.array([len(one.mz) for one in spectra], dtype=np.int64),
            ENERGY: np.array([one.energy_ev for one in spectra], dtype=np.float64),  # None becomes NaN
        }
        return PeakColumns(
            Items(np.array([len(row) for row in rows], dtype=np.int64), fields),
            np.concatenate([np.empty(0), *(one.mz for one in spectra)]),
            np.concatenate([np.empty(0), *(one.intensity for one in spectra)]),
        )

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[PeakColumns, list[Faults]]:
        """See `ModalityDefinition`."""
        lists = ListCells(cells[COLUMN])
        faults = lists.faults(COLUMN)
        energy = lists.pick(optional_field(lists.values, ENERGY))
        peaks_S, mz, intensity = entry_peaks(lists, faults)
        good_N = without_faults([faults])
        good_I = np.repeat(good_N[lists.row_I], peaks_S)
        spectra = Items(lists.counts_N, {"peaks": peaks_S, ENERGY: energy}).where(good_N)
        return PeakColumns(spectra, *(one[good_I].astype(np.float64) for one in (mz, intensity))), [faults]

    def spectra(self, columns: PeakColumns) -> list[tuple[Spectrum, ...]]:
        """The spectra of each of N rows."""
        items = columns.spectra
        found = [
            ElectronIonisationMS(
                columns.mz_I[start:end].copy(),
                columns.intensity_I[start:end].copy(),
                energy if energy == energy else None,
            )
            for (start, end), energy in zip(bounds_of(items["peaks"]), items[ENERGY].tolist())
        ]
        return [tuple(found[a:b]) for a, b in bounds_of(items.counts_N)]

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """See `ModalityDefinition`."""
        rows = [[s for s in record.spectra if isinstance(s, ElectronIonisationMS)] for record in records]
        if not any(rows):
            return {}
        names = ("mz", "intensity", ENERGY)
        cells = [[{name: getattr(one, name) for name in names} for one in row] or None for row in rows]
        return {COLUMN: pa.array(cells, pa.list_(_ENTRY))}

    def drawing(self, spectrum: ElectronIonisationMS) -> Drawing:
        """What to draw of one spectrum."""
        whole = bool((spectrum.mz == np.round(spectrum.mz)).all())
        return sticks(spectrum, None, "{:.0f}" if whole else "{:.4f}")
