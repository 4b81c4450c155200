"""How well candidates agree with the spectra of a record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rdkit import Chem

from mmspec_ds.spectra.records import (
    HSQC,
    CarbonNMR,
    FloatArray,
    HydrogenNMR,
    Infrared,
    Modality,
    Record,
    TandemMS,
)
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.infrared import infrared_score
from mmspec_ds.verification.nmr import match_carbon, match_cross_peaks, match_hydrogen
from mmspec_ds.verification.predicted import RDKIT_ERRORS, Prediction, predicted
from mmspec_ds.verification.tandem import tandem_score

QUICK_RADIUS = 2
"""Bonds that the surroundings of a quick prediction span."""
UNPREDICTABLE = -1000.0
"""Each part of the score of a molecule whose spectra cannot be predicted."""


@dataclass(frozen=True)
class Verdict:
    """How well a candidate agrees with a record; higher is better. Scores of one record can be compared.

    Attributes:
        smiles: as it was given.
        score: the sum of the parts with the weights of the error models, nats.
        parts: log-likelihoods by modality, nats; of IR and MS/MS against spectra that have nothing to do with
            the molecule.
    """

    smiles: str
    score: float
    parts: Mapping[str, float]


class Verifier:
    """Judges candidates for one record by the spectra that are predicted for them.

    Attributes:
        models: the error models in use.
        modalities: names of the record's spectra that can be judged.
    """

    def __init__(self, record: Record, models: ErrorModels | None = None) -> None:
        self.models = ErrorModels() if models is None else models
        self._judges = _judges(record, self.models)
        self.modalities = tuple(self._judges)

    def judge(self, smiles: Sequence[str]) -> list[Verdict]:
        """The verdict on each candidate, in their order. One that is no molecule, or several, or whose spectra
        cannot be predicted has UNPREDICTABLE for every part."""
        found = [self._parts(partial(predicted, one)) for one in smiles]
        return [Verdict(one, self.models.total(parts), parts) for one, parts in zip(smiles, found)]

    def judge_quickly(self, molecules: Sequence[Chem.Mol]) -> FloatArray:
        """Scores of molecules by shifts from narrower surroundings, float64 [N]: for a first pass over a long
        list, in two thirds of the time. Each must be one molecule, not several."""
        parts = (self._parts(partial(Prediction, mol, QUICK_RADIUS)) for mol in molecules)
        return np.array([self.models.total(one) for one in parts])

    def _parts(self, predict: Callable[[], Prediction]) -> dict[str, float]:
        """The log-likelihood of each modality for a molecule."""
        try:
            prediction = predict()
            return {name: judge(prediction) for name, judge in self._judges.items()}
        except RDKIT_ERRORS:
            return dict.fromkeys(self.modalities, UNPREDICTABLE)


def _judges(record: Record, models: ErrorModels) -> dict[str, Callable[[Prediction], float]]:
    """By modality, what gives the log-likelihood of the record's spectra for a prediction."""
    scorers: dict[Modality, Callable[[Any, Prediction, ErrorModels], float]] = {
        Modality.H_NMR: _hydrogen_score,
        Modality.C_NMR: _carbon_score,
        Modality.HSQC: _cross_peak_score,
        Modality.IR: _infrared_score,
    }
    found: dict[str, Callable[[Prediction], float]] = {}
    for modality, scorer in scorers.items():
        spectra = list(record.of(modality))
        if spectra:
            found[modality.name.lower()] = partial(_mean_score, spectra, scorer, models)
    tandem = [one for one in record.spectra if isinstance(one, TandemMS)]
    if tandem:
        found[Modality.MS.name.lower()] = lambda prediction: tandem_score(tandem, prediction.mol)
    return found


def _mean_score(
    spectra: Sequence[Any],
    scorer: Callable[[Any, Prediction, ErrorModels], float],
    models: ErrorModels,
    prediction: Prediction,
) -> float:
    """The mean over the spectra of one kind: the errors of a prediction are the same for all of them."""
    return sum(scorer(one, prediction, models) for one in spectra) / len(spectra)


def _hydrogen_score(spectrum: HydrogenNMR, prediction: Prediction, models: ErrorModels) -> float:
    return match_hydrogen(spectrum, prediction.hydrogen, models).score


def _carbon_score(spectrum: CarbonNMR, prediction: Prediction, models: ErrorModels) -> float:
    return match_carbon(spectrum, prediction, models)[0].score


def _cross_peak_score(spectrum: HSQC, prediction: Prediction, models: ErrorModels) -> float:
    return match_cross_peaks(spectrum, prediction, models).score


def _infrared_score(spectrum: Infrared, prediction: Prediction, models: ErrorModels) -> float:
    return infrared_score(spectrum, prediction.mol)
