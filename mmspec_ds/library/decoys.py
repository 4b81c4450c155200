"""Decoy spectra, and what share of the hits is false by their count.

A decoy of a query is a spectrum of its precursor and its number of peaks, whose peaks are drawn from the
library: the spectrum-based method of Scheubert et al. 2017 (Nature Communications 8, 1494). Decoys are searched
as the queries are; as none of them is of a molecule of the library, their best scores tell what a wrong hit
scores. In the paper decoys stand for the spectra of the library. Here they stand for the queries, so that a
model has to embed some hundred decoys instead of as many as the library has entries.

Axes: D decoys, J peaks of a decoy, P peaks of the library, Q queries.
"""

import numpy as np
import numpy.typing as npt

from mmspec_ds.library.peaks import Floats, Indices, Peaks, PeakSettings

_MOST_PEAKS = 100
_DRAWS_FOR_EACH_PEAK = 2


class Pool:
    """Spectra of a library, of one kind, from which the peaks of decoys are drawn."""

    SIZE = 5_000
    """Spectra that are enough."""

    def __init__(self, peaks: Peaks, settings: PeakSettings) -> None:
        cleaned = peaks.cleaned(settings)
        self.settings = settings
        self.peaks = cleaned.take(np.flatnonzero(cleaned.counts))
        self._order = np.argsort(self.peaks.mz, kind="stable")
        self._sorted = self.peaks.mz[self._order]
        self._row = self.peaks.rows
        self._span = float(self._sorted[-1]) + 1.0 if len(self._sorted) else 1.0
        self._key = self._row * self._span + self.peaks.mz  # rises: by spectrum, then by m/z

    def decoys(
        self, starts: Floats, remaining: Floats, counts: Indices, generator: np.random.Generator
    ) -> Peaks:
        """Decoy spectra.

        The first fragment is `starts`. Each further one is drawn from a spectrum that contains a fragment which
        the decoy already has, none heavier than `starts` or in the place of another; where no spectrum contains
        it, from any spectrum.

        Args:
            starts: [D] m/z of the precursor; of a spectrum without one, its heaviest peak.
            remaining: [D] intensity of that peak in the query as a share of the largest; 0 where it has none,
                and then the decoy has none either.
            counts: [D] of peaks; a decoy may get fewer where the library offers no more.
            generator: of random numbers.

        Returns:
            D spectra, sorted by m/z, with intensities as shares of the largest peak of where they come from.
        """
        counts = np.clip(counts, 1, _MOST_PEAKS)
        draws = 1 + _DRAWS_FOR_EACH_PEAK * int(counts.max(initial=1))
        mz = np.full((len(starts), draws), np.nan)
        intensity = np.zeros_like(mz)
        largest = np.maximum.reduceat(self.peaks.intensity, self.peaks.offsets[:-1])
        mz[:, 0], intensity[:, 0] = np.where(remaining > 0, starts, np.nan), remaining
        found = (remaining > 0).astype(np.int64)
        for _ in range(draws):
            parent = mz[np.arange(len(starts)), (generator.random(len(starts)) * found).astype(np.int64)]
            seed = np.where(found == 0, starts, parent)
            peak = self._draw(seed, starts, generator)
            new = self.peaks.mz[peak]
            apart = ~(np.abs(mz - new[:, None]) <= self.settings.tolerance(new)[:, None]).any(axis=1)
            taken = np.flatnonzero(apart & (new <= starts + self.settings.tolerance_da) & (found < counts))
            mz[taken, found[taken]] = new[taken]
            intensity[taken, found[taken]] = (self.peaks.intensity[peak] / largest[self._row[peak]])[taken]
            found[taken] += 1
            if (found >= counts).all():
                break
        order = np.argsort(mz, axis=1)  # NaN last
        filled = np.arange(draws) < found[:, None]
        offsets = np.concatenate([[0], np.cumsum(found)])
        return Peaks(
            np.take_along_axis(mz, order, 1)[filled], np.take_along_axis(intensity, order, 1)[filled], offsets
        )

    def _draw(self, seed: Floats, limit: Floats, generator: np.random.Generator) -> Indices:
        """A peak [D] of a spectrum that contains `seed`, evenly among those up to `limit`."""
        tolerance = self.settings.tolerance(seed)
        first = np.searchsorted(self._sorted, seed - tolerance, side="left")
        last = np.searchsorted(self._sorted, seed + tolerance, side="right")
        first, last = np.where(last > first, (first, last), ([[0], [len(self._sorted)]]))
        contains = self._order[first + (generator.random(len(seed)) * (last - first)).astype(np.int64)]
        row = self._row[contains]
        start = self.peaks.offsets[row]
        end = np.searchsorted(self._key, row * self._span + np.minimum(limit, self._span - 0.5), side="right")
        count = np.maximum(end - start, 1)
        return np.asarray(start + (generator.random(len(seed)) * count).astype(np.int64))


def q_values(
    scores: npt.NDArray[np.float64],
    competitors: npt.NDArray[np.float64],
    decoys: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The share of false hits among all hits that score at least as much, by target-decoy competition.

    A query and its decoy compete (Elias and Gygi 2007, Nature Methods 4, 207): a wrong hit wins as often as it
    loses, so that the decoys that win count the wrong hits that do. With one more decoy added, which keeps the
    estimate from being too low for few queries (He et al. 2015, arXiv 1501.00537). A query may compete with
    several decoys, as in Keich et al. 2019 (J Proteome Res 18, 585), and not every query need have one.

    Args:
        scores: [Q] for which the share is asked.
        competitors: [D] the best score of the query of each decoy.
        decoys: [D] the best score of each decoy.

    Returns:
        [Q] from 0 to 1, not rising with the score.
    """
    wins = competitors > decoys
    winners = np.sort(competitors[wins])
    losers = np.sort(decoys[~wins])
    asked = np.unique(np.concatenate([scores, winners, losers]))
    false = len(losers) - np.searchsorted(losers, asked)
    true = len(winners) - np.searchsorted(winners, asked)
    share = np.minimum((false + 1) / np.maximum(true, 1), 1.0)
    lowest = np.minimum.accumulate(share)  # of any lower threshold
    return np.asarray(lowest[np.searchsorted(asked, scores)])
