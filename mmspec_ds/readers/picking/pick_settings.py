"""Every number that decides how a continuous spectrum becomes a record, with its unit and its reason."""

from pydantic import Field

from mmspec_ds.settings import Settings


class PeakPickingSettings(Settings):
    """From an NMR curve to its lines: baseline, noise, threshold."""

    noise_segments: int = Field(
        default=64, ge=4, description="pieces of the curve; the noise is the spread of the quietest quarter"
    )
    baseline_window_hz: float = Field(
        default=400.0, gt=0, description="one knot of the baseline: the median of what is no signal in it"
    )
    smoothing_hz: float = Field(
        default=0.2,
        ge=0,
        description="standard deviation of the Gaussian that 1H maxima are sought under; fits"
        " and integrals use the curve itself",
    )
    carbon_smoothing_hz: float = Field(default=0.6, ge=0, description="the same for 13C")
    carbon_wide_smoothing_hz: float = Field(
        default=4.0, gt=0, description="weak broad 13C lines are sought under this one as well"
    )
    noise_factor: float = Field(
        default=6.0, gt=0, description="lowest height of a 1H line over the noise (1 in 10^9 points by chance)"
    )
    carbon_false_lines: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="noise peaks of a 13C spectrum that may be taken for lines; it gives the lowest height",
    )
    relative_height: float = Field(
        default=0.002, ge=0, lt=1, description="lowest height of a 1H line, as a share of the highest"
    )
    carbon_relative_height: float = Field(
        default=0.02, ge=0, lt=1, description="the same for 13C, where solvents' impurities are many"
    )
    noise_prominence: float = Field(
        default=6.0, gt=0, description="how far a line rises over the saddle beside it, over the noise"
    )
    relative_prominence: float = Field(
        default=0.04, ge=0, lt=1, description="the same, as a share of its height"
    )
    minimum_distance_hz: float = Field(
        default=0.4, gt=0, description="of two 1H lines; the lower one is dropped"
    )
    carbon_minimum_distance_hz: float = Field(default=3.0, gt=0, description="the same for 13C")
    least_beside: float = Field(
        default=0.025,
        ge=0,
        lt=1,
        description="lowest height of a 1H line, as a share of the highest within 20 Hz: wiggles, sidebands",
    )
    most_fitted_lines: int = Field(
        default=40, ge=1, description="more lines within 25 Hz of each other are not fitted"
    )
    most_lines: int = Field(default=2000, ge=1, description="more lines than this are noise, not a spectrum")


class ExclusionSettings(Settings):
    """Lines that are not of the sample. Solvents and their places are in `solvents`."""

    solvent: str = Field(default="", description="of the sample, where the file names none or another")
    solvent_ppm: float = Field(
        default=0.012, gt=0, description="standard deviation of the place of a solvent's residual 1H signal"
    )
    carbon_solvent_margin_hz: float = Field(
        default=25.0, ge=0, description="on both sides of a 13C signal of the solvent"
    )
    water: bool = Field(default=True, description="whether water at its place in that solvent is left out")
    water_ppm: float = Field(default=0.03, gt=0, description="standard deviation of the place of water")
    reference_ppm: float = Field(
        default=0.05, ge=0, description="what lies nearer to 0 ppm is TMS; 0 keeps everything"
    )
    carbon_reference_ppm: float = Field(default=0.5, ge=0, description="the same for 13C")


class MultipletSettings(Settings):
    """From 1H lines to multiplets, and from areas to hydrogens."""

    grouping_hz: float = Field(
        default=10.0, gt=0, description="lines of a multiplet without a name are seldom farther apart than this"
    )
    widest_coupling_hz: float = Field(
        default=20.0, gt=0, description="lines of one multiplet are not farther from the next one than this"
    )
    edge_ppm: float = Field(
        default=0.017,
        ge=0,
        description="the range of a multiplet ends so far beyond its outer lines, or two line widths: as in the"
        " published sample, whose singlets are 0.034 ppm wide",
    )
    position_tolerance_hz: float = Field(
        default=0.35, gt=0, description="of lines against a first-order pattern, or 0.8 of the line width"
    )
    intensity_tolerance: float = Field(
        default=0.3,
        gt=0,
        description="of a line's share against the pattern's, relative; at 0.33 lines of 1:1:1 are a triplet",
    )
    equal_hz: float = Field(default=0.5, gt=0, description="couplings nearer than this count as equal")
    most_couplings: int = Field(default=6, ge=1, le=8, description="a multiplet of more is called m")
    most_fitted_lines: int = Field(default=40, ge=1, description="a group of more lines is called m, unfitted")
    integral_error: float = Field(
        default=0.05, gt=0, description="expected of an integral, relative: overlap, relaxation, phase"
    )
    integral_offset: float = Field(
        default=0.05, gt=0, description="expected of an integral besides, in hydrogens: the baseline"
    )
    most_hydrogens: int = Field(default=120, ge=1, description="of a molecule; bounds the search for the scale")


class NMRProcessingSettings(Settings):
    """Continuous NMR spectra."""

    peaks: PeakPickingSettings = PeakPickingSettings()
    exclusion: ExclusionSettings = ExclusionSettings()
    multiplets: MultipletSettings = MultipletSettings()
    formula: str = Field(
        default="", description="of the molecule, where it is known: it bounds the hydrogens in all"
    )


class InfraredProcessingSettings(Settings):
    """IR curves of any axis and ordinate onto the benchmark's grid."""

    points: int = Field(default=1800, ge=2, description="of the grid, both ends included (the benchmark's)")
    lowest_cm1: float = 400.0
    highest_cm1: float = 4000.0
    least_share: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="of the grid that must have been measured, or the record is refused",
    )
    least_transmittance: float = Field(
        default=0.001, gt=0, lt=1, description="lower values are taken for it: absorbance ends at 3"
    )
