"""13C NMR: one token a line, with the hydrogens on the carbon, as DEPT tells them, where a run asks for it."""

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from mmspec_ds.spectra.axes import Axis, AxisReading, Number
from mmspec_ds.spectra.columns import (
    Faults,
    FileColumn,
    Items,
    ListCells,
    bins,
    discrete_tokens,
    float_values,
    is_number,
    item_type,
    struct_of,
)
from mmspec_ds.spectra.modalities.definition import (
    Drawing,
    ModalityDefinition,
    ShiftSettings,
    one_each,
    without_faults,
)
from mmspec_ds.spectra.packed import PackedTokens, bounds_of
from mmspec_ds.spectra.records import CarbonNMR, FloatArray, Modality, Record, Spectrum
from mmspec_ds.spectra.token_noise import Draws, NoisyPeaks, PeakNoise
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema

COLUMN = "c_nmr_peaks"
SHIFT = "delta (ppm)"
ATTACHED = "c_nmr_attached_hydrogens"
"""A column that the benchmark does not have: the hydrogens on the carbon of each line, 0 to 3, null where not
known."""

SHIFT_LIMITS_PPM = (-50.0, 300.0)
"""13C shifts outside are taken for a fault of the file."""

FALSE_SHIFT_PPM = (5.0, 200.0)
"""13C shifts of false lines."""

MOST_ATTACHED = 3
CARBON_TYPES = ("C", "CH", "CH2", "CH3")
"""Names of carbons by their number of hydrogens."""
_BENCHMARK_FIELDS = {name: pa.float64() for name in (SHIFT, "integral", "intensity", "width (ppm)")}


class CarbonNMRSettings(ShiftSettings):
    """13C: one token a line."""

    lowest_ppm: float = -20.0
    highest_ppm: float = 250.0
    multiplicity: bool = Field(
        default=False,
        description="a further field of a token: unknown, C, CH, CH2 or CH3 (DEPT); the benchmark has none",
    )


class CarbonNMRNoise(PeakNoise):
    """13C lines moved, missing, false, and without the hydrogens on their carbon."""

    shift_ppm: float = Field(default=0.0, ge=0, description="standard deviation of a shift")
    attached_unknown: float = Field(
        default=0.0, ge=0, le=1, description="probability that a line does not tell its hydrogens"
    )
    attached_lost: float = Field(
        default=0.0, ge=0, le=1, description="probability that no line of a spectrum tells its hydrogens"
    )


