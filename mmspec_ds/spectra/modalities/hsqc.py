"""HSQC: one token a cross peak of a carbon and the hydrogens on it. Not among the modalities of the paper."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.axes import Axis, AxisReading, Intensities, Number
from mmspec_ds.spectra.columns import (
    Faults,
    FileColumn,
    Items,
    ListCells,
    bins,
    optional_field,
    struct_of,
)
from mmspec_ds.spectra.modalities import c_nmr, h_nmr
from mmspec_ds.spectra.modalities.definition import (
    Drawing,
    ModalityDefinition,
    last_shift_bin,
    one_each,
    without_faults,
)
from mmspec_ds.spectra.packed import PackedTokens, bounds_of
from mmspec_ds.spectra.records import HSQC, FloatArray, HSQCPeak, Modality, Record, Spectrum
from mmspec_ds.spectra.token_noise import Draws, NoisyPeaks, PeakNoise
from mmspec_ds.spectra.tokens import ContinuousField, DiscreteField, TokenSchema

COLUMN = "hsqc_nmr_peaks"
CARBON, HYDROGEN, COUNT = "13C_centroid", "1H_centroid", "nH"
INTENSITY = "intensity"
"""A field that the benchmark does not have: on any scale, negative for CH2 in an edited spectrum."""

HYDROGENS = 32
_BENCHMARK_FIELDS = (CARBON, "13C_max", "13C_min", HYDROGEN, "1H_max", "1H_min", COUNT)


class HSQCSettings(Settings):
    """HSQC: one token a cross peak."""

    max_tokens: int = Field(default=256, ge=1, description="cross peaks kept, from high to low 13C shift")
    carbon_bin_ppm: float = Field(default=0.1, gt=0, description="width of a 13C shift bin")
    carbon_lowest_ppm: float = -20.0
    carbon_highest_ppm: float = 250.0
    hydrogen_bin_ppm: float = Field(default=0.1, gt=0, description="width of a 1H shift bin")
    hydrogen_lowest_ppm: float = -2.0
    hydrogen_highest_ppm: float = 18.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self.last_carbon_bin, self.last_hydrogen_bin
        return self

    @property
    def last_carbon_bin(self) -> int:
        """The bin of the highest 13C shift."""
        return last_shift_bin(self.carbon_lowest_ppm, self.carbon_highest_ppm, self.carbon_bin_ppm)

    @property
    def last_hydrogen_bin(self) -> int:
        """The bin of the highest 1H shift."""
        return last_shift_bin(self.hydrogen_lowest_ppm, self.hydrogen_highest_ppm, self.hydrogen_bin_ppm)


class HSQCNoise(PeakNoise):
    """Cross peaks moved, missing, false, and without their hydrogens or intensities."""

    carbon_ppm: float = Field(default=0.0, ge=0, description="standard deviation of a 13C shift")
    hydrogen_ppm: float = Field(default=0.0, ge=0, description="standard deviation of a 1H shift")
    intensity: float = Field(default=0.0, ge=0, description="standard deviation of the logarithm of intensity")
    hydrogens_unknown: float = Field(
        default=0.0, ge=0, le=1, description="probability that a peak does not tell its hydrogens"
    )
    hydrogens_lost: float = Field(
        default=0.0, ge=0, le=1, description="probability that no peak of a spectrum tells its hydrogens"
    )
    intensities_lost: float = Field(
        default=0.0, ge=0, le=1, description="probability that a spectrum has no intensities"
    )


class HSQCDefinition(ModalityDefinition[Items, HSQCSettings]):
    """The HSQC spectrum; several of one record are read as one. Columns: `carbon` and `hydrogen` in ppm,
    `hydrogens` and `intensity`, NaN where not known."""

    modality = Modality.HSQC
    name = "hsqc"
    label = "HSQC"
    unit = "ppm"
    token_kind = "cross peak"
    stored_in = COLUMN
    file_column = FileColumn(
        COLUMN,
        lambda kind: struct_of(kind, [CARBON, HYDROGEN]),
        f"a list of structs with {CARBON} and {HYDROGEN}",
        (CARBON, HYDROGEN, COUNT, INTENSITY),
    )
    has_text = False
    settings = HSQCSettings()
    noise = HSQCNoise()

    def schema(self, settings: HSQCSettings) -> TokenSchema:
        """13C shift, 1H shift, hydrogens (0: unknown), whether the intensity is known, and the intensity. On
        the axis of 13C shifts a token has its 1H shift too, and the intensity -1 where that is negative, else
        1; hydrogens are not told."""
        hydrogen = Number("hydrogen_shift", settings.hydrogen_bin_ppm, settings.hydrogen_lowest_ppm)
        return TokenSchema(
            discrete=(
                DiscreteField("carbon_shift", settings.last_carbon_bin + 1, ordinal=True),
                DiscreteField("hydrogen_shift", settings.last_hydrogen_bin + 1, ordinal=True),
                DiscreteField("hydrogens", HYDROGENS, ordinal=True),
                DiscreteField("intensity_known", 2),
            ),
            continuous=(ContinuousField("intensity"),),
            axis=AxisReading(
                Axis.C_PPM,
                Number("carbon_shift", settings.carbon_bin_ppm, settings.carbon_lowest_ppm),
                Intensities(("intensity",), scale="sign"),
                second=(Axis.H_PPM, hydrogen),
            ),
        )

    def most_tokens(self, settings: HSQCSettings) -> int:
        """The largest number of tokens of a sample that the settings allow."""
        return settings.max_tokens

    def compress(self, columns: Items, settings: HSQCSettings) -> PackedTokens:
        """One token a cross peak, from high to low 13C shift, then 1H shift, at most `max_tokens`.

        Intensities are relative to the largest in size of the row and keep their sign, which in an edited
        spectrum tells CH2 from CH and CH3. An unknown one is 0, with `intensity_known` 0.
        """
        carbon, hydrogen = columns["carbon"], columns["hydrogen"]
        order, offsets = columns.first(settings.max_tokens, -carbon, -hydrogen)
        intensity, known = np.nan_to_num(columns["intensity"]), ~np.isnan(columns["intensity"])
        relative = intensity / columns.largest(np.abs(intensity))
        fields = np.empty((len(order), 4), dtype=np.int16)
        fields[:, :2] = _shift_bins(carbon[order], hydrogen[order], settings)
        fields[:, 2] = np.clip(np.nan_to_num(columns["hydrogens"][order]), 0, HYDROGENS - 1)
        fields[:, 3] = known[order]
        return PackedTokens(fields, relative[order].astype(np.float32).reshape(-1, 1), offsets)

    def with_noise(
        self, tokens: PackedTokens, settings: HSQCSettings, noise: HSQCNoise, draws: Draws
    ) -> PackedTokens:
        """A false peak has the hydrogens and the intensity of the true one that it came with."""
        peaks = NoisyPeaks.of(tokens.counts, noise, draws)
        fields, intensity = tokens.discrete[peaks.source_T], tokens.continuous[peaks.source_T]
        carbon = settings.carbon_lowest_ppm + settings.carbon_bin_ppm * fields[:, 0]
        carbon = peaks.moved(carbon, noise.carbon_ppm, c_nmr.FALSE_SHIFT_PPM, draws)
        hydrogen = settings.hydrogen_lowest_ppm + settings.hydrogen_bin_ppm * fields[:, 1]
        hydrogen = peaks.moved(hydrogen, noise.hydrogen_ppm, h_nmr.FALSE_SHIFT_PPM, draws)
        fields[:, :2] = _shift_bins(carbon, hydrogen, settings)
        fields[draws.lost(noise.hydrogens_lost, peaks.counts_N), 2] = 0
        unsized = draws.lost(noise.intensities_lost, peaks.counts_N)
        fields[unsized, 3], intensity[unsized] = 0, 0.0
        if noise.hydrogens_unknown:
            fields[draws.items(peaks.counts_N) < noise.hydrogens_unknown, 2] = 0
        if noise.intensity:
            intensity = intensity * np.exp(noise.intensity * draws.normal_items(peaks.counts_N))[:, None]
            largest = Items(peaks.counts_N, {}).largest(np.abs(intensity[:, 0]))
            intensity = (intensity / np.where(largest > 0, largest, 1.0)[:, None]).astype(np.float32)
        order, offsets = Items(peaks.counts_N, {}).first(settings.max_tokens, -fields[:, 0], -fields[:, 1])
        return PackedTokens(fields[order], intensity[order], offsets)

    def from_records(self, records: Sequence[Record]) -> Items:
        """The cross peaks of all spectra of a record: `carbon` and `hydrogen` in ppm, `hydrogens` and
        `intensity`, NaN where not known."""
        rows = [[p for s in record.spectra if isinstance(s, HSQC) for p in s.peaks] for record in records]
        values = [(p.carbon_ppm, p.hydrogen_ppm, p.hydrogens, p.intensity) for row in rows for p in row]
        return Items.of(rows, ("carbon", "hydrogen", "hydrogens", "intensity"), values)

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[Items, list[Faults]]:
        """See `ModalityDefinition`."""
        lists = ListCells(cells[COLUMN])
        faults, row_I = lists.faults(COLUMN), lists.row_I
        columns = (lists.pick(optional_field(lists.values, name)) for name in self.file_column.fields)
        carbon, hydrogen, count, intensity = columns
        faults.shifts(CARBON, carbon, row_I, c_nmr.SHIFT_LIMITS_PPM)
        faults.shifts(HYDROGEN, hydrogen, row_I, h_nmr.SHIFT_LIMITS_PPM)
        whole = (count >= 0) & (count < np.inf) & (count == np.floor(count))
        faults.items(
            ~(whole | np.isnan(count)), row_I, lambda at: f"{COUNT} is {count[at]:g}, expected a count or null"
        )
        faults.items(np.isinf(intensity), row_I, lambda _: f"{INTENSITY} is infinite")
        fields = {"carbon": carbon, "hydrogen": hydrogen, "hydrogens": count, "intensity": intensity}
        return Items(lists.counts_N, fields).where(without_faults([faults])), [faults]

    def spectra(self, columns: Items) -> list[tuple[Spectrum, ...]]:
        """The spectra of each of N rows."""
        peaks = [
            HSQCPeak(carbon, hydrogen, int(count) if count == count else None, size if size == size else None)
            for carbon, hydrogen, count, size in zip(
                *(columns[name].tolist() for name in ("carbon", "hydrogen", "hydrogens", "intensity"))
            )
        ]
        return [(HSQC(tuple(peaks[a:b])),) if b > a else () for a, b in bounds_of(columns.counts_N)]

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """One position a peak: the edges that the benchmark has are written as that position."""
        spectra: list[HSQC | None] = one_each(records, self.modality, COLUMN)
        if not any(spectra):
            return {}
        sized = any(peak.intensity is not None for one in spectra if one for peak in one.peaks)
        names = (*_BENCHMARK_FIELDS, *([INTENSITY] if sized else []))
        cells = [one and [dict(zip(names, _values(peak))) for peak in one.peaks] for one in spectra]
        return {COLUMN: pa.array(cells, pa.list_(pa.struct({name: pa.float64() for name in names})))}

    def drawing(self, spectrum: HSQC) -> Drawing:
        """What to draw of one spectrum."""
        peaks = spectrum.peaks
        return Drawing(
            "points",
            np.array([peak.hydrogen_ppm for peak in peaks]),
            np.array([peak.carbon_ppm for peak in peaks]),
            "1H shift (ppm)",
            "13C shift (ppm)",
            weight=np.array([1.0 if peak.intensity is None else peak.intensity for peak in peaks]),
            reverse="xy",
            groups=tuple(peak.hydrogens for peak in peaks),
        )


def _shift_bins(carbon_ppm: FloatArray, hydrogen_ppm: FloatArray, settings: HSQCSettings) -> FloatArray:
    """The bins of the two shifts of each peak, [peaks, 2]."""
    carbon, hydrogen = carbon_ppm - settings.carbon_lowest_ppm, hydrogen_ppm - settings.hydrogen_lowest_ppm
    return np.stack(
        [
            bins(carbon, settings.carbon_bin_ppm, 0, settings.last_carbon_bin),
            bins(hydrogen, settings.hydrogen_bin_ppm, 0, settings.last_hydrogen_bin),
        ],
        axis=1,
    )


def _values(peak: HSQCPeak) -> list[float | None]:
    hydrogens = None if peak.hydrogens is None else float(peak.hydrogens)
    return [*[peak.carbon_ppm] * 3, *[peak.hydrogen_ppm] * 3, hydrogens, peak.intensity]
