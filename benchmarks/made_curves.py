"""1H curves made from textbook first-order spectra, and how many of their signals are read right.

python benchmarks/run.py curves                    # tuned and held-out molecules, every condition
python benchmarks/run.py curves --rows ROWS.csv    # also writes one CSV row for each line of the table

A signal is right if a multiplet lies within 0.03 ppm of it with the same hydrogens and the same name. Without a
formula the scale of the integrals is only known up to a common factor, so the counts divided by their greatest
common divisor are right too. Signals that overlap at the given field and width are one "m". Couplings narrower
than 0.8 line widths need not be seen, and those that differ by less may be called equal.
"""

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

try:
    from mmspec_ds.readers.picking.curve import NMRCurve
    from mmspec_ds.readers.picking.nmr import pick_hydrogen
    from mmspec_ds.readers.picking.pick_settings import NMRProcessingSettings
except ImportError:  # the layout of releases before readers/picking, for a comparison
    from mmspec_ds.spectra.processing.curve import NMRCurve  # type: ignore[no-redef]
    from mmspec_ds.spectra.processing.nmr import pick_hydrogen  # type: ignore[no-redef]
    from mmspec_ds.spectra.processing.settings import NMRProcessingSettings  # type: ignore[no-redef]

SPECTRA = Path(__file__).with_name("first_order_spectra.tsv")
LETTERS = ("s", "d", "t", "q", "p", "h", "hept", "oct", "non")
NEAR_PPM = 0.03


@dataclass(frozen=True)
class Signal:
    """Shift in ppm, hydrogens, couplings in Hz one by one, and whether it is exchangeable."""

    ppm: float
    hydrogens: int
    couplings: tuple[float, ...]
    exchangeable: bool


@dataclass(frozen=True)
class Molecule:
    """A line of `first_order_spectra.tsv`; `group` is "tune" or "held"."""

    group: str
    name: str
    formula: str
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class Condition:
    """How a curve is made. Heights and areas are in units of one hydrogen; Hz, ppm and degrees.

    `noise` is the standard deviation relative to the height of a singlet of one hydrogen; `spread` the relative
    error of each integral; `impurities` a number of lines of 0.02 to 0.2 H; `solvent` adds CHCl3 and water.
    """

    name: str
    width_hz: float = 1.0
    noise: float = 0.002
    offset_ppm: float = 0.0
    baseline: float = 0.0
    phase_degrees: float = 0.0
    impurities: int = 0
    solvent: bool = False
    satellites: bool = False
    broad_oh: bool = False
    spread: float = 0.02


CONDITIONS = (
    Condition("clean"),
    Condition("noisy", noise=0.015),
    Condition("broad", width_hz=2.2, noise=0.005),
    Condition("shifted", offset_ppm=0.06, solvent=True),
    Condition("impure", impurities=6, solvent=True, satellites=True, broad_oh=True),
    Condition("crooked", baseline=0.02, phase_degrees=2.0, spread=0.04),
    Condition(
        "everything",
        width_hz=1.4,
        noise=0.006,
        offset_ppm=-0.04,
        baseline=0.01,
        phase_degrees=1.0,
        impurities=4,
        solvent=True,
        satellites=True,
        broad_oh=True,
        spread=0.03,
    ),
)


@dataclass(frozen=True)
class Expected:
    """What should be read: shift, hydrogens, and the names that are right."""

    ppm: float
    hydrogens: int
    names: frozenset[str]


def read_molecules(path: Path = SPECTRA) -> list[Molecule]:
    """The molecules of the table, in its order."""
    molecules = []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        group, name, formula, signals = line.split("\t")
        molecules.append(Molecule(group, name, formula, tuple(_signal(word) for word in signals.split())))
    return molecules


def _signal(word: str) -> Signal:
    ppm, hydrogens, *rest = word.split(":")
    if rest == ["X"]:
        return Signal(float(ppm), int(hydrogens), (), True)
    couplings: list[float] = []
    for part in rest[0].split(",") if rest else []:
        value, _, times = part.partition("x")
        couplings += [float(value)] * int(times or 1)
    return Signal(float(ppm), int(hydrogens), tuple(couplings), False)


