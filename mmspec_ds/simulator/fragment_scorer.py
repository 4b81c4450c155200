"""The fitted scorer of fragments: the share of a spectrum that each one makes, by its number of hydrogens.

It is a small network with a hidden layer and a direct linear path, for both polarities and three energies at
once. `tools/fit_tandem.py` fits its weights; `tables/README.md` names the data.

Axes: F fragments, P peaks, S spectra (polarity by energy).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmspec_ds.simulator.fragment_features import DescribedFragments, FloatMatrix
from mmspec_ds.spectra.records import Polarity

POLARITIES: tuple[Polarity, ...] = ("positive", "negative")
ENERGIES_EV = (10.0, 20.0, 40.0)
ELECTRON_MASS = 0.000548579909
HYDROGEN_MASS = 1.00782503223
FEWEST_MISSING, BINS = -4, 10
"""Molecules of H2 that an ion has fewer than one whose cut bonds are all replaced by hydrogens: from -4 (which
also saturates multiple bonds and rings) to 5. With radicals there are twice as many, a hydrogen apart."""
MASS_DECIMALS = 5
"""Fragments of one elemental composition have one mass to this many decimals (dalton)."""


@dataclass(frozen=True)
class IonGrid:
    """The ions of one molecule in one polarity.

    `place` [F, bins] is the peak of each fragment with each number of hydrogens, or -1; `mz` [P] rises.
    """

    place: npt.NDArray[np.int64]
    mz: npt.NDArray[np.float64]


def ion_grid(described: DescribedFragments, polarity: Polarity, *, radicals: bool = False) -> IonGrid:
    """Ions of all fragments: v open valences take v + 1 hydrogens (v - 1 for an anion), less 2 for each missing
    H2, and with `radicals` also those with an odd number of electrons between them. No ion has more hydrogens
    than the charged molecule."""
    charge = 1 if polarity == "positive" else -1
    available = int(described.hydrogens[0]) + charge
    missing = np.arange(2 * FEWEST_MISSING, 2 * (FEWEST_MISSING + BINS), 1 if radicals else 2)
    hydrogens = (described.hydrogens + described.valences + charge)[:, None] - missing
    possible = (hydrogens >= 0) & (hydrogens <= available)
    masses, composition = np.unique(described.heavy_mass.round(MASS_DECIMALS), return_inverse=True)
    key = composition.reshape(-1, 1) * (available + 1) + hydrogens
    keys, peak = np.unique(key[possible], return_inverse=True)
    mz = masses[keys // (available + 1)] + keys % (available + 1) * HYDROGEN_MASS - charge * ELECTRON_MASS
    order = np.argsort(mz, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    place = np.full(possible.shape, -1)
    place[possible] = rank[peak.ravel()]
    return IonGrid(place, mz[order])


@dataclass(frozen=True)
class FragmentScorer:
    """Weights of the scorer, all float32: `shift` and `scale` [FEATURES] standardise the features, the others
    are those of the layers."""

    shift: FloatMatrix
    scale: FloatMatrix
    hidden: FloatMatrix
    hidden_bias: FloatMatrix
    output: FloatMatrix
    direct: FloatMatrix
    output_bias: FloatMatrix

    def scores(self, features: FloatMatrix) -> FloatMatrix:
        """Logarithm of the weight of each fragment, [S, F, bins]; S runs over polarities, then energies."""
        standard = (features - self.shift) * self.scale
        out = np.tanh(standard @ self.hidden + self.hidden_bias) @ self.output
        out += standard @ self.direct + self.output_bias
        spectra = len(POLARITIES) * len(ENERGIES_EV)
        return np.ascontiguousarray(out.reshape(len(features), spectra, -1).transpose(1, 0, 2))


def intensities(scores: FloatMatrix, grid: IonGrid) -> npt.NDArray[np.float64]:
    """Shares [P] of the intensity of one spectrum, which sum to 1, from scores [F, bins] of one polarity and
    energy; empty where no ion is possible."""
    possible = grid.place >= 0
    if not possible.any():
        return np.zeros(len(grid.mz))
    logs = scores[possible]
    weights = np.exp(logs - logs.max())
    shares = np.bincount(grid.place[possible], weights=weights, minlength=len(grid.mz))
    return shares / shares.sum()


@cache
def shipped_scorer() -> FragmentScorer:
    """The scorer of simulated spectra that the project ships; read once per process."""
    return read_scorer(Path(__file__).with_name("tables") / "tandem.npz")


@cache
def measured_scorer() -> FragmentScorer:
    """The scorer that was fitted on measured spectra, to judge candidates by; read once per process.

    Its shares are of the cube roots of the intensities, without the precursor, and radicals are among its ions.
    """
    return read_scorer(Path(__file__).with_name("tables") / "tandem_measured.npz")


def read_scorer(path: Path) -> FragmentScorer:
    """A scorer from a file of `tools/fit_tandem.py`."""
    with np.load(path, allow_pickle=False) as stored:
        return FragmentScorer(**{name: stored[name] for name in FragmentScorer.__dataclass_fields__})
