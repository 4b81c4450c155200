"""Figures of trained fusion models on the same samples: AUC with its interval, each modality alone,
contributions, and what spoilt modalities do.

Axes: N samples, M modalities, C classes or groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.readers.part import counted
from mmspec_ds.systems.fusion.batch import BoolMatrix
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import load_cohort_run
from mmspec_ds.systems.fusion.corruption import CorruptionKind, CorruptionSettings
from mmspec_ds.systems.fusion.data import FusionData, make_batch
from mmspec_ds.systems.fusion.outcome import Array, Outcome, areas, head_correlations, macro_auc, tell
from mmspec_ds.systems.fusion.reading import read_known
from mmspec_ds.systems.fusion.tables import data_of_cohort
from mmspec_ds.systems.fusion.trained import TrainedFusion

DRAWS = 200
"""Resamples of molecules or patients for an interval."""
KINDS: tuple[CorruptionKind, ...] = ("noise", "shuffled", "missing")


@dataclass(frozen=True)
class FusionScore:
    """Figures of one model.

    Attributes:
        samples, groups: how many samples of how many molecules or patients.
        auc: `outcome.macro_auc`.
        low, high: its 95 % interval, from resampled molecules or patients.
        by_name: the AUC of each class or group, NaN where all samples have it or none has.
        alone: the AUC with one modality, of the samples that have it; left out where these do not differ.
        weight: of each modality in the fusion, the mean over the samples that have it.
        contribution: to the true class, nats, likewise.
        head: correlations of the head with exact contributions; none without a head.
    """

    samples: int
    groups: int
    auc: float
    low: float
    high: float
    by_name: dict[str, float]
    alone: dict[str, float]
    weight: dict[str, float]
    contribution: dict[str, float]
    head: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The figures in JSON's types; an AUC that is not known is left out."""
        found = dict(vars(self))
        found["by_name"] = {name: value for name, value in self.by_name.items() if np.isfinite(value)}
        return found


def read_samples(trained: TrainedFusion, files: Sequence[Path], limit: int | None = None) -> FusionData:
    """Samples whose truth is known, as a model reads them.

    Args:
        trained: the model.
        files: of records with structures; of a model that reads tables, the run file of a cohort, whose classes
            are those of the model.
        limit: only the first so many molecules or samples.

    Raises:
        ConfigError: the model reads tables, and this is no run file of a cohort.
        DataError: a file cannot be read, no record is of use, or the cohort lacks a class of the model.
    """
    schema, settings = trained.schema, trained.run.tokens
    if not schema.tables:
        return read_known(files, schema, settings, limit)
    if len(files) != 1 or files[0].suffix not in (".yaml", ".yml"):
        raise ConfigError(
            f"model {trained.name} reads the tables of a cohort: expected the run file of one (.yaml) as data"
        )
    cohort = read_cohort(load_cohort_run(files[0]))
    lacking = [name for name in schema.names if name not in cohort.classes]
    if lacking:
        raise DataError(
            f"has no sample of class {lacking[0]}, which model {trained.name} tells: it has"
            f" {', '.join(cohort.classes)}",
            path=files[0],
        )
    cohort = cohort.choose(schema.names)
    return data_of_cohort(cohort.subset(range(len(cohort.samples))[:limit]), schema, settings)


def score(trained: TrainedFusion, data: FusionData, seed: int = 0) -> FusionScore:
    """Figures of a model on samples whose truth is known.

    Raises:
        DataError: a sample has nothing that the model reads, or all samples have the same classes or groups.
    """
    outcome = trained.outcome(data)
    auc = macro_auc(outcome.probability_NC, data.target_NC)
    if np.isnan(auc):
        what = "functional group" if trained.schema.kind == "groups" else "class"
        raise DataError(
            f"no AUC of {counted(len(data), 'sample')}: expected some with another {what} than others"
        )
    low, high = interval(outcome.probability_NC, data.target_NC, data.groups, seed)
    names = trained.schema.modalities
    of_each = areas(outcome.probability_NC, data.target_NC).tolist()
    alone = [_alone(trained, data, at, outcome.present_NM[:, at]) for at in range(len(names))]
    return FusionScore(
        samples=len(data),
        groups=len(set(data.groups)),
        auc=auc,
        low=low,
        high=high,
        by_name=dict(zip(trained.schema.names, of_each)),
        alone={name: value for name, value in zip(names, alone) if np.isfinite(value)},
        weight=_means(names, outcome.weight_NM, outcome),
        contribution=_means(names, outcome.of_truth_NM, outcome),
        head=head_correlations(outcome) if trained.model.has_head else {},
    )


