"""What methods answered, scored for each kind of question, as a table and as JSON.

Axes: N questions of a kind.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mmspec_ds.evaluation.answer_scores import chosen_answer, macro_f1, number_errors, right_answers
from mmspec_ds.evaluation.bleu import bleu_counts
from mmspec_ds.evaluation.bootstrap import Bootstrap, Estimate
from mmspec_ds.evaluation.score_table import print_rows
from mmspec_ds.files import write_json
from mmspec_ds.systems.alignment.answering.methods import (
    DESCRIPTION,
    GROUP_LIST,
    Answers,
    is_of_cell,
    title_of,
)
from mmspec_ds.systems.alignment.claims import groups_listed
from mmspec_ds.systems.alignment.objects import Example
from mmspec_ds.systems.alignment.questions.wording import WORDINGS, trained_wordings

MASS = "exact mass"
NEAR_DA = 1.0
"""A mass counts as near where it is off by no more."""


@dataclass(frozen=True)
class Scores:
    """How a method answered the questions of one kind.

    Attributes:
        method: its name.
        n: questions that it answered.
        figures: by name: "exact" and "macro_f1", and "near" for masses, "micro_f1" for lists of functional
            groups, or "bleu_2" and "bleu_4" for descriptions; with "trained wordings" and "held-out wordings"
            where the test has both. All between 0 and 1.
    """

    method: str
    n: int
    figures: Mapping[str, Estimate | float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The attributes by name."""
        figures = {
            name: one.to_json() if isinstance(one, Estimate) else one for name, one in self.figures.items()
        }
        return {"method": self.method, "n": self.n, **figures}


def scored(
    examples: Sequence[Example],
    answers: Mapping[str, Answers],
    seed: int = 0,
    trained_types: Collection[str] = (),
) -> dict[str, list[Scores]]:
    """By kind of question the scores of chance and of each method on the questions that it answered; for cells
    by study, and apart for types that were not trained on.

    Args:
        examples: the questions with their right answers.
        answers: by method.
        seed: of the bootstrap.
        trained_types: of cells; empty where nothing was trained on.
    """
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(examples):
        groups.setdefault(title_of(one, trained_types), []).append(at)
    found: dict[str, list[Scores]] = {}
    for name, places in sorted(groups.items()):
        asked = [examples[at] for at in places]
        found[name] = [_chance(asked)] if all(one.choices for one in asked) else []
        for method, given in answers.items():
            own = [given[at] for at in places]
            kept = [(one, answer) for one, answer in zip(asked, own) if answer is not None]
            if kept:
                found[name].append(_scores(method, [one for one, _ in kept], [text for _, text in kept], seed))
    return found


def _chance(examples: Sequence[Example]) -> Scores:
    """What an answer that is drawn from the choices would score on average."""
    share = float(np.mean([1 / len(one.choices) for one in examples]))
    return Scores("chance", len(examples), {"exact": share})


def _scores(method: str, examples: Sequence[Example], answers: Sequence[str], seed: int) -> Scores:
    truths, groups = [one.answer for one in examples], _resampled(examples)
    if examples[0].task == DESCRIPTION:
        counts = bleu_counts(answers, truths)
        bleu = {f"bleu_{order}": counts.estimate(order, groups, seed) for order in (2, 4)}
        return Scores(method, len(examples), bleu)
    given = [chosen_answer(text, one.choices) if one.choices else text for one, text in zip(examples, answers)]
    right = right_answers(given, truths)
    figures: dict[str, Estimate | float] = {"exact": Bootstrap(groups, seed).estimate(right)}
    if examples[0].choices:
        figures["macro_f1"] = macro_f1(given, truths)
    if examples[0].task == GROUP_LIST:
        listed = [(groups_listed(text), groups_listed(truth)) for text, truth in zip(answers, truths)]
        hits = np.array([2 * len(one & truth) for one, truth in listed], dtype=np.float64)
        named = np.array([len(one) + len(truth) for one, truth in listed], dtype=np.float64)
        figures["micro_f1"] = Bootstrap(groups, seed).ratio(hits, named)
    if examples[0].task == MASS:
        near = (number_errors(answers, truths) <= NEAR_DA).astype(np.float64)
        figures["near"] = Bootstrap(groups, seed).estimate(near)
    if examples[0].task in WORDINGS:
        held = np.array([one.phrasing >= trained_wordings(one.task) for one in examples])
        if held.any() and not held.all():
            for name, part in (("trained wordings", ~held), ("held-out wordings", held)):
                figures[name] = float(right[part].mean())
    return Scores(method, len(examples), figures)


def _resampled(examples: Sequence[Example]) -> list[str]:
    """What the bootstrap draws: groups, but the single cells of a study, numbered as they come."""
    numbers: dict[int, int] = {}
    return [
        f"{one.group}:{numbers.setdefault(id(one.objects[0]), len(numbers))}" if is_of_cell(one) else one.group
        for one in examples
    ]


def print_scores(scores: Mapping[str, Sequence[Scores]], console: Console | None = None) -> None:
    """Print a table for each kind of question: figures in per cent with their 95 % intervals."""
    for name, rows in scores.items():
        heads = list(dict.fromkeys(figure for one in rows for figure in one.figures))
        table = [[one.method, str(one.n), *(_told(one.figures.get(head)) for head in heads)] for one in rows]
        if rows:
            print_rows(["", "n", *heads], table, name, console or Console())


def _told(figure: Estimate | float | None) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, float):
        return f"{100 * figure:.1f}"
    return f"{100 * figure.mean:.1f} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def write_scores(path: Path, scores: Mapping[str, Sequence[Scores]], **more: Any) -> None:
    """Write all figures as JSON, with whatever else describes them."""
    write_json(
        path, {**more, "kinds": {name: [one.to_json() for one in rows] for name, rows in scores.items()}}
    )
