"""Axes of spectra, and how the fields of a modality's tokens are read as tokens of an axis: a position on it,
and the intensities there. No such token tells the kind of instrument, only its axis: what is learnt of a
position serves every spectrum that has such an axis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np


class Axis(IntEnum):
    """The axis of a position: 1H shifts and 13C shifts in ppm, m/z, wavenumbers in cm-1, or the number of a
    feature in its table, from 0."""

    H_PPM = 0
    C_PPM = 1
    MZ = 2
    WAVENUMBER = 3
    FEATURE = 4


STEP: Mapping[Axis, float] = {
    Axis.H_PPM: 0.005,
    Axis.C_PPM: 0.05,
    Axis.MZ: 0.005,
    Axis.WAVENUMBER: 2.0,
    Axis.FEATURE: 1.0,
}
"""What two positions differ by that are just told apart, in the unit of the axis: about a line's width.
Sinusoids are of positions in these steps, so that one set of wavelengths serves all axes."""


POSITION_STEP: Mapping[Axis, float] = {axis: float(np.float32(step)) for axis, step in STEP.items()}
"""The same by which positions are divided: in single precision, as trained models know them."""


class Form(IntEnum):
    """What a token stands for: a peak (or line, multiplet, feature), a patch of a curve, or the precursor of a
    mass spectrum, whose position is known and whose intensity is not."""

    PEAK = 0
    PATCH = 1
    PRECURSOR = 2


PLACE = "place"
"""Stands for the name of a field: the place of an ordered token within its modality, from 0."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a token: `start` + `times` * the value of its field of that name, discrete or continuous, or
    its `PLACE`; `start` alone without a name."""

    field: str = ""
    times: float = 1.0
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Intensities:
    """The intensities of a token: `times` * the values of these fields. Without any field there is one
    intensity, which is 1.

    `scale`: as they are ("plain"), their square roots ("root"), or -1 for one below 0 and 1 for any other
    ("sign").
    """

    fields: tuple[str, ...] = ()
    times: float = 1.0
    scale: Literal["plain", "root", "sign"] = "plain"


@dataclass(frozen=True, slots=True)
class AxisReading:
    """How the fields of a token are read as a token of an axis. What is not named here is not told.

    Attributes:
        axis: of the position.
        position: in the unit of the axis.
        intensities: see there.
        form: of all tokens, but for precursors.
        extent: how far a token reaches along its axis, in the unit of the axis.
        second: the axis and the value of a second coordinate, such as the 1H shift of a cross peak.
        sign: 1 or -1 for a mass spectrum of positive or negative ions, else 0.
        precursor: name of the discrete field that is above 0 in the tokens of precursors.
    """

    axis: Axis
    position: Number
    intensities: Intensities = Intensities()
    form: Form = Form.PEAK
    extent: Number = Number()
    second: tuple[Axis, Number] | None = None
    sign: Number = Number()
    precursor: str = ""
