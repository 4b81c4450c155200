"""Measurement noise for simulated spectra: errors of positions, missing peaks and false peaks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Literal, Self

import numpy as np
from pydantic import ConfigDict, Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.modalities.c_nmr import FALSE_SHIFT_PPM as FALSE_CARBON_PPM
from mmspec_ds.spectra.modalities.h_nmr import FALSE_SHIFT_PPM as FALSE_HYDROGEN_PPM
from mmspec_ds.spectra.modalities.h_nmr import LISTED_SPAN_PPM
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    FloatArray,
    HSQCPeak,
    HydrogenNMR,
    Infrared,
    Multiplet,
    Spectrum,
    TandemMS,
)

FALSE_INTENSITY = (1.0, 10.0)
"""Per cent of the largest MS/MS peak."""

Profile = Literal["benchmark", "measured-lists", "hard"]
MEASURED_LISTS = {
    "carbon_ppm": 0.5,
    "hydrogen_ppm": 0.05,
    "shift_spread": 1.0,
    "missing_exchangeable": 0.5,
    "no_couplings": 1.0,
    "no_integrals": 0.95,
}
HARD = {
    "missing_exchangeable": 0.7,
    "missing_peak": 0.15,
    "spurious_peak": 0.1,
    "unresolved": 0.3,
    "no_couplings": 0.3,
    "no_integrals": 0.3,
    "unknown_hydrogens": 0.5,
    "ir_noise": 0.02,
    "ir_bands": 0.7,
    "ir_shift_cm1": 20.0,
    "mz_ppm": 10.0,
    "precursor_ppm": 10.0,
    "intensity": 1.5,
    "missing_fragment": 0.8,
}
BAND_CM1 = 40.0
"""Distance at which errors of heights and places of an IR spectrum are independent: about a band's width."""


class NoiseSettings(Settings):
    """How much noise is drawn; the defaults are the measurement noise of the starter set."""

    model_config = ConfigDict(allow_inf_nan=False)

    carbon_ppm: float = Field(default=2.0, ge=0, description="standard deviation of each 13C shift, ppm")
    hydrogen_ppm: float = Field(default=0.2, ge=0, description="standard deviation of each 1H shift, ppm")
    shift_spread: float = Field(
        default=0.0, ge=0, description="further error of each shift, in multiples of its environment's spread"
    )
    missing_exchangeable: float = Field(
        default=0.3, ge=0, le=1, description="probability that the hydrogen of an OH, NH or SH is not seen"
    )
    missing_peak: float = Field(
        default=0.02, ge=0, lt=1, description="probability that a 13C, 1H, HSQC or MS/MS peak is missing"
    )
    spurious_peak: float = Field(
        default=0.02, ge=0, description="expected number of false peaks per true one, 13C, 1H, HSQC and MS/MS"
    )
    unresolved: float = Field(
        default=0.02, ge=0, le=1, description="probability that a multiplet is reported as m, without J"
    )
    no_couplings: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="probability that all multiplets of a spectrum are m, without J and ranges",
    )
    no_integrals: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="probability that all multiplets of a spectrum count as one hydrogen",
    )
    unknown_hydrogens: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="probability that the hydrogens of a 13C line or an HSQC peak are unknown",
    )
    hsqc_carbon_ppm: float = Field(
        default=0.3, ge=0, description="standard deviation between HSQC peak and 13C line, ppm"
    )
    hsqc_hydrogen_ppm: float = Field(
        default=0.01, ge=0, description="standard deviation between HSQC peak and 1H multiplet, ppm"
    )
    hsqc_intensity: float = Field(
        default=0.3, ge=0, description="standard deviation of the logarithm of HSQC intensity"
    )
    ir_noise: float = Field(
        default=0.01, ge=0, description="standard deviation per point, as a share of the maximum"
    )
    ir_baseline: float = Field(default=0.02, ge=0, description="standard deviation of offset and of slope")
    ir_bands: float = Field(
        default=0.0, ge=0, description="standard deviation of the logarithm of the absorbance of a band"
    )
    ir_shift_cm1: float = Field(
        default=0.0, ge=0, description="standard deviation of the place of a band, cm-1"
    )
    mz_ppm: float = Field(default=5.0, ge=0, description="standard deviation of m/z, parts per million")
    precursor_ppm: float = Field(
        default=5.0, ge=0, description="standard deviation of the precursor's m/z, parts per million"
    )
    intensity: float = Field(
        default=0.15, ge=0, description="standard deviation of the logarithm of MS/MS intensity"
    )
    missing_fragment: float = Field(
        default=0.0, ge=0, lt=1, description="probability that an MS/MS peak is missing, besides missing_peak"
    )

    @classmethod
    def of_profile(cls, name: Profile) -> Self:
        """The noise of a kind of data.

        benchmark: the default.
        measured-lists: the lists of shifts of public databases of measured spectra, which mostly have no
            couplings, ranges and numbers of hydrogens. Errors of shifts there are those that the table itself
            has for an environment.
        hard: such that no spectrum alone identifies a molecule: peaks lost, and IR and MS/MS, which the default
            leaves as the rules of the simulator make them, with errors of heights and places.
        """
        numbers: Mapping[str, float] = {"benchmark": {}, "measured-lists": MEASURED_LISTS, "hard": HARD}[name]
        return cls(**numbers)

    @classmethod
    def off(cls) -> Self:
        """Settings without any noise."""
        return cls(**dict.fromkeys(cls.model_fields, 0.0))


