"""BLEU of texts, word by word (Papineni et al. 2002, doi 10.3115/1073083.1073135), over a corpus.

A word is a run of letters, digits and underscores; every other character but blanks is a word by itself. The
evaluation of MolT5 (Edwards et al. 2022) parts descriptions likewise, and then into the pieces of words that
SciBERT's vocabulary has: its published figures are of pieces, and are others. No smoothing; each text has one
reference.

Axes: N texts, K lengths of n-grams, from 1.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmspec_ds.evaluation.bootstrap import DRAWS, Estimate

LONGEST = 4
_WORD = re.compile(r"\w+|[^\w\s]")

IntMatrix = npt.NDArray[np.int64]


def words_of(text: str) -> list[str]:
    """The words of a text, as BLEU counts them."""
    return _WORD.findall(text)


@dataclass(frozen=True)
class BleuCounts:
    """What BLEU is made of, for each text.

    Attributes:
        matches_NK: n-grams of the text that the reference has too, each at most as often as there.
        total_NK: n-grams of the text.
        length_N: words of the text.
        reference_N: words of the reference.
    """

    matches_NK: IntMatrix
    total_NK: IntMatrix
    length_N: IntMatrix
    reference_N: IntMatrix

    def bleu(self, order: int, weight_N: npt.NDArray[np.float64] | None = None) -> float:
        """BLEU over all texts with n-grams up to `order`, all alike, between 0 and 1.

        Args:
            order: 2 for BLEU-2, 4 for BLEU-4.
            weight_N: how often each text counts; once without.
        """
        weights = np.ones(len(self.length_N)) if weight_N is None else weight_N
        return float(_bleu(self, order, weights[None])[0])

    def estimate(self, order: int, groups: Sequence[str], seed: int = 0) -> Estimate:
        """BLEU with the 95 % interval of a bootstrap that draws whole groups.

        Args:
            order: as in `bleu`.
            groups: what each text is about, N.
            seed: of the draws.
        """
        _, group_N = np.unique(np.asarray(groups), return_inverse=True)
        count = int(group_N.max()) + 1
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(count, np.full(count, 1 / count), DRAWS // 4).astype(np.float64)
        found = _bleu(self, order, draws[:, group_N])
        low, high = np.percentile(found, (2.5, 97.5))
        error = float(found.std(ddof=1))
        return Estimate(self.bleu(order), error, float(low), float(high), len(group_N), count)


def bleu_counts(texts: Sequence[str], references: Sequence[str]) -> BleuCounts:
    """Counts of texts against their references, N each.

    Raises:
        ValueError: not as many, or none.
    """
    if not texts or len(texts) != len(references):
        raise ValueError(f"{len(texts)} texts for {len(references)} references")
    matches, total = np.zeros((2, len(texts), LONGEST), dtype=np.int64)
    lengths = np.zeros((2, len(texts)), dtype=np.int64)
    for row, (text, reference) in enumerate(zip(texts, references)):
        both = words_of(text), words_of(reference)
        lengths[:, row] = [len(one) for one in both]
        for order in range(1, LONGEST + 1):
            found, expected = (_ngrams(one, order) for one in both)
            matches[row, order - 1] = sum(min(times, expected[gram]) for gram, times in found.items())
            total[row, order - 1] = sum(found.values())
    return BleuCounts(matches, total, lengths[0], lengths[1])


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


def _bleu(counts: BleuCounts, order: int, weight_SN: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """BLEU of S weightings of the texts, [S]."""
    matches_SK, total_SK = (weight_SN @ part[:, :order] for part in (counts.matches_NK, counts.total_NK))
    length_S, reference_S = weight_SN @ counts.length_N, weight_SN @ counts.reference_N
    possible_S = matches_SK.min(1) > 0
    ratio_SK = np.where(possible_S[:, None], matches_SK, 1) / np.maximum(total_SK, 1)
    brevity_S = np.minimum(0.0, 1 - reference_S / np.maximum(length_S, 1))
    found: npt.NDArray[np.float64] = np.exp(brevity_S + np.log(ratio_SK).mean(1)) * possible_S
    return found
