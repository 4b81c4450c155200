"""Hypotheses whose atoms can still fit one of the formulas that are possible.

The formulas of a sample are bits of words, so that what is left of them after a token is an "and" with a row of
a table: of the formulas with so many atoms of an element, of those with so much unsaturation. Unsaturation is
twice the number of rings and double bonds, 2 + sum over the atoms of (valence - 2) - hydrogens. The grammar
counts it along with the string, so that hydrogens are exact.

Axes: those of `constraints`, and F formulas of a sample, W words of 64 of them, M numbers of atoms or values of
the unsaturation, E elements, J effects of actions, X conditions that are looked up.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.molecules.atoms import AtomKind
from mmspec_ds.molecules.grammar import Grammar, IntTable
from mmspec_ds.molecules.smiles_automaton import END
from mmspec_ds.nn.constraints import ROWS_OF_STATE, GrammarConstraint, GrammarTables

WORD = 64
"""Formulas in a word."""

_GAIN = 4
"""The most unsaturation that one more atom brings: that of a triple bond."""

_FALLS_OF_PARTS = 4
"""By how much the parts of a salt lower the unsaturation: 2 for each after the first, three parts at most."""

_ROWS_OF_DEPTH = ROWS_OF_STATE // 2
"""Of `GrammarTables.allowed`, for each state and depth, above 0 or not."""

Formula = Mapping[str, int]


class FormulaTables(GrammarTables):
    """The tables of a grammar, and what its atoms mean for a formula."""

    def __init__(self, grammar: Grammar, device: torch.device) -> None:
        heavy = [kind for kind in grammar.kinds if kind is not None and kind.is_heavy]
        self.elements = sorted({kind.element for kind in heavy})
        of_element = [[kind for kind in heavy if kind.element == element] for element in self.elements]
        self.valences = np.array([kinds[0].valence for kinds in of_element])
        self.gains = np.array([min(_GAIN, max(2 * k.capacity - 2 for k in kinds)) for kinds in of_element])
        self.falls = np.array([max(map(_falls, kinds)) for kinds in of_element])
        self.falls_of_parts = _FALLS_OF_PARTS if "." in grammar.tokens else 0
        none = len(self.elements)
        self._element_A = np.array(
            [
                self.elements.index(kind.element) if kind is not None and kind.is_heavy else none
                for kind in (*grammar.kinds, *[None] * (grammar.after.shape[1] - len(grammar.kinds)))
            ]
        )
        # Where hydrogens are written as atoms, no heavy atom must follow.
        self.owes = int(all(kind is None or kind.is_heavy for kind in grammar.kinds))
        super().__init__(grammar, device)
        self.element_A = torch.from_numpy(self._element_A).to(device)
        effects_SJX, self.effect_of_SA = self._effects(self._element_A)
        self.effects = effects_SJX.shape[1]
        element_SJ, *changes, owed_SJ, last_SJ = effects_SJX.unbind(2)
        # First one atom more of each element, or of none.
        one_more_SE = torch.ones(len(element_SJ), none + 1, dtype=torch.int64, device=device)
        none_SX = torch.zeros(len(element_SJ), none + 1 + 2 * self.effects, dtype=torch.int64, device=device)
        row_SX = torch.cat([one_more_SE, *changes, owed_SJ, element_SJ], dim=1)
        last_SX = torch.cat([none_SX, last_SJ, torch.zeros_like(last_SJ)], dim=1)
        # The counter that each of these changes.
        counted = [*range(3, 3 + none), 0, *np.repeat(range(3), self.effects)]
        self.counted_X = torch.tensor(counted, device=device)
        # A row for each state and depth; what is last is so at depth 0.
        self.effects_RX = row_SX.repeat_interleave(2, dim=0)
        self.is_last_RX = torch.stack([last_SX, torch.zeros_like(last_SX)], dim=1).flatten(0, 1)

    def more_counters(self) -> list[IntTable]:
        """The unsaturation that can still be reached, heavy atoms and those that must follow open branches, and
        atoms of each element."""
        grammar, none = self.grammar, len(self.elements)
        # Each open ring may still be closed by a double bond.
        reach_SA = grammar.unsaturation + 2 * grammar.rings - np.array([*self.gains, 0])[self._element_A]
        owed_SA = (self._element_A < none) + self.owes * grammar.depth
        return [reach_SA, owed_SA, *((self._element_A == one).astype(np.int64) for one in range(none))]

    def _effects(self, element_A: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What actions do to a formula, each effect once for a state, that of the end first; and the effect of
        each action. An effect is the element of an atom, the changes of the unsaturation and of what can still
        be reached, the atoms that are then there or must follow, and whether no atom can."""
        grammar, none = self.grammar, len(self.elements)
        heavy_A = (element_A < none).astype(np.int64)
        owed_SA = heavy_A + self.owes * (grammar.atoms + grammar.depth)
        gain_A = np.array([*self.gains, 0])[element_A]
        parts = (element_A, grammar.unsaturation, grammar.unsaturation - gain_A, owed_SA, grammar.is_last)
        effects_SAX = np.stack([np.broadcast_to(part, owed_SA.shape) for part in parts], axis=2)
        end = grammar.tokens.index(END)
        rows, of_SA = [], np.zeros_like(owed_SA)
        for state, effect_AX in enumerate(effects_SAX):
            known, of_SA[state] = np.unique(effect_AX, axis=0, return_inverse=True)
            rows.append(np.concatenate([effect_AX[end : end + 1], known]))
        of_SA += 1
        of_SA[:, end] = 0
        most = max(map(len, rows))
        padded = np.stack([np.pad(row, ((0, most - len(row)), (0, 0)), mode="edge") for row in rows])
        return torch.from_numpy(padded).to(self.device), torch.from_numpy(of_SA).to(self.device)


