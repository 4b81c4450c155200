"""Constraints on what beam search writes, followed for all hypotheses at once.

Axes: B samples still searched, K hypotheses of each, V vocabulary, A actions of the grammar (the tokens, then
ways to close a ring), R ring digits, C columns of the state, D depth of branches, E elements, W words of 63
formulas.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mmspec_ds.molecules.grammar import SLACK, Grammar, IntTable
from mmspec_ds.molecules.smiles_automaton import is_ring_token

_NUMBERS = 62
"""Atoms are numbered modulo this, so that a set of them fits into 63 bits. A ring of so many atoms, or one
more, is refused."""

_CLOSED = _NUMBERS
"""Number of the first atom of a ring that is not open; no atom has it."""

_SHIFT = 32


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


class GrammarTables:
    """The tables of a grammar on a device, made once for many searches."""

    def __init__(self, grammar: Grammar, device: torch.device) -> None:
        self.grammar, self.device = grammar, device
        actions = grammar.after.shape[1]
        self.tokens, self.actions = len(grammar.tokens), actions
        rings = [at for at, token in enumerate(grammar.tokens) if is_ring_token(token)]
        self.rings = torch.tensor(rings, dtype=torch.int64, device=device)
        self.allowed = torch.from_numpy(grammar.allowed.reshape(-1, actions)).to(device)
        self.bits = 1 << torch.arange(_NUMBERS + 1, device=device)
        # The ring of each token; other tokens have one beyond the last.
        self.ring_of = torch.full((self.tokens,), len(self.rings), device=device)
        self.ring_of[self.rings] = torch.arange(len(self.rings), device=device)
        atom_A = np.array([kind is not None for kind in grammar.kinds] + [False] * (actions - self.tokens))
        columns = [grammar.after, grammar.pushed, grammar.bonds, grammar.opened[grammar.after]]
        columns += [np.broadcast_to(atom_A, columns[0].shape), *(getattr(grammar, one) for one in _COUNTERS)]
        columns += self.more_counters()
        self.counters = len(columns) - _COUNTED
        self.steps = torch.from_numpy(np.stack(columns, axis=2).reshape(-1, len(columns))).to(device)

    def more_counters(self) -> list[IntTable]:
        """Changes of further counters that a constraint keeps, each [S, A]."""
        return []


_COUNTERS = ("depth", "rings", "needs", "parity", "unsaturation")
_ATOMS, STATE, _PLACE, _TOUCH, DEPTH, RINGS, _NEEDS, _PARITY, UNSATURATION = range(9)
_AFTER, _PUSHED, _BONDS, _OPENED, _IS_ATOM, _COUNTED = range(6)


class GrammarConstraint:
    """Hypotheses that can still become valid SMILES within the limit of tokens; see `molecules.grammar`.

    The state of a hypothesis is a row of integers: the counters, the number of atoms, the automaton's state,
    the number of the atom that it stands at, the atoms that this one is bonded to (as bits), then the states
    and atoms of the open branches, then of each ring the action that a digit is and the number of its first
    atom.

    Args:
        tables: of the vocabulary.
        samples: how many are searched.
        max_tokens: the most tokens of a hypothesis, EOS included.
    """

    def __init__(self, tables: GrammarTables, samples: int, max_tokens: int) -> None:
        self.tables = tables
        self.left = max_tokens
        self._deepest = max_tokens // 4 + 2
        rings = len(tables.rings)
        self._counters = slice(DEPTH, DEPTH + tables.counters)
        self._stack = slice(self._counters.stop, self._counters.stop + self._deepest)
        self._action = slice(self._stack.stop, self._stack.stop + rings + 1)
        self._first = slice(self._action.stop, self._action.stop + rings + 1)
        start = torch.zeros(self._first.stop, dtype=torch.int64, device=tables.device)
        start[_NEEDS] = 2  # an atom and EOS
        start[UNSATURATION] = 2  # of nothing, by the formula of the unsaturation
        start[self._action][:-1] = tables.rings
        start[self._first] = _CLOSED
        self.state_BKC = start.expand(samples, 1, -1)

    def allowed(self) -> Tensor:
        mask_BKA = self.allowed_actions()
        state_BKC, tables = self.state_BKC, self.tables
        mask_BKV = mask_BKA[..., : tables.tokens]
        action_BKR, first_BKR = state_BKC[..., self._action][..., :-1], state_BKC[..., self._first][..., :-1]
        apart_BKR = (state_BKC[..., _TOUCH, None] >> first_BKR) & 1 == 0
        mask_BKV[..., tables.rings] = mask_BKA.gather(2, action_BKR) & apart_BKR
        return mask_BKV

    def allowed_actions(self) -> Tensor:
        """[B, K, A]; of a digit it tells whether a ring may be opened."""
        _, state_BK, _, _, depth_BK, rings_BK, needs_BK, parity_BK, *_ = self.state_BKC.unbind(dim=2)
        slack_BK = (self.left - 1 - SLACK[0] - needs_BK).clamp(0, len(SLACK) - 1)
        row_BK = (state_BK * 2 + (depth_BK > 0)) * 3 + rings_BK.clamp(max=2)
        row_BK = (row_BK * len(SLACK) + slack_BK) * 2 + (parity_BK & 1)
        return self.tables.allowed[row_BK]

    def actions(self, state_BKC: Tensor, tokens_BK: Tensor) -> tuple[Tensor, Tensor]:
        """The action that each token is in a state, and its ring as a column, both [B, K]."""
        ring_BK = self.tables.ring_of[tokens_BK]
        action_BK = state_BKC[..., self._action].gather(2, ring_BK.unsqueeze(2)).squeeze(2)
        return torch.where(ring_BK < len(self.tables.rings), action_BK, tokens_BK), ring_BK

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        self.left -= 1
        # A copy: what follows writes into it.
        state_BKC = self.state_BKC.take_along_dim(parents_BK.unsqueeze(2), dim=1)
        action_BK, ring_BK = self.actions(state_BKC, tokens_BK)
        self.state_BKC = state_BKC
        tables = self.tables
        step_BKQ = tables.steps[state_BKC[..., STATE] * tables.actions + action_BK]
        place_BK, touch_BK = state_BKC[..., _PLACE], state_BKC[..., _TOUCH]
        self._change_rings(action_BK, ring_BK, tokens_BK, step_BKQ)
        depth_BK1, ends_BK = state_BKC[..., DEPTH, None], step_BKQ[..., _COUNTED] < 0
        stack_BKD = state_BKC[..., self._stack]
        # What lies above the top of the stack has no meaning, so that every action may write there.
        stack_BKD.scatter_(2, depth_BK1, (step_BKQ[..., _PUSHED] | place_BK << _SHIFT).unsqueeze(2))
        top_BK = stack_BKD.gather(2, (depth_BK1 - 1).clamp(min=0)).squeeze(2)
        is_atom_BK = step_BKQ[..., _IS_ATOM] > 0
        number_BK = state_BKC[..., _ATOMS] % _NUMBERS
        bonded_BK = tables.bits[place_BK] | tables.bits[number_BK]
        state_BKC[..., _TOUCH] = torch.where(is_atom_BK, bonded_BK, touch_BK)
        place_BK = torch.where(is_atom_BK, number_BK, place_BK)
        state_BKC[..., _PLACE] = torch.where(ends_BK, top_BK >> _SHIFT, place_BK)
        state_BKC[..., STATE] = torch.where(ends_BK, top_BK & (1 << _SHIFT) - 1, step_BKQ[..., _AFTER])
        state_BKC[..., self._counters] += step_BKQ[..., _COUNTED:]
        state_BKC[..., _ATOMS] += step_BKQ[..., _IS_ATOM]
        # A hypothesis that is given up may be anywhere.
        state_BKC[..., DEPTH].clamp_(0, self._deepest - 1)

    def _change_rings(self, action_BK: Tensor, ring_BK: Tensor, tokens_BK: Tensor, step_BKQ: Tensor) -> None:
        """Take bonds from the rings that begin at this atom; open or close the ring of the token."""
        state_BKC = self.state_BKC
        place_BK1 = state_BKC[..., _PLACE, None]
        action_BKR, first_BKR = state_BKC[..., self._action], state_BKC[..., self._first]
        closes_BK1 = action_BK.unsqueeze(2) >= self.tables.tokens
        ring_BK1 = ring_BK.unsqueeze(2)
        bonded_BK1 = self.tables.bits[first_BKR.gather(2, ring_BK1)]
        state_BKC[..., _TOUCH, None] |= torch.where(closes_BK1, bonded_BK1, 0)
        action_BKR -= step_BKQ[..., _BONDS, None] * (first_BKR == place_BK1)
        opened_BK1 = step_BKQ[..., _OPENED, None]
        action_BKR.scatter_(2, ring_BK1, torch.where(closes_BK1, tokens_BK.unsqueeze(2), opened_BK1))
        first_BKR.scatter_(2, ring_BK1, torch.where(closes_BK1, _CLOSED, place_BK1))

    def keep(self, samples: Tensor) -> None:
        self.state_BKC = self.state_BKC[samples]
