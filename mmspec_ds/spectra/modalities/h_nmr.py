"""1H NMR: one token a multiplet, all fields discrete (paper table 7, appendix B.5)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from mmspec_ds.spectra.axes import Axis, AxisReading, Intensities, Number
from mmspec_ds.spectra.columns import (
    Faults,
    FileColumn,
    Items,
    ListCells,
    bins,
    discrete_tokens,
    float_values,
    struct_of,
)
from mmspec_ds.spectra.modalities import h_nmr_file
from mmspec_ds.spectra.modalities.definition import (
    Drawing,
    ModalityDefinition,
    ShiftSettings,
    one_each,
    without_faults,
)
from mmspec_ds.spectra.packed import IntArray, PackedTokens, bounds_of, places
from mmspec_ds.spectra.records import FloatArray, HydrogenNMR, Modality, Multiplet, Record, Spectrum
from mmspec_ds.spectra.token_noise import Draws, NoisyPeaks, PeakNoise
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema

COLUMN = "h_nmr_peaks"
SHIFT_LIMITS_PPM = (-10.0, 30.0)
"""1H shifts outside are taken for a fault of the file."""

CATEGORY = re.compile(r"(?:hept|[sdtqphm])+")
"""The multiplicities of the benchmark: letters s d t q p h (sextet) m and hept, one after the other."""

MULTIPLICITIES = ("none", "s", "d", "t", "q", "p", "h", "hept", "m", "other")
"""Values of a multiplicity slot; "h" is the sextet, as the benchmark writes it."""

SLOTS = 4
"""Couplings of a multiplet that are kept; a fifth occurs in 1 of the published sample's 911 multiplets."""

LISTED_SPAN_PPM = 0.034
"""Span of a multiplet in a list without ranges and couplings: the median singlet of the published sample."""
FALSE_SHIFT_PPM = (0.8, 9.0)
"""1H shifts of false multiplets."""

SPAN_BINS = 64
HYDROGENS = 32
J_BINS = 64

_NUMBERS = ("centroid", "rangeMax", "rangeMin", "nH")
_TEXTS = ("category", "j_values")
_FIELDS = tuple(sorted((*_NUMBERS, *_TEXTS)))
_ARROW = pa.list_(
    pa.struct(
        {
            "category": pa.string(),
            "centroid": pa.float64(),
            "delta": pa.float64(),
            "j_values": pa.string(),
            "nH": pa.int64(),
            "rangeMax": pa.float64(),
            "rangeMin": pa.float64(),
        }
    )
)
_MULTIPLICITY_PART = re.compile(r"hept|.", re.DOTALL)
_MULTIPLICITY_IDS = {name: index for index, name in enumerate(MULTIPLICITIES)}


class HydrogenNMRSettings(ShiftSettings):
    """1H: one token a multiplet. Positions and widths in ppm, couplings in Hz."""

    lowest_ppm: float = -2.0
    highest_ppm: float = 18.0
    span_bin_ppm: float = Field(default=0.05, gt=0, description="width of a bin of the multiplet's span")
    j_bin_hz: float = Field(default=0.5, gt=0, description="width of a bin of the coupling constants")


class HydrogenNMRNoise(PeakNoise):
    """1H multiplets moved, missing, false, and as lists of shifts alone have them."""

    shift_ppm: float = Field(default=0.0, ge=0, description="standard deviation of a shift")
    unresolved: float = Field(
        default=0.0, ge=0, le=1, description="probability that a multiplet is m, without couplings"
    )
    couplings_lost: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="probability that all multiplets of a spectrum are m, without couplings and ranges",
    )
    integrals_lost: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="probability that all multiplets of a spectrum count as one hydrogen, as without integrals",
    )


@dataclass(frozen=True, slots=True)
class Multiplets:
    """The multiplets of N rows: `items` with centroid, highest, lowest (ppm), hydrogens and category (a place
    in `categories`); of each multiplet its coupling constants, `j_counts_I` and end to end `j_hz`."""

    items: Items
    categories: Sequence[str]
    j_counts_I: IntArray
    j_hz: FloatArray


