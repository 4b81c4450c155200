"""The observed 1H and 13C signals assigned to the atoms of a molecule."""

from dataclasses import dataclass
from typing import cast

import numpy as np

from mmspec_ds.spectra.records import CarbonNMR, FloatArray, HydrogenNMR, Modality, Record
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.matching import Matching
from mmspec_ds.verification.nmr import hydrogen_scale, match_carbon, match_hydrogen, scale
from mmspec_ds.verification.predicted import Signals, predicted


@dataclass(frozen=True)
class SignalMatch:
    """An observed signal and the predicted one that it is.

    Attributes:
        modality: `h_nmr` or `c_nmr`.
        observed_ppm: None if the predicted signal is not observed.
        predicted_ppm: None if no predicted signal explains the observed one.
        atoms: numbers of the atoms in `Chem.MolFromSmiles(smiles)`: equivalent carbons, or the atoms that bear
            the hydrogens; empty for an unexplained signal.
        spread_ppm: scale of the error that is expected of the prediction; 0 for an unexplained signal.
    """

    modality: str
    observed_ppm: float | None
    predicted_ppm: float | None
    atoms: tuple[int, ...]
    spread_ppm: float


def assign(record: Record, smiles: str, models: ErrorModels | None = None) -> list[SignalMatch]:
    """The most probable assignment of the 1H and the 13C signals of a record to a molecule, by falling shift.

    1H signals come before those of 13C. Of several spectra of one kind the first is taken. With integrals, an
    observed 1H multiplet may be that of several predicted signals, and has then an entry for each.

    Raises:
        ValueError: the SMILES is not a valid structure, or several molecules.
    """
    models = ErrorModels() if models is None else models
    prediction = predicted(smiles)
    found: list[SignalMatch] = []
    for hydrogen in list(record.of(Modality.H_NMR))[:1]:
        spectrum, signals = cast(HydrogenNMR, hydrogen), prediction.hydrogen
        shifts = [one.centroid_ppm for one in spectrum.multiplets]
        matching = match_hydrogen(spectrum, signals, models)
        found += _matches("h_nmr", shifts, signals, hydrogen_scale(signals, models), matching)
    for carbon in list(record.of(Modality.C_NMR))[:1]:
        lines = cast(CarbonNMR, carbon)
        matching, signals = match_carbon(lines, prediction, models)
        scales = scale(models.c_nmr, signals.spread_ppm)
        found += _matches("c_nmr", list(lines.shifts_ppm), signals, scales, matching)
    return found


def _matches(
    modality: str, observed: list[float], signals: Signals, scales: FloatArray, matching: Matching
) -> list[SignalMatch]:
    partners: list[tuple[int | None, int | None]] = [*matching.pairs]
    seen, explained = (set(one) for one in zip(*matching.pairs)) if matching.pairs else (set(), set())
    partners += [(o, None) for o in range(len(observed)) if o not in seen]
    partners += [(None, p) for p in range(len(signals.ppm)) if p not in explained]
    found = [
        SignalMatch(
            modality,
            None if o is None else observed[o],
            None if p is None else float(signals.ppm[p]),
            () if p is None else signals.atoms[p],
            0.0 if p is None else float(scales[p]),
        )
        for o, p in partners
    ]
    return sorted(found, key=_place, reverse=True)


def _place(match: SignalMatch) -> float:
    places = [ppm for ppm in (match.observed_ppm, match.predicted_ppm) if ppm is not None]
    return places[0] if places else -np.inf
