"""Shapley values against the average over all orders of joining."""

from itertools import permutations

import numpy as np
import pytest

from mmspec_ds.evaluation.shapley import coalitions, marginals, shapley_values


def by_permutations(players: tuple[str, ...], values: dict[frozenset[str], float]) -> dict[str, float]:
    """What each adds when it joins, summed over all orders."""
    orders = list(permutations(players))
    total = dict.fromkeys(players, 0.0)
    for order in orders:
        for place, player in enumerate(order):
            total[player] += values[frozenset(order[: place + 1])] - values[frozenset(order[:place])]
    return {player: one / len(orders) for player, one in total.items()}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_against_all_orders(count: int) -> None:
    players = tuple("abcde"[:count])
    draw = np.random.default_rng(count)
    values = {
        frozenset(p for bit, p in enumerate(players) if number >> bit & 1): float(draw.normal())
        for number in range(2**count)
    }
    asked: list[frozenset[str]] = []

    def value(coalition: frozenset[str]) -> float:
        asked.append(coalition)
        return values[coalition]

    found = shapley_values(players, value)
    assert found == pytest.approx(by_permutations(players, values), abs=1e-12)
    assert sum(found.values()) == pytest.approx(values[frozenset(players)] - values[frozenset()], abs=1e-12)
    assert len(asked) == len(set(asked)) == 2**count


def test_gloves() -> None:
    # One left glove, two right ones; a pair is worth 1: 2/3 for the left one, 1/6 for each right one.
    def pairs(coalition: frozenset[str]) -> float:
        return float("left" in coalition and len(coalition) > 1)

    assert shapley_values(("left", "right", "other"), pairs) == pytest.approx(
        {"left": 2 / 3, "right": 1 / 6, "other": 1 / 6}
    )


def test_no_player() -> None:
    assert shapley_values((), lambda _: 3.0) == {}


def values_of(worth_K: np.ndarray) -> list[float]:
    after_MW, before_MW, share_MW = marginals(len(worth_K).bit_length() - 1)
    return ((worth_K[after_MW] - worth_K[before_MW]) * share_MW).sum(-1).tolist()


def test_two_players_by_hand() -> None:
    # Worths of none, the first, the second, both: the first adds 2 before the second and 5 after it.
    assert values_of(np.array([1.0, 3.0, 4.0, 9.0])) == [(2 + 5) / 2, (3 + 6) / 2]


@pytest.mark.parametrize("players", [1, 3, 6])
def test_many_games_at_once(players: int) -> None:
    worth_K = np.random.default_rng(players).normal(size=2**players)
    names = "abcdef"[:players]
    of = {frozenset(n for n, has in zip(names, row) if has): w for row, w in zip(coalitions(players), worth_K)}
    expected = shapley_values(names, of.__getitem__)
    assert values_of(worth_K) == pytest.approx(list(expected.values()), abs=1e-12)
