"""The compression operators phi_m (paper eq. 2, table 7, appendix B.5): one spectrum in, its tokens out.

NMR is kept almost whole, as discrete tokens; IR and MS/MS, long and redundant, become fewer continuous ones.
Every operator is a pure function of the spectrum and its settings, with the schema of its tokens beside it.
A value outside the range of an ordinal field takes the first or last bin.
"""

import math
import re
from collections.abc import Sequence

import numpy as np

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.spectra.compression_settings import (
    CarbonNMRSettings,
    HSQCSettings,
    HydrogenNMRSettings,
    InfraredSettings,
    TandemMSSettings,
)
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    FloatArray,
    HydrogenNMR,
    Infrared,
    Modality,
    Multiplet,
    TandemMS,
)
from mmspec_ds.spectra.tokens import ContinuousField, DiscreteField, Tokens, TokenSchema

MULTIPLICITIES = ("none", "s", "d", "t", "q", "p", "h", "hept", "m", "other")
"""Values of a multiplicity slot; "h" is the sextet, as the benchmark writes it."""

FORMULA_SYMBOLS = (
    *("other", "C", "H", "B", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I"),
    *("Li", "Na", "K", "Mg", "Al", "Ge", "As", "Sn", "Te", "+", "-"),
)
"""Values of the element field; "+" and "-" stand for the charge."""

SLOTS = (
    4  # couplings of a multiplet that are kept; a fifth occurs in 1 of the published sample's 911 multiplets
)
SPAN_BINS = 64
HYDROGENS = 32
J_BINS = 64
_ENERGY_BIN_EV, _ENERGY_BINS = 5.0, 40  # up to 200 eV
_COUNTS = 256
_MZ_WAVELENGTHS = (0.02, 2000.0)  # the shortest tells exact masses 0.01 apart, the longest spans the spectrum

_MULTIPLICITY_PART = re.compile(r"hept|.", re.DOTALL)
_MULTIPLICITY_IDS = {name: index for index, name in enumerate(MULTIPLICITIES)}
_SYMBOL_IDS = {symbol: index for index, symbol in enumerate(FORMULA_SYMBOLS)}


def h_nmr_schema(settings: HydrogenNMRSettings) -> TokenSchema:
    """Shift, span, multiplicity by letter, hydrogens, coupling constants."""
    shifts = _bin(settings.highest_ppm - settings.lowest_ppm, settings.bin_ppm) + 1
    return TokenSchema(
        discrete=(
            DiscreteField("shift", shifts, ordinal=True),
            DiscreteField("span", SPAN_BINS, ordinal=True),
            *(DiscreteField(f"multiplicity_{slot + 1}", len(MULTIPLICITIES)) for slot in range(SLOTS)),
            DiscreteField("hydrogens", HYDROGENS, ordinal=True),
            *(DiscreteField(f"j_{slot + 1}", J_BINS, ordinal=True) for slot in range(SLOTS)),
        )
    )


def compress_h_nmr(spectrum: HydrogenNMR, settings: HydrogenNMRSettings) -> Tokens:
    """One token a multiplet, from high to low shift, at most `max_tokens`.

    Shift bins are centred on multiples of `bin_ppm` (7.26 ppm is bin 93 of 0.1 ppm from -2), the span is that
    of the multiplet's edges, coupling bins count from 1 because 0 says that there is none.
    """
    ordered = sorted(spectrum.multiplets, key=lambda multiplet: -multiplet.centroid_ppm)
    highest = _bin(settings.highest_ppm - settings.lowest_ppm, settings.bin_ppm)
    rows = [_multiplet_fields(multiplet, settings, highest) for multiplet in ordered[: settings.max_tokens]]
    return discrete_tokens(Modality.H_NMR, rows, fields=3 + 2 * SLOTS)


def _multiplet_fields(multiplet: Multiplet, settings: HydrogenNMRSettings, highest_bin: int) -> list[int]:
    letters = multiplicity_ids(multiplet.category)
    couplings = [_clip(_bin(j, settings.j_bin_hz), 1, J_BINS - 1) for j in multiplet.j_hz[:SLOTS]]
    return [
        _clip(_bin(multiplet.centroid_ppm - settings.lowest_ppm, settings.bin_ppm), 0, highest_bin),
        _clip(_bin(multiplet.max_ppm - multiplet.min_ppm, settings.span_bin_ppm), 0, SPAN_BINS - 1),
        *letters,
        _clip(multiplet.hydrogens, 0, HYDROGENS - 1),
        *couplings,
        *[0] * (SLOTS - len(couplings)),
    ]


def multiplicity_ids(category: str) -> list[int]:
    """The four slots of a multiplicity as reports write it: "dd" is d, d, none, none; "heptd" is hept, d."""
    other = _MULTIPLICITY_IDS["other"]
    parts = [_MULTIPLICITY_IDS.get(part, other) for part in _MULTIPLICITY_PART.findall(category)[:SLOTS]]
    return parts + [0] * (SLOTS - len(parts))


def c_nmr_schema(settings: CarbonNMRSettings) -> TokenSchema:
    """The shift alone."""
    shifts = _bin(settings.highest_ppm - settings.lowest_ppm, settings.bin_ppm) + 1
    return TokenSchema(discrete=(DiscreteField("shift", shifts, ordinal=True),))


def compress_c_nmr(spectrum: CarbonNMR, settings: CarbonNMRSettings) -> Tokens:
    """One token a line, from high to low shift, at most `max_tokens`; equal lines are kept."""
    highest = _bin(settings.highest_ppm - settings.lowest_ppm, settings.bin_ppm)
    ordered = sorted(spectrum.shifts_ppm, reverse=True)[: settings.max_tokens]
    rows = [[_clip(_bin(ppm - settings.lowest_ppm, settings.bin_ppm), 0, highest)] for ppm in ordered]
    return discrete_tokens(Modality.C_NMR, rows, fields=1)


def ir_schema(settings: InfraredSettings) -> TokenSchema:
    """The intensities of a window, from low to high wavenumber; the order of windows carries the position."""
    fields = tuple(ContinuousField(f"intensity_{place + 1}") for place in range(settings.window))
    return TokenSchema(continuous=fields, ordered=True)


def compress_ir(spectrum: Infrared, settings: InfraredSettings) -> Tokens:
    """Resample to `intervals` points, normalise to [0, 1], and cut into windows: one token a window."""
    intensity = normalise_ir(resample_ir(spectrum, settings))
    windows = np.lib.stride_tricks.sliding_window_view(intensity, settings.window)[:: settings.stride]
    return continuous_tokens(Modality.IR, windows)


def resample_ir(spectrum: Infrared, settings: InfraredSettings) -> FloatArray:
    """Absorbance at `intervals` wavenumbers from `lowest_cm1` to `highest_cm1`, both included, by linear
    interpolation; beyond the ends of the measured range, its lowest value."""
    measured = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, len(spectrum.absorbance))
    absorbance = spectrum.absorbance
    if spectrum.start_cm1 > spectrum.stop_cm1:
        measured, absorbance = measured[::-1], absorbance[::-1]
    wanted = np.linspace(settings.lowest_cm1, settings.highest_cm1, settings.intervals)
    floor = float(absorbance.min())
    return np.interp(wanted, measured, absorbance, left=floor, right=floor)


