"""Listed cross peaks of two-dimensional NMR: which axis is carbon, and whether the experiment is an HSQC."""

import re
from dataclasses import dataclass, field

from mmspec_ds.readers.nmr_lists import MOST_LISTED, Reading, check_shift
from mmspec_ds.readers.part import RecordFault, counted
from mmspec_ds.spectra.records import HSQC, HSQCPeak

HIGHEST_1H = 20.0
"""Shift in ppm over which an axis is carbon."""

_OTHERS = re.compile(r"hmbc|cosy|tocsy|noesy|roesy|inadequate|h2bc|jres|hetcor|hoesy|dosy", re.IGNORECASE)
_HSQC = re.compile(r"hsqc|hmqc", re.IGNORECASE)


@dataclass(slots=True)
class CrossPeaks:
    """A list of cross peaks while it is read.

    Attributes:
        peaks: the first axis taken for carbon.
        lines: of the file; None where it has none.
        carbon_first: whether the first axis is carbon; None where the file does not say.
    """

    peaks: list[HSQCPeak] = field(default_factory=list)
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
        """Append a peak; shifts in ppm along the two axes, the others None where they are not known."""
        measured = intensity if intensity == intensity else None
        self.peaks.append(HSQCPeak(first, second, hydrogens, measured))
        self.lines.append(line)


def hsqc_of(cross: CrossPeaks, said: str) -> Reading:
    """The HSQC spectrum of a list of cross peaks, by falling carbon and hydrogen shift, each once.

    Args:
        cross: as listed.
        said: what the file, its title and its pulse program say of the experiment.

    Raises:
        RecordFault: the experiment is another one (not a fault of the file), the axes are not carbon and
            hydrogen, there are none or too many peaks, or a number is impossible.
    """
    if other := _OTHERS.search(said):
        raise RecordFault(f"cross peaks of {other.group().upper()}, expected HSQC", fault=False)
    peaks = cross.peaks
    if not _carbon_first(cross):
        peaks = [HSQCPeak(one.hydrogen_ppm, one.carbon_ppm, one.hydrogens, one.intensity) for one in peaks]
    if not 0 < len(peaks) <= MOST_LISTED:
        raise RecordFault(f"{len(peaks)} cross peaks in the list, expected 1 to {MOST_LISTED}")
    for peak, line in zip(peaks, cross.lines, strict=True):
        check_shift(peak.carbon_ppm, "13C", line)
        check_shift(peak.hydrogen_ppm, "1H", line)
        if peak.hydrogens is not None and not 0 < peak.hydrogens <= 200:
            raise RecordFault(f"{peak.hydrogens} hydrogens in a cross peak, expected 1 to 200", line=line)
        if peak.intensity is not None and not abs(peak.intensity) < 1e100:
            raise RecordFault(f"an intensity of {peak.intensity:g}, expected a finite number", line=line)
    kept = sorted(dict.fromkeys(peaks), key=lambda peak: (-peak.carbon_ppm, -peak.hydrogen_ppm))
    remarks = [] if _HSQC.search(said) else ["taken for an HSQC: the file does not name the experiment"]
    if repeated := len(peaks) - len(kept):
        remarks.append(f"{counted(repeated, 'repeated cross peak')} left out")
    return Reading(HSQC(tuple(kept)), tuple(remarks))


def _carbon_first(cross: CrossPeaks) -> bool:
    """Whether the first axis is carbon: by the file, else by shifts that no hydrogen has."""
    if cross.carbon_first is not None:
        return cross.carbon_first
    axes = [(peak.carbon_ppm, peak.hydrogen_ppm) for peak in cross.peaks]
    beyond = [any(abs(shift) > HIGHEST_1H for shift in axis) for axis in zip(*axes)]
    if beyond and all(beyond):
        raise RecordFault(f"both axes go beyond {HIGHEST_1H:g} ppm, expected 13C against 1H", fault=False)
    if beyond and not any(beyond):
        raise RecordFault(
            f"no shift is over {HIGHEST_1H:g} ppm on either axis, expected 13C against 1H", fault=False
        )
    return not beyond or beyond[0]
