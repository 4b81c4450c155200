"""Exact Shapley values of a game of a few players (Shapley 1953).

Axes: M players, K = 2^M coalitions.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


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


def coalitions(players: int) -> npt.NDArray[np.bool_]:
    """Return which players each coalition has, [K, M]: coalition k has player m where bit m of k is set."""
    return (np.arange(2**players)[:, None] >> np.arange(players)) & 1 == 1


class Marginals(NamedTuple):
    """The coalitions that each player may join, for many games of the same players at once: the Shapley value
    of player m is the sum over w of `share_MW` times what the coalition is worth after m has joined less what
    it is worth before. A player that changes no worth has exactly 0.

    Attributes:
        after_MW, before_MW: numbers of coalitions in the order of `coalitions`, int64 [M, K / 2].
        share_MW: the share of the orders of joining, [M, K / 2]; a player's add up to 1.
    """

    after_MW: npt.NDArray[np.int64]
    before_MW: npt.NDArray[np.int64]
    share_MW: npt.NDArray[np.float64]


@cache
def marginals(players: int) -> Marginals:
    """Return the coalitions without each player, those with it, and their shares."""
    has_KM = coalitions(players)
    before_MW = np.stack([np.flatnonzero(~has_KM[:, player]) for player in range(players)])
    size_MW = has_KM.sum(1)[before_MW]
    share_MW = 1 / (players * np.vectorize(comb)(players - 1, size_MW))
    return Marginals(before_MW | (1 << np.arange(players))[:, None], before_MW, share_MW)