def molecule_generator(seed: int, smiles: str) -> np.random.Generator:
    """A generator that depends on the seed and the molecule alone, not on other molecules."""
    digest = sha256(smiles.encode()).digest()[:16]
    return np.random.default_rng([seed, int.from_bytes(digest, "big")])


def add_noise(
    spectra: Sequence[Spectrum],
    settings: NoiseSettings,
    streams: Sequence[np.random.Generator],
    multiplet_errors_ppm: FloatArray | None = None,
) -> tuple[Spectrum, ...]:
    """The spectra with noise. Each has its own generator in `streams`, so the noise of one modality does not
    depend on that of another. `multiplet_errors_ppm` are errors of the 1H multiplets that are already drawn."""
    noisy: dict[type, Callable[..., Spectrum]] = {
        HydrogenNMR: partial(noisy_hydrogen, errors_ppm=multiplet_errors_ppm),
        CarbonNMR: noisy_carbon,
        Infrared: noisy_infrared,
        TandemMS: noisy_tandem,
        HSQC: noisy_hsqc,
    }
    return tuple(
        noisy[type(spectrum)](spectrum, settings, stream)
        for spectrum, stream in zip(spectra, streams, strict=True)
    )


def noisy_carbon(spectrum: CarbonNMR, settings: NoiseSettings, random: np.random.Generator) -> CarbonNMR:
    """13C lines moved by `carbon_ppm`, some missing, some false; from high to low shift. The hydrogens of some
    lines become unknown; those of a false line are any number from 0 to 3."""
    clean = np.array(spectrum.shifts_ppm)
    moved = clean + settings.carbon_ppm * random.standard_normal(len(clean))
    kept = _kept(len(clean), settings, random)
    false = random.uniform(*FALSE_CARBON_PPM, random.poisson(settings.spurious_peak * len(clean)))
    shifts = np.concatenate([moved[kept], false])
    order = np.argsort(-shifts, kind="stable")
    if not spectrum.attached_hydrogens:
        return CarbonNMR(tuple(shifts[order].tolist()))
    (of_hydrogens,) = random.spawn(1)
    hydrogens = [count for count, keep in zip(spectrum.attached_hydrogens, kept) if keep]
    hydrogens += of_hydrogens.integers(0, 4, len(false)).tolist()
    unknown = of_hydrogens.random(len(shifts)) < settings.unknown_hydrogens
    attached = tuple(None if unknown[place] else hydrogens[place] for place in order)
    return CarbonNMR(tuple(shifts[order].tolist()), attached)


