"""Scores of short answers: whether they are right, and the F1 of each possible answer.

Axes: N answers.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_EDGES = " \t\n.,;:!\"'`*"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def plain_answer(text: str) -> str:
    """An answer in lower case, without punctuation around it, blanks as single ones."""
    return " ".join(text.lower().split()).strip(_EDGES)


def chosen_answer(text: str, choices: Sequence[str]) -> str:
    """Which of some choices a free answer names: the one that it is, or that it begins with, the longest first;
    else the only one that is in it as whole words. Empty if none."""
    plain = plain_answer(text)
    by_length = sorted(choices, key=len, reverse=True)
    for one in by_length:
        if plain == plain_answer(one) or re.match(rf"{re.escape(plain_answer(one))}(?!\w)", plain):
            return one
    named = [one for one in by_length if re.search(rf"(?<!\w){re.escape(plain_answer(one))}(?!\w)", plain)]
    longest = [one for one in named if not any(one != other and one in other for other in named)]
    return longest[0] if len(longest) == 1 else ""


def right_answers(answers: Sequence[str], truths: Sequence[str]) -> FloatArray:
    """1 where an answer is the right one but for case and punctuation around it, else 0, [N]."""
    return np.array([plain_answer(one) == plain_answer(truth) for one, truth in zip(answers, truths)], float)


def number_errors(answers: Sequence[str], truths: Sequence[str]) -> FloatArray:
    """By how much the first number in an answer is off from the true one, [N]; infinite without a number."""
    found = []
    for answer, truth in zip(answers, truths):
        number = _NUMBER.search(answer.replace(",", ""))
        found.append(abs(float(number[0]) - float(truth)) if number is not None else np.inf)
    return np.array(found)


def macro_f1(answers: Sequence[str], truths: Sequence[str]) -> float:
    """The mean over all true answers of their F1: the harmonic mean of how many of those that were answered so
    are right, and how many of those that are so were answered so; 0 for one that was never right."""
    given, true = [plain_answer(one) for one in answers], [plain_answer(one) for one in truths]
    scores = []
    for name in sorted(set(true)):
        hits = sum(one == name == other for one, other in zip(given, true))
        scores.append(2 * hits / (given.count(name) + true.count(name)))
    return float(np.mean(scores))
