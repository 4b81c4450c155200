"""The settings of the compression operators: what a token is, and how many there may be."""

from typing import Self

from pydantic import Field, model_validator

from mmspec_ds.settings import Settings

# Tokens are stored as int16, so no discrete field may have more values than that type.
_MOST_BINS = 32_767


def _check_range(lowest: float, highest: float, width: float) -> None:
    if not lowest < highest:
        raise ValueError(f"lowest_ppm {lowest} is not below highest_ppm {highest}")
    if (highest - lowest) / width >= _MOST_BINS:
        raise ValueError(f"bin_ppm {width} gives more than {_MOST_BINS} bins from {lowest} to {highest} ppm")


class HydrogenNMRSettings(Settings):
    """1H: one token a multiplet. Positions and widths in ppm, couplings in Hz."""

    max_tokens: int = Field(
        default=256, ge=1, description="multiplets kept, from high to low shift (paper B.5)"
    )
    bin_ppm: float = Field(default=0.1, gt=0, description="width of a shift bin (paper B.5)")
    lowest_ppm: float = -2.0
    highest_ppm: float = 18.0
    span_bin_ppm: float = Field(default=0.05, gt=0, description="width of a bin of the multiplet's span")
    j_bin_hz: float = Field(default=0.5, gt=0, description="width of a bin of the coupling constants")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.lowest_ppm, self.highest_ppm, self.bin_ppm)
        return self


class CarbonNMRSettings(Settings):
    """13C: one token a line."""

    max_tokens: int = Field(default=256, ge=1, description="lines kept, from high to low shift (paper B.5)")
    bin_ppm: float = Field(default=0.1, gt=0, description="width of a shift bin (paper B.5)")
    lowest_ppm: float = -20.0
    highest_ppm: float = 250.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.lowest_ppm, self.highest_ppm, self.bin_ppm)
        return self


class InfraredSettings(Settings):
    """IR: `intervals` points on an even grid from `lowest_cm1` to `highest_cm1`, then windows of them."""

    intervals: int = Field(default=1024, ge=2, description="points of the grid (paper B.5)")
    window: int = Field(default=4, ge=1, description="intensities in a token (paper table 9)")
    stride: int = Field(default=4, ge=1, description="points from one token to the next (paper table 9)")
    lowest_cm1: float = 400.0
    highest_cm1: float = 4000.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window > self.intervals:
            raise ValueError(f"window {self.window} is larger than intervals {self.intervals}")
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} is larger than window {self.window}: points would be lost")
        if (self.intervals - self.window) % self.stride:
            raise ValueError(
                f"windows of {self.window} every {self.stride} leave the last of {self.intervals} intervals out"
            )
        if not self.lowest_cm1 < self.highest_cm1:
            raise ValueError(f"lowest_cm1 {self.lowest_cm1} is not below highest_cm1 {self.highest_cm1}")
        return self

    @property
    def tokens(self) -> int:
        """The number of tokens of a spectrum."""
        return (self.intervals - self.window) // self.stride + 1


class TandemMSSettings(Settings):
    """MS/MS: one token a peak."""

    max_peaks: int = Field(default=100, ge=1, description="strongest peaks kept of each spectrum (paper B.5)")
    max_tokens: int = Field(
        default=1024,
        ge=1,
        description="peaks kept of a record, shared evenly among its spectra (paper table 9)",
    )


class HSQCSettings(Settings):
    """HSQC: one token a cross peak."""

    max_tokens: int = Field(default=256, ge=1, description="peaks kept, from high to low 13C shift")
    carbon_bin_ppm: float = Field(default=0.1, gt=0, description="width of a 13C shift bin")
    carbon_lowest_ppm: float = -20.0
    carbon_highest_ppm: float = 250.0
    hydrogen_bin_ppm: float = Field(default=0.1, gt=0, description="width of a 1H shift bin")
    hydrogen_lowest_ppm: float = -2.0
    hydrogen_highest_ppm: float = 18.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.carbon_lowest_ppm, self.carbon_highest_ppm, self.carbon_bin_ppm)
        _check_range(self.hydrogen_lowest_ppm, self.hydrogen_highest_ppm, self.hydrogen_bin_ppm)
        return self


class CompressionSettings(Settings):
    """The operators phi_m (paper eq. 2), one block each."""

    h_nmr: HydrogenNMRSettings = HydrogenNMRSettings()
    c_nmr: CarbonNMRSettings = CarbonNMRSettings()
    ir: InfraredSettings = InfraredSettings()
    ms: TandemMSSettings = TandemMSSettings()
    hsqc: HSQCSettings = HSQCSettings()
