"""Objects as text, for a language model that has no encoder: SMILES, peaks, sequences, the highest genes."""

from collections.abc import Sequence

import numpy as np

from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    ElectronIonisationMS,
    HydrogenNMR,
    Infrared,
    Record,
    Spectrum,
    TandemMS,
)
from mmspec_ds.systems.alignment.objects import PLACEHOLDERS, Cell, Molecule, Object, Protein, kind_of

MOST_PEAKS = 20
MOST_BANDS = 12
MOST_GENES = 20
MOST_LETTERS = 200
"""What a prompt has room for; the strongest peaks and the highest genes are told."""
_EVERYWHERE = ("RPL", "RPS", "MT-", "MTRNR", "MALAT1", "EEF1A1", "TMSB")
"""Genes that are high in most cells and tell little of their type."""


def with_text(prompt: str, objects: Sequence[Object]) -> str:
    """A prompt whose placeholders are replaced by the objects as text, in their order."""
    for one in objects:
        placeholder = PLACEHOLDERS[kind_of(one)]
        before, _, after = prompt.partition(placeholder)
        prompt = f"{before}{text_of(one)}{after}"
    return prompt


def text_of(one: Object) -> str:
    """An object as a language model without projections reads it: SMILES, peaks, sequence or marker genes."""
    match one:
        case Molecule():
            return one.smiles
        case Protein():
            return one.sequence[:MOST_LETTERS]
        case Cell():
            return f"(highest genes: {', '.join(highest_genes(one))})"
        case _:
            return f"({'; '.join(filter(None, map(_spectrum_text, _some_of(one))))})"


def highest_genes(cell: Cell) -> list[str]:
    """The genes with the highest values, without those that are high in most cells; highest first."""
    order = np.argsort(-cell.values, kind="stable")
    named = (cell.genes[int(at)] for at in order if cell.values[int(at)] > 0)
    return [gene for gene, _ in zip((g for g in named if not g.startswith(_EVERYWHERE)), range(MOST_GENES))]


def _some_of(record: Record) -> list[Spectrum]:
    """One spectrum of each kind and polarity: the first."""
    found: dict[tuple[object, ...], Spectrum] = {}
    for one in record.spectra:
        found.setdefault((one.modality, getattr(one, "polarity", None)), one)
    return list(found.values())


def _spectrum_text(one: Spectrum) -> str:
    match one:
        case HydrogenNMR():
            signals = (f"{m.centroid_ppm:.2f} {m.category} {m.hydrogens}H" for m in one.multiplets)
            return f"1H NMR ppm {', '.join(signals)}"
        case CarbonNMR():
            return f"13C NMR ppm {', '.join(f'{shift:.1f}' for shift in one.shifts_ppm)}"
        case HSQC():
            pairs = (f"{peak.carbon_ppm:.1f}/{peak.hydrogen_ppm:.2f}" for peak in one.peaks)
            return f"HSQC ppm {', '.join(pairs)}"
        case Infrared():
            return f"IR cm-1 {', '.join(f'{place:.0f}' for place in _bands(one))}"
        case TandemMS():
            precursor = f" of m/z {one.precursor_mz:.4f}" if one.precursor_mz is not None else ""
            return f"MS/MS {one.polarity}{precursor}, m/z {_peaks(one.mz, one.intensity, 3)}"
        case ElectronIonisationMS():
            return f"EI mass spectrum, m/z {_peaks(one.mz, one.intensity, 0)}"


def _peaks(mz: np.ndarray, intensity: np.ndarray, decimals: int) -> str:
    """The strongest peaks with their intensity in per cent of the strongest, strongest first."""
    order = np.argsort(-intensity, kind="stable")[:MOST_PEAKS]
    most = float(intensity.max()) if len(intensity) else 1.0
    return ", ".join(f"{mz[at]:.{decimals}f} ({100 * intensity[at] / most:.0f})" for at in order)


def _bands(one: Infrared) -> list[float]:
    """The places of the highest maxima of the absorbance in cm-1, highest first."""
    values = one.absorbance
    inner = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])) + 1
    chosen = inner[np.argsort(-values[inner], kind="stable")[:MOST_BANDS]]
    step = (one.stop_cm1 - one.start_cm1) / max(1, len(values) - 1)
    return [one.start_cm1 + step * int(at) for at in chosen]