def multiplet_errors(count: int, settings: NoiseSettings, random: np.random.Generator) -> FloatArray:
    """Errors (ppm) of the shifts of `count` multiplets."""
    errors: FloatArray = settings.hydrogen_ppm * random.standard_normal(count)
    return errors


def noisy_hydrogen(
    spectrum: HydrogenNMR,
    settings: NoiseSettings,
    random: np.random.Generator,
    errors_ppm: FloatArray | None = None,
) -> HydrogenNMR:
    """Multiplets moved with their edges, some missing, some unresolved ("m", no J), and false singlets of one
    hydrogen; all of them may lose couplings and ranges, or their number of hydrogens; from high to low shift.
    `errors_ppm` are the errors of the shifts if `random` has given them."""
    clean = spectrum.multiplets
    errors = multiplet_errors(len(clean), settings, random) if errors_ppm is None else errors_ppm
    kept = _kept(len(clean), settings, random)
    unresolved = random.random(len(clean)) < settings.unresolved
    multiplets = [
        _moved(multiplet, float(error), bool(blurred))
        for multiplet, error, blurred, keep in zip(clean, errors, unresolved, kept)
        if keep
    ]
    false = random.uniform(*FALSE_HYDROGEN_PPM, random.poisson(settings.spurious_peak * len(clean)))
    half = LISTED_SPAN_PPM / 2
    multiplets += [Multiplet(centre, centre + half, centre - half, "s", 1) for centre in false.tolist()]
    (of_list,) = random.spawn(1)
    without_couplings, without_integrals = of_list.random(2) < (settings.no_couplings, settings.no_integrals)
    if without_couplings:
        multiplets = [_listed(multiplet) for multiplet in multiplets]
    if without_integrals:
        multiplets = [replace(multiplet, hydrogens=1) for multiplet in multiplets]
    return HydrogenNMR(tuple(sorted(multiplets, key=lambda multiplet: -multiplet.centroid_ppm)))


def noisy_hsqc(spectrum: HSQC, settings: NoiseSettings, random: np.random.Generator) -> HSQC:
    """Cross peaks moved by `hsqc_carbon_ppm` and `hsqc_hydrogen_ppm`, intensities scattered, some peaks
    missing, some false, some with an unknown number of hydrogens; from high to low 13C shift."""
    count = len(spectrum.peaks)
    moves = random.standard_normal((3, count)) * [
        [settings.hsqc_carbon_ppm], [settings.hsqc_hydrogen_ppm], [settings.hsqc_intensity]
    ]  # fmt: skip
    unknown = random.random(count) < settings.unknown_hydrogens
    peaks = [
        HSQCPeak(
            peak.carbon_ppm + carbon,
            peak.hydrogen_ppm + hydrogen,
            None if is_unknown else peak.hydrogens,
            None if peak.intensity is None else peak.intensity * float(np.exp(logarithm)),
        )
        for peak, (carbon, hydrogen, logarithm), is_unknown, keep in zip(
            spectrum.peaks, moves.T.tolist(), unknown, _kept(count, settings, random)
        )
        if keep
    ]
    false = random.poisson(settings.spurious_peak * count)
    places = zip(random.uniform(*FALSE_CARBON_PPM, false), random.uniform(*FALSE_HYDROGEN_PPM, false))
    peaks += [HSQCPeak(float(carbon), float(hydrogen), 1, 1.0) for carbon, hydrogen in places]
    return HSQC(tuple(sorted(peaks, key=lambda peak: (-peak.carbon_ppm, -peak.hydrogen_ppm))))


