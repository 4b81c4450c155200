"""IR: a curve on an even grid, cut into windows; one token a window (paper table 9, appendix B.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.axes import PLACE, Axis, AxisReading, Form, Intensities, Number
from mmspec_ds.spectra.columns import Array, Faults, FileColumn, ListCells, float_values, is_number, item_type
from mmspec_ds.spectra.modalities.definition import Drawing, ModalityDefinition, one_each, without_faults
from mmspec_ds.spectra.packed import IntArray, PackedTokens, offsets_of
from mmspec_ds.spectra.records import FloatArray, Infrared, Modality, Record, Spectrum
from mmspec_ds.spectra.token_noise import Draws, TokenNoise
from mmspec_ds.spectra.tokens import ContinuousField, TokenSchema

COLUMN = "ir_spectra"
GRID_CM1 = (400.0, 4000.0)
"""First and last point of a spectrum of the benchmark."""

_CURVES = 32
"""Spectra at a time: 0.5 MB as float64, which stay in a core's cache through all steps."""
_TEXT_POINTS = 400


class InfraredSettings(Settings):
    """IR: `intervals` points on an even grid from `lowest_cm1` to `highest_cm1`, then windows of them."""

    intervals: int = Field(default=1024, ge=2, description="points of the grid (paper B.5)")
    window: int = Field(default=4, ge=1, description="intensities in a token (paper table 9)")
    stride: int = Field(default=4, ge=1, description="points from one token to the next (paper table 9)")
    lowest_cm1: float = 400.0
    highest_cm1: float = 4000.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window > self.intervals:
            raise ValueError(f"window {self.window} is larger than intervals {self.intervals}")
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} is larger than window {self.window}: points would be lost")
        if (self.intervals - self.window) % self.stride:
            raise ValueError(
                f"windows of {self.window} every {self.stride} leave the last of {self.intervals} intervals out"
            )
        if not self.lowest_cm1 < self.highest_cm1:
            raise ValueError(f"lowest_cm1 {self.lowest_cm1} is not below highest_cm1 {self.highest_cm1}")
        return self

    @property
    def tokens(self) -> int:
        """The number of tokens of a spectrum."""
        return (self.intervals - self.window) // self.stride + 1


class InfraredNoise(TokenNoise):
    """The curve on a slope, with noise, and with other heights of weak bands beside strong ones."""

    slope: float = Field(
        default=0.0, ge=0, description="standard deviation of the baseline's rise, as a share of the maximum"
    )
    noise: float = Field(
        default=0.0, ge=0, description="standard deviation of a point, as a share of the maximum"
    )
    contrast: float = Field(
        default=0.0,
        ge=0,
        description="standard deviation of the logarithm of the power to which absorbances are raised",
    )


@dataclass(frozen=True, slots=True)
class Curves:
    """The curve of each of N rows: absorbance at `counts_N` even points (0: no curve) from `first_N` to
    `last_N` in cm-1; they begin at `starts_N` in `values`."""

    values: Array
    starts_N: IntArray
    counts_N: IntArray
    first_N: FloatArray
    last_N: FloatArray


