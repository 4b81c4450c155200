"""Linear models of the prepared values of one or several blocks: logistic regression and PLS-DA.

With more features than samples, a model with an L2 penalty depends on the features through their principal
components alone (Hastie and Tibshirani 2004, Biostatistics 5, 329), and so does PLS. The values are therefore
turned into at most N components once, for all strengths.

Axes: N training samples, R rows to predict, F features of all blocks of a view, K components, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.systems.fusion.cohort.analysis_settings import Learner, LearnerSettings
from mmspec_ds.systems.fusion.cohort.cohort import FloatMatrix, FloatVector, IntArray

Candidate = tuple[Learner, float]
"""A kind of model and its strength."""

SHRINKAGE = 0.5
"""What is added to the variance along each axis where distances are measured, in units of the mean variance of
a feature."""

TEMPERATURES = np.geomspace(0.1, 10, 25)


@dataclass(frozen=True)
class Components:
    """Principal components of the training samples.

    Attributes:
        scale: the root of the mean squared length of a training sample, by which all are divided.
        axes_FK: orthonormal.
        variance_K: of the training samples along each axis.
        usual: medians of the two numbers of `novelty` before they are subtracted, of the training samples.
    """

    scale: float
    axes_FK: FloatMatrix
    variance_K: FloatVector
    usual: tuple[float, float]

    def scores(self, prepared_RF: FloatMatrix) -> FloatMatrix:
        """Return the places of rows along the axes, [R, K]."""
        return prepared_RF / self.scale @ self.axes_FK

    def novelty(self, prepared_RF: FloatMatrix) -> FloatMatrix:
        """Return two numbers that tell how unlike the training samples rows are, [R, 2], both about zero for
        usual ones: the logarithms of their incoherence, see `_unlikeness`, and of their squared length."""
        scaled_RF = prepared_RF / self.scale
        return _unlikeness(scaled_RF, scaled_RF @ self.axes_FK, self.variance_K) - np.asarray(self.usual)


@dataclass(frozen=True)
class LinearModel:
    """Class probabilities softmax(scores_RK @ weight_KC + intercept_C)."""

    weight_KC: FloatMatrix
    intercept_C: FloatVector

    def log_probabilities(self, scores_RK: FloatMatrix) -> FloatMatrix:
        """Return the log-probability of each class for rows of scores, [R, C]."""
        return log_softmax(scores_RK @ self.weight_KC + self.intercept_C)


def log_softmax(values_RC: FloatMatrix) -> FloatMatrix:
    """Return values less the logarithm of the sum of their exponentials, along the last axis."""
    shifted = values_RC - values_RC.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), dtype=np.float64)


def fit_components(prepared_NF: FloatMatrix) -> Components:
    """Return the components of centred values, those without variance left out; one at least.

    They are computed from the products of the samples, N x N, where there are more features than samples."""
    scale = float(np.sqrt((prepared_NF**2).sum(1).mean())) or 1.0
    scaled_NF = prepared_NF / scale
    if scaled_NF.shape[1] > len(scaled_NF):
        square_K, left_NK = (one[..., ::-1] for one in np.linalg.eigh(scaled_NF @ scaled_NF.T))
        kept = square_K > 1e-10 * max(float(square_K[0]), 1e-300)
        axes_FK = scaled_NF.T @ (left_NK[:, kept] / np.sqrt(square_K[kept]))
    else:
        square_K, axes_FK = (one[..., ::-1] for one in np.linalg.eigh(scaled_NF.T @ scaled_NF))
        kept = square_K > 1e-10 * max(float(square_K[0]), 1e-300)
        axes_FK = axes_FK[:, kept]
    if not kept.any():  # nothing varies: one axis along which nothing is
        axes_FK, square_K, kept = np.zeros((scaled_NF.shape[1], 1)), np.zeros(1), np.ones(1, dtype=bool)
    variance_K = square_K[kept] / len(prepared_NF)
    incoherence, length = np.median(_unlikeness(scaled_NF, scaled_NF @ axes_FK, variance_K), axis=0)
    return Components(scale, axes_FK, variance_K, (float(incoherence), float(length)))


def fit_candidates(
    scores_NK: FloatMatrix, label_N: IntArray, classes: int, settings: LearnerSettings
) -> dict[Candidate, LinearModel]:
    """Return a model of each kind and strength."""
    found: dict[Candidate, LinearModel] = {}
    if "logistic" in settings.kinds:
        for strength in settings.strengths:
            found["logistic", strength] = _logistic(scores_NK, label_N, classes, strength)
    if "pls" in settings.kinds:
        found |= _pls(scores_NK, label_N, classes, settings.components)
    return found


def candidate_shares(
    log_probability: Mapping[Candidate, FloatMatrix], label_N: IntArray
) -> dict[Candidate, float]:
    """Return by how much each model counts, by its held-out log-probabilities [N, C].

    The weight of a model is exp(-N loss), so that models between which the inner folds cannot tell count alike,
    and a clearly better one alone (pseudo-BMA; Yao et al. 2018, Bayesian Analysis 13, 917). The mean loss is
    that at the model's best temperature, by which its logits are divided: the shares are weights over
    temperatures.
    """
    heats, losses = {}, {}
    for name, values_NC in log_probability.items():
        places = np.arange(len(label_N)), label_N
        tried = [float(-log_softmax(values_NC / heat)[places].mean()) for heat in TEMPERATURES]
        losses[name], heats[name] = min(tried), float(TEMPERATURES[int(np.argmin(tried))])
    least = min(losses.values())
    weights = {name: float(np.exp(-len(label_N) * (loss - least))) for name, loss in losses.items()}
    total = sum(weights.values())
    return {name: weights[name] / total / heats[name] for name in weights}


def averaged(models: Mapping[Candidate, LinearModel], shares: Mapping[Candidate, float]) -> LinearModel:
    """Return the model whose logits are the sum of those of `models` times `shares`."""
    return LinearModel(
        np.sum([share * models[name].weight_KC for name, share in shares.items()], axis=0),
        np.sum([share * models[name].intercept_C for name, share in shares.items()], axis=0),
    )


def _logistic(scores_NK: FloatMatrix, label_N: IntArray, classes: int, strength: float) -> LinearModel:
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    with config_context(skip_parameter_validation=True, assume_finite=True):
        model = LogisticRegression(C=strength, solver="newton-cholesky").fit(scores_NK, label_N)
    weight_KC, intercept_C = np.zeros((scores_NK.shape[1], classes)), np.full(classes, -np.inf)
    if len(model.classes_) == 2:
        weights, intercepts = np.outer(model.coef_[0], (-0.5, 0.5)), model.intercept_[0] * np.array([-0.5, 0.5])
    else:
        weights, intercepts = model.coef_.T, model.intercept_
    weight_KC[:, model.classes_], intercept_C[model.classes_] = weights, intercepts
    return LinearModel(weight_KC, intercept_C)


def _pls(
    scores_NK: FloatMatrix, label_N: IntArray, classes: int, components: Sequence[int]
) -> dict[Candidate, LinearModel]:
    """Return PLS regressions on the classes, each followed by a logistic regression on its components.

    The first components do not depend on how many follow, so that one fit serves all."""
    from sklearn.cross_decomposition import PLSRegression

    if not scores_NK.any():  # nothing varies on this training side
        return {("pls", components[0]): _logistic(scores_NK, label_N, classes, 1.0)}
    most = min(max(components), scores_NK.shape[1], len(scores_NK) - 1)
    target_NC = np.eye(classes)[label_N]
    model = PLSRegression(most, scale=False).fit(scores_NK, target_NC[:, 1:] if classes == 2 else target_NC)
    found: dict[Candidate, LinearModel] = {}
    for count in dict.fromkeys(min(one, most) for one in components):
        turn_KA = model.x_rotations_[:, :count]
        turn_KA = turn_KA / np.maximum((scores_NK @ turn_KA).std(0), 1e-12)
        inner = _logistic(scores_NK @ turn_KA, label_N, classes, 1.0)
        found["pls", count] = LinearModel(turn_KA @ inner.weight_KC, inner.intercept_C)
    return found


def _unlikeness(scaled_RF: FloatMatrix, scores_RK: FloatMatrix, variance_K: FloatVector) -> FloatMatrix:
    """Return two logarithms, [R, 2]: of the incoherence and of the squared length of rows.

    The incoherence is the squared Mahalanobis distance, with a shrunk covariance, over the squared length. It
    grows where values do not vary together as they do in the training samples. Of a sample whose features were
    drawn from different samples it is high, although every value is a usual one.
    """
    floor = SHRINKAGE / scaled_RF.shape[1]  # training samples have a mean squared length of 1
    length_R = (scaled_RF**2).sum(1)
    outside_R = np.maximum(length_R - (scores_RK**2).sum(1), 0.0)
    distance_R = (scores_RK**2 / (variance_K + floor)).sum(1) + outside_R / floor
    least = 1e-9
    return np.stack([np.log((distance_R + least) / (length_R + least)), np.log(length_R + least)], axis=1)
