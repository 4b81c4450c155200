"""Axes: B samples, K beams, L tokens, V vocabulary."""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from mmspec_ds.nn.beam import (
    Candidate,
    SearchRules,
    _Beams,
    _closed_up,
    beam_search,
    log_probabilities,
    search,
)
from mmspec_ds.nn.decoding import CachedDecoding, PrefixDecoding
from mmspec_ds.systems.elucidation.model import Elucidator

EOS, A, B, C = 2, 4, 5, 6


class Table:
    """Logits looked up by the whole prefix (BOS left out): a distribution that is known exactly."""

    def __init__(self, logits: Callable[[int, tuple[int, ...]], Sequence[float]], samples: int = 1) -> None:
        self.lookup = logits
        self.samples = list(range(samples))
        self.prefix: list[list[tuple[int, ...]]] = []
        self.rows: list[int] = []

    def logits(self, tokens_BK: Tensor) -> Tensor:
        tokens = tokens_BK.tolist()
        if self.prefix:
            self.prefix = [[p + (t,) for p, t in zip(ps, ts)] for ps, ts in zip(self.prefix, tokens)]
        else:
            self.prefix = [[() for _ in row] for row in tokens]
        self.rows.append(len(tokens))
        table = [[self.lookup(s, p) for p in ps] for s, ps in zip(self.samples, self.prefix)]
        return torch.tensor(table, dtype=torch.float64)

    def reorder(self, parents_BK: Tensor) -> None:
        self.prefix = [[ps[k] for k in row] for ps, row in zip(self.prefix, parents_BK.tolist())]

    def keep(self, samples: Tensor) -> None:
        self.prefix = [self.prefix[i] for i in samples.tolist()]
        self.samples = [self.samples[i] for i in samples.tolist()]


def logs(eos: float, a: float, b: float) -> list[float]:
    """Logits of given probabilities of EOS, A and B."""
    return [math.log(p) if p > 0 else -math.inf for p in (0, 0, eos, 0, a, b)]


def run(
    table: Table, beam: int, n_best: int, max_tokens: int, length_penalty: float = 1.0
) -> list[list[Candidate]]:
    return search(
        table, len(table.samples), SearchRules(beam, n_best, max_tokens, length_penalty), torch.device("cpu")
    )


def tokens(found: list[list[Candidate]]) -> list[list[tuple[int, ...]]]:
    return [[candidate.tokens for candidate in row] for row in found]


