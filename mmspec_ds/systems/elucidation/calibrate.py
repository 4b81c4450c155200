"""Verification and confidence of a trained model, fitted on molecules that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmspec_ds.data.collate import kept_modalities
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.data.records import records_of
from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.reliability import Reliability
from mmspec_ds.spectra.records import FloatArray, Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.candidates import Candidates
from mmspec_ds.systems.elucidation.predict import BEAM, predict_molecules
from mmspec_ds.systems.elucidation.trained import TrainedModel
from mmspec_ds.systems.elucidation.verified import check_confidence, combine, list_features
from mmspec_ds.verification.calibration import Calibration, describe_known
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.fitting import fit_error_models, fit_list_weights, fit_logistic
from mmspec_ds.verification.verifier import Verifier

FEWEST = 50
"""Molecules that a calibration needs, with the right structure found and in all."""
WEIGHED_BY_MEASURED = ("ir", "ms")
"""Their weights may not rise above the defaults: simulated spectra agree with predicted ones too well, and the
defaults are worth their nats on measured spectra."""

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Case:
    """A record with its candidates, the parts of each one's score, and the place of the right one if it is
    there."""

    record: Record
    candidates: Candidates
    parts: Sequence[dict[str, float]]
    right: int | None


def calibrate(
    trained: TrainedModel,
    files: Sequence[Path],
    *,
    limit: int,
    beam: int = BEAM,
    seed: int = 0,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the error models, the weights and the confidence on some molecules, the first `limit` of the files.
    They lack spectra as often as those that the model was trained on.

    The reliability in `checks` is that of each half of them by the fit to the other half.

    Raises:
        DataError: too few molecules, or too few that the model finds.
    """
    options = ReadOptions(max_records=limit)
    dataset = read_dataset(files, trained.encoding, options)
    records = list(records_of(dataset, files, options))
    dataset, records = _thinned(dataset, records, _missing(trained, dataset), np.random.default_rng(seed))
    found = predict_molecules(trained.model, dataset, trained.vocabulary, beam=beam, progress=progress)
    errors = fit_error_models(records)
    cases = [_case(*one, errors) for one in zip(records, found)]
    listed = sum(case.right is not None for case in cases)
    if min(listed, len(cases) - FEWEST) < FEWEST:
        raise DataError(
            f"{len(cases)} molecules, of which the model finds {listed}: a calibration needs {2 * FEWEST} and"
            f" {FEWEST} found"
        )
    checks = _checked(cases[::2], cases[1::2], errors)
    return fit_cases(cases, errors).model_copy(
        update={
            "known": describe_known(records),
            "checks": {name: one.to_json() for name, one in checks.items()},
        }
    )


def _checked(even: Sequence[Case], odd: Sequence[Case], errors: ErrorModels) -> dict[str, Reliability]:
    """The reliability of each half by the fit to the other half."""
    found, truths = [], []
    for fitted, judged in ((even, odd), (odd, even)):
        calibration = fit_cases(fitted, errors)
        found += [combine(case.candidates, case.parts, case.record, calibration) for case in judged]
        truths += [case.record.smiles for case in judged]
    return check_confidence(found, truths)


def fit_cases(cases: Sequence[Case], errors: ErrorModels) -> Calibration:
    """The weights and the confidence that suit some cases best, with these error models."""
    names = sorted({name for case in cases for part in case.parts for name in part})
    listed = [case for case in cases if case.right is not None]
    most = max(len(case.parts) for case in listed)
    features_RKF = np.zeros((len(listed), most, 1 + len(names)))
    present_RK = np.zeros((len(listed), most), dtype=np.bool_)
    for row, case in enumerate(listed):
        for place, (candidate, parts) in enumerate(zip(case.candidates.molecules, case.parts)):
            features_RKF[row, place] = [candidate.log_probability, *(parts.get(name, 0.0) for name in names)]
            present_RK[row, place] = True
    right_R = [case.right for case in listed if case.right is not None]
    most_F = [None, *(errors.weights[name] if name in WEIGHED_BY_MEASURED else None for name in names)]
    own, *weights = fit_list_weights(features_RKF, present_RK, right_R, most_F).tolist()
    fitted = errors.model_copy(update={"weights": {**errors.weights, **dict(zip(names, weights))}})
    calibration = Calibration(errors=fitted, model_weight=own)
    found = [(case, combine(case.candidates, case.parts, case.record, calibration).molecules) for case in cases]
    judged = [
        (list_features(molecules, case.record), case.right is not None)
        for case, molecules in found
        if molecules
    ]
    logistic = fit_logistic(np.array([features for features, _ in judged]), [right for _, right in judged])
    return calibration.model_copy(update={"listed": tuple(logistic.tolist())})


def _case(record: Record, candidates: Candidates, errors: ErrorModels) -> Case:
    smiles = [one.smiles for one in candidates.molecules]
    parts = [dict(one.parts) for one in Verifier(record, errors).judge(smiles)]
    right = smiles.index(record.smiles) if record.smiles in smiles else None
    return Case(record, candidates, parts, right)


def _missing(trained: TrainedModel, dataset: SpectraDataset) -> FloatArray:
    """The probability with which each modality of a sample was left out in training, [M]."""
    run = trained.run
    entries = [REGISTRY[modality] for modality in dataset.tokens]
    dropped = [run.data.modality_dropout * entry.is_instrument for entry in entries]
    return np.maximum(dropped, [getattr(run.training.augment, entry.name).missing for entry in entries])


def _thinned(
    dataset: SpectraDataset, records: Sequence[Record], missing_M: FloatArray, random: np.random.Generator
) -> tuple[SpectraDataset, list[Record]]:
    """The samples and their records, each without some of its spectra."""
    modalities = list(dataset.tokens)
    counts_NM = np.stack([packed.counts for packed in dataset.tokens.values()], axis=1)
    kept_NM = kept_modalities(counts_NM, modalities, missing_M, random.random(counts_NM.shape))
    tokens = {m: packed.where(kept_NM[:, at]) for at, (m, packed) in enumerate(dataset.tokens.items())}
    thinned = [
        replace(record, spectra=tuple(s for s in record.spectra if kept_M[modalities.index(s.modality)]))
        for record, kept_M in zip(records, kept_NM)
    ]
    return replace(dataset, tokens=tokens), thinned