def _falls(kind: AtomKind) -> int:
    """By how much a further bond of this atom may lower the unsaturation."""
    if kind.third_frees:
        return 1
    return 2 * any(now - after != 1 for now, after in pairwise(kind.hydrogens))


class FormulaConstraint(GrammarConstraint):
    """Hypotheses that can still become a molecule of one of the formulas of their sample.

    Args:
        tables: of the vocabulary.
        formulas: of each sample those that are possible, each as the counts of its elements, hydrogen included;
            None where any is.
        max_tokens: the most tokens of a hypothesis, EOS included.
    """

    def __init__(
        self, tables: FormulaTables, formulas: Sequence[Sequence[Formula] | None], max_tokens: int
    ) -> None:
        super().__init__(tables, len(formulas), max_tokens)
        self.formula_tables, device = tables, tables.device
        words = _Words(tables, formulas)
        elements, effects = len(tables.elements), tables.effects
        conditions = words.conditions(self._deepest)
        rows_BMW = torch.from_numpy(np.concatenate(conditions, axis=1)).to(device)
        self._fits_MW = rows_BMW.flatten(0, 1)
        sizes = [one.shape[1] for one in conditions]
        starts, whole = np.cumsum([0, *sizes]), elements + 3
        # No element: no atom or more of the first one. The first effect is the end: the unsaturation must be
        # that of the formula.
        asked = [*range(elements), 0, whole, *np.repeat(range(elements, whole), effects)[1:]]
        low_X, high_X = starts[asked], starts[1:][asked] - 1
        high_X[elements] = 0
        shift_X = np.concatenate([low_X, np.zeros(effects, dtype=np.int64)])
        shift_X[elements + 1 :][: 2 * effects] -= words.lowest
        limits_2X = torch.from_numpy(np.stack([low_X, high_X])).to(device)
        first_B11 = torch.arange(len(formulas), device=device).view(-1, 1, 1) * rows_BMW.shape[1]
        self._low_B1X, self._high_B1X = (limit_X + first_B11 for limit_X in limits_2X)
        changes_RX = tables.effects_RX + tables.is_last_RX * (sizes[-2] // 2)
        self._effects_RX = changes_RX + torch.from_numpy(shift_X).to(device)
        # From here on the counters of a sample are rows of its part of the table.
        self.now.counters_NC += first_B11[:, 0]
        self._possible_NW = torch.from_numpy(words.all_BW).to(device)
        self._possible_NEW = self._possible_NW.unsqueeze(1)

    def first_counts(self) -> list[int]:
        """The values with which all counters but the first begin."""
        return [2, *[0] * (self.tables.counters - 2)]

    def allowed_actions(self, row_N: Tensor) -> Tensor:
        """See `GrammarConstraint`: what the grammar allows and leaves a formula of the sample possible."""
        tables, samples = self.formula_tables, self.samples
        effects = tables.effects
        effect_NX = self._effects_RX.index_select(0, row_N // _ROWS_OF_DEPTH)
        change_NX, element_NJ = effect_NX.split([effect_NX.shape[1] - effects, effects], dim=1)
        number_NX = self.now.counters_NC.index_select(1, tables.counted_X) + change_NX
        # What lies outside the table is as the last entry on that side.
        number_BKX = number_NX.unflatten(0, (samples, -1)).clamp(self._low_B1X, self._high_B1X)
        fits_NXW = self._fits_MW.index_select(0, number_BKX.flatten()).unflatten(0, number_NX.shape)
        sizes = [len(tables.elements) + 1, *[effects] * 3]
        more_NEW, up_to_NJW, from_NJW, atoms_NJW = fits_NXW.split(sizes, dim=1)
        self._possible_NEW = more_NEW & self._possible_NW.unsqueeze(1)
        element_NJW = element_NJ.unsqueeze(2).expand(up_to_NJW.shape)
        fits_NJ = (self._possible_NEW.gather(1, element_NJW) & up_to_NJW & from_NJW & atoms_NJW).any(dim=2)
        effect_of_NA = tables.effect_of_SA.index_select(0, self.now.state_N1.squeeze(1))
        return super().allowed_actions(row_N) & fits_NJ.gather(1, effect_of_NA)

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        """Let hypothesis k of sample b be its hypothesis `parents_BK[b, k]` with this token more."""
        super().advance(parents_BK, tokens_BK)
        element_N = self.formula_tables.element_A.index_select(0, tokens_BK.flatten())
        chosen_N = torch.add(element_N, self.parents_N, alpha=self._possible_NEW.shape[1])
        self._possible_NW = self._possible_NEW.flatten(0, 1).index_select(0, chosen_N)

    def keep(self, samples: Tensor) -> None:
        """Continue with the samples of these numbers only, in this order."""
        self._possible_NW = self._possible_NW.unflatten(0, (self.samples, -1))[samples].flatten(0, 1)
        self._low_B1X, self._high_B1X = self._low_B1X[samples], self._high_B1X[samples]
        super().keep(samples)


class _Words:
    """The formulas of all samples as arrays, padded to the most that a sample has.

    Where any formula is possible, there is one that every condition is true of.
    """

    def __init__(self, tables: FormulaTables, formulas: Sequence[Sequence[Formula] | None]) -> None:
        known = {"H", *tables.elements}
        writable = [None if one is None else [f for f in one if known.issuperset(f)] for one in formulas]
        most = max(1, *(len(one or ()) for one in writable))
        self.any_B = np.array([one is None for one in writable])
        self.words = -(-most // WORD)
        self.there_BF = np.zeros((len(writable), most), dtype=bool)
        self.there_BF[self.any_B, 0] = True
        self.counts_BFE = np.zeros((*self.there_BF.shape, len(tables.elements)), dtype=np.int64)
        hydrogens_BF = np.zeros(self.there_BF.shape, dtype=np.int64)
        for sample, one in enumerate(writable):
            for at, formula in enumerate(one or ()):
                self.there_BF[sample, at] = True
                self.counts_BFE[sample, at] = [formula.get(element, 0) for element in tables.elements]
                hydrogens_BF[sample, at] = formula.get("H", 0)
        self._there = self.there_BF.nonzero()
        self._bit = np.int64(1) << self._there[1] % WORD
        self.unsaturation_BF = 2 + self.counts_BFE @ (tables.valences - 2) - hydrogens_BF
        falls_BF = self.counts_BFE @ tables.falls + tables.falls_of_parts
        self.most_BF = self.unsaturation_BF + falls_BF
        self.least_BF = self.unsaturation_BF - falls_BF - self.counts_BFE @ tables.gains
        self.lowest = int(self.least_BF.min()) - 1
        self.all_BW = self._where(np.zeros_like(self.most_BF), 1)[:, 0]

    def conditions(self, deepest: int) -> list[IntTable]:
        """Words [B, M, W] of the formulas of which something is true: they have M atoms or more of the first
        element, of the next ones; their unsaturation may be M, and can still be reached from M; they have M
        heavy atoms or more and, after those, exactly M; their unsaturation is M. The unsaturation is counted
        from `lowest`."""
        numbers, values = int(self.counts_BFE.max()) + 2, int(self.most_BF.max()) + 2 - self.lowest
        atoms_BF = self.counts_BFE.sum(axis=2)
        have_BMW = self._where(atoms_BF, int(atoms_BF.max()) + deepest + 4)  # those too that must follow
        return [
            *(_or_more(self._where(counts_BF, numbers)) for counts_BF in np.moveaxis(self.counts_BFE, 2, 0)),
            _or_more(self._where(self.most_BF - self.lowest, values)),
            np.bitwise_or.accumulate(self._where(self.least_BF - self.lowest, values), axis=1),
            np.concatenate([_or_more(have_BMW), have_BMW], axis=1),
            self._where(self.unsaturation_BF - self.lowest, values),
        ]

    def _where(self, values_BF: IntTable, size: int) -> IntTable:
        """Words [B, M, W] of the formulas whose value is M, below `size`; any where any is possible."""
        words_BMW = np.zeros((len(values_BF), size, self.words), dtype=np.int64)
        sample, formula = self._there
        place = (sample * size + values_BF[sample, formula]) * self.words + formula // WORD
        np.add.at(words_BMW.reshape(-1), place, self._bit)
        words_BMW[self.any_B, :, 0] = 1
        return words_BMW


def _or_more(words_BMW: IntTable) -> IntTable:
    return np.bitwise_or.accumulate(words_BMW[:, ::-1], axis=1)[:, ::-1]
