"""Beam search for the most probable SMILES.

The score of a hypothesis is its log probability divided by n ** length_penalty, n being its number of tokens
with EOS: the mean log probability of a token for length_penalty = 1, the log probability for 0.

Each step takes, per sample, the `beam` most probable extensions of its live hypotheses by one token. Those that
end with EOS move to the sample's pool, which keeps the `n_best` of highest score. A beam of 1 is greedy search.

A sample is finished when no live hypothesis can enter its pool any more. If the best live one has log
probability g <= 0, no descendant of at most max_tokens tokens scores more than g / max_tokens **
length_penalty, for length_penalty >= 0: every further token adds a logarithm that is not positive. When the
pool is full and its worst score is at least that, the pool is final. A max_tokens close to the longest expected
molecule stops the search early.

Axes: B samples still searched, K live hypotheses, N entries of the pool, L tokens, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from mmspec_ds.data.batch import SpectraBatch
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.constraints import Constraint
from mmspec_ds.nn.decoding import CachedDecoding, Decoding, EncoderDecoder, PrefixDecoding

NEVER_WRITTEN = (Vocabulary.PAD, Vocabulary.BOS, Vocabulary.UNK)
"""Tokens that no hypothesis contains; the probability that a model gives them is lost, not shared out."""

IMPOSSIBLE = float("-inf")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hypothesis: its tokens without BOS and EOS, and its score. `finished` is False without EOS at the limit
    of tokens."""

    tokens: tuple[int, ...]
    score: float
    finished: bool = True


