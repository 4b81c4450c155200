"""A cohort of two classes whose blood samples are mixtures: tables of NMR and MS whose truth is known.

Letters of axes: N samples, P patients, K metabolites, B bins of the NMR table, L lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mmspec_ds.errors import ConfigError
from mmspec_ds.settings import Settings
from mmspec_ds.simulator.metabolites import Metabolite, serum_metabolites
from mmspec_ds.spectra.records import FloatArray

SeenBy = Literal["nmr", "ms", "both", "neither"]
CLASSES = ("control", "case")
HALF_WIDTH_PPM = 0.002
"""Of a Lorentzian line at half its height: 1 Hz at 500 MHz."""
WATER_PPM = (4.6, 5.0)
"""The region of the water signal, which tables leave out."""
HUMPS = ((0.87, 0.12, 900.0), (1.27, 0.12, 1800.0), (2.02, 0.10, 500.0), (3.22, 0.08, 500.0))
"""Broad signals of lipoproteins: centre and spread in ppm, area in micromoles of hydrogens per litre."""
COUNTS_PER_MICROMOLAR = 10_000.0
SEEN_NOISES, SEEN_SHARE = 3.0, 0.25
"""NMR sees a metabolite that adds so many standard deviations of noise to a bin, and this share of the bin."""
SEEN_LIMITS = 2.0
"""MS sees a metabolite whose typical counts are so many times the limit: few samples fall below it."""


class MixtureSettings(Settings):
    """What a simulated cohort is like. Spreads are standard deviations of natural logarithms."""

    patients: int = Field(default=200, ge=4)
    seed: int = Field(default=0, ge=0, description="of patients and noise")
    study: int | None = Field(
        default=None, ge=0, description="seed of the choice of markers; `seed` if not given"
    )
    instrument: int = Field(
        default=0, ge=0, description="seed of the response factors of the mass spectrometer"
    )
    cases: float = Field(default=0.5, gt=0, lt=1, description="share of the patients")
    markers: int = Field(default=3, ge=0, description="seen by NMR alone, as many by MS alone, as many by both")
    effect: float = Field(default=0.3, ge=0, description="mean logarithm of a marker's fold change")
    biology: float = Field(default=0.4, ge=0, description="spread of a concentration between patients")
    correlation: float = Field(default=0.4, ge=0, lt=1, description="between metabolites of one pathway")
    within: float = Field(default=0.15, ge=0, description="spread between two samples of one patient")
    measured_twice: float = Field(
        default=0.05, ge=0, le=1, description="share of the patients with two samples"
    )
    dilution: float = Field(default=0.15, ge=0, description="spread of the dilution of a sample")
    bin_ppm: float = Field(default=0.04, ge=0.005, le=0.2, description="width of the bins of the NMR table")
    range_ppm: tuple[float, float] = Field(
        default=(0.5, 9.5), description="lowest and highest edge of the bins"
    )
    shift_ppm: float = Field(default=0.003, ge=0, description="standard deviation of a metabolite's position")
    nmr_noise: float = Field(default=8.0, ge=0, description="of a bin, micromoles of hydrogens per litre")
    baseline: float = Field(default=4.0, ge=0, description="of the sloping baseline, in the same unit")
    lipids: float = Field(default=0.3, ge=0, description="spread of the broad signals of lipoproteins")
    batches: int = Field(default=4, ge=1)
    batch_effect: float = Field(
        default=0.2, ge=0, description="spread of a metabolite's response between batches"
    )
    response: float = Field(default=0.4, ge=0, description="spread of responses between instruments")
    ms_noise: float = Field(default=0.15, ge=0, description="spread of an intensity")
    lowest_mz: float = Field(default=60.0, ge=0, description="of the scan")
    limit_counts: float = Field(default=1500.0, ge=0, description="intensities below it are missing")
    one_table_only: float = Field(
        default=0.0, ge=0, lt=1, description="share of the samples with NMR or MS alone"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.range_ppm[1] - self.range_ppm[0] < 2 * self.bin_ppm:
            raise ValueError(f"range_ppm {self.range_ppm} is too small for bins of {self.bin_ppm} ppm")
        return self


@dataclass(frozen=True)
class Marker:
    """A metabolite whose mean concentration in cases is `fold_change` times that in controls."""

    metabolite: Metabolite
    fold_change: float
    seen_by: SeenBy


@dataclass(frozen=True)
class MixtureCohort:
    """Blood samples of simulated cases and controls, as tables of NMR and MS whose markers are known.

    Attributes:
        samples: names, N of them.
        patient_N: number of the patient of each sample, from 0.
        case_N: whether the patient is a case.
        batch_N: batch of the mass spectrometer, from 0.
        bins_ppm: centres of the bins, from high to low.
        nmr_NB: micromoles of hydrogens per litre in each bin; NaN in the rows of samples without NMR.
        ions: the metabolites with a column in the MS table.
        ms_NK: counts; NaN where they are below the limit, and in the rows of samples without MS.
        markers: the truth.
    """

    samples: tuple[str, ...]
    patient_N: np.ndarray
    case_N: np.ndarray
    batch_N: np.ndarray
    bins_ppm: FloatArray
    nmr_NB: FloatArray
    ions: tuple[Metabolite, ...]
    ms_NK: FloatArray
    markers: tuple[Marker, ...]


def simulate_mixtures(settings: MixtureSettings) -> MixtureCohort:
    """The cohort of these settings; the same for the same settings.

    Raises:
        ConfigError: fewer metabolites are seen by NMR alone, by MS alone or by both than are to be markers.
    """
    of_patients, of_samples, of_nmr, of_ms, of_tables = np.random.default_rng(settings.seed).spawn(5)
    metabolites = serum_metabolites()
    response_K = response_factors(metabolites, settings)
    markers = _chosen_markers(metabolites, response_K, settings)
    case_P = _classes(settings, of_patients)
    log_PK = _patients(metabolites, markers, case_P, settings, of_patients)
    patient_N = np.sort(np.concatenate((np.arange(settings.patients), _repeated(settings, of_samples))))
    spread_NK = settings.within * of_samples.standard_normal((len(patient_N), len(metabolites)))
    micromolar_NK = np.exp(log_PK[patient_N] + spread_NK)
    batch_N = of_ms.integers(settings.batches, size=len(patient_N))
    nmr_NB = _nmr_table(metabolites, micromolar_NK, settings, of_nmr)
    ms_NK = _ms_table(micromolar_NK, response_K, batch_N, settings, of_ms)
    _leave_out(nmr_NB, ms_NK, settings, of_tables)
    recorded_K = np.array([one.mz >= settings.lowest_mz for one in metabolites]) & ~np.isnan(ms_NK).all(axis=0)
    return MixtureCohort(
        samples=tuple(f"S{number:0{len(str(len(patient_N)))}d}" for number in range(1, len(patient_N) + 1)),
        patient_N=patient_N,
        case_N=case_P[patient_N],
        batch_N=batch_N,
        bins_ppm=(bin_edges(settings)[1:] + bin_edges(settings)[:-1])[_kept_bins(settings)] / 2,
        nmr_NB=nmr_NB,
        ions=tuple(one for one, is_recorded in zip(metabolites, recorded_K) if is_recorded),
        ms_NK=ms_NK[:, recorded_K],
        markers=markers,
    )


def response_factors(metabolites: Sequence[Metabolite], settings: MixtureSettings) -> FloatArray:
    """Counts of each metabolite's ion per micromole per litre on the instrument of the settings, 0 for ions
    below the lowest m/z of the scan. Shape (metabolites,)."""
    random = np.random.default_rng((settings.instrument, 1))  # not the stream of patients when seeds are equal
    spread_K = np.exp(settings.response * random.standard_normal(len(metabolites)))
    table_K = np.array([one.response if one.mz >= settings.lowest_mz else 0.0 for one in metabolites])
    return np.asarray(COUNTS_PER_MICROMOLAR * table_K * spread_K)


def bin_edges(settings: MixtureSettings) -> FloatArray:
    """The edges of the bins in ppm from high to low, the water region included. Shape (bins + 1,)."""
    low, high = settings.range_ppm
    return np.asarray(high - settings.bin_ppm * np.arange(round((high - low) / settings.bin_ppm) + 1))


def binned(lines_L2: FloatArray, edges_B: FloatArray) -> FloatArray:
    """The share of each line that falls between each two edges: the integral of a Lorentzian of unit area.

    Args:
        lines_L2: ppm and hydrogens of each line.
        edges_B: edges in ppm from high to low.

    Returns:
        Hydrogens of each line in each bin, shape (L, B - 1).
    """
    reached_LB = np.arctan((edges_B - lines_L2[:, :1]) / HALF_WIDTH_PPM) / np.pi
    return np.asarray(lines_L2[:, 1:] * (reached_LB[:, :-1] - reached_LB[:, 1:]))


def seen_by(
    metabolites: Sequence[Metabolite], response_K: FloatArray, settings: MixtureSettings
) -> list[SeenBy]:
    """Which tables show each metabolite at its typical concentration.

    NMR does if in some bin the metabolite adds SEEN_NOISES standard deviations of the noise or more, and
    SEEN_SHARE or more of all that is there; MS if the counts are SEEN_LIMITS times the limit or more.
    """
    typical_K = np.array([one.micromolar for one in metabolites])
    edges_B = bin_edges(settings)
    signal_KB = np.stack([binned(_lines(one), edges_B).sum(axis=0) for one in metabolites]) * typical_K[:, None]
    signal_KB = signal_KB[:, _kept_bins(settings)]
    all_B = signal_KB.sum(axis=0) + _humps(edges_B).sum(axis=0)[_kept_bins(settings)]
    by_nmr_K = ((signal_KB >= SEEN_NOISES * settings.nmr_noise) & (signal_KB >= SEEN_SHARE * all_B)).any(axis=1)
    by_ms_K = (typical_K * response_K >= SEEN_LIMITS * settings.limit_counts) & (response_K > 0)
    names: dict[tuple[bool, bool], SeenBy] = {
        (True, False): "nmr",
        (False, True): "ms",
        (True, True): "both",
        (False, False): "neither",
    }
    return [names[bool(nmr), bool(ms)] for nmr, ms in zip(by_nmr_K, by_ms_K)]


def _chosen_markers(
    metabolites: Sequence[Metabolite], response_K: FloatArray, settings: MixtureSettings
) -> tuple[Marker, ...]:
    """The markers and their fold changes, by the seed of the study."""
    random = np.random.default_rng((settings.seed if settings.study is None else settings.study, 2))
    seen = seen_by(metabolites, response_K, settings)
    found: list[Marker] = []
    for kind in ("nmr", "ms", "both"):
        known = [one for one, by in zip(metabolites, seen) if by == kind]
        if len(known) < settings.markers:
            where = "both tables" if kind == "both" else f"the {kind.upper()} table alone"
            raise ConfigError(
                f"markers: {settings.markers} are asked for, and {where} shows {len(known)} of the "
                f"{len(metabolites)} metabolites with these settings"
            )
        for place in sorted(random.choice(len(known), settings.markers, replace=False)):
            size = settings.effect * random.uniform(0.7, 1.3) * random.choice((-1, 1))
            found.append(Marker(known[place], float(np.exp(size)), kind))
    return tuple(found)


def _classes(settings: MixtureSettings, random: np.random.Generator) -> np.ndarray:
    """Which patients are cases, at least one and not all, in random order."""
    cases = min(max(round(settings.cases * settings.patients), 1), settings.patients - 1)
    return random.permutation(np.arange(settings.patients) < cases)


def _patients(
    metabolites: Sequence[Metabolite],
    markers: Sequence[Marker],
    case_P: np.ndarray,
    settings: MixtureSettings,
    random: np.random.Generator,
) -> FloatArray:
    """Logarithms of the mean concentrations of each patient in micromoles per litre, shape (P, K)."""
    pathways = sorted({one.pathway for one in metabolites})
    place_K = np.array([pathways.index(one.pathway) for one in metabolites])
    common_PK = random.standard_normal((len(case_P), len(pathways)))[:, place_K]
    own_PK = random.standard_normal((len(case_P), len(metabolites)))
    share = settings.correlation
    spread_PK = settings.biology * (np.sqrt(share) * common_PK + np.sqrt(1 - share) * own_PK)
    change = {marker.metabolite.name: np.log(marker.fold_change) for marker in markers}
    change_K = np.array([change.get(one.name, 0.0) for one in metabolites])
    typical_K = np.log([one.micromolar for one in metabolites])
    return np.asarray(typical_K + spread_PK + case_P[:, None] * change_K)


def _repeated(settings: MixtureSettings, random: np.random.Generator) -> np.ndarray:
    count = round(settings.measured_twice * settings.patients)
    return random.choice(settings.patients, count, replace=False)


def _nmr_table(
    metabolites: Sequence[Metabolite],
    micromolar_NK: FloatArray,
    settings: MixtureSettings,
    random: np.random.Generator,
) -> FloatArray:
    """Bins of the mixtures' spectra: lines, humps, a sloping baseline and noise, diluted. Shape (N, B)."""
    edges_B, kept_B = bin_edges(settings), _kept_bins(settings)
    lines_L2 = np.concatenate([_lines(one) for one in metabolites])
    owner_L = np.repeat(np.arange(len(metabolites)), [len(one.lines) for one in metabolites])
    humps_HB = _humps(edges_B)
    slope_B = np.linspace(-1.0, 1.0, len(edges_B) - 1)
    rows = []
    for micromolar_K in micromolar_NK:
        shift_L = settings.shift_ppm * random.standard_normal(len(metabolites))[owner_L]
        moved_L2 = np.column_stack((lines_L2[:, 0] + shift_L, lines_L2[:, 1] * micromolar_K[owner_L]))
        lipids_H = np.exp(settings.lipids * random.standard_normal(len(humps_HB)))
        signal_B = binned(moved_L2, edges_B).sum(axis=0) + lipids_H @ humps_HB
        diluted_B = signal_B * np.exp(settings.dilution * random.standard_normal())
        offset, slope = settings.baseline * random.standard_normal(2)
        noise_B = settings.nmr_noise * random.standard_normal(len(slope_B))
        rows.append((diluted_B + offset + slope * slope_B + noise_B)[kept_B])
    return np.stack(rows)