class HydrogenNMRDefinition(ModalityDefinition[Multiplets, HydrogenNMRSettings]):
    """The 1H spectrum; several of one record are read as one."""

    modality = Modality.H_NMR
    name = "h_nmr"
    label = "1H NMR"
    unit = "ppm"
    token_kind = "multiplet"
    stored_in = COLUMN
    file_column = FileColumn(
        COLUMN,
        lambda kind: struct_of(kind, _NUMBERS, _TEXTS),
        f"a list of structs with {', '.join(_FIELDS)}",
        _FIELDS,
    )
    settings = HydrogenNMRSettings()
    noise = HydrogenNMRNoise()

    def schema(self, settings: HydrogenNMRSettings) -> TokenSchema:
        """Shift, span, multiplicity by letter, hydrogens, coupling constants. On the axis of 1H shifts a token
        has an intensity of a tenth of its hydrogens, and its span; multiplicity and couplings are not told."""
        return TokenSchema(
            discrete=(
                DiscreteField("shift", settings.last_bin + 1, ordinal=True),
                DiscreteField("span", SPAN_BINS, ordinal=True),
                *(DiscreteField(f"multiplicity_{slot + 1}", len(MULTIPLICITIES)) for slot in range(SLOTS)),
                DiscreteField("hydrogens", HYDROGENS, ordinal=True),
                *(DiscreteField(f"j_{slot + 1}", J_BINS, ordinal=True) for slot in range(SLOTS)),
            ),
            axis=AxisReading(
                Axis.H_PPM,
                Number("shift", settings.bin_ppm, settings.lowest_ppm),
                Intensities(("hydrogens",), times=0.1),
                extent=Number("span", settings.span_bin_ppm),
            ),
        )

    def most_tokens(self, settings: HydrogenNMRSettings) -> int:
        """The largest number of tokens of a sample that the settings allow."""
        return settings.max_tokens

    def compress(self, columns: Multiplets, settings: HydrogenNMRSettings) -> PackedTokens:
        """One token a multiplet, from high to low shift, at most `max_tokens`.

        Shift bins are centred on multiples of `bin_ppm` (7.26 ppm is bin 93 of 0.1 ppm from -2), the span is
        that between the multiplet's edges, coupling bins count from 1 because 0 means that there is none. A
        value outside the range of a field takes its first or last bin.
        """
        items = columns.items
        order, offsets = items.first(settings.max_tokens, -items["centroid"])
        couplings, fields = columns.j_hz, np.zeros((len(order), 3 + 2 * SLOTS), dtype=np.int16)
        shift, span = items["centroid"] - settings.lowest_ppm, items["highest"] - items["lowest"]
        fields[:, 0] = bins(shift[order], settings.bin_ppm, 0, settings.last_bin)
        fields[:, 1] = bins(span[order], settings.span_bin_ppm, 0, SPAN_BINS - 1)
        letters = np.array([multiplicity_ids(text) for text in columns.categories], dtype=np.int16)
        fields[:, 2 : 2 + SLOTS] = letters.reshape(-1, SLOTS)[items["category"][order]]
        fields[:, 2 + SLOTS] = np.clip(items["hydrogens"][order], 0, HYDROGENS - 1)
        if len(couplings):
            place, kept = places(columns.j_counts_I), np.zeros((len(shift), SLOTS), dtype=np.int16)
            row, first = np.repeat(np.arange(len(shift)), columns.j_counts_I), place < SLOTS
            kept[row[first], place[first]] = bins(couplings[first], settings.j_bin_hz, 1, J_BINS - 1)
            fields[:, 3 + SLOTS :] = kept[order]
        return discrete_tokens(fields, offsets)

    def with_noise(
        self, tokens: PackedTokens, settings: HydrogenNMRSettings, noise: HydrogenNMRNoise, draws: Draws
    ) -> PackedTokens:
        """A false multiplet is a singlet of one hydrogen."""
        peaks = NoisyPeaks.of(tokens.counts, noise, draws)
        fields = tokens.discrete[peaks.source_T]
        shift = settings.lowest_ppm + settings.bin_ppm * fields[:, 0]
        shift = peaks.moved(shift, noise.shift_ppm, FALSE_SHIFT_PPM, draws)
        fields[:, 0] = bins(shift - settings.lowest_ppm, settings.bin_ppm, 0, settings.last_bin)
        fields[peaks.false_T, 1:] = _listed("s", settings)
        lost = draws.lost(noise.couplings_lost, peaks.counts_N)
        hydrogens = fields[:, 2 + SLOTS].copy()
        fields[lost, 1:] = _listed("m", settings)
        fields[:, 2 + SLOTS] = np.where(draws.lost(noise.integrals_lost, peaks.counts_N), 1, hydrogens)
        if noise.unresolved:
            blurred = (draws.items(peaks.counts_N) < noise.unresolved) & ~peaks.false_T
            fields[blurred, 2 : 2 + SLOTS], fields[blurred, 3 + SLOTS :] = multiplicity_ids("m"), 0
        order, offsets = Items(peaks.counts_N, {}).first(settings.max_tokens, -fields[:, 0])
        return discrete_tokens(fields[order], offsets)

    def from_records(self, records: Sequence[Record]) -> Multiplets:
        """The multiplets of all 1H spectra of a record: `centroid`, `highest` and `lowest` in ppm, `hydrogens`,
        the number of the `category`; and couplings in Hz."""
        rows = [[m for s in r.spectra if isinstance(s, HydrogenNMR) for m in s.multiplets] for r in records]
        flat = [multiplet for row in rows for multiplet in row]
        categories: dict[str, int] = {}
        category = [categories.setdefault(one.category, len(categories)) for one in flat]
        values = [(one.centroid_ppm, one.max_ppm, one.min_ppm, one.hydrogens) for one in flat]
        items = Items.of(rows, ("centroid", "highest", "lowest", "hydrogens"), values)
        items = replace(items, fields={**items.fields, "category": np.array(category, dtype=np.int64)})
        couplings = np.array([j for one in flat for j in one.j_hz], dtype=np.float64)
        j_counts = np.array([len(one.j_hz) for one in flat], dtype=np.int64)
        return Multiplets(items, list(categories), j_counts, couplings)

    def decode(self, cells: Mapping[str, pa.Array], learnt: Any) -> tuple[Multiplets, list[Faults]]:
        """See `ModalityDefinition`."""
        lists = ListCells(cells[COLUMN])
        faults, multiplets, row_I = lists.faults(COLUMN), lists.values, lists.row_I
        numbers = [lists.pick(float_values(multiplets.field(name))).astype(np.float64) for name in _NUMBERS]
        centroid, highest, lowest, hydrogens = numbers
        for name, values in zip(_NUMBERS[:3], numbers):
            faults.shifts(name, values, row_I, SHIFT_LIMITS_PPM)
        faults.items(
            highest < lowest,
            row_I,
            lambda at: f"rangeMax {highest[at]:g} is below rangeMin {lowest[at]:g} ppm",
        )
        whole = (hydrogens >= 0) & (hydrogens < np.inf) & (hydrogens == np.floor(hydrogens))
        faults.items(~whole, row_I, lambda at: f"nH is {hydrogens[at]:g}, expected a count of hydrogens")
        texts, index = h_nmr_file.categories(multiplets.field("category"))
        category = lists.pick(index)
        known = np.array([text is not None and CATEGORY.fullmatch(text) is not None for text in texts])
        faults.items(
            ~known[category],
            row_I,
            lambda at: (
                f"multiplicity category {texts[category[at]]!r} is unknown (letters: s d t q p h hept m)"
            ),
        )
        j_counts, j_hz = h_nmr_file.couplings(multiplets.field("j_values"), lists, faults)
        fields = {"centroid": centroid, "highest": highest, "lowest": lowest, "hydrogens": hydrogens}
        items = Items(lists.counts_N, {**fields, "category": category})
        kept_N = without_faults([faults])
        if not kept_N.all():
            kept_I = kept_N[row_I]
            j_hz, j_counts = j_hz[np.repeat(kept_I, j_counts)], j_counts[kept_I]
        return Multiplets(items.where(kept_N), [text or "" for text in texts], j_counts, j_hz), [faults]

    def spectra(self, columns: Multiplets) -> list[tuple[Spectrum, ...]]:
        """The spectra of each of N rows."""
        items, couplings = columns.items, columns.j_hz.tolist()
        names = ("centroid", "highest", "lowest", "category", "hydrogens")
        multiplets = [
            Multiplet(
                centre, high, low, columns.categories[category], int(count), tuple(couplings[slice(*bounds)])
            )
            for centre, high, low, category, count, bounds in zip(
                *(items[name].tolist() for name in names), bounds_of(columns.j_counts_I)
            )
        ]
        bounds = bounds_of(items.counts_N)
        return [(HydrogenNMR(tuple(multiplets[a:b])),) if b > a else () for a, b in bounds]

    def arrays(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """See `ModalityDefinition`."""
        spectra: list[HydrogenNMR | None] = one_each(records, self.modality, COLUMN)
        cells = [one and [_struct(multiplet) for multiplet in one.multiplets] for one in spectra]
        return {COLUMN: pa.array(cells, _ARROW)}

    def text(self, record: Record) -> list[str] | None:
        """1HNMR, then of each multiplet: upper edge, lower edge (ppm, two decimals), category, hydrogens, and J
        with the coupling constants (Hz, two decimals) if there are any; a bar between multiplets."""
        spectrum = next((one for one in record.spectra if isinstance(one, HydrogenNMR)), None)
        if spectrum is None:
            return None
        tokens: list[str] = []
        for one in spectrum.multiplets:
            tokens += ["|", f"{one.max_ppm:.2f}", f"{one.min_ppm:.2f}", one.category, f"{one.hydrogens}H"]
            if one.j_hz:
                tokens += ["J", *(f"{coupling:.2f}" for coupling in one.j_hz)]
        return ["1HNMR", *tokens[1:]]

    def drawing(self, spectrum: HydrogenNMR) -> Drawing:
        """What to draw of one spectrum."""
        shifts = np.array([one.centroid_ppm for one in spectrum.multiplets])
        hydrogens = np.array([float(one.hydrogens) for one in spectrum.multiplets])
        return Drawing("sticks", shifts, hydrogens, "1H shift (ppm)", "hydrogens", reverse="x")


def multiplicity_ids(category: str) -> list[int]:
    """The four slots of a multiplicity as reports write it: "dd" is d, d, none, none; "heptd" is hept, d."""
    other = _MULTIPLICITY_IDS["other"]
    parts = [_MULTIPLICITY_IDS.get(part, other) for part in _MULTIPLICITY_PART.findall(category)[:SLOTS]]
    return parts + [0] * (SLOTS - len(parts))


def _listed(category: str, settings: HydrogenNMRSettings) -> list[int]:
    """The fields after the shift of one hydrogen in a list without ranges and couplings."""
    span = int(bins(np.array(LISTED_SPAN_PPM), settings.span_bin_ppm, 0, SPAN_BINS - 1))
    return [span, *multiplicity_ids(category), 1, *[0] * SLOTS]


def _struct(multiplet: Multiplet) -> dict[str, Any]:
    return {
        "category": multiplet.category,
        "centroid": multiplet.centroid_ppm,
        # The benchmark's delta is its centroid to within 0.04 ppm; a multiplet here has one position.
        "delta": multiplet.centroid_ppm,
        "j_values": "".join(f"{float(j)!r}_" for j in multiplet.j_hz) or None,
        "nH": multiplet.hydrogens,
        "rangeMax": multiplet.max_ppm,
        "rangeMin": multiplet.min_ppm,
    }