class CarbonNMRDefinition(ModalityDefinition[Items, CarbonNMRSettings]):
    """The 13C spectrum; several of one record are read as one. Columns: `shift` in ppm and `attached`, the
    hydrogens on the carbon, NaN where not known."""

    modality = Modality.C_NMR
    name = "c_nmr"
    label = "13C NMR"
    unit = "ppm"
    token_kind = "line"
    stored_in = COLUMN
    settings = CarbonNMRSettings()
    noise = CarbonNMRNoise()

    def schema(self, settings: CarbonNMRSettings) -> TokenSchema:
        """The shift, and the attached hydrogens if the settings ask for them (0: unknown, 1: C, to 4: CH3). On
        the axis of 13C shifts every line has the intensity 1; attached hydrogens are not told."""
        shift = DiscreteField("shift", settings.last_bin + 1, ordinal=True)
        attached = (DiscreteField("attached_hydrogens", MOST_ATTACHED + 2),) if settings.multiplicity else ()
        position = Number("shift", settings.bin_ppm, settings.lowest_ppm)
        return TokenSchema(discrete=(shift, *attached), axis=AxisReading(Axis.C_PPM, position))

    def most_tokens(self, settings: CarbonNMRSettings) -> int:
        """The largest number of tokens of a sample that the settings allow."""
        return settings.max_tokens

    def compress(self, columns: Items, settings: CarbonNMRSettings) -> PackedTokens:
        """One token a line, from high to low shift, at most `max_tokens`; equal lines are kept. A shift outside
        of the range takes the first or last bin."""
        shift = columns["shift"]
        order, offsets = columns.first(settings.max_tokens, -shift)
        fields = np.empty((len(order), 1 + settings.multiplicity), dtype=np.int16)
        fields[:, 0] = bins(shift[order] - settings.lowest_ppm, settings.bin_ppm, 0, settings.last_bin)
        if settings.multiplicity:
            fields[:, 1] = np.nan_to_num(1 + columns["attached"][order], nan=0.0)
        return discrete_tokens(fields, offsets)

    def with_noise(
        self, tokens: PackedTokens, settings: CarbonNMRSettings, noise: CarbonNMRNoise, draws: Draws
    ) -> PackedTokens:
        """A false line has any number of hydrogens, if the true one that it came with tells its own."""
        lines = NoisyPeaks.of(tokens.counts, noise, draws)
        fields = tokens.discrete[lines.source_T]
        shift = settings.lowest_ppm + settings.bin_ppm * fields[:, 0]
        shift = lines.moved(shift, noise.shift_ppm, FALSE_SHIFT_PPM, draws)
        fields[:, 0] = bins(shift - settings.lowest_ppm, settings.bin_ppm, 0, settings.last_bin)
        if settings.multiplicity:
            drawn = 1 + (MOST_ATTACHED + 1) * draws.items(lines.counts_N)
            fields[:, 1] = np.where(lines.false_T & (fields[:, 1] > 0), drawn, fields[:, 1])
            fields[draws.lost(noise.attached_lost, lines.counts_N), 1] = 0
            if noise.attached_unknown:
                fields[draws.items(lines.counts_N) < noise.attached_unknown, 1] = 0
        order, offsets = Items(lines.counts_N, {}).first(settings.max_tokens, -fields[:, 0])
        return discrete_tokens(fields[order], offsets)

    def from_records(self, records: Sequence[Record]) -> Items:
        """The lines of all 13C spectra of a record: `shift` in ppm, and `attached` hydrogens, NaN where not
        known."""
        rows = [
            [
                line
                for s in record.spectra
                if isinstance(s, CarbonNMR)
                for line in zip_longest(s.shifts_ppm, s.attached_hydrogens)
            ]
            for record in records
        ]
        return Items.of(rows, ("shift", "attached"), [line for row in rows for line in row])

    def file_columns(self, names: Collection[str]) -> list[FileColumn]:
        """The columns that hold it, among those of a parquet file; empty where there is none."""
        if COLUMN not in names:
            return []
        expected = f"a list of structs with {SHIFT}"
        columns = [FileColumn(COLUMN, lambda kind: struct_of(kind, [SHIFT]), expected, (SHIFT,))]
        if ATTACHED in names:
            columns.append(FileColumn(ATTACHED, lambda kind: is_number(item_type(kind)), "a list of counts"))
        return columns

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[Items, list[Faults]]:
        """See `ModalityDefinition`; the fields are those of `from_records`."""
        rows = len(next(iter(cells.values())))
        lists = ListCells(cells.get(COLUMN, pa.nulls(rows, pa.list_(pa.struct({SHIFT: pa.float64()})))))
        shift = lists.pick(float_values(lists.values.field(SHIFT))).astype(np.float64)
        attached = np.full(len(shift), np.nan)
        found = [lists.faults(COLUMN)]
        found[0].shifts(SHIFT, shift, lists.row_I, SHIFT_LIMITS_PPM)
        if ATTACHED in cells:
            found.append(_read_attached(cells[ATTACHED], lists, attached))
        items = Items(lists.counts_N, {"shift": shift, "attached": attached})
        return items.where(without_faults(found)), found

    def spectra(self, columns: Items) -> list[tuple[Spectrum, ...]]:
        """The spectra of each of N rows."""
        shifts, attached = columns["shift"].tolist(), columns["attached"].tolist()
        known = [None if value != value else int(value) for value in attached]
        found: list[tuple[Spectrum, ...]] = []
        for a, b in bounds_of(columns.counts_N):
            told = tuple(known[a:b]) if any(value is not None for value in known[a:b]) else ()
            found.append((CarbonNMR(tuple(shifts[a:b]), told),) if b > a else ())
        return found

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """See `ModalityDefinition`."""
        spectra: list[CarbonNMR | None] = one_each(records, self.modality, COLUMN)
        lines = [one and [{SHIFT: ppm} for ppm in one.shifts_ppm] for one in spectra]
        columns = {COLUMN: pa.array(lines, pa.list_(pa.struct(_BENCHMARK_FIELDS)))}
        attached = [
            [count for _, count in zip_longest(one.shifts_ppm, one.attached_hydrogens)]
            if one and any(count is not None for count in one.attached_hydrogens)
            else None
            for one in spectra
        ]
        if any(attached):
            columns[ATTACHED] = pa.array(attached, pa.list_(pa.int8()))
        return columns

    def text(self, record: Record) -> list[str] | None:
        """13CNMR and the shifts in ppm with one decimal, in the order in which they are stored."""
        spectrum = next((one for one in record.spectra if isinstance(one, CarbonNMR)), None)
        return None if spectrum is None else ["13CNMR", *(f"{shift:.1f}" for shift in spectrum.shifts_ppm)]

    def drawing(self, spectrum: CarbonNMR) -> Drawing:
        """What to draw of one spectrum."""
        shifts = np.array(spectrum.shifts_ppm)
        return Drawing(
            "sticks",
            shifts,
            np.ones(len(shifts)),
            "13C shift (ppm)",
            reverse="x",
            groups=spectrum.attached_hydrogens,
            group_names=CARBON_TYPES,
        )


def _read_attached(cells: pa.Array, lines: ListCells, attached: FloatArray) -> Faults:
    """Write the hydrogens of each line into `attached` [I]; return the rows in which they cannot be right."""
    counts = ListCells(cells)
    values = counts.pick(float_values(counts.values)).astype(np.float64)
    faults = Faults(ATTACHED, len(counts.counts_N))
    alike_N = counts.counts_N == lines.counts_N
    faults.rows(
        counts.present_N & ~alike_N,
        lambda row: f"has {counts.counts_N[row]} values for {lines.counts_N[row]} lines",
    )
    faults.items(
        ~(np.isnan(values) | np.isin(values, np.arange(MOST_ATTACHED + 1))),
        counts.row_I,
        lambda at: f"attached hydrogens are {values[at]:g}, expected 0 to {MOST_ATTACHED}, or null",
    )
    usable_N = counts.present_N & alike_N
    attached[usable_N[lines.row_I]] = values[usable_N[counts.row_I]]
    return faults