@dataclass(frozen=True, slots=True)
class SearchRules:
    """The numbers of one search; see `beam_search`.

    Raises:
        ValueError: one is out of its range.
    """

    beam: int
    n_best: int
    max_tokens: int
    length_penalty: float

    def __post_init__(self) -> None:
        for name in ("beam", "n_best", "max_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.length_penalty < 0:
            raise ValueError(f"length_penalty must not be negative, as {self.length_penalty} is")


def beam_search(
    model: EncoderDecoder,
    spectra: SpectraBatch,
    *,
    beam: int = 10,
    n_best: int = 10,
    max_tokens: int | None = None,
    length_penalty: float = 1.0,
    cached: bool = True,
    constraint: Constraint | None = None,
) -> list[list[Candidate]]:
    """The candidates of each sample, best first, at most `n_best`; see the head of this file for the rules.

    Where fewer than `n_best` hypotheses ended, those that reached the limit follow, best first. Equal scores
    keep the order in which they were found: the shorter first, then the better beam, then the lower token id.
    The batch is encoded exactly once, so that ranks that share experts stay in step.

    Args:
        model: in any mode; it is put into evaluation mode for the search and back afterwards.
        spectra: B samples.
        beam: hypotheses per sample that are extended in one step.
        n_best: size of the pool.
        max_tokens: the most tokens of a hypothesis, EOS included; the model's max_target_tokens by default.
        length_penalty: the exponent of the length, >= 0.
        cached: keep keys and values; otherwise recompute the whole prefix in every step (slow, for
            comparison).
        constraint: of B samples, one hypothesis each, on the device of the spectra. Probabilities stay those of
            the model: what a constraint forbids is lost, not shared out.

    Raises:
        ValueError: an argument out of its range.
        FloatingPointError: the model's logits are NaN.
    """
    rules = SearchRules(
        beam, n_best, model.decoder.max_tokens if max_tokens is None else max_tokens, length_penalty
    )
    with _searching(model):
        encoded = model.encode(spectra)
        decoding: Decoding
        if cached:
            decoding = CachedDecoding(model.decoder, encoded, beams=beam, max_tokens=rules.max_tokens)
        else:
            decoding = PrefixDecoding(model.decoder, encoded)
        return search(decoding, len(encoded.modality_BS), rules, encoded.modality_BS.device, constraint)


def search(
    decoding: Decoding,
    samples: int,
    rules: SearchRules,
    device: torch.device,
    constraint: Constraint | None = None,
) -> list[list[Candidate]]:
    """Beam search over anything that gives logits, for so many samples; see the head of this file."""
    beams = _Beams(samples, rules, device)
    for length in range(1, rules.max_tokens + 1):
        log_p_BKV = log_probabilities(decoding.logits(beams.last_BK), first=length == 1)
        if constraint is not None:
            log_p_BKV = torch.where(constraint.allowed(), log_p_BKV, IMPOSSIBLE)
        parents_BK = beams.extend(log_p_BKV)
        beams.collect_ended()
        if length == rules.max_tokens:
            break
        decoding.reorder(parents_BK)
        if constraint is not None:
            constraint.advance(parents_BK, beams.last_BK)
        open_B = beams.open_B()
        if not bool(open_B.all()):  # the only wait for the device in a step
            remaining = _closed_up(open_B)
            beams.keep(remaining, finished=(~open_B).nonzero()[:, 0])
            decoding.keep(remaining)
            if constraint is not None:
                constraint.keep(remaining)
        if len(beams.last_BK) == 0:
            break
    return beams.results()


class _Beams:
    """The live hypotheses and the pools of the samples that are still searched, all as tensors on one
    device."""

    def __init__(self, samples: int, rules: SearchRules, device: torch.device) -> None:
        self.rules = rules
        self.found: list[list[Candidate]] = [[] for _ in range(samples)]
        self.sample_B = torch.arange(samples, device=device)
        self.written_BKL = torch.full((samples, 1, 1), Vocabulary.BOS, device=device)
        self.sum_BK = torch.zeros(samples, 1, dtype=torch.float64, device=device)
        self.pool_BNL = torch.empty(samples, rules.n_best, 1, dtype=torch.int64, device=device)
        self.score_BN = torch.full((samples, rules.n_best), IMPOSSIBLE, dtype=torch.float64, device=device)

    @property
    def last_BK(self) -> Tensor:
        """The token that each hypothesis wrote last."""
        return self.written_BKL[:, :, -1]

    def extend(self, log_p_BKV: Tensor) -> Tensor:
        """Replace the live hypotheses by their best extensions; returns the parent of each, [B, K]. There is
        one at first, and K grows to the beam in one step or, if the vocabulary is smaller, in a few."""
        total_BX = (self.sum_BK.unsqueeze(2) + log_p_BKV).flatten(1)
        self.sum_BK, chosen_BK = _largest(total_BX, self.rules.beam)
        parents_BK = chosen_BK // log_p_BKV.shape[2]
        token_BK1 = (chosen_BK % log_p_BKV.shape[2]).unsqueeze(2)
        self.written_BKL = torch.cat([_rows(self.written_BKL, parents_BK), token_BK1], dim=2)
        return parents_BK

    def collect_ended(self) -> None:
        """Move what ended with EOS to the pool."""
        ended_BK = self.last_BK == Vocabulary.EOS
        length = self.written_BKL.shape[2] - 1
        score_BK = (self.sum_BK / length**self.rules.length_penalty).masked_fill(~ended_BK, IMPOSSIBLE)
        # The pool stands first, and equal scores keep their order: what came first stays.
        self.score_BN, best_BN = _largest(torch.cat([self.score_BN, score_BK], dim=1), self.rules.n_best)
        older_BNL = torch.nn.functional.pad(self.pool_BNL, (0, 1), value=Vocabulary.PAD)
        self.pool_BNL = _rows(torch.cat([older_BNL, self.written_BKL], dim=1), best_BN)
        self.sum_BK = self.sum_BK.masked_fill(ended_BK, IMPOSSIBLE)

    def open_B(self) -> Tensor:
        """False where no live hypothesis can enter the pool any more; the proof is at the head of this
        file."""
        bound_B = self.sum_BK.amax(dim=1) / self.rules.max_tokens**self.rules.length_penalty
        return bound_B > self.score_BN[:, -1]

    def keep(self, remaining: Tensor, *, finished: Tensor) -> None:
        """Note the candidates of the samples in `finished` and go on with those in `remaining`."""
        self._note(finished)
        self.sample_B, self.written_BKL = self.sample_B[remaining], self.written_BKL[remaining]
        self.sum_BK, self.score_BN = self.sum_BK[remaining], self.score_BN[remaining]
        self.pool_BNL = self.pool_BNL[remaining]

    def results(self) -> list[list[Candidate]]:
        """The candidates of all samples, in their order."""
        self._note(torch.arange(len(self.sample_B), device=self.sample_B.device))
        return self.found

    def _note(self, rows: Tensor) -> None:
        """The pool first; then the live ones, which the limit cut off."""
        places = zip(
            self.sample_B[rows].tolist(),
            zip(self.score_BN[rows].tolist(), self.pool_BNL[rows, :, 1:].tolist()),
            zip(self.sum_BK[rows].tolist(), self.written_BKL[rows, :, 1:].tolist()),
        )
        for sample, (scores, pool), (sums, written) in places:
            found = [
                Candidate(_body(tokens), score) for score, tokens in zip(scores, pool) if score > IMPOSSIBLE
            ]
            cut = [
                _candidate(tokens, total, self.rules)
                for total, tokens in zip(sums, written)
                if total > IMPOSSIBLE
            ]
            self.found[sample] = (found + cut)[: self.rules.n_best]


def log_probabilities(logits_BKV: Tensor, *, first: bool) -> Tensor:
    """Log probabilities in float64, -inf for what is never written.

    Raises:
        FloatingPointError: NaN in the `first` step. Later a row without any possible token ends its
            hypothesis.
    """
    log_p_BKV = logits_BKV.double().log_softmax(dim=-1)
    if first and bool(log_p_BKV.isnan().any()):
        raise FloatingPointError(
            "the model's logits are NaN: its weights or the spectra are not finite numbers"
        )
    log_p_BKV = log_p_BKV.nan_to_num(nan=IMPOSSIBLE, neginf=IMPOSSIBLE)
    log_p_BKV[..., NEVER_WRITTEN] = IMPOSSIBLE
    return log_p_BKV


def _closed_up(open_B: Tensor) -> Tensor:
    """The numbers of the samples that are open: as many as can be at their own places, the last ones in the
    places of samples that are not."""
    count = int(open_B.sum())
    remaining = torch.arange(count, device=open_B.device)
    remaining[~open_B[:count]] = count + open_B[count:].nonzero()[:, 0]
    return remaining


def _largest(values_BX: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row and where they were, the earlier first among equals (topk promises no
    order among equals)."""
    ordered, index = values_BX.sort(dim=1, descending=True, stable=True)
    return ordered[:, :count], index[:, :count]


def _rows(values_BXL: Tensor, index_BK: Tensor) -> Tensor:
    """`values_BXL[b, index_BK[b, k]]` for every b and k."""
    return values_BXL.take_along_dim(index_BK.unsqueeze(2), dim=1)


def _body(written: list[int]) -> tuple[int, ...]:
    """The tokens without EOS and padding."""
    return tuple(token for token in written if token not in (Vocabulary.EOS, Vocabulary.PAD))


def _candidate(written: list[int], log_probability: float, rules: SearchRules) -> Candidate:
    """A candidate from its tokens, with EOS if it ended and PAD after that."""
    tokens, finished = _body(written), Vocabulary.EOS in written
    return Candidate(tokens, log_probability / (len(tokens) + finished) ** rules.length_penalty, finished)


@contextmanager
def _searching(model: EncoderDecoder) -> Iterator[None]:
    """Evaluation mode and no gradients, and the modes that the modules had before afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True
