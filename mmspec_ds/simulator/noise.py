"""What measuring does to a simulated spectrum: scatter, peaks that are missed and peaks that are not there."""

from dataclasses import replace
from hashlib import sha256
from typing import Self, assert_never

import numpy as np
from pydantic import ConfigDict, Field

from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    FloatArray,
    HydrogenNMR,
    Infrared,
    Multiplet,
    Record,
    Spectrum,
    TandemMS,
)

SPURIOUS_CARBON_PPM = (5.0, 200.0)
SPURIOUS_HYDROGEN_PPM = (0.8, 9.0)
SPURIOUS_INTENSITY = (1.0, 10.0)
"""Per cent of the largest peak."""
SPURIOUS_WIDTH_PPM = 0.034


class NoiseSettings(Settings):
    """How much noise is drawn; the defaults are the measurement noise of the starter set."""

    model_config = ConfigDict(allow_inf_nan=False)

    carbon_ppm: float = Field(default=2.0, ge=0, description="standard deviation of each 13C line, ppm")
    hydrogen_ppm: float = Field(default=0.2, ge=0, description="standard deviation of each 1H shift, ppm")
    shift_spread: float = Field(
        default=0.0,
        ge=0,
        description="a further error of each shift, in multiples of its environment's spread",
    )
    missing_exchangeable: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="probability that the hydrogen of an OH, NH or SH is not seen",
    )
    missing_peak: float = Field(
        default=0.02, ge=0, lt=1, description="probability that a line, multiplet or MS peak is missing"
    )
    spurious_peak: float = Field(
        default=0.02, ge=0, description="expected number of false peaks per true one, 13C, 1H and MS"
    )
    unresolved: float = Field(
        default=0.02, ge=0, le=1, description="probability that a multiplet is reported as m, without J"
    )
    ir_noise: float = Field(
        default=0.01, ge=0, description="standard deviation per point, parts of the maximum"
    )
    ir_baseline: float = Field(default=0.02, ge=0, description="standard deviation of offset and of slope")
    mz_ppm: float = Field(default=5.0, ge=0, description="standard deviation of m/z, parts per million")
    intensity: float = Field(
        default=0.15, ge=0, description="standard deviation of the logarithm of MS intensity"
    )

    @classmethod
    def off(cls) -> Self:
        """No noise at all."""
        return cls(**dict.fromkeys(cls.model_fields, 0.0))


def molecule_generator(seed: int, smiles: str) -> np.random.Generator:
    """A generator that depends on the seed and the molecule alone, not on which others are simulated."""
    digest = sha256(smiles.encode()).digest()[:16]
    return np.random.default_rng([seed, int.from_bytes(digest, "big")])


def without_shift_errors(settings: NoiseSettings) -> NoiseSettings:
    """The rest of the noise, for spectra whose 13C shifts were scattered before fluorine split them."""
    return settings.model_copy(update={"carbon_ppm": 0.0})


def add_noise(record: Record, settings: NoiseSettings, generator: np.random.Generator) -> Record:
    """The record with noise drawn on each spectrum; each has its own stream, so that turning the noise of
    one modality off leaves the others as they were."""
    streams = generator.spawn(len(record.spectra))
    spectra = tuple(_add_to(spectrum, settings, stream) for spectrum, stream in zip(record.spectra, streams))
    return replace(record, spectra=spectra)


def _add_to(spectrum: Spectrum, settings: NoiseSettings, random: np.random.Generator) -> Spectrum:
    match spectrum:
        case CarbonNMR():
            return noisy_carbon(spectrum, settings, random)
        case HydrogenNMR():
            return noisy_hydrogen(spectrum, settings, random)
        case Infrared():
            return noisy_infrared(spectrum, settings, random)
        case TandemMS():
            return noisy_tandem(spectrum, settings, random)
        case HSQC():
            return spectrum
        case _ as unknown:
            assert_never(unknown)


def noisy_carbon(spectrum: CarbonNMR, settings: NoiseSettings, random: np.random.Generator) -> CarbonNMR:
    """13C lines moved by `carbon_ppm`, some missing, some spurious; from high to low shift."""
    clean = np.array(spectrum.shifts_ppm)
    moved = clean + settings.carbon_ppm * random.standard_normal(len(clean))
    kept = moved[_kept(len(clean), settings, random)]
    false = random.uniform(*SPURIOUS_CARBON_PPM, random.poisson(settings.spurious_peak * len(clean)))
    return CarbonNMR(tuple(sorted(kept.tolist() + false.tolist(), reverse=True)))


def noisy_hydrogen(spectrum: HydrogenNMR, settings: NoiseSettings, random: np.random.Generator) -> HydrogenNMR:
    """Multiplets moved by `hydrogen_ppm` with their edges, some missing, some unresolved ("m", no J), some
    false singlets of one hydrogen; from high to low shift."""
    clean = spectrum.multiplets
    shifts = settings.hydrogen_ppm * random.standard_normal(len(clean))
    kept = _kept(len(clean), settings, random)
    unresolved = random.random(len(clean)) < settings.unresolved
    multiplets = [
        _moved(multiplet, float(shift), bool(blurred))
        for multiplet, shift, blurred, keep in zip(clean, shifts, unresolved, kept)
        if keep
    ]
    half = SPURIOUS_WIDTH_PPM / 2
    for centre in random.uniform(
        *SPURIOUS_HYDROGEN_PPM, random.poisson(settings.spurious_peak * len(clean))
    ).tolist():
        multiplets.append(Multiplet(centre, centre + half, centre - half, "s", 1))
    return HydrogenNMR(tuple(sorted(multiplets, key=lambda multiplet: -multiplet.centroid_ppm)))


def noisy_infrared(spectrum: Infrared, settings: NoiseSettings, random: np.random.Generator) -> Infrared:
    """Absorbance with noise on every point and a straight baseline; may go below 0, as measured ones do."""
    points = len(spectrum.absorbance)
    offset, slope = settings.ir_baseline * random.standard_normal(2)
    baseline = offset + slope * np.linspace(-0.5, 0.5, points)
    noise = settings.ir_noise * random.standard_normal(points)
    return replace(spectrum, absorbance=spectrum.absorbance + baseline + noise)


def noisy_tandem(spectrum: TandemMS, settings: NoiseSettings, random: np.random.Generator) -> TandemMS:
    """m/z moved by `mz_ppm`, intensities scattered, some peaks missing, some false; the largest 100 again."""
    count = len(spectrum.mz)
    mz = spectrum.mz * (1.0 + 1e-6 * settings.mz_ppm * random.standard_normal(count))
    intensity = spectrum.intensity * np.exp(settings.intensity * random.standard_normal(count))
    kept = _kept(count, settings, random)
    false = random.poisson(settings.spurious_peak * count)
    mz = np.concatenate([mz[kept], random.uniform(0.3, 1.0, false) * spectrum.mz.max()])
    intensity = np.concatenate([intensity[kept], random.uniform(*SPURIOUS_INTENSITY, false)])
    order = np.argsort(mz, kind="stable")
    return replace(spectrum, mz=mz[order], intensity=100.0 * intensity[order] / intensity.max())


def _kept(count: int, settings: NoiseSettings, random: np.random.Generator) -> np.ndarray:
    """Mask of the peaks that are seen; at least one always is."""
    draws: FloatArray = random.random(count)
    mask: np.ndarray = draws >= settings.missing_peak
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