def interval(
    probability_NC: Array, target_NC: Array, groups: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the AUC: percentiles over resamples of whole molecules or patients. Draws whose
    samples do not differ are left out."""
    rng, numbers = np.random.default_rng(seed), np.unique(groups, return_inverse=True)[1]
    rows = [np.flatnonzero(numbers == at) for at in range(numbers.max() + 1)]
    found = []
    for _ in range(DRAWS):
        drawn = np.concatenate([rows[at] for at in rng.integers(len(rows), size=len(rows))])
        found.append(macro_auc(probability_NC[drawn], target_NC[drawn]))
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class SpoiltScore:
    """Figures of a model where a share of the samples has one modality spoilt.

    Attributes:
        kind, rate: in what way, and the share of the samples.
        auc: of all samples.
        weight: of that modality in the fusion, the mean over the samples that were spoilt and still have it,
            and over the others; NaN where there are none.
    """

    kind: str
    rate: float
    auc: float
    weight_spoilt: float
    weight_sound: float


def spoilt_scores(
    trained: TrainedFusion,
    data: FusionData,
    modality: str,
    rates: Sequence[float],
    kinds: Sequence[CorruptionKind] = KINDS,
    seed: int = 0,
) -> list[SpoiltScore]:
    """Figures where one modality is spoilt in a share of the samples, for each kind and rate. The samples that
    are spoilt at a rate are among those of a higher one.

    Args:
        trained: the model.
        data: the samples.
        modality: the one that is spoilt.
        rates: shares of the samples, 0 to 1.
        kinds: in what way.
        seed: of what is drawn; equal for all models that are compared.

    Raises:
        ConfigError: the model does not read the modality.
    """
    if modality not in trained.schema.modalities:
        known = ", ".join(trained.schema.modalities)
        raise ConfigError(f"model {trained.name} does not read {modality}: expected one of {known}")
    column, found = trained.schema.modalities.index(modality), []
    device = next(trained.model.parameters()).device
    for kind in kinds:
        for rate in rates:
            settings = CorruptionSettings(share=rate, kinds=(kind,))
            batches, chances = [], []
            for start in range(0, len(data), trained.batch):
                rows = np.arange(start, min(start + trained.batch, len(data)), dtype=np.int64)
                seeds = [(seed, row) for row in rows.tolist()]
                chances += [np.random.default_rng(list(one)).random() for one in seeds]
                batches.append(make_batch(data, rows, corruption=settings, seeds_B=seeds, column=column))
            outcome = tell(trained.model, batches, device)
            present_N, weight_N = outcome.present_NM[:, column], outcome.weight_NM[:, column]
            # A modality is left out only where there is another one: one that is still there was kept.
            changed = (np.array(chances) < rate) & (kind != "missing")
            spoilt, sound = present_N & changed, present_N & ~changed
            means = [float(weight_N[some].mean()) if some.any() else float("nan") for some in (spoilt, sound)]
            auc = macro_auc(outcome.probability_NC, data.target_NC)
            found.append(SpoiltScore(kind, rate, auc, *means))
    return found


def _alone(trained: TrainedFusion, data: FusionData, column: int, has_N: BoolMatrix) -> float:
    """The AUC of the samples that have a modality, told from that one alone; NaN where they do not differ."""
    if not has_N.any():
        return float("nan")
    some = data.subset(np.flatnonzero(has_N))
    nothing = np.zeros(len(some), dtype=np.bool_)
    pieces = tuple(one if at == column else one.where(nothing) for at, one in enumerate(some.pieces))
    only = FusionData(some.ids, pieces, some.target_NC, some.groups)
    return macro_auc(trained.outcome(only).probability_NC, some.target_NC)


def _means(names: Sequence[str], values_NM: Array, outcome: Outcome) -> dict[str, float]:
    pairs = ((name, values_NM[outcome.present_NM[:, at], at]) for at, name in enumerate(names))
    return {name: float(values.mean()) for name, values in pairs if len(values)}
