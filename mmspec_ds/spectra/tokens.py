"""The fields of the tokens in which a modality enters a model."""

from dataclasses import dataclass

from mmspec_ds.spectra.axes import AxisReading


@dataclass(frozen=True, slots=True)
class DiscreteField:
    """A field with values 0 .. size-1. `ordinal`: neighbouring values mean neighbouring things (shift bins)."""

    name: str
    size: int
    ordinal: bool = False


@dataclass(frozen=True, slots=True)
class ContinuousField:
    """A real-valued field. With `wavelengths` (shortest, longest) it is embedded by sinusoids of those
    wavelengths in its own unit, as m/z needs; without, linearly."""

    name: str
    wavelengths: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class TokenSchema:
    """The fields of one modality's tokens. `ordered`: the place in the sequence carries meaning (IR windows,
    text); otherwise tokens are a set (peaks). `axis`: how they are read as tokens of an axis; None where
    there is none."""

    discrete: tuple[DiscreteField, ...] = ()
    continuous: tuple[ContinuousField, ...] = ()
    ordered: bool = False
    axis: AxisReading | None = None
