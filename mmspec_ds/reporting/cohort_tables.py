"""Tables of the analysis of a cohort: methods compared, predictions for samples, the features that matter."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmspec_ds.reporting.cohort_words import main_method, method_words, speaks_for, written
from mmspec_ds.systems.fusion.cohort.cohort import Cohort
from mmspec_ds.systems.fusion.cohort.cohort_result import CohortResult, Marker, MethodScores

_OWN_HEADS = ("comparison", "sample", "class")
FEATURE_HEADS = ("feature", "position", "coefficient", "sign agrees", "chosen", "area alone", "q")


def write_predictions(path: Path, parts: Mapping[str, Cohort], results: Mapping[str, CohortResult]) -> None:
    """Write a row for each sample of each comparison: its class, the probability of each class by each method,
    and of each table whether it measured the sample, its weight, and what it contributes.

    Probabilities are those of models that have not seen the patient, means over the repeats."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names: list[str] = []
        rows: list[dict[str, str]] = []
        for comparison, result in results.items():
            for row in _predictions(comparison, parts[comparison], result):
                names += [name for name in row if name not in names]
                rows.append(row)
        writer.writerow(names)
        writer.writerows([row.get(name, "") for name in names] for row in rows)


def _predictions(comparison: str, cohort: Cohort, result: CohortResult) -> Iterator[dict[str, str]]:
    found = result.contributions
    for at, sample in enumerate(result.samples):
        row = {
            "comparison": comparison,
            "sample": sample,
            "class": result.classes[result.label_N[at]],
        }
        for name, values in cohort.covariates.items():
            row[f"{name} (column)" if name in _OWN_HEADS else name] = values[at]
        for place, block in enumerate(result.blocks):
            row[f"measured by {block}"] = "yes" if result.present_NM[at, place] else "no"
            if found is not None:
                row[f"weight of {block}"] = _number(found.weight_NM[at, place])
                row[f"contribution of {block}"] = _number(found.head_NM[at, place])
                row[f"exact contribution of {block}"] = _number(found.exact_NM[at, place])
        for method in result.methods:
            for label, name in enumerate(result.classes):
                row[f"{method.replace('_', ' ')}: probability of {name}"] = _number(
                    result.probability[method][at, label]
                )
        yield row


def write_features(path: Path, results: Mapping[str, CohortResult]) -> None:
    """Write a row for each feature that matters, of each comparison and table."""
    heads = ("comparison", "table", "feature", "position", "unit", "more of it speaks for", "coefficient")
    more = ("share of fits with this sign", "share of fits that chose it", "area alone", "q value")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*heads, *more))
        for comparison, result in results.items():
            for one in result.markers:
                position = "" if one.position is None else f"{one.position:.6g}"
                known = (comparison, one.block, one.feature, position, one.unit or "", speaks_for(one, result))
                values = (one.coefficient, one.agreement, one.chosen, one.auc, one.q_value)
                writer.writerow((*known, *map(_number, values)))


def method_heads(result: CohortResult) -> tuple[str, ...]:
    """The names of the columns of `method_rows`."""
    main = main_method(result).replace("_", " ")
    return ("method", "area (95 % interval)", "repeats", f"{main} less this", "p", "Brier", "calibration error")


def method_rows(result: CohortResult, comparison: str) -> list[list[str]]:
    """The methods of one comparison as rows of texts, the main one first."""
    scores = result.scores[comparison]
    order = sorted(result.methods, key=lambda one: (one != main_method(result), -scores[one].area.auc))
    return [_method_row(name, scores[name]) for name in order]


def _method_row(name: str, scores: MethodScores) -> list[str]:
    against = scores.against
    by = "" if against is None else f"{against.difference:+.3f} ({against.low:+.3f} to {against.high:+.3f})"
    return [
        name.replace("_", " "),
        written(scores.area),
        f"{scores.mean:.3f} ± {scores.deviation:.3f}",
        by,
        "" if against is None else f"{against.p_value:.2g}",
        f"{scores.brier:.3f}",
        f"{scores.calibration.error:.3f}",
    ]


def explained_methods(methods: Sequence[str]) -> dict[str, str]:
    """What each method does, by its name."""
    return {name.replace("_", " "): method_words(name) for name in methods}


def feature_rows(result: CohortResult, block: str, most: int = 12) -> list[list[str]]:
    """The first features of a block as rows of `FEATURE_HEADS`."""
    return [
        [
            one.feature,
            _position(one),
            f"{one.coefficient:+.3f} for {speaks_for(one, result)}",
            f"{100 * one.agreement:.0f} %",
            f"{100 * one.chosen:.0f} %",
            f"{one.auc:.2f}",
            f"{one.q_value:.2g}",
        ]
        for one in result.markers
        if one.block == block
    ][:most]


def _position(feature: Marker) -> str:
    """With its unit; m/z with four decimals, as instruments give it."""
    if feature.position is None:
        return ""
    if feature.unit == "m/z":
        return f"m/z {feature.position:.4f}"
    return f"{feature.position:.6g} {feature.unit or ''}".strip()


def _number(value: float) -> str:
    return "" if not np.isfinite(value) else f"{value:.6g}"
