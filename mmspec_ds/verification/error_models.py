"""How far measured spectra are from predicted ones: errors, missing and false signals, weights."""

from collections.abc import Mapping

from pydantic import Field

from mmspec_ds.settings import Settings


class PeakErrors(Settings):
    """Errors of the signals of one nucleus.

    A shift is off by Student's t with `freedom` degrees and the scale sqrt(error_ppm^2 + (spread_scale *
    spread)^2), where the spread is that of the atom's surroundings in the table of shifts.
    """

    error_ppm: float = Field(gt=0, description="error of every shift, ppm")
    spread_scale: float = Field(default=1.0, ge=0, description="factor of the surroundings' own spread")
    freedom: float = Field(default=4.0, gt=0, description="degrees of freedom of the t distribution")
    missing: float = Field(default=0.03, gt=0, lt=1, description="probability that a signal is not listed")
    false_per_ppm: float = Field(gt=0, description="expected false signals per ppm")
    resolution_ppm: float = Field(
        ge=0, description="signals this near to each other may be listed as one; 0: they never are"
    )
    doubled: float = Field(
        default=0.0, ge=0, lt=1, description="probability that the hydrogens of a signal give a second one"
    )


_CARBON = {"error_ppm": 0.3, "spread_scale": 0.85, "freedom": 3.3, "false_per_ppm": 2e-4}
_HYDROGEN = {"error_ppm": 0.08, "spread_scale": 0.85, "freedom": 3.1, "false_per_ppm": 0.01}
"""Maximum likelihood for tables of shifts that were fitted without the molecules in question, on three folds of
CASCADE: 47,876 measured 13C and 61,593 computed 1H shifts. 1H errors are doubled because measured shifts depend
on the solvent."""


class ErrorModels(Settings):
    """The error model of each modality and its weight in the score. The defaults are for measured spectra."""

    c_nmr: PeakErrors = PeakErrors(**_CARBON, resolution_ppm=0.2)
    h_nmr: PeakErrors = PeakErrors(**_HYDROGEN, resolution_ppm=0.1, doubled=0.05)
    hsqc_carbon: PeakErrors = PeakErrors(**_CARBON, resolution_ppm=0.2)
    hsqc_hydrogen: PeakErrors = PeakErrors(**_HYDROGEN, resolution_ppm=0.1, doubled=0.05)
    mobile_ppm: float = Field(default=1.5, ge=0, description="further error of hydrogens on O, N and S, ppm")
    mobile_missing: float = Field(default=0.4, gt=0, lt=1, description="probability that those are not listed")
    acid_missing: float = Field(default=0.9, gt=0, lt=1, description="the same for hydrogens of acids")
    same_hydrogens: float = Field(
        default=0.97, gt=0, lt=1, description="probability that hydrogens attached to a carbon are as predicted"
    )
    same_category: float = Field(
        default=0.5, gt=0, lt=1, description="probability that a multiplicity other than m is as predicted"
    )
    coupling_hz: float = Field(default=1.5, gt=0, description="error of coupling constants, Hz")
    weights: dict[str, float] = Field(
        default={"h_nmr": 1.0, "c_nmr": 1.0, "hsqc": 0.5, "ir": 1.0, "ms": 1.0},
        description="factor of each modality's part in the score",
    )

    def total(self, parts: Mapping[str, float]) -> float:
        """The weighted sum of the parts of a score."""
        return sum(self.weights.get(name, 1.0) * part for name, part in parts.items())
