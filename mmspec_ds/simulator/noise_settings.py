"""How much noise simulated spectra get, and its profiles."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import ConfigDict, Field

from mmspec_ds.settings import Settings

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