def make_curve(molecule: Molecule, condition: Condition, seed: int) -> tuple[NMRCurve, list[Expected]]:
    """A curve of 65,536 points from -2 to 13 ppm at 300, 400 or 500 MHz, and what should be read from it."""
    random = np.random.default_rng([seed, *molecule.name.encode()])
    mhz = float(random.choice([300.0, 400.0, 500.0]))
    ppm = np.linspace(-2.0, 13.0, 65_536)
    hz = (ppm - condition.offset_ppm) * mhz
    curve = np.zeros(len(ppm), dtype=np.complex128)
    for signal in molecule.signals:
        width, area = condition.width_hz, signal.hydrogens * float(random.normal(1.0, condition.spread))
        if signal.exchangeable and condition.broad_oh:
            width, area = float(random.uniform(4, 12)), area * float(random.uniform(0.75, 1.05))
        for place in _places(signal.ppm * mhz, signal.couplings):
            curve += _line(hz, place, area / 2 ** len(signal.couplings), width)
        if condition.satellites and not signal.couplings and not signal.exchangeable:
            for side in (-64.0, 64.0):
                curve += _line(hz, signal.ppm * mhz + side, 0.0055 * area, width)
    for place, area, width in _foreign(condition, random):
        curve += _line(hz, place * mhz, area, width)
    turned = curve * np.exp(1j * math.radians(condition.phase_degrees))
    values = turned.real + condition.noise / condition.width_hz * random.normal(size=len(ppm))
    if condition.baseline:
        values += condition.baseline * (ppm / 13.0 + np.sin(ppm / 13.0 * math.pi * 2 + random.uniform(0, 6)))
    solvent = "CDCl3" if condition.solvent else ""
    expected = _expected(molecule, mhz, condition.width_hz)
    return NMRCurve(ppm, 1e6 * values, "1H", mhz, solvent), expected


def _foreign(condition: Condition, random: np.random.Generator) -> list[tuple[float, float, float]]:
    """Lines that are not of the molecule: shift in ppm, area in hydrogens, width in Hz."""
    width = condition.width_hz
    lines = [
        (float(random.uniform(0.5, 9.5)), float(random.uniform(0.02, 0.2)), width)
        for _ in range(condition.impurities)
    ]
    if condition.solvent:
        lines += [(7.26, float(random.uniform(0.1, 1.5)), width), (0.0, float(random.uniform(0.2, 2)), width)]
        lines += [(1.56, float(random.uniform(0.1, 0.8)), 1.5 * width)]
    return lines


def _line(hz: np.ndarray, place: float, area: float, width: float) -> np.ndarray:
    """A complex Lorentzian whose real part has this area in Hz times the height of one hydrogen at 1 Hz."""
    half = width / 2
    height = area / width
    return np.asarray(height * half / (half - 1j * (hz - place)))


def _places(middle: float, couplings: Sequence[float]) -> list[float]:
    places = [middle]
    for coupling in couplings:
        places = [place + side * coupling / 2 for place in places for side in (-1, 1)]
    return places


def _name(couplings: Sequence[float], equal_hz: float = 0.01) -> str:
    counts: list[int] = []
    last = math.inf
    for coupling in sorted(couplings, reverse=True):
        if last - coupling < equal_hz:
            counts[-1] += 1
        else:
            counts.append(1)
        last = coupling
    return "".join(LETTERS[count] for count in counts) or "s"


def _expected(molecule: Molecule, mhz: float, width_hz: float) -> list[Expected]:
    """The signals by rising shift; those that overlap are one "m" of all their hydrogens."""
    expected: list[Expected] = []
    ends: list[float] = []
    for signal in sorted(molecule.signals, key=lambda one: one.ppm):
        half = sum(signal.couplings) / 2 + 1.5 * width_hz
        low, high = signal.ppm * mhz - half, signal.ppm * mhz + half
        seen = tuple(j for j in signal.couplings if j > 0.8 * width_hz)
        names = {_name(js, equal) for js in (signal.couplings, seen) for equal in (0.01, 0.8 * width_hz)}
        if names & {"oct", "non"} or any("oct" in name or "non" in name for name in names):
            names |= {"m", "hept"}  # the outer lines of a nonet are 1/70 of the middle one
        if expected and low < ends[-1]:
            last = expected.pop()
            hydrogens = last.hydrogens + signal.hydrogens
            ppm = (last.ppm * last.hydrogens + signal.ppm * signal.hydrogens) / hydrogens
            expected.append(Expected(ppm, hydrogens, frozenset({"m"})))
            ends[-1] = max(ends[-1], high)
        else:
            expected.append(Expected(signal.ppm, signal.hydrogens, frozenset(names)))
            ends.append(high)
    return expected