def normalise_ir(absorbance: FloatArray) -> FloatArray:
    """Less the minimum, divided by the range: the result spans [0, 1]; a constant spectrum becomes zeros.

    A quarter of the published points are negative. Lifting by the minimum keeps every band's shape and does
    not depend on an offset; clipping at zero would flatten the weak bands that lie below it.
    """
    lowest, highest = absorbance.min(), absorbance.max()
    if highest <= lowest:
        return np.zeros_like(absorbance)
    return (absorbance - lowest) / (highest - lowest)


def ms_schema(settings: TandemMSSettings) -> TokenSchema:
    """m/z and relative intensity, with collision energy and polarity as attributes of the peak."""
    return TokenSchema(
        discrete=(DiscreteField("energy", _ENERGY_BINS + 1, ordinal=True), DiscreteField("polarity", 2)),
        continuous=(ContinuousField("mz", wavelengths=_MZ_WAVELENGTHS), ContinuousField("intensity")),
    )


def compress_ms(spectrum: TandemMS, max_peaks: int) -> Tokens:
    """The `max_peaks` strongest peaks, in the order of m/z, with intensities relative to the strongest.

    Of equally strong peaks the one of lower m/z is kept. Energy bin 0 is "unknown", bin 1 is 0 to 5 eV.
    """
    base_peak = float(spectrum.intensity.max(initial=0.0))
    relative = spectrum.intensity / base_peak if base_peak > 0 else np.zeros_like(spectrum.intensity)
    strongest = np.lexsort((spectrum.mz, -relative))[:max_peaks]
    kept = strongest[np.argsort(spectrum.mz[strongest], kind="stable")]
    attributes = [energy_bin(spectrum.collision_energy_ev), int(spectrum.polarity == "negative")]
    return Tokens(
        Modality.MS,
        np.tile(np.array(attributes, dtype=np.int16), (len(kept), 1)),
        np.stack([spectrum.mz[kept], relative[kept]], axis=1).astype(np.float32),
    )


