"""IR absorbance of a molecule from the group frequencies of the standard tables.

`tables/infrared_groups.tsv` names the groups, as SMARTS with their bands, and the source. Every match of a
group adds its bands, Gaussians of a given area. Nothing here is fitted to spectra.

Axes: B groups, G points of the grid.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from rdkit import Chem

from mmspec_ds.spectra.records import FloatArray

Phase = Literal["gas", "condensed"]
"""Free molecules, or those with hydrogen bonds to each other: liquids, films, solids."""
PHASES: tuple[Phase, ...] = ("gas", "condensed")

POINTS = 1800
"""Points from 400 to 4000 cm-1, as in the benchmark."""
START_CM1, STOP_CM1 = 400.0, 4000.0


@dataclass(frozen=True)
class Group:
    """A structural group with its bands: position (cm-1), width (standard deviation, cm-1), strength (km/mol
    for each match). `phase` is one of PHASES, or None for bands that both have."""

    name: str
    pattern: Chem.Mol
    bands: tuple[tuple[float, float, float], ...]
    phase: str | None


@cache
def shipped_groups() -> tuple[Group, ...]:
    """The groups of the table that the project ships; read once per process."""
    table = Path(__file__).with_name("tables") / "infrared_groups.tsv"
    rows = (line for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return tuple(_group(*row.split("\t")) for row in rows)


def _group(name: str, smarts: str, bands: str, phase: str | None = None) -> Group:
    parsed = []
    for band in bands.split():
        position, width, strength = map(float, band.split("/"))
        parsed.append((position, width, strength))
    return Group(name, Chem.MolFromSmarts(smarts), tuple(parsed), phase)


def group_counts(mol: Chem.Mol) -> FloatArray:
    """How often each of the shipped groups is in a molecule, [B]."""
    return np.array([len(mol.GetSubstructMatches(group.pattern)) for group in shipped_groups()], dtype=float)


def group_absorbance(counts: FloatArray, phase: Phase = "gas", broadening_cm1: float = 0.0) -> FloatArray:
    """Absorbance [G] (km/mol for each cm-1) of a molecule with these counts [B] of groups, its bands broadened
    further by a Gaussian of that standard deviation."""
    present = np.flatnonzero(counts)
    return np.asarray(counts[present] @ _shapes(phase, broadening_cm1)[present])


@cache
def _shapes(phase: Phase, broadening_cm1: float) -> FloatArray:
    """The bands of one match of each group, [B, G]."""
    grid = np.linspace(START_CM1, STOP_CM1, POINTS)
    shapes = np.zeros((len(shipped_groups()), POINTS))
    for shape, group in zip(shapes, shipped_groups()):
        if group.phase in (None, phase):
            for position, width, strength in group.bands:
                spread = np.hypot(width, broadening_cm1)
                height = strength / (spread * np.sqrt(2.0 * np.pi))
                shape += height * np.exp(-0.5 * ((grid - position) / spread) ** 2)
    return shapes
