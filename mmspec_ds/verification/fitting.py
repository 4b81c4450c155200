"""Error models and weights fitted on molecules whose structure is known.

Axes: R records, K candidates of each (padded), F features.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import numpy as np
from scipy.optimize import minimize
from scipy.stats import t as student

from mmspec_ds.spectra.records import HSQC, CarbonNMR, FloatArray, HydrogenNMR, Record
from mmspec_ds.verification.error_models import ErrorModels, PeakErrors
from mmspec_ds.verification.nmr import match_carbon, match_cross_peaks, match_hydrogen
from mmspec_ds.verification.predicted import RDKIT_ERRORS, predicted

ENOUGH = 200
"""Assigned signals from which the errors of a nucleus are fitted."""
MOST_FREEDOM = 50.0
"""Degrees of freedom from which Student's t is as good as normal."""
RIDGE = 1e-3
"""Penalty on the squares of the logistic weights, in nats a record."""

Pairs = list[tuple[float, float]]
"""Errors of assigned shifts and the spreads of their surroundings, ppm."""


def fit_error_models(records: Iterable[Record], models: ErrorModels | None = None) -> ErrorModels:
    """Error models whose shift errors are those of the records' spectra, assigned to their own molecules by
    `models` (the defaults without). A nucleus with fewer than ENOUGH signals keeps its errors; molecules whose
    spectra cannot be predicted are passed over."""
    models = ErrorModels() if models is None else models
    found: dict[str, Pairs] = {"c_nmr": [], "h_nmr": [], "hsqc_carbon": [], "hsqc_hydrogen": []}
    for record in records:
        if record.smiles is not None:
            with suppress(*RDKIT_ERRORS):
                _collect(record, record.smiles, models, found)
    fitted = {
        name: _fitted(getattr(models, name), pairs) for name, pairs in found.items() if len(pairs) >= ENOUGH
    }
    return models.model_copy(update=fitted)


def _collect(record: Record, smiles: str, models: ErrorModels, found: dict[str, Pairs]) -> None:
    """Add the errors of the record's shifts."""
    prediction = predicted(smiles)
    for spectrum in record.spectra:
        match spectrum:
            case CarbonNMR():
                matching, signals = match_carbon(spectrum, prediction, models)
                for o, p in matching.pairs:
                    found["c_nmr"].append((spectrum.shifts_ppm[o] - signals.ppm[p], signals.spread_ppm[p]))
            case HydrogenNMR():
                signals = prediction.hydrogen
                for o, p in match_hydrogen(spectrum, signals, models).pairs:
                    if not signals.mobile[p]:
                        error = spectrum.multiplets[o].centroid_ppm - signals.ppm[p]
                        found["h_nmr"].append((error, signals.spread_ppm[p]))
            case HSQC():
                peaks = prediction.cross_peaks
                for o, p in match_cross_peaks(spectrum, prediction, models).pairs:
                    one = spectrum.peaks[o]
                    carbon, hydrogen = (
                        one.carbon_ppm - peaks.carbon_ppm[p],
                        one.hydrogen_ppm - peaks.hydrogen_ppm[p],
                    )
                    found["hsqc_carbon"].append((carbon, peaks.carbon_spread_ppm[p]))
                    found["hsqc_hydrogen"].append((hydrogen, peaks.hydrogen_spread_ppm[p]))


def _fitted(errors: PeakErrors, pairs: Pairs) -> PeakErrors:
    """The scale and freedom of greatest likelihood."""
    error, spread = np.array(pairs).T

    def loss(logarithms: FloatArray) -> float:
        own, factor, freedom = np.exp(logarithms)
        scale = np.hypot(own, factor * spread)
        return float(-student.logpdf(error, min(freedom, MOST_FREEDOM), scale=scale).mean())

    start = np.log([errors.error_ppm, max(errors.spread_scale, 0.1), errors.freedom])
    own, factor, freedom = np.exp(minimize(loss, start, method="Nelder-Mead").x).tolist()
    new = {"error_ppm": own, "spread_scale": factor, "freedom": min(freedom, MOST_FREEDOM)}
    return errors.model_copy(update={name: float(f"{value:.4g}") for name, value in new.items()})


def fit_list_weights(
    features_RKF: FloatArray, present_RK: np.ndarray, right_R: Sequence[int], most_F: Sequence[float | None]
) -> FloatArray:
    """Weights, none below 0, that give the right candidates of some lists the greatest likelihood, [F].

    A candidate's probability within its list is the softmax of its weighted features.

    Args:
        features_RKF: of each candidate, such as log-likelihoods; 0 where nothing is known.
        present_RK: whether there is a candidate, bool.
        right_R: the place of the right candidate in each list.
        most_F: the greatest weight that each feature may have, None for any.
    """
    rows = np.arange(len(features_RKF))

    def loss(weights_F: FloatArray) -> tuple[float, FloatArray]:
        score_RK = np.where(present_RK, features_RKF @ weights_F, -np.inf)
        log_share_RK = score_RK - np.logaddexp.reduce(score_RK, axis=1, keepdims=True)
        mean_RF = np.einsum("rk,rkf->rf", np.exp(log_share_RK), features_RKF)
        slope_F = (mean_RF - features_RKF[rows, right_R]).mean(axis=0) + 2 * RIDGE * (weights_F - 1)
        return -log_share_RK[rows, right_R].mean() + RIDGE * ((weights_F - 1) ** 2).sum(), slope_F

    return _least(loss, np.full(len(most_F), 0.5), [(0.0, most) for most in most_F])


def fit_logistic(features_RF: FloatArray, true_R: Sequence[bool]) -> FloatArray:
    """Weights of a logistic regression, the intercept first, [1 + F]."""
    design = np.column_stack([np.ones(len(features_RF)), features_RF])
    sign_R = np.where(np.asarray(true_R), 1.0, -1.0)

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        margin_R = sign_R * (design @ weights)
        penalised = np.concatenate([[0.0], weights[1:]])
        share_R = np.exp(-np.logaddexp(0, margin_R))
        slope = -(design * (sign_R * share_R)[:, None]).mean(axis=0) + 2 * RIDGE * penalised
        return float(np.logaddexp(0, -margin_R).mean() + RIDGE * (penalised**2).sum()), slope

    return _least(loss, np.zeros(design.shape[1]), [(None, None)] * design.shape[1])


def _least(
    loss: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    bounds: Sequence[tuple[float | None, float | None]],
) -> FloatArray:
    """Where a function that also gives its slope is least."""
    weights: FloatArray = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return weights
