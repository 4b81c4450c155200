"""The text form of the benchmark (Alberts et al. 2024), input of the dense baseline, by its own script's rules.

Each function gives the tokens of one column; joined by blanks they are what the benchmark's script writes.
"""

import re

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Modality, Record, TandemMS

_IR_POINTS = 400
_ENERGY_NAMES = {10.0: "E0", 20.0: "E1", 40.0: "E2"}
_FORMULA_PART = re.compile(r"[A-Z][a-z]?|\d+|\S")


def text_tokens(record: Record) -> dict[Modality, list[str]]:
    """The tokens of a record by modality; what it lacks is left out.

    The benchmark joins them in the order formula, 1H, 13C, IR, MS/MS, positive before negative. Where a record
    has two spectra of one kind, the text, which has room for one, takes the first.

    Raises:
        DataError: an MS/MS spectrum has a collision energy for which the text has no name.
    """
    segments: dict[Modality, list[str]] = {}
    if record.formula is not None:
        segments[Modality.FORMULA] = formula_text(record.formula)
    for spectrum in record.spectra:
        match spectrum:
            case HydrogenNMR():
                segments.setdefault(Modality.H_NMR, h_nmr_text(spectrum))
            case CarbonNMR():
                segments.setdefault(Modality.C_NMR, c_nmr_text(spectrum))
            case Infrared():
                segments.setdefault(Modality.IR, ir_text(spectrum))
    if any(isinstance(spectrum, TandemMS) for spectrum in record.spectra):
        segments[Modality.MS] = ms_text(record, "positive") + ms_text(record, "negative")
    return segments


def formula_text(formula: str) -> list[str]:
    """Elements and counts: C11H15FN2O2 is C 11 H 15 F N 2 O 2."""
    return _FORMULA_PART.findall(formula)


def h_nmr_text(spectrum: HydrogenNMR) -> list[str]:
    """1HNMR, then of each multiplet: upper edge, lower edge (ppm, two decimals), category, hydrogens, and J
    with the coupling constants (Hz, two decimals) if there are any; a bar between multiplets."""
    tokens = ["1HNMR"]
    for index, multiplet in enumerate(spectrum.multiplets):
        if index:
            tokens.append("|")
        tokens += [f"{multiplet.max_ppm:.2f}", f"{multiplet.min_ppm:.2f}"]
        tokens += [multiplet.category, f"{multiplet.hydrogens}H"]
        if multiplet.j_hz:
            tokens += ["J", *(f"{coupling:.2f}" for coupling in multiplet.j_hz)]
    return tokens


def c_nmr_text(spectrum: CarbonNMR) -> list[str]:
    """13CNMR and the shifts in ppm with one decimal, in the order in which they are stored."""
    return ["13CNMR", *(f"{shift:.1f}" for shift in spectrum.shifts_ppm)]


def ir_text(spectrum: Infrared) -> list[str]:
    """IR and 400 whole numbers: interpolated linearly, lifted by the size of the minimum, in per cent of the
    maximum. A spectrum of nothing but zeros stays at zero, where the benchmark would divide by zero."""
    measured = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, len(spectrum.absorbance))
    points = np.interp(
        np.linspace(spectrum.start_cm1, spectrum.stop_cm1, _IR_POINTS), measured, spectrum.absorbance
    )
    points = points + abs(points.min())
    highest = points.max()
    per_cent = points / highest * 100 if highest > 0 else points
    return ["IR", *(str(int(value)) for value in np.round(per_cent))]


def ms_text(record: Record, polarity: str) -> list[str]:
    """Of each spectrum of one polarity, by rising energy: its name (E0Pos at 10, E1Pos at 20, E2Pos at 40 eV,
    Neg likewise), then m/z and intensity of each peak with one decimal.

    Raises:
        DataError: a spectrum has another collision energy.
    """
    spectra: dict[str, TandemMS] = {}
    for spectrum in record.spectra:
        if isinstance(spectrum, TandemMS) and spectrum.polarity == polarity:
            energy = spectrum.collision_energy_ev
            if energy not in _ENERGY_NAMES:
                raise DataError(
                    f"record {record.id} has MS/MS at {energy} eV, the benchmark's text knows 10, 20, 40"
                )
            spectra.setdefault(_ENERGY_NAMES[energy], spectrum)
    tokens: list[str] = []
    for name in sorted(spectra):
        tokens.append(f"{name}{polarity[:3].capitalize()}")
        # numpy rounds value * 10, format() the exact binary value: 4.35 is 4.4 to the one, as in the benchmark,
        # and 4.3 to the other. The published peaks have two decimals, so such ties are frequent.
        peaks = np.stack([spectra[name].mz, spectra[name].intensity], axis=1)
        tokens += [f"{value:.1f}" for value in np.round(peaks, 1).ravel().tolist()]
    return tokens