def energy_bin(energy_ev: float | None) -> int:
    """The value of the energy field."""
    return 0 if energy_ev is None else 1 + _clip(int(energy_ev // _ENERGY_BIN_EV), 0, _ENERGY_BINS - 1)


def hsqc_schema(settings: HSQCSettings) -> TokenSchema:
    """13C shift, 1H shift, hydrogens (0 for unknown), whether the intensity is known, and the intensity."""
    carbon = _bin(settings.carbon_highest_ppm - settings.carbon_lowest_ppm, settings.carbon_bin_ppm) + 1
    hydrogen = _bin(settings.hydrogen_highest_ppm - settings.hydrogen_lowest_ppm, settings.hydrogen_bin_ppm) + 1
    return TokenSchema(
        discrete=(
            DiscreteField("carbon_shift", carbon, ordinal=True),
            DiscreteField("hydrogen_shift", hydrogen, ordinal=True),
            DiscreteField("hydrogens", HYDROGENS, ordinal=True),
            DiscreteField("intensity_known", 2),
        ),
        continuous=(ContinuousField("intensity"),),
    )


def compress_hsqc(spectrum: HSQC, settings: HSQCSettings) -> Tokens:
    """One token a cross peak, from high to low 13C shift, at most `max_tokens`. Intensities are relative to the
    largest in size and keep their sign; an unknown one is 0, with `intensity_known` 0."""
    low_c, width_c = settings.carbon_lowest_ppm, settings.carbon_bin_ppm
    low_h, width_h = settings.hydrogen_lowest_ppm, settings.hydrogen_bin_ppm
    last_c = _bin(settings.carbon_highest_ppm - low_c, width_c)
    last_h = _bin(settings.hydrogen_highest_ppm - low_h, width_h)
    ordered = sorted(spectrum.peaks, key=lambda peak: (-peak.carbon_ppm, -peak.hydrogen_ppm))
    largest = max((abs(peak.intensity) for peak in ordered if peak.intensity is not None), default=0.0) or 1.0
    kept = ordered[: settings.max_tokens]
    rows = [
        [
            _clip(_bin(peak.carbon_ppm - low_c, width_c), 0, last_c),
            _clip(_bin(peak.hydrogen_ppm - low_h, width_h), 0, last_h),
            _clip(peak.hydrogens or 0, 0, HYDROGENS - 1),
            int(peak.intensity is not None),
        ]
        for peak in kept
    ]
    intensity = np.array([[(peak.intensity or 0.0) / largest] for peak in kept], dtype=np.float32)
    discrete = np.array(rows, dtype=np.int16).reshape(len(rows), 4)
    return Tokens(Modality.HSQC, discrete, intensity.reshape(len(rows), 1))


def formula_schema() -> TokenSchema:
    """Element and count."""
    return TokenSchema(
        discrete=(
            DiscreteField("element", len(FORMULA_SYMBOLS)),
            DiscreteField("count", _COUNTS, ordinal=True),
        )
    )


def compress_formula(formula: str) -> Tokens:
    """One token an element, in the order in which they are written, and one for the charge if there is any.

    Raises:
        ValueError: the text is no formula.
    """
    return discrete_tokens(Modality.FORMULA, formula_ids(formula), fields=2)


def formula_ids(formula: str) -> list[list[int]]:
    """Element and count of each token of `compress_formula`.

    Raises:
        ValueError: the text is no formula.
    """
    counts, charge = parse_formula(formula)
    if charge:
        counts["+" if charge > 0 else "-"] = abs(charge)
    other = _SYMBOL_IDS["other"]
    return [[_SYMBOL_IDS.get(symbol, other), _clip(count, 0, _COUNTS - 1)] for symbol, count in counts.items()]


def discrete_tokens(modality: Modality, rows: Sequence[Sequence[int]], fields: int) -> Tokens:
    """Tokens of discrete fields alone, [len(rows), fields]."""
    discrete = np.array(rows, dtype=np.int16).reshape(len(rows), fields)
    return Tokens(modality, discrete, np.empty((len(rows), 0), dtype=np.float32))


def continuous_tokens(modality: Modality, values: FloatArray) -> Tokens:
    """Tokens of continuous fields alone, [n, fields]."""
    return Tokens(modality, np.empty((len(values), 0), dtype=np.int16), values.astype(np.float32))


def concatenate_tokens(parts: Sequence[Tokens]) -> Tokens:
    """The tokens of several spectra of one modality, one after the other.

    Raises:
        ValueError: there is no part.
    """
    if not parts:
        raise ValueError("no tokens to concatenate")
    if len(parts) == 1:
        return parts[0]
    return Tokens(
        parts[0].modality,
        np.concatenate([part.discrete for part in parts]),
        np.concatenate([part.continuous for part in parts]),
    )


def _bin(value: float, width: float) -> int:
    """The nearest multiple of `width`, halves upwards.

    Nearest, not floor: 7.3 ppm, a value on the grid of reports, is then far from an edge of its bin, which does
    not hang on the last bit.
    """
    return math.floor(value / width + 0.5)


def _clip(value: int, lowest: int, highest: int) -> int:
    return min(max(value, lowest), highest)