class InfraredDefinition(ModalityDefinition[Curves, InfraredSettings]):
    """The IR spectrum. The place of a window is its wavenumber, so that a second spectrum of a record has no
    place: the first is read."""

    modality = Modality.IR
    name = "ir"
    label = "IR"
    unit = "cm-1"
    token_kind = "window"
    stored_in = COLUMN
    file_column = FileColumn(COLUMN, lambda kind: is_number(item_type(kind)), "a list of numbers")
    settings = InfraredSettings()
    noise = InfraredNoise()

    def schema(self, settings: InfraredSettings) -> TokenSchema:
        """The intensities of a window, from low to high wavenumber; the order of windows is their position. On
        the axis of wavenumbers a window is a patch at its centre."""
        fields = tuple(ContinuousField(f"intensity_{place + 1}") for place in range(settings.window))
        point_cm1 = (settings.highest_cm1 - settings.lowest_cm1) / (settings.intervals - 1)
        width_cm1 = (settings.window - 1) * point_cm1
        axis = AxisReading(
            Axis.WAVENUMBER,
            Number(PLACE, settings.stride * point_cm1, settings.lowest_cm1 + width_cm1 / 2),
            Intensities(tuple(field.name for field in fields)),
            Form.PATCH,
            extent=Number(start=width_cm1),
        )
        return TokenSchema(continuous=fields, ordered=True, axis=axis)

    def most_tokens(self, settings: InfraredSettings) -> int:
        """The largest number of tokens of a sample that the settings allow."""
        return settings.tokens

    def compress(self, columns: Curves, settings: InfraredSettings) -> PackedTokens:
        """Resample to `intervals` points, normalise to [0, 1], and cut into windows: one token a window.

        Resampling is linear; beyond the ends of the measured range stands its lowest value. To normalise, the
        minimum is taken off and the rest divided by the range; a constant spectrum becomes zeros. A quarter of
        the published points are negative: lifting by the minimum keeps every band's shape and does not depend
        on an offset, where clipping at zero would flatten the weak bands that lie below it.
        """
        counts_N = np.where(columns.counts_N > 0, settings.tokens, 0)
        windows = np.empty((len(counts_N), settings.tokens, settings.window), dtype=np.float32)
        present = np.flatnonzero(columns.counts_N)
        grids = np.stack([columns.counts_N, columns.first_N, columns.last_N], axis=1)[present]
        for points, first, last in np.unique(grids, axis=0):
            alike = present[(grids == (points, first, last)).all(axis=1)]
            runs = np.lib.stride_tricks.sliding_window_view(columns.values, int(points))
            for start in range(0, len(alike), _CURVES):
                rows = alike[start : start + _CURVES]
                curves = runs[columns.starts_N[rows]].astype(np.float64)
                intensity = _normalised(_resampled(curves, first, last, settings))
                windows[rows] = _windows(intensity, settings)
        kept = windows if len(present) == len(windows) else windows[present]
        continuous = kept.reshape(-1, settings.window)
        return PackedTokens(np.empty((len(continuous), 0), dtype=np.int16), continuous, offsets_of(counts_N))

    def with_noise(
        self, tokens: PackedTokens, settings: InfraredSettings, noise: InfraredNoise, draws: Draws
    ) -> PackedTokens:
        """The curves, normalised again, in windows."""
        present = tokens.counts > 0
        windows = tokens.continuous.reshape(-1, settings.tokens, settings.window)
        curves = np.empty((len(windows), settings.intervals))
        points = np.arange(settings.tokens)[:, None] * settings.stride + np.arange(settings.window)
        curves[:, points] = windows
        power = np.exp(noise.contrast * draws.normal_rows())[present, None]
        slope = noise.slope * draws.normal_rows()[present, None]
        errors = noise.noise * draws.normal_items(present * settings.intervals).reshape(curves.shape)
        curves = curves**power + slope * np.linspace(-0.5, 0.5, settings.intervals) + errors
        continuous = _windows(_normalised(curves), settings).astype(np.float32)
        return PackedTokens(tokens.discrete, continuous.reshape(-1, settings.window), tokens.offsets)

    def from_records(self, records: Sequence[Record]) -> Curves:
        """The first IR spectrum of each record."""
        first = [next((s for s in r.spectra if isinstance(s, Infrared)), None) for r in records]
        counts = np.array([0 if one is None else len(one.absorbance) for one in first], dtype=np.int64)
        values = [one.absorbance for one in first if one is not None]
        ends = [GRID_CM1 if one is None else (one.start_cm1, one.stop_cm1) for one in first]
        grids = np.array(ends, dtype=np.float64).reshape(-1, 2)
        flat = values[0] if len(values) == 1 else np.concatenate([np.empty(0), *values])
        return Curves(flat, offsets_of(counts)[:-1], counts, grids[:, 0], grids[:, 1])

    def learn(self, cells: Mapping[str, pa.Array]) -> int | None:
        """The points of a spectrum: the most frequent number, not that of the first row, which may be truncated
        and must not make all the others look wrong."""
        lengths = ListCells(cells[COLUMN]).counts_N
        lengths = lengths[lengths > 1]
        return int(np.bincount(lengths).argmax()) if len(lengths) else None

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[Curves, list[Faults]]:
        """Absorbances on an even grid over `GRID_CM1`, of one length throughout the file."""
        lists, points = ListCells(cells[COLUMN]), learnt
        faults, counts_N = lists.faults(COLUMN), lists.counts_N
        starts_N = offsets_of(counts_N)[:-1]
        values = lists.pick(float_values(lists.values))
        faults.rows(
            lists.present_N & ((counts_N != points) | (counts_N < 2)),
            lambda row: f"{counts_N[row]} points, expected {points or 'at least 2'} as in the rest of the file",
        )
        infinite = ~np.isfinite(values)
        if infinite.any():
            why = "is missing, NaN or infinite"
            faults.items(infinite, lists.row_I, lambda at: f"absorbance {lists.place(at)} {why}")
        kept_N = np.where(without_faults([faults]), counts_N, 0)
        ends = [np.full(len(counts_N), end) for end in GRID_CM1]
        return Curves(values, starts_N, kept_N, *ends), [faults]

    def spectra(self, columns: Curves) -> list[tuple[Spectrum, ...]]:
        """The spectra of each of N rows."""
        return [
            (Infrared(columns.values[start : start + count].astype(np.float64), first, last),) if count else ()
            for start, count, first, last in zip(
                *(getattr(columns, name).tolist() for name in ("starts_N", "counts_N", "first_N", "last_N"))
            )
        ]

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """Absorbances are stored as float32, as the benchmark does.

        Raises:
            ValueError: a record has two spectra, or one on another grid than `GRID_CM1`.
        """
        spectra: list[Infrared | None] = one_each(records, self.modality, COLUMN)
        for record, one in zip(records, spectra):
            if one is not None and (one.start_cm1, one.stop_cm1) != GRID_CM1:
                raise ValueError(
                    f"record {record.id} has an IR grid from {one.start_cm1:g} to {one.stop_cm1:g},"
                    f" not {GRID_CM1[0]:g} to {GRID_CM1[1]:g} cm-1"
                )
        cells = [None if one is None else one.absorbance.astype(np.float32) for one in spectra]
        return {COLUMN: pa.array(cells, pa.list_(pa.float32()))}

    def text(self, record: Record) -> list[str] | None:
        """IR and 400 whole numbers: interpolated linearly, lifted by the size of the minimum, in per cent of
        the maximum. A spectrum of zeros stays at zero, where the benchmark would divide by zero."""
        spectrum = next((one for one in record.spectra if isinstance(one, Infrared)), None)
        if spectrum is None:
            return None
        wanted = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, _TEXT_POINTS)
        points = np.interp(wanted, _wavenumbers(spectrum), spectrum.absorbance)
        points = points + abs(points.min())
        highest = points.max()
        per_cent = points / highest * 100 if highest > 0 else points
        return ["IR", *(str(int(value)) for value in np.round(per_cent))]

    def drawing(self, spectrum: Infrared) -> Drawing:
        """What to draw of one spectrum."""
        return Drawing(
            "curve", _wavenumbers(spectrum), spectrum.absorbance, "wavenumber (cm-1)", "absorbance", reverse="x"
        )


