"""Exact Shapley values of a game of a few players (Shapley 1953)."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb


def shapley_values(players: Sequence[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """What each player adds to a coalition, averaged over all orders in which the players may join.

    The values add up to that of all players less that of none.

    Args:
        players: their names. There are 2^n coalitions of n players.
        value: of a coalition; asked once for each.
    """
    count = len(players)
    known = {
        coalition: value(coalition)
        for size in range(count + 1)
        for coalition in map(frozenset, combinations(players, size))
    }
    return {
        player: sum(
            (known[others | {player}] - worth) / (count * comb(count - 1, len(others)))
            for others, worth in known.items()
            if player not in others
        )
        for player in players
    }
