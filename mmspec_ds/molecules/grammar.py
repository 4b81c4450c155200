"""The automaton of SMILES strings as tables over the tokens of a vocabulary, so that many strings can be
followed at once by looking up rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmspec_ds.molecules.atoms import MOST_BONDS, AtomKind, atom_kind
from mmspec_ds.molecules.smiles_automaton import (
    CLOSINGS,
    END,
    Atom,
    Mode,
    State,
    Step,
    closing_step,
    is_ring_token,
    token_step,
)

SLACK = (-1, 0, 1, 2, 3)
"""Tokens that are left beyond what the string needs to be completed, from "fewer by one" to "3 or more"."""

IntTable = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grammar:
    """The tables of a vocabulary. Axes: S states, V tokens, A actions (the tokens, then CLOSINGS).

    Attributes:
        tokens: V of them.
        kinds: the atom of each token, None for other tokens.
        allowed: [S, 2, 3, len(SLACK), 2, A] bool, by state, depth above 0, open rings (2 for more),
            slack and parity.
        after, pushed: [S, A] numbers of states; 0 where there is none.
        opened: [S] the action that closes a ring which the state's atom has opened.
        bonds, atoms, is_last, depth, rings, needs, parity, unsaturation: [S, A], see `Step`.
    """

    tokens: tuple[str, ...]
    kinds: tuple[AtomKind | None, ...]
    allowed: npt.NDArray[np.bool_]
    after: IntTable
    pushed: IntTable
    opened: IntTable
    bonds: IntTable
    atoms: IntTable
    is_last: IntTable
    depth: IntTable
    rings: IntTable
    needs: IntTable
    parity: IntTable
    unsaturation: IntTable


_CHANGES = ("bonds", "atoms", "is_last", "depth", "rings", "needs", "parity", "unsaturation")


def build_grammar(tokens: Sequence[str]) -> Grammar:
    """The grammar over tokens of which `END` is one; tokens that are no SMILES are never allowed."""
    kinds = tuple(None if token == END else atom_kind(token) for token in tokens)
    states: dict[State, int] = {State(Mode.START): 0, State(Mode.END): 1}
    rows: list[list[Step | None]] = []
    alike = [kind or ("1" if is_ring_token(token) else token) for token, kind in zip(tokens, kinds)]
    for state in _growing(states):
        steps = {one: token_step(state, one) for one in set(alike)}
        row = [steps[one] for one in alike]
        row += [closing_step(state, way) for way in range(CLOSINGS)]
        for step in row:
            if step is not None:
                states.setdefault(step.after, len(states))
                if step.pushed is not None:
                    states.setdefault(step.pushed, len(states))
        rows.append(row)

    def table(name: str) -> IntTable:
        return np.array([[0 if one is None else int(getattr(one, name)) for one in row] for row in rows])

    return Grammar(
        tokens=tuple(tokens),
        kinds=kinds,
        allowed=_allowed(rows),
        after=np.array([[states[State(Mode.END)] if s is None else states[s.after] for s in r] for r in rows]),
        pushed=np.array([[states[s.pushed] if s and s.pushed else 0 for s in row] for row in rows]),
        opened=np.array([len(tokens) + _way(state.atom) for state in states]),
        **{name: table(name) for name in _CHANGES},
    )


def _growing(states: dict[State, int]) -> Iterator[State]:
    """All states, those too that are added on the way."""
    number = 0
    while number < len(states):
        yield list(states)[number]
        number += 1


def _way(atom: Atom | None) -> int:
    if atom is None:
        return 0
    return MOST_BONDS + min(atom.free, 2) if atom.kind.aromatic else min(atom.free, MOST_BONDS - 1)


def _allowed(rows: Sequence[Sequence[Step | None]]) -> npt.NDArray[np.bool_]:
    """See `Grammar.allowed`."""

    def table(values: list[list[int]]) -> npt.NDArray[np.int8]:
        return np.array(values, dtype=np.int8)[:, None, None, None, None, :]

    def column(name: str, missing: int) -> npt.NDArray[np.int8]:
        found = [[None if one is None else getattr(one, name) for one in row] for row in rows]
        return table([[missing if one is None else int(one) for one in row] for row in found])

    there = table([[one is not None for one in row] for row in rows]).astype(bool)
    shape = (1, 2, 3, len(SLACK), 2, 1)
    deep, rings, slack, parity = (
        np.arange(size).reshape([size if axis == at else 1 for axis in range(len(shape))])
        for at, size in ((1, 2), (2, 3), (3, len(SLACK)), (4, 2))
    )
    depth_is, parity_is = column("depth_is", -1), column("parity_is", -1)
    return np.asarray(
        there
        & ((depth_is == -1) | (depth_is == deep))
        & (rings >= column("rings_from", 0))
        & ((deep == 1) | (rings <= column("rings_to", 2)))
        & ((deep == 1) | (rings > 0) | (parity_is == -1) | (parity_is == parity))
        & (column("needs", 0) <= slack + SLACK[0])
    )