def _wavenumbers(spectrum: Infrared) -> FloatArray:
    return np.linspace(spectrum.start_cm1, spectrum.stop_cm1, len(spectrum.absorbance))


def _resampled(absorbance: FloatArray, first: float, last: float, settings: InfraredSettings) -> FloatArray:
    """Curves on an even grid from `first` to `last` cm-1, [rows, points], on that of the settings."""
    measured = np.linspace(first, last, absorbance.shape[1])
    if first > last:
        measured, absorbance = measured[::-1], absorbance[:, ::-1]
    wanted = np.linspace(settings.lowest_cm1, settings.highest_cm1, settings.intervals)
    lowest = absorbance.min(axis=1)
    return np.stack([np.interp(wanted, measured, row, low, low) for row, low in zip(absorbance, lowest)])


def _windows(curves: FloatArray, settings: InfraredSettings) -> FloatArray:
    """Curves [rows, points] cut into windows, [rows, tokens, window]."""
    return np.lib.stride_tricks.sliding_window_view(curves, settings.window, axis=1)[:, :: settings.stride]


def _normalised(intensity: FloatArray) -> npt.NDArray[np.float64]:
    lowest = intensity.min(axis=1, keepdims=True)
    span = intensity.max(axis=1, keepdims=True) - lowest
    intensity -= lowest
    intensity /= np.where(span > 0, span, 1.0)
    return intensity
