"""Scores of short answers, against values by hand and scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mmspec_ds.evaluation.answer_scores import chosen_answer, macro_f1, number_errors, right_answers


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("yes", "yes"),
        (" Yes. It does.", "yes"),
        ("No!", "no"),
        ("Nothing of the kind", ""),
        ("I think the answer is no", "no"),
        ("yes or no", "yes"),  # it begins so
        ("It may be yes, it may be no", ""),
        ("", ""),
    ],
)
def test_the_choice_that_a_text_names(text: str, chosen: str) -> None:
    assert chosen_answer(text, ("yes", "no")) == chosen


def test_a_longer_choice_is_not_taken_for_one_inside_it() -> None:
    choices = ("dendritic cell", "plasmacytoid dendritic cell", "B cell")
    assert chosen_answer("a plasmacytoid dendritic cell", choices) == "plasmacytoid dendritic cell"
    assert chosen_answer("Dendritic cell", choices) == "dendritic cell"
    assert chosen_answer("It is a B cell.", choices) == "B cell"


def test_right_but_for_case_and_punctuation() -> None:
    given, true = ["Yes.", "C2H6O", "c2h6o ", "3"], ["yes", "C2H6O", "C2H6O", "4"]
    assert right_answers(given, true).tolist() == [1, 1, 1, 0]


def test_numbers() -> None:
    assert number_errors(["180.05 Da", "about 1,180.0", "none"], ["180.04", "1180.5", "1"]) == pytest.approx(
        [0.01, 0.5, np.inf]
    )


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true = rng.choice(["a", "b", "c"], 200, p=[0.7, 0.2, 0.1]).tolist()
    given = np.where(rng.random(200) < 0.6, true, rng.choice(["a", "b", "c", "other"], 200)).tolist()
    expected = f1_score(true, given, average="macro", labels=["a", "b", "c"])
    assert macro_f1(given, true) == pytest.approx(expected, rel=1e-12)
    assert macro_f1(["a"] * 4, ["a", "b", "b", "b"]) == pytest.approx((2 / 5 + 0) / 2)