def noisy_infrared(spectrum: Infrared, settings: NoiseSettings, random: np.random.Generator) -> Infrared:
    """Absorbance with other heights and places of bands, noise on every point and a straight baseline; it may
    be below 0, as when measured."""
    points, absorbance = len(spectrum.absorbance), spectrum.absorbance
    offset, slope = settings.ir_baseline * random.standard_normal(2)
    baseline = offset + slope * np.linspace(-0.5, 0.5, points)
    noise = settings.ir_noise * random.standard_normal(points)
    if settings.ir_bands or settings.ir_shift_cm1:
        (of_bands,) = random.spawn(1)  # drawn apart: the other noise is as without
        absorbance = _other_bands(spectrum, settings, of_bands)
    return replace(spectrum, absorbance=absorbance + baseline + noise)


def _other_bands(spectrum: Infrared, settings: NoiseSettings, random: np.random.Generator) -> FloatArray:
    """The curve with every place moved and every height multiplied, by errors that are independent BAND_CM1
    apart and change evenly between; the largest is 1 again."""
    grid = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, len(spectrum.absorbance))
    low, high = min(spectrum.start_cm1, spectrum.stop_cm1), max(spectrum.start_cm1, spectrum.stop_cm1)
    knots = np.linspace(low, high, 2 + int((high - low) / BAND_CM1))
    places, heights = (np.interp(grid, knots, draw) for draw in random.standard_normal((2, len(knots))))
    order = np.argsort(grid)
    moved = np.interp(grid + settings.ir_shift_cm1 * places, grid[order], spectrum.absorbance[order]) * np.exp(
        settings.ir_bands * heights
    )
    largest = moved.max()
    return np.asarray(moved / largest if largest > 0 else moved)


def noisy_tandem(spectrum: TandemMS, settings: NoiseSettings, random: np.random.Generator) -> TandemMS:
    """m/z moved by `mz_ppm`, intensities scattered (the largest is 100 again), some peaks missing, some false;
    the precursor's m/z moved by `precursor_ppm`."""
    count = len(spectrum.mz)
    mz = spectrum.mz * (1.0 + 1e-6 * settings.mz_ppm * random.standard_normal(count))
    intensity = spectrum.intensity * np.exp(settings.intensity * random.standard_normal(count))
    kept = _kept(count, settings, random)
    false = random.poisson(settings.spurious_peak * count)
    mz = np.concatenate([mz[kept], random.uniform(0.3, 1.0, false) * spectrum.mz.max()])
    intensity = np.concatenate([intensity[kept], random.uniform(*FALSE_INTENSITY, false)])
    order = np.argsort(mz, kind="stable")
    precursor = spectrum.precursor_mz
    if precursor is not None:
        (of_precursor,) = random.spawn(1)
        precursor *= 1.0 + 1e-6 * settings.precursor_ppm * of_precursor.standard_normal()
    if settings.missing_fragment:
        (of_fragments,) = random.spawn(1)
        draws = of_fragments.random(len(mz))
        seen = draws >= settings.missing_fragment
        seen[np.argmax(draws)] = True
        order = order[seen[order]]
    return replace(
        spectrum,
        mz=mz[order],
        intensity=100.0 * intensity[order] / intensity[order].max(),
        precursor_mz=precursor,
    )


def _kept(count: int, settings: NoiseSettings, random: np.random.Generator) -> np.ndarray:
    """Mask of the peaks that are seen; at least one always is, where there are any."""
    draws: FloatArray = random.random(count)
    mask: np.ndarray = draws >= settings.missing_peak
    if count:
        mask[np.argmax(draws)] = True
    return mask


def _moved(multiplet: Multiplet, by_ppm: float, blurred: bool) -> Multiplet:
    moved = replace(
        multiplet,
        centroid_ppm=multiplet.centroid_ppm + by_ppm,
        max_ppm=multiplet.max_ppm + by_ppm,
        min_ppm=multiplet.min_ppm + by_ppm,
    )
    return replace(moved, category="m", j_hz=()) if blurred else moved


def _listed(multiplet: Multiplet) -> Multiplet:
    """A multiplet of which only the position is known, as readers of lists give it."""
    half = LISTED_SPAN_PPM / 2
    centre = multiplet.centroid_ppm
    return replace(multiplet, max_ppm=centre + half, min_ppm=centre - half, category="m", j_hz=())
