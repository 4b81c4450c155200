"""What was read from a folder of MALDI-TOF spectra: lines of text, and drawings of the first ones."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.bruker_flex import FlexSpectrum, read_flex
from mmspec_ds.readers.part import Rejected, counted, one_line
from mmspec_ds.readers.picking.time_of_flight import FlightPeaks, pick_flight_peaks
from mmspec_ds.readers.spectrum_drawing import LABELLED_PEAKS, Axes, Panel

_SHOWN = 10
_MARGIN = 0.02
_LABEL_ROOM = 0.06
"""Distance of two labels, as a share of the axis."""


@dataclass
class FlexInspection:
    """The result of reading a folder.

    Attributes:
        path: the folder.
        samples: of each class, "" without one, the number of spectra by sample.
        modes: number of spectra by mode.
        points: numbers of points that occur.
        peaks: number of peaks of each spectrum.
        lowest, highest: m/z.
        remarks: of spectra, with their ids; the first few.
        odd: number of spectra with remarks.
        reasons: why the first few folders were rejected.
        rejected: their number.
        first: the first few spectra with their peaks.
    """

    path: Path
    samples: dict[str, Counter[str]] = field(default_factory=dict)
    modes: Counter[str] = field(default_factory=Counter)
    points: set[int] = field(default_factory=set)
    peaks: list[int] = field(default_factory=list)
    lowest: float = float("inf")
    highest: float = 0.0
    remarks: list[str] = field(default_factory=list)
    odd: int = 0
    reasons: list[str] = field(default_factory=list)
    rejected: int = 0
    first: list[tuple[FlexSpectrum, FlightPeaks]] = field(default_factory=list)

    def add(self, one: FlexSpectrum, keep: int) -> None:
        """Count a spectrum, and keep it if it is one of the first."""
        found = pick_flight_peaks(one.mz, one.counts)
        self.samples.setdefault(one.group, Counter())[one.sample] += 1
        self.modes[one.mode or "unknown"] += 1
        self.points.add(len(one.mz))
        self.peaks.append(len(found.mz))
        self.lowest = min(self.lowest, float(one.mz[0]))
        self.highest = max(self.highest, float(one.mz[-1]))
        if one.remarks:
            self.odd += 1
            if self.odd <= _SHOWN:
                self.remarks.append(f"{one.id}: {one.remarks[0]}")
        if len(self.first) < keep:
            self.first.append((one, found))

    def reject(self, one: Rejected) -> None:
        """Count a folder that gives no spectrum."""
        self.rejected += 1
        if self.rejected <= _SHOWN:
            self.reasons.append(one.reason)


def inspect_flex(path: Path, keep: int = 5) -> FlexInspection:
    """Read all spectra of a folder, or the one of its `acqu` or `fid`, and keep the first ones.

    Raises:
        DataError: there is none, or none can be read.
    """
    found = FlexInspection(path)
    for item in read_flex(path):
        if isinstance(item, Rejected):
            found.reject(item)
        else:
            found.add(item, keep)
    if not found.peaks:
        raise DataError(f"no MALDI-TOF spectrum can be read: {found.reasons[0]}", path=path)
    return found


def flex_lines(found: FlexInspection) -> Iterator[str]:
    """The inspection as lines of text."""
    samples = sum(len(some) for some in found.samples.values())
    modes = " and ".join(f"{mode} mode" for mode in sorted(found.modes))
    points = f"{min(found.points)}" + (f" to {max(found.points)}" if len(found.points) > 1 else "")
    yield str(found.path)
    yield "  format    Bruker flex: MALDI-TOF curves of samples, not of single molecules"
    yield f"  spectra   {len(found.peaks)} read, {found.rejected} rejected; of {counted(samples, 'sample')}"
    yield f"  kind      MALDI-TOF, {modes}"
    yield f"  m/z       {found.lowest:.1f} to {found.highest:.1f}, {points} points"
    yield f"  peaks     {min(found.peaks)} to {max(found.peaks)} in a spectrum, median {median(found.peaks):g}"
    if any(found.samples):
        classes = ", ".join(
            f"{one_line(name, 40) or 'none'} {len(some)}" for name, some in found.samples.items()
        )
        yield f"  classes   {classes} (samples by the folder about theirs)"
    for title, count, texts in (
        ("remarks", found.odd, found.remarks),
        ("rejected", found.rejected, found.reasons),
    ):
        if texts:
            yield f"  {title}{f', the first {len(texts)} of {count}' if count > len(texts) else ''}"
            yield from (f"    {text}" for text in texts)
    for one, peaks in found.first:
        known = [f"spot {one.spot}" if one.spot else "", one.date]
        yield f"  {one.id}  {', '.join(filter(None, known))}"
        yield f"    {described(one, peaks)}"


def described(one: FlexSpectrum, found: FlightPeaks) -> str:
    """One spectrum as a line of text."""
    mode = f"{one.mode} mode, " if one.mode else ""
    strongest = found.mz[np.argsort(-found.height)[:LABELLED_PEAKS]]
    told = f", the strongest at {', '.join(f'{mz:.1f}' for mz in strongest)}" if len(strongest) else ""
    return (
        f"MALDI-TOF, {mode}{len(one.mz)} points from m/z {one.mz[0]:.1f} to {one.mz[-1]:.1f}:"
        f" {counted(len(found.mz), 'peak')}{told}"
    )


def flex_panels(found: FlexInspection) -> list[Panel]:
    """A panel for each of the first spectra: the counts, a red tick under every peak, the strongest ones
    labelled."""
    panels = []
    for one, peaks in found.first:
        words = [one.id, f"MALDI-TOF {one.mode}".rstrip(), f"{counted(len(peaks.mz), 'peak')}"]
        panels.append(Panel("  ".join(words).replace("$", r"\$"), partial(_draw, one, peaks)))
    return panels


def _draw(one: FlexSpectrum, found: FlightPeaks, axes: Axes) -> None:
    top, room = float(one.counts.max()), _MARGIN * float(one.mz[-1] - one.mz[0])
    axes.plot(one.mz, one.counts, linewidth=0.6)
    axes.vlines(found.mz, -0.07 * top, -0.02 * top, color="tab:red", linewidth=0.7)
    axes.set(xlabel="m/z", ylabel="counts", ylim=(-0.1 * top, 1.18 * top))
    axes.set_xlim(one.mz[0] - room, one.mz[-1] + room)
    span, shown = float(one.mz[-1] - one.mz[0]), list[float]()
    for place in np.argsort(-found.height):
        mz = float(found.mz[place])
        if len(shown) == LABELLED_PEAKS or any(abs(mz - other) < _LABEL_ROOM * span for other in shown):
            continue
        shown.append(mz)
        height = float(one.counts[np.searchsorted(one.mz, mz).clip(0, len(one.mz) - 1)])
        axes.annotate(f"{mz:.0f}", (mz, height), (0, 2), textcoords="offset points", ha="center", fontsize=7)