def _ms_table(
    micromolar_NK: FloatArray,
    response_K: FloatArray,
    batch_N: np.ndarray,
    settings: MixtureSettings,
    random: np.random.Generator,
) -> FloatArray:
    """Counts of the ions, shape (N, K); NaN below the limit. The extract has a dilution of its own."""
    samples, ions = micromolar_NK.shape
    batch_effect = np.exp(settings.batch_effect * random.standard_normal((settings.batches, ions)))
    dilution_N1 = np.exp(settings.dilution * random.standard_normal((samples, 1)))
    noise_NK = np.exp(settings.ms_noise * random.standard_normal((samples, ions)))
    counts_NK = micromolar_NK * response_K * batch_effect[batch_N] * dilution_N1 * noise_NK
    return np.where((counts_NK < settings.limit_counts) | (counts_NK <= 0), np.nan, counts_NK)


def _leave_out(
    nmr_NB: FloatArray, ms_NK: FloatArray, settings: MixtureSettings, random: np.random.Generator
) -> None:
    """Make the rows of one table NaN for the share of samples that have one table only."""
    count = round(settings.one_table_only * len(nmr_NB))
    chosen = random.choice(len(nmr_NB), count, replace=False)
    nmr_NB[chosen[: count // 2]] = np.nan
    ms_NK[chosen[count // 2 :]] = np.nan


def _kept_bins(settings: MixtureSettings) -> np.ndarray:
    """Which bins do not touch the region of water."""
    edges_B = bin_edges(settings)
    return (edges_B[1:] >= WATER_PPM[1] - 1e-9) | (edges_B[:-1] <= WATER_PPM[0] + 1e-9)


def _lines(metabolite: Metabolite) -> FloatArray:
    return np.array(metabolite.lines, dtype=np.float64).reshape(-1, 2)


def _humps(edges_B: FloatArray) -> FloatArray:
    """The broad signals in each bin by the trapezoid rule on their Gaussians, shape (humps, B - 1)."""
    rows = []
    for centre, spread, area in HUMPS:
        density_B = np.exp(-(((edges_B - centre) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
        rows.append(area * (density_B[:-1] + density_B[1:]) / 2 * -np.diff(edges_B))
    return np.stack(rows)
