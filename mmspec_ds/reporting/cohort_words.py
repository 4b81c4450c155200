"""What the analysis of a cohort found, in words for the page about it."""

from collections.abc import Iterator

from mmspec_ds.evaluation.roc import Area
from mmspec_ds.systems.fusion.cohort.cohort_result import CohortResult, Marker, MethodScores

DISCLAIMER = (
    "This is not a medical device. It is for research only: nothing here may be used to diagnose, to treat or"
    " to advise a patient."
)

ALONE = " alone"
METHODS = {
    "concatenated": "all values side by side in one model",
    "block_scaled": "the same, with every table given the same total variance",
    "late_mean": "a model for each table; the mean of their probabilities",
    "late_weighted": "the same, weighted by how well each table told the classes on the training side",
    "stacked": "a model for each table, and one more that joins their log odds",
    "contribution": "a model for each table, weighed for each sample by what the table contributes to it",
}
REFERENCE = "contribution"


def method_words(name: str) -> str:
    """What a method does, in a few words."""
    return METHODS.get(name, "this table without the others" if name.endswith(ALONE) else "")


def written(area: Area) -> str:
    """An area with its interval: "0.91 (0.84 to 0.95)"."""
    return f"{area.auc:.3f} ({area.low:.3f} to {area.high:.3f})"


def best_alone(scores: dict[str, MethodScores]) -> str | None:
    """The name of the table that tells the classes best without the others."""
    alone = [name for name in scores if name.endswith(ALONE)]
    return max(alone, key=lambda name: scores[name].area.auc) if alone else None


def main_method(result: CohortResult) -> str:
    """The method that the page is about: fusion by contributions, or the first one where that was not made."""
    return REFERENCE if REFERENCE in result.methods else result.methods[0]


def speaks_for(marker: Marker, result: CohortResult) -> str:
    """The class that a large value of a feature speaks for."""
    if marker.coefficient >= 0:
        return marker.toward
    others = [name for name in result.classes if name != marker.toward]
    return others[0] if len(others) == 1 else f"not {marker.toward}"


def findings(result: CohortResult, comparison: str) -> Iterator[str]:
    """Sentences that say what one comparison showed, and how sure that is."""
    scores = dict(result.scores[comparison])
    main = main_method(result)
    area = scores[main].area
    yield (
        f"Between {area.cases} and {area.controls} held-out samples, {_called(main)} has an area under the ROC"
        f" curve of {written(area)}; 0.5 is chance, 1 is perfect."
    )
    if area.low <= 0.5:
        yield "The interval includes 0.5: with these samples, the classes were not told apart."
    alone = best_alone(scores)
    for other in dict.fromkeys(name for name in (alone, "concatenated") if name in scores and name != main):
        against = scores[other].against
        if against is None:
            continue
        by = f"{against.difference:+.3f} ({against.low:+.3f} to {against.high:+.3f}, p = {against.p_value:.2g})"
        sure = (
            "more than chance would explain" if against.low > 0 or against.high < 0 else "which may be chance"
        )
        yield f"Compared with {_called(other)}, {written(scores[other].area)}, that is {by}, {sure}."
    p_value = result.controls.p_value.get(comparison, {}).get(main)
    if p_value is not None:
        count = len(result.controls.permuted[comparison][main])
        mean = sum(result.controls.permuted[comparison][main]) / count
        few = p_value <= 1.001 / (count + 1) and count < 99
        yield (
            f"With the classes shuffled between patients, {count} times, the mean area was {mean:.3f}. For an"
            f" area as large as the true one by chance, p = {p_value:.2g}"
            f"{', the least that so few shuffles can give' if few else ''}."
        )


def _called(method: str) -> str:
    if method.endswith(ALONE):
        return f"the table {method.removesuffix(ALONE)} alone"
    return {"contribution": "fusion weighted by contributions", "concatenated": "all tables side by side"}.get(
        method, method.replace("_", " ")
    )
