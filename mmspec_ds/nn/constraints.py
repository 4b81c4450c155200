"""Constraints on what beam search writes, followed for all hypotheses at once.

For one sample a step costs as much as it has operators, whatever their size: hence what a hypothesis is lies in
one row, and what an action does in one row of a table.

Axes: B samples still searched, K hypotheses of each, N = B * K, V vocabulary, A actions of the grammar (the
tokens, then ways to close a ring), C columns of the state, Q columns of a step.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.molecules.grammar import SLACK, Grammar, IntTable
from mmspec_ds.molecules.smiles_automaton import is_ring_token

_NUMBERS = 64
"""Atoms are numbered modulo this, so that a set of them is the bits of a word. A ring of so many atoms, or one
more, is refused."""


class Constraint(Protocol):
    """What the hypotheses of a search may go on with; one hypothesis per sample at first."""

    def allowed(self) -> Tensor:
        """True for each token that may follow, [B, K, V]."""
        ...

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        """Let hypothesis k of sample b be its hypothesis `parents_BK[b, k]` with this token more."""
        ...

    def keep(self, samples: Tensor) -> None:
        """Continue with the samples of these numbers only, in this order."""
        ...


_PLACES = 5
"""Columns that tell the row of `GrammarTables.allowed`: depth, open rings, slack, parity, state."""

ROWS_OF_STATE = 2 * 3 * len(SLACK) * 2
"""Of `GrammarTables.allowed`."""


class GrammarTables:
    """The tables of a grammar on a device, made once for many searches."""

    def __init__(self, grammar: Grammar, device: torch.device) -> None:
        self.grammar, self.device = grammar, device
        shape = grammar.after.shape
        self.tokens, self.actions = len(grammar.tokens), shape[1]
        self.allowed = torch.from_numpy(grammar.allowed.reshape(-1, self.actions)).to(device)
        closings = [False] * (self.actions - self.tokens)
        atom_A = np.array([kind is not None for kind in grammar.kinds] + closings)
        ring_A = np.array([is_ring_token(token) for token in grammar.tokens] + closings)
        more = [grammar.unsaturation, *self.more_counters()]
        self.counters = len(more)
        state_S1 = np.arange(len(grammar.after))[:, None]
        columns = [*more, atom_A, grammar.depth, grammar.rings, -1 - grammar.needs, grammar.parity]
        columns += [grammar.after - state_S1, grammar.pushed, grammar.bonds]
        columns += [np.where(ring_A, grammar.opened[grammar.after] - np.arange(self.actions), 0), -1 * ring_A]
        self.steps = self._rows([np.broadcast_to(one, shape).astype(np.int64) for one in columns])
        # Whether an atom is written; whether a branch ends.
        self.kinds = self._rows([np.broadcast_to(atom_A, shape), grammar.depth < 0])
        self.low = torch.zeros(_PLACES, dtype=torch.int64, device=device)
        self.high = torch.tensor([1, 2, len(SLACK) - 1, 1, len(state_S1)], device=device)
        self.strides = torch.tensor([6 * len(SLACK), 2 * len(SLACK), 2, 1, ROWS_OF_STATE], device=device)

    def _rows(self, columns: Sequence[npt.NDArray[np.generic]]) -> Tensor:
        """A row for each state and action."""
        return torch.from_numpy(np.stack(columns, axis=2).reshape(-1, len(columns))).to(self.device)

    def more_counters(self) -> list[IntTable]:
        """Changes of further counters that a constraint keeps, each [S, A]."""
        return []


class _Rows:
    """Hypotheses, a row of integers each, and the names of its parts.

    Columns: the unsaturation and further counters, the number of atoms, the depth of branches, the open rings,
    the slack, the parity, the automaton's state, the atom that the hypothesis stands at, the atoms that it is
    bonded to, then the states and atoms to go back to from no branch and from each open one, then the action
    that each token is, then the first atom of the ring of each token, 0 where none is open. Atoms are bits.
    """

    def __init__(self, all_NC: Tensor, sizes: Sequence[int], counters: int) -> None:
        self.all_NC = all_NC
        counted_NC, stack_NC, self.action_NV, self.first_NV = all_NC.split(list(sizes), dim=1)
        self.stack_ND2 = stack_NC.unflatten(1, (-1, 2))
        self.above_ND2 = self.stack_ND2[:, 1:]
        self.added_NC, self.place_N1, self.touch_N1 = counted_NC.tensor_split([-2, -1], dim=1)
        self.counters_NC, self.masked_NC = self.added_NC.tensor_split([counters], dim=1)
        self.atoms_N1, self.depth_N1, _, _, _, self.state_N1 = self.masked_NC.split(1, dim=1)
        self.depth_N12 = self.depth_N1.unsqueeze(2).expand(-1, 1, 2)
        self.places_NC, self.state_and_place_N2 = self.masked_NC[:, 1:], counted_NC[:, -3:-1]


class GrammarConstraint:
    """Hypotheses that can still become valid SMILES within the limit of tokens; see `molecules.grammar`.

    Args:
        tables: of the vocabulary.
        samples: how many are searched.
        max_tokens: the most tokens of a hypothesis, EOS included.
    """

    def __init__(self, tables: GrammarTables, samples: int, max_tokens: int) -> None:
        self.tables, self.samples = tables, samples
        device = tables.device
        # A power of two, so that "and" keeps the depth within it.
        self._deepest = 1 << (max_tokens // 4 + 1).bit_length()
        self._masks = torch.tensor([_NUMBERS - 1, self._deepest - 1, -1, -1, 1, -1], device=device)
        self._first_B1 = torch.arange(samples, device=device).unsqueeze(1)
        counts = [2, *self.first_counts(), 0, 0, 0, max_tokens - 3 - SLACK[0], 0, 0, 0, 0]
        self._sizes = [len(counts), 2 * (self._deepest + 1), tables.tokens, tables.tokens]
        start_NC = np.zeros((samples, sum(self._sizes)), dtype=np.int64)
        start_NC[:, : len(counts)] = counts
        start_NC[:, sum(self._sizes[:2]) :][:, : tables.tokens] = np.arange(tables.tokens)
        self.now = self._rows(torch.from_numpy(start_NC).to(device))
        self._spare = self.now

    def first_counts(self) -> list[int]:
        """The values with which all counters but the first begin."""
        return [0] * (self.tables.counters - 1)

    def _rows(self, all_NC: Tensor) -> _Rows:
        return _Rows(all_NC, self._sizes, self.tables.counters)

    def allowed(self) -> Tensor:
        """True for each token that may follow, [B, K, V]."""
        apart_NV = self.now.first_NV & self.now.touch_N1 == 0
        mask_NV = self.allowed_actions(self._row_N()).gather(1, self.now.action_NV) & apart_NV
        return mask_NV.view(self.samples, -1, self.tables.tokens)

    def _row_N(self) -> Tensor:
        """The row of `GrammarTables.allowed`."""
        return (self.now.places_NC.clamp(self.tables.low, self.tables.high) * self.tables.strides).sum(1)

    def allowed_actions(self, row_N: Tensor) -> Tensor:
        """True for each action that may follow, [N, A]; of a digit it tells whether a ring may be opened.
        `row_N` is the row of `GrammarTables.allowed` of each hypothesis."""
        return self.tables.allowed.index_select(0, row_N)

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        """Let hypothesis k of sample b be its hypothesis `parents_BK[b, k]` with this token more."""
        tables = self.tables
        self.parents_N = (parents_BK + self._first_B1).flatten()
        if len(self.parents_N) != len(self._spare.all_NC) or self._spare is self.now:
            first_B = torch.arange(0, parents_BK.numel(), parents_BK.shape[1], device=tables.device)
            self._first_B1 = first_B.unsqueeze(1)
            self._spare = self._rows(self.now.all_NC.new_empty(len(self.parents_N), sum(self._sizes)))
        torch.index_select(self.now.all_NC, 0, self.parents_N, out=self._spare.all_NC)
        self.now, self._spare = self._spare, self.now
        now, token_N1 = self.now, tokens_BK.reshape(-1, 1)
        action_N1 = now.action_NV.gather(1, token_N1)
        step_N = torch.add(action_N1, now.state_N1, alpha=tables.actions).squeeze(1)
        step_NQ = tables.steps.index_select(0, step_N)
        change_NC, pushed_N1, *ring = step_NQ.split([step_NQ.shape[1] - 4, 1, 1, 1, 1], dim=1)
        is_atom_N1, ends_N1 = tables.kinds.index_select(0, step_N).split(1, dim=1)
        self._change_rings(token_N1, *ring)
        # Where no branch is opened, an entry is written above the top, which has no meaning.
        top_N2 = now.stack_ND2.gather(1, now.depth_N12).squeeze(1)
        pushed_N12 = torch.cat([pushed_N1, now.place_N1], dim=1).unsqueeze(1)
        now.above_ND2.scatter_(1, now.depth_N12, pushed_N12)
        number_N1 = torch.bitwise_left_shift(1, now.atoms_N1)
        torch.where(is_atom_N1, now.place_N1 | number_N1, now.touch_N1, out=now.touch_N1)
        torch.where(is_atom_N1, number_N1, now.place_N1, out=now.place_N1)
        now.added_NC += change_NC
        torch.where(ends_N1, top_N2, now.state_and_place_N2, out=now.state_and_place_N2)
        # A hypothesis that is given up may be anywhere; the parity is that of a count.
        now.masked_NC &= self._masks

    def _change_rings(self, token_N1: Tensor, bonds_N1: Tensor, action_N1: Tensor, opens_N1: Tensor) -> None:
        """Take bonds from the rings that begin at this atom; open or close the ring of the token."""
        now = self.now
        now.touch_N1 |= now.first_NV.gather(1, token_N1)
        now.action_NV -= bonds_N1 * (now.first_NV == now.place_N1)
        now.action_NV.scatter_(1, token_N1, token_N1 + action_N1)
        now.first_NV.scatter_(1, token_N1, now.place_N1 & opens_N1)

    def keep(self, samples: Tensor) -> None:
        """Continue with the samples of these numbers only, in this order."""
        all_BKC = self.now.all_NC.unflatten(0, (self.samples, -1))[samples]
        self.samples = len(samples)
        self.now = self._spare = self._rows(all_BKC.flatten(0, 1))
        self._first_B1 = self._first_B1[: self.samples]
