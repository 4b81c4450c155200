"""Listed cross peaks of two-dimensional NMR: which axis is carbon, and whether the experiment is an HSQC."""

import re
from dataclasses import dataclass, field, replace

from mmspec_ds.readers.nmr_lists import Reading, hsqc_peaks
from mmspec_ds.readers.part import RecordFault
from mmspec_ds.spectra.records import HSQCPeak

HIGHEST_1H = 20.0
"""Shift in ppm over which an axis is carbon."""

_OTHERS = re.compile(r"hmbc|cosy|tocsy|noesy|roesy|inadequate|h2bc|jres|hetcor|hoesy|dosy", re.IGNORECASE)
_HSQC = re.compile(r"hsqc|hmqc", re.IGNORECASE)


@dataclass(slots=True)
class CrossPeaks:
    """A list of cross peaks while it is read, an entry each in every column.

    Attributes:
        first, second: shifts along the two axes, in ppm.
        intensities, hydrogens, lines: None where the file has none.
        carbon_first: whether the first axis is carbon; None where the file does not say.
    """

    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    intensities: list[float | None] = field(default_factory=list)
    hydrogens: list[int | None] = field(default_factory=list)
    lines: list[int | None] = field(default_factory=list)
    carbon_first: bool | None = None

    def add(
        self,
        first: float,
        second: float,
        intensity: float | None = None,
        hydrogens: int | None = None,
        line: int | None = None,
    ) -> None:
        """Append a peak; shifts in ppm, the others None where they are not known."""
        self.first.append(first)
        self.second.append(second)
        self.intensities.append(intensity if intensity == intensity else None)  # NaN: not measured
        self.hydrogens.append(hydrogens)
        self.lines.append(line)


def names_other_experiment(text: str) -> str | None:
    """The experiment that a title or pulse program names where it is not an HSQC or HMQC, in capitals."""
    found = _OTHERS.search(text)
    return found.group().upper() if found else None


def hsqc_of(peaks: CrossPeaks, said: str) -> Reading:
    """The HSQC spectrum of a list of cross peaks.

    Args:
        peaks: as listed.
        said: what the file, its title and its pulse program say of the experiment.

    Raises:
        RecordFault: the experiment is another one (not a fault of the file), the axes are not carbon and
            hydrogen, or a number is impossible.
    """
    other = names_other_experiment(said)
    if other is not None:
        raise RecordFault(f"cross peaks of {other}, expected HSQC", fault=False)
    carbon, hydrogen = peaks.first, peaks.second
    if not _carbon_first(peaks):
        carbon, hydrogen = hydrogen, carbon
    listed = [
        HSQCPeak(*values) for values in zip(carbon, hydrogen, peaks.hydrogens, peaks.intensities, strict=True)
    ]
    reading = hsqc_peaks(listed, peaks.lines)
    if _HSQC.search(said):
        return reading
    return replace(
        reading, remarks=("taken for an HSQC: the file does not name the experiment", *reading.remarks)
    )


def _carbon_first(peaks: CrossPeaks) -> bool:
    """Whether the first axis is carbon: by the file, else by shifts that no hydrogen has."""
    beyond = [any(abs(shift) > HIGHEST_1H for shift in axis) for axis in (peaks.first, peaks.second)]
    if peaks.carbon_first is not None:
        return peaks.carbon_first
    if all(beyond):
        raise RecordFault(f"both axes go beyond {HIGHEST_1H:g} ppm, expected 13C against 1H", fault=False)
    if not any(beyond) and peaks.first:
        raise RecordFault(
            f"no shift is over {HIGHEST_1H:g} ppm on either axis, expected 13C against 1H", fault=False
        )
    return beyond[0]