@dataclass
class Score:
    """Signals in all, with right hydrogens, with the right name, with both; multiplets that are no signal."""

    curves: int = 0
    signals: int = 0
    hydrogens: int = 0
    names: int = 0
    both: int = 0
    invented: int = 0

    def add(self, other: "Score") -> None:
        """Sum of both."""
        for key, value in vars(other).items():
            setattr(self, key, getattr(self, key) + value)


def score_curve(
    molecule: Molecule, condition: Condition, seed: int, formula: bool = False, tell: bool = False
) -> Score:
    """How the picking reads one made curve; with `formula` it is told the molecular formula."""
    curve, expected = make_curve(molecule, condition, seed)
    settings = NMRProcessingSettings(**({"formula": molecule.formula} if formula else {}))
    try:
        picked = pick_hydrogen(curve, settings)
        found, remarks = list(picked.spectrum.multiplets), picked.remarks
    except ValueError as error:
        found, remarks = [], (str(error),)
    factor = 1 if formula else math.gcd(*(one.hydrogens for one in expected))
    pairs = []
    left = list(found)
    for one in expected:
        nearest = min(left, key=lambda other: abs(other.centroid_ppm - one.ppm), default=None)
        if nearest is None or abs(nearest.centroid_ppm - one.ppm) > NEAR_PPM + abs(condition.offset_ppm):
            pairs.append((one, None))
        else:
            left.remove(nearest)
            pairs.append((one, nearest))
    score = Score(1, len(expected), invented=len(left))
    whole = max(sum(p.hydrogens == e.hydrogens // scale for e, p in pairs if p) for scale in {1, factor})
    right_scale = next(
        scale
        for scale in (1, factor)
        if sum(p.hydrogens == e.hydrogens // scale for e, p in pairs if p) == whole
    )
    for one, nearest in pairs:
        counted = nearest is not None and nearest.hydrogens == one.hydrogens // right_scale
        named = nearest is not None and nearest.category in one.names
        score.hydrogens += counted
        score.names += named
        score.both += counted and named
    if tell and (score.both < score.signals or score.invented):
        said = ", ".join(
            f"{m.centroid_ppm:.2f} ({m.category}, {m.hydrogens}H)"
            for m in sorted(found, key=lambda m: m.centroid_ppm)
        )
        right = ", ".join(f"{e.ppm:.2f} ({'/'.join(sorted(e.names))}, {e.hydrogens}H)" for e in expected)
        print(
            f"{condition.name} {molecule.name} {curve.frequency_mhz:g}\n   right {right}\n   found {said}",
            remarks,
        )
    return score


def score_group(group: str, condition: Condition, formula: bool = False, tell: bool = False) -> Score:
    """The sum over all molecules of a group, one seed each."""
    total = Score()
    for number, molecule in enumerate(read_molecules()):
        if molecule.group == group:
            total.add(score_curve(molecule, condition, 100 + number, formula, tell))
    return total


def main() -> None:
    """Print the table, and append it to a CSV where one is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--group", choices=("tune", "held"), action="append")
    parser.add_argument("--condition", choices=[one.name for one in CONDITIONS], action="append")
    parser.add_argument("--formula", action="store_true", help="give the molecular formula to the picking")
    parser.add_argument("--tell", action="store_true", help="print what was misread")
    parser.add_argument("--rows", type=Path, metavar="CSV", help="write the table there too")
    options = parser.parse_args()
    rows = []
    for group in options.group or ("tune", "held"):
        total = Score()
        chosen = [one for one in CONDITIONS if not options.condition or one.name in options.condition]
        for condition in chosen:
            score = score_group(group, condition, options.formula, options.tell)
            total.add(score)
            rows.append((group, condition.name, score))
        rows.append((group, "all", total))
    print(f"{'group':6} {'condition':11} curves signals  hydrogens  name  both  invented")
    for group, name, one in rows:
        shares = "  ".join(f"{value / one.signals:8.1%}" for value in (one.hydrogens, one.names, one.both))
        print(f"{group:6} {name:11} {one.curves:6} {one.signals:7}  {shares}  {one.invented:5}")
    if options.rows is not None:
        with options.rows.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["group", "condition", "formula", *vars(Score())])
            writer.writerows([g, n, options.formula, *vars(one).values()] for g, n, one in rows)


if __name__ == "__main__":
    sys.exit(main())
