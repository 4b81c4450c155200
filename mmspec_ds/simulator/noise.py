"""Measurement noise for simulated spectra: errors of positions, missing peaks and false peaks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256

import numpy as np

from mmspec_ds.simulator.noise_settings import NoiseSettings
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

BAND_CM1 = 40.0
"""Distance at which errors of heights and places of an IR spectrum are independent: about a band's width."""


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
    """The spectra with noise.

    Args:
        spectra: of one molecule, of any kinds but EI.
        settings: how much.
        streams: a generator for each spectrum, so that the noise of one modality does not depend on that of
            another.
        multiplet_errors_ppm: errors of the 1H multiplets that are already drawn; without, they are drawn here.
    """
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
    """Errors of the shifts of `count` multiplets, ppm, [count]."""
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