def assert_same(found: list[list[Candidate]], expected: list[list[Candidate]], tolerance: float) -> None:
    assert tokens(found) == tokens(expected)
    assert [[c.finished for c in row] for row in found] == [[c.finished for c in row] for row in expected]
    scores = [[c.score for row in rows for c in row] for rows in (found, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=tolerance, rel=0)


def largest_difference(found: list[list[Candidate]], expected: list[list[Candidate]]) -> float:
    """Of the scores of candidates that both have."""
    known = [{candidate.tokens: candidate.score for candidate in row} for row in expected]
    return max(abs(c.score - at[c.tokens]) for row, at in zip(found, known) for c in row if c.tokens in at)


GARDEN = {
    (): logs(0.0, 0.6, 0.4),
    (A,): logs(0.3, 0.35, 0.35),
    (B,): logs(0.9, 0.05, 0.05),
}


def garden(sample: int, prefix: tuple[int, ...]) -> list[float]:
    """The first step favours A, but the most probable whole is B: 0.36 against 0.21 for A A."""
    return GARDEN.get(prefix, logs(1.0, 0.0, 0.0))


def test_a_worked_example() -> None:
    (found,) = run(Table(garden), beam=2, n_best=3, max_tokens=4, length_penalty=0.0)
    # Step 2 extends A (0.6) and B (0.4): the two best are B EOS (0.36) and A A (0.21, before its equal A B).
    assert [c.tokens for c in found] == [(B,), (A, A)]
    assert [math.exp(c.score) for c in found] == pytest.approx([0.36, 0.21])
    (wider,) = run(Table(garden), beam=4, n_best=3, max_tokens=4, length_penalty=0.0)
    assert [c.tokens for c in wider] == [(B,), (A, A), (A, B)]


def test_the_score_is_divided_by_a_power_of_the_length() -> None:
    for power in (0.0, 0.5, 1.0, 2.0):
        (found,) = run(Table(garden), beam=6, n_best=9, max_tokens=4, length_penalty=power)
        scores = {c.tokens: c.score for c in found}
        assert scores[(B,)] == pytest.approx(math.log(0.36) / 2**power)
        assert scores[(A, A)] == pytest.approx(math.log(0.21) / 3**power)
        assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_the_limit_cuts_off_and_says_so() -> None:
    (found,) = run(Table(garden), beam=2, n_best=3, max_tokens=2)
    assert found[0] == Candidate((B,), pytest.approx(math.log(0.36) / 2))
    assert found[1] == Candidate((A, A), pytest.approx(math.log(0.21) / 2), finished=False)
    assert len(found) == 2


def test_equal_scores_keep_the_order_in_which_they_are_found() -> None:
    flat = Table(lambda sample, prefix: [0.0] * 7)
    (found,) = run(flat, beam=30, n_best=6, max_tokens=3)
    # Every token costs ln 7, so every hypothesis scores -ln 7.
    assert [c.tokens for c in found] == [(), (A,), (B,), (C,), (A, A), (A, B)]
    assert [c.score for c in found] == pytest.approx([-math.log(7)] * 6)


def test_what_is_impossible_is_never_proposed() -> None:
    only = {(): logs(0, 1, 0), (A,): logs(0, 0, 1), (A, B): logs(1, 0, 0)}
    (found,) = run(Table(lambda sample, prefix: only[prefix] if prefix in only else logs(1, 0, 0)), 5, 5, 6)
    assert found == [Candidate((A, B), 0.0)]
    (none,) = run(Table(lambda sample, prefix: [0.0, 0.0, *[-math.inf] * 4]), 3, 3, 4)
    assert none == []
    (dead_end,) = run(
        Table(lambda sample, prefix: [-math.inf] * 6 if prefix == (A,) else logs(0.2, 0.8, 0)), 2, 2, 4
    )
    assert [c.tokens for c in dead_end] == [()]


def test_padding_begin_and_unknown_are_never_written() -> None:
    tempting = [9.0, 9.0, 0.0, 9.0, 1.0, 0.5]
    (found,) = run(Table(lambda sample, prefix: tempting), beam=8, n_best=8, max_tokens=3)
    assert {t for c in found for t in c.tokens} == {A, B}
    total = math.log(sum(math.exp(x) for x in tempting))
    assert {c.tokens: c.score for c in found}[()] == pytest.approx(0.0 - total)


def test_logits_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(FloatingPointError, match="the model's logits are NaN"):
        run(Table(lambda sample, prefix: [math.nan] * 6), 2, 2, 4)


def test_finished_samples_leave_the_batch_and_cost_nothing() -> None:
    def sharp(sample: int, prefix: tuple[int, ...]) -> list[float]:
        """Sample s has the length 3 s with certainty."""
        return logs(1, 0, 0) if len(prefix) == 3 * sample else logs(0, 1, 0)

    table = Table(sharp, samples=3)
    found = run(table, beam=2, n_best=2, max_tokens=20)
    assert tokens(found) == [[()], [(A,) * 3], [(A,) * 6]]
    assert table.rows == [3, 2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("open_B", "expected"),
    [("110110", [0, 1, 4, 3]), ("0011", [2, 3]), ("1110", [0, 1, 2]), ("0000", []), ("0101", [3, 1])],
)
def test_samples_that_stay_keep_their_places(open_B: str, expected: list[int]) -> None:
    assert _closed_up(torch.tensor([mark == "1" for mark in open_B])).tolist() == expected


def test_hypotheses_are_as_many_as_differ() -> None:
    class Counted(Table):
        widths: list[int] = []

        def logits(self, tokens_BK: Tensor) -> Tensor:
            self.widths.append(tokens_BK.shape[1])
            return super().logits(tokens_BK)

    table = Counted(lambda sample, prefix: [0.0] * 7)
    run(table, beam=30, n_best=2, max_tokens=3)
    assert table.widths == [1, 7, 30]


def random_table(seed: int, spread: float) -> Callable[[int, tuple[int, ...]], list[float]]:
    def logits(sample: int, prefix: tuple[int, ...]) -> list[float]:
        source = torch.Generator().manual_seed(hash((seed, sample, prefix)) % 2**31)
        return (torch.randn(7, generator=source, dtype=torch.float64) * spread).tolist()

    return logits


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 1.5])
def test_stopping_early_changes_nothing(length_penalty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(random_table(1, spread=3.0), samples=6)
    stopped = run(table, beam=4, n_best=2, max_tokens=30, length_penalty=length_penalty)
    monkeypatch.setattr(_Beams, "open_B", lambda self: self.sum_BK.amax(dim=1) > -math.inf)
    patient = Table(random_table(1, spread=3.0), samples=6)
    assert run(patient, beam=4, n_best=2, max_tokens=30, length_penalty=length_penalty) == stopped
    assert sum(table.rows) < sum(patient.rows)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_beam_that_holds_everything_finds_what_enumeration_finds(
    workshop, seed: int, length_penalty: float
) -> None:
    model = workshop.model(seed)
    spectra = workshop.spectra(workshop.samples(2, seed))
    encoded, longest = model.encode(spectra), 4
    everything: list[list[Candidate]] = [[], []]
    for n, row in itertools.product(range(longest), range(2)):
        words = list(itertools.product(range(4, 11), repeat=n))
        target_WL = torch.tensor([[1, *word, EOS] for word in words])
        memory, mask = encoded.hidden_BSD[[row] * len(words)], encoded.mask_BS[[row] * len(words)]
        log_p = model.decoder(target_WL[:, :-1], memory, mask).log_softmax(-1)
        totals = log_p.take_along_dim(target_WL[:, 1:, None], dim=2).sum(dim=(1, 2)).tolist()
        everything[row] += [Candidate(w, total / (n + 1) ** length_penalty) for w, total in zip(words, totals)]
    assert len(everything[0]) == 1 + 7 + 49 + 343
    expected = [sorted(row, key=lambda c: -c.score)[:25] for row in everything]
    found = beam_search(
        model, spectra, beam=343 + 49, n_best=25, max_tokens=longest, length_penalty=length_penalty
    )
    assert_same(found, expected, tolerance=1e-10)


@pytest.mark.parametrize("beam", [1, 3, 10])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("double", [True, False], ids=["float64", "float32"])
def test_the_cache_changes_nothing(workshop, beam: int, length_penalty: float, double: bool) -> None:
    def searched(model: Elucidator, seed: int, cached: bool) -> list[list[Candidate]]:
        spectra = workshop.spectra(workshop.samples(7, seed))
        return beam_search(model, spectra, beam=beam, n_best=8, length_penalty=length_penalty, cached=cached)

    models = [workshop.model(seed) if double else workshop.model(seed).float() for seed in range(4)]
    plain = [searched(model, seed, cached=False) for seed, model in enumerate(models)]
    # Without a penalty a score is the sum of as many errors as there are tokens.
    tolerance = 1e-12 * models[0].decoder.max_tokens ** (1 - length_penalty)
    if not double:  # what rounding does to a search without the cache: 2e-5 for a token
        exact = [searched(workshop.model(seed), seed, cached=False) for seed in range(4)]
        tolerance = max(map(largest_difference, plain, exact))
        assert tolerance < 1e-4 * models[0].decoder.max_tokens ** (1 - length_penalty)
    for seed, (model, without) in enumerate(zip(models, plain)):
        with_cache = searched(model, seed, cached=True)
        assert_same(with_cache, without, tolerance)
        assert sum(map(len, with_cache)) >= 7


def greedy_search(model, spectra) -> list[Candidate]:
    """The most probable next token, again and again, from whole prefixes: one candidate per sample."""
    limit, found = model.decoder.max_tokens, []
    with torch.no_grad():
        encoded = model.eval().encode(spectra)
        for sample in range(len(encoded.modality_BS)):
            decoding = PrefixDecoding(model.decoder, encoded)
            decoding.keep(torch.tensor([sample]))
            written, total = [1], 0.0
            while len(written) <= limit and written[-1] != EOS:
                log_p_V = log_probabilities(decoding.logits(torch.tensor([written[-1:]])), first=False)[0, 0]
                written.append(int(log_p_V.argmax()))
                total += float(log_p_V.max())
            tokens = tuple(token for token in written[1:] if token != EOS)
            found.append(Candidate(tokens, total / (len(written) - 1), written[-1] == EOS))
    return found


def test_a_beam_of_one_is_greedy(workshop) -> None:
    ends = set()
    for seed in range(6):
        model, spectra = workshop.model(seed), workshop.spectra(workshop.samples(9, seed))
        greedy = greedy_search(model, spectra)
        assert_same(beam_search(model, spectra, beam=1, n_best=1), [[c] for c in greedy], 1e-11)
        ends |= {(len(c.tokens), c.finished) for c in greedy}
    assert len(ends) > 5
    assert {finished for _, finished in ends} == {True, False}


@pytest.mark.parametrize("cached", [True, False])
def test_candidates_do_not_depend_on_the_batch(workshop, cached: bool) -> None:
    model, samples = workshop.model(3), workshop.samples(6, 3)
    together = beam_search(model, workshop.spectra(samples, padding=4), beam=4, n_best=5, cached=cached)
    turned = beam_search(model, workshop.spectra(samples[::-1]), beam=4, n_best=5, cached=cached)[::-1]
    alone = [beam_search(model, workshop.spectra([s]), beam=4, n_best=5, cached=cached)[0] for s in samples]
    assert_same(turned, together, 1e-11)
    assert_same(alone, together, 1e-11)
    assert len({row[0].tokens for row in together}) > 1


def test_candidates_are_distinct_and_ordered(workshop) -> None:
    model = workshop.model(1)
    for row in beam_search(model, workshop.spectra(workshop.samples(5)), beam=6, n_best=20):
        assert len({c.tokens for c in row if c.finished}) == sum(c.finished for c in row)
        for kind in (True, False):
            scores = [c.score for c in row if c.finished is kind]
            assert scores == sorted(scores, reverse=True)
        assert [c.finished for c in row] == sorted((c.finished for c in row), reverse=True)


def test_the_batch_is_encoded_once_and_the_modes_come_back(workshop) -> None:
    model, calls = workshop.model(), []
    model.train()
    model.encoder.layers[0].eval()  # a frozen part stays as it was
    before = {name: module.training for name, module in model.named_modules()}
    model.encoder.register_forward_hook(lambda *_: calls.append(model.training or torch.is_grad_enabled()))
    beam_search(model, workshop.spectra(workshop.samples(3)), beam=2, n_best=2)
    assert calls == [False]
    assert {name: module.training for name, module in model.named_modules()} == before
    assert torch.is_grad_enabled()


def test_both_ways_of_decoding_forget_what_is_dropped(workshop) -> None:
    model = workshop.model()
    encoded = model.encode(workshop.spectra(workshop.samples(3)))
    ways = [
        CachedDecoding(model.decoder, encoded, beams=2, max_tokens=4),
        PrefixDecoding(model.decoder, encoded),
    ]
    for way in ways:
        way.logits(torch.ones(3, 2, dtype=torch.int64))
        way.keep(torch.tensor([2]))
    one, other = (way.logits(torch.tensor([[4, 5]])) for way in ways)
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beam": 0}, "beam must be at least 1, not 0"),
        ({"n_best": -1}, "n_best must be at least 1, not -1"),
        ({"max_tokens": 0}, "max_tokens must be at least 1, not 0"),
        ({"max_tokens": 13}, "a target of 13 tokens is longer than the model's max_target_tokens, 12"),
        ({"length_penalty": -0.5}, "length_penalty must not be negative, as -0.5 is"),
    ],
)
def test_rules_that_make_no_search_are_refused(workshop, change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        beam_search(workshop.model(), workshop.spectra(workshop.samples(1)), **change)
