"""A description put together of the sentences of others: the one whose expected agreement with them is highest.

This is a decision of least Bayes risk (Kumar and Byrne 2004, aclanthology.org/N04-1022) whose candidates are
the given texts and what changing single sentences makes of them: the right text is taken to be one of the given
ones, each with its weight.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmspec_ds.evaluation.bleu import LONGEST, words_of

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\[(])")
"""Between two sentences."""
ADDED = 0.3
"""To the counts of matching and of all n-grams, so that a single text without a common one has a score."""
MOST_CHANGES = 8
"""Of sentences."""

Grams = list[Counter[tuple[str, ...]]]


@dataclass(frozen=True)
class Sentence:
    """A sentence and where it stands: 0 for the first of its text, between 1 and 2 for the others."""

    text: str
    place: float


def recombined(texts: Sequence[str], weights: Sequence[float]) -> str:
    """The text of the highest expected agreement with the given ones that changing sentences one by one finds.

    It begins with the best of the texts. As long as that is better, a sentence is left out, replaced by one of
    another text, or added from one. A first sentence is replaced by first ones only; the others stand in the
    order of their places in their own texts.

    Args:
        texts: one or more.
        weights: of each the probability that it is the right one.
    """
    expected = Expected(texts, weights)
    values = [expected(one) for one in texts]
    best = max(values)
    start = texts[values.index(best)]
    pool: dict[str, Sentence] = {}
    for text in texts:
        for one in sentences_of(text):
            pool.setdefault(one.text, one)
    chosen = [pool[one.text] for one in sentences_of(start)]
    found = start
    for _ in range(MOST_CHANGES):
        options = _changed(chosen, list(pool.values()))
        values = [expected(_joined(one)) for one in options]
        if not values or max(values) <= best + 1e-9:
            break
        best = max(values)
        chosen = options[values.index(best)]
        found = _joined(chosen)
    return found


def sentences_of(text: str) -> list[Sentence]:
    """The sentences of a text."""
    parts = SENTENCE_END.split(text)
    return [Sentence(one, 1 + at / len(parts) if at else 0.0) for at, one in enumerate(parts)]


def _changed(chosen: list[Sentence], pool: Sequence[Sentence]) -> list[list[Sentence]]:
    """What leaving out, replacing or adding a sentence makes."""
    others = [one for one in pool if one not in chosen]
    found = []
    for at, own in enumerate(chosen):
        before, after = chosen[:at], chosen[at + 1 :]
        if own.place:
            found.append([*before, *after])
        found += [[*before, one, *after] for one in others if bool(one.place) == bool(own.place)]
    return [*found, *([*chosen, one] for one in others if one.place)]


def _joined(sentences: Sequence[Sentence]) -> str:
    return " ".join(one.text for one in sorted(sentences, key=lambda one: one.place))


class Expected:
    """The expected agreement of a text with several, each of which is right with some probability: the BLEU-4
    of a single text, `ADDED` to its counts.

    Args:
        texts, weights: see `recombined`.
    """

    def __init__(self, texts: Sequence[str], weights: Sequence[float]) -> None:
        self._right = [(_grams(words), len(words)) for words in map(words_of, texts)]
        self._weights = list(weights)

    def __call__(self, text: str) -> float:
        words = words_of(text)
        length, own = len(words), _grams(words)
        total = sum(math.log(max(length - order, 1) + ADDED) for order in range(LONGEST))
        found = 0.0
        for (right, expected), weight in zip(self._right, self._weights):
            matches = sum(math.log(_common(*both) + ADDED) for both in zip(own, right))
            brevity = min(0.0, 1 - expected / max(length, 1))
            found += weight * math.exp((matches - total) / LONGEST + brevity)
        return found


def _grams(words: Sequence[str]) -> Grams:
    return [
        Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))
        for order in range(1, LONGEST + 1)
    ]


def _common(own: Counter[tuple[str, ...]], right: Counter[tuple[str, ...]]) -> int:
    return sum(min(times, right[gram]) for gram, times in own.items() if gram in right)
