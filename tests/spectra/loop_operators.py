"""The compression operators once more, for one record at a time and with plain loops: what those of
`mmspec_ds.spectra.modalities`, which work on whole columns, must give bit by bit."""

import math
import re
from typing import Any

import numpy as np

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.spectra.modalities.formula import SYMBOLS
from mmspec_ds.spectra.modalities.h_nmr import MULTIPLICITIES
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Modality, Record, TandemMS

Rows = tuple[list[list[int]], list[list[float]]]
"""Discrete and continuous fields of each token."""


def nearest(value: float, width: float) -> int:
    return math.floor(value / width + 0.5)


def clip(value: int, lowest: int, highest: int) -> int:
    return min(max(value, lowest), highest)


def h_nmr(record: Record, settings: Any) -> Rows:
    multiplets = [m for s in record.spectra if isinstance(s, HydrogenNMR) for m in s.multiplets]
    last, rows = nearest(settings.highest_ppm - settings.lowest_ppm, settings.bin_ppm), []
    for one in sorted(multiplets, key=lambda one: -one.centroid_ppm)[: settings.max_tokens]:
        letters = re.findall(r"hept|.", one.category, re.DOTALL)[:4]
        known = [MULTIPLICITIES.index(x if x in MULTIPLICITIES else "other") for x in letters]
        couplings = [clip(nearest(j, settings.j_bin_hz), 1, 63) for j in one.j_hz[:4]]
        rows.append(
            [
                clip(nearest(one.centroid_ppm - settings.lowest_ppm, settings.bin_ppm), 0, last),
                clip(nearest(one.max_ppm - one.min_ppm, settings.span_bin_ppm), 0, 63),
                *(known + [0] * 4)[:4],
                clip(one.hydrogens, 0, 31),
                *(couplings + [0] * 4)[:4],
            ]
        )
    return rows, [[]] * len(rows)


def c_nmr(record: Record, settings: Any) -> Rows:
    shifts = [ppm for s in record.spectra if isinstance(s, CarbonNMR) for ppm in s.shifts_ppm]
    last = nearest(settings.highest_ppm - settings.lowest_ppm, settings.bin_ppm)
    kept = sorted(shifts, reverse=True)[: settings.max_tokens]
    rows = [[clip(nearest(ppm - settings.lowest_ppm, settings.bin_ppm), 0, last)] for ppm in kept]
    return rows, [[]] * len(rows)


def ir(record: Record, settings: Any) -> Rows:
    spectrum = next((s for s in record.spectra if isinstance(s, Infrared)), None)
    if spectrum is None:
        return [], []
    measured = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, len(spectrum.absorbance))
    absorbance = spectrum.absorbance
    if measured[0] > measured[-1]:
        measured, absorbance = measured[::-1], absorbance[::-1]
    wanted = np.linspace(settings.lowest_cm1, settings.highest_cm1, settings.intervals)
    floor = float(absorbance.min())
    curve = np.interp(wanted, measured, absorbance, left=floor, right=floor)
    span = curve.max() - curve.min()
    curve = (curve - curve.min()) / (span if span > 0 else 1.0)
    starts = range(0, settings.intervals - settings.window + 1, settings.stride)
    return [[]] * len(starts), [curve[at : at + settings.window].tolist() for at in starts]


def ms(record: Record, settings: Any) -> Rows:
    spectra = [s for s in record.spectra if isinstance(s, TandemMS)]
    limit = min(settings.max_peaks, max(1, settings.max_tokens // max(1, len(spectra))))
    discrete: list[list[int]] = []
    continuous: list[list[float]] = []
    for one in spectra[: settings.max_tokens]:
        base = one.intensity.max(initial=0.0)
        relative = one.intensity / base if base > 0 else 0 * one.intensity
        strongest = sorted(zip(-relative, one.mz))[:limit]
        energy = one.collision_energy_ev
        energy_bin = 0 if energy is None else 1 + clip(int(energy // 5), 0, 39)
        discrete += [[energy_bin, int(one.polarity == "negative")]] * len(strongest)
        continuous += [[mz, -minus] for mz, minus in sorted((mz, minus) for minus, mz in strongest)]
    return discrete, continuous


def formula(record: Record, settings: Any) -> Rows:
    if record.formula is None:
        return [], []
    counts, charge = parse_formula(record.formula)
    if charge:
        counts["+" if charge > 0 else "-"] = abs(charge)
    rows = [[SYMBOLS.index(s if s in SYMBOLS else "other"), clip(n, 0, 255)] for s, n in counts.items()]
    return rows, [[]] * len(rows)


OPERATORS = {
    Modality.H_NMR: h_nmr,
    Modality.C_NMR: c_nmr,
    Modality.IR: ir,
    Modality.MS: ms,
    Modality.FORMULA: formula,
}
