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
from mmspec_ds.molecules.grammar import SLACK, Grammar, IntTable
from mmspec_ds.molecules.smiles_automaton import END
from mmspec_ds.nn.constraints import GrammarConstraint, GrammarTables

WORD = 64
"""Formulas in a word."""

_GAIN = 4
"""The most unsaturation that one more atom brings: that of a triple bond."""

_FALLS_OF_PARTS = 4
"""By how much the parts of a salt lower the unsaturation: 2 for each after the first, three parts at most."""

_ROWS_OF_DEPTH = 3 * len(SLACK) * 2
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
        self.effects_SJX, self.effect_of_SA = self._effects(self._element_A)

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
        elements, effects = len(tables.elements), tables.effects_SJX.shape[1]
        conditions = words.conditions(self._deepest)
        self._fits_RW = torch.from_numpy(np.concatenate([words.where(one) for one in conditions], axis=1))
        rows = self._fits_RW.shape[1]
        self._fits_RW = self._fits_RW.flatten(0, 1).to(device)
        sizes = [one.shape[2] for one in conditions]
        starts, whole = np.cumsum([0, *sizes]), elements + 3
        # The first effect is the end: the unsaturation must be that of the formula.
        asked = [*range(elements), whole, *np.repeat(range(elements, whole), effects)[1:]]
        first_B11 = torch.arange(len(formulas), device=device).view(-1, 1, 1) * rows
        low_X, high_X = torch.from_numpy(np.stack([starts[asked], starts[1:][asked] - 1])).to(device)
        self._low_B1X, self._high_B1X = low_X + first_B11, high_X + first_B11
        counted = [*range(3, 3 + elements), *np.repeat(range(3), effects)]
        self._counted_X = torch.tensor(counted, device=device)
        # From here on the counters of a sample are rows of its part of the table.
        start_NC = self._state_NC.clone()
        start_NC[:, : tables.counters] += first_B11[:, 0]
        self._follow(start_NC)
        element_SJ, change_SJ, reach_SJ, owed_SJ, last_SJ = tables.effects_SJX.unbind(2)
        one_more_SE = change_SJ.new_ones(len(change_SJ), elements)
        near = [one_more_SE, change_SJ - words.lowest, reach_SJ - words.lowest]
        self._effects = [effects * 3 + elements, effects]
        effects_SDX = [
            torch.cat([torch.cat([*near, atoms_SJ], dim=1) + low_X, element_SJ], dim=1)
            for atoms_SJ in (owed_SJ + last_SJ * (sizes[-2] // 2), owed_SJ)
        ]
        self._effects_RX = torch.stack(effects_SDX, dim=1).flatten(0, 1)
        self._possible_NW = torch.from_numpy(words.all_BW).to(device)
        self._possible_NEW = self._possible_NW.unsqueeze(1)

    def first_counts(self) -> list[int]:
        return [2, *[0] * (self.tables.counters - 2)]

    def allowed_actions(self, row_N: Tensor) -> Tensor:
        tables, samples = self.formula_tables, self.samples
        effect_NX = self._effects_RX.index_select(0, row_N // _ROWS_OF_DEPTH)
        change_NX, element_NJ = effect_NX.split(self._effects, dim=1)
        number_NX = self.counters_NC.index_select(1, self._counted_X) + change_NX
        # What lies outside the table is as the last entry on that side.
        number_BKX = number_NX.unflatten(0, (samples, -1)).clamp(self._low_B1X, self._high_B1X)
        fits_NXW = self._fits_RW.index_select(0, number_BKX.flatten()).unflatten(0, number_NX.shape)
        elements, effects = len(tables.elements), self._effects[1]
        more_NEW, up_to_NJW, from_NJW, atoms_NJW = fits_NXW.split([elements, *[effects] * 3], dim=1)
        possible_N1W = self._possible_NW.unsqueeze(1)
        self._possible_NEW = torch.cat([more_NEW & possible_N1W, possible_N1W], dim=1)
        element_NJW = element_NJ.unsqueeze(2).expand(-1, -1, possible_N1W.shape[2])
        fits_NJ = (self._possible_NEW.gather(1, element_NJW) & up_to_NJW & from_NJW & atoms_NJW != 0).any(dim=2)
        effect_of_NA = tables.effect_of_SA.index_select(0, self.state_N1.squeeze(1))
        return super().allowed_actions(row_N) & fits_NJ.gather(1, effect_of_NA)

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        super().advance(parents_BK, tokens_BK)
        element_N = self.formula_tables.element_A.index_select(0, tokens_BK.flatten())
        chosen_N = torch.add(element_N, self.parents_N, alpha=self._possible_NEW.shape[1])
        self._possible_NW = self._possible_NEW.flatten(0, 1).index_select(0, chosen_N)

    def keep(self, samples: Tensor) -> None:
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
        size = self.words * WORD
        self.there_BF = np.zeros((len(writable), size), dtype=bool)
        self.there_BF[self.any_B, 0] = True
        self.counts_BFE = np.zeros((*self.there_BF.shape, len(tables.elements)), dtype=np.int64)
        hydrogens_BF = np.zeros(self.there_BF.shape, dtype=np.int64)
        for sample, one in enumerate(writable):
            for at, formula in enumerate(one or ()):
                self.there_BF[sample, at] = True
                self.counts_BFE[sample, at] = [formula.get(element, 0) for element in tables.elements]
                hydrogens_BF[sample, at] = formula.get("H", 0)
        self.unsaturation_BF = 2 + self.counts_BFE @ (tables.valences - 2) - hydrogens_BF
        falls_BF = self.counts_BFE @ tables.falls + tables.falls_of_parts
        self.most_BF = self.unsaturation_BF + falls_BF
        self.least_BF = self.unsaturation_BF - falls_BF - self.counts_BFE @ tables.gains
        self.lowest = int(self.least_BF.min()) - 1
        self.all_BW = self.where(np.ones((*self.there_BF.shape, 1), dtype=bool))[:, 0]

    def conditions(self, deepest: int) -> list[npt.NDArray[np.bool_]]:
        """What is true of a formula [B, F, M]: it has M atoms or more of the first element, of the next ones;
        its unsaturation may be M, and can still be reached from M; it has M heavy atoms or more and, after
        those, exactly M; its unsaturation is M. The unsaturation is counted from `lowest`."""
        numbers = np.arange(int(self.counts_BFE.max()) + 2)
        values = np.arange(self.lowest, int(self.most_BF.max()) + 2)
        atoms_BF1 = self.counts_BFE.sum(axis=2)[..., None]
        atoms = np.arange(int(atoms_BF1.max()) + deepest + 4)  # those too that must follow
        return [
            *(self.counts_BFE[:, :, at, None] >= numbers for at in range(self.counts_BFE.shape[2])),
            self.most_BF[..., None] >= values,
            self.least_BF[..., None] <= values,
            np.concatenate([atoms_BF1 >= atoms, atoms_BF1 == atoms], axis=2),
            self.unsaturation_BF[..., None] == values,
        ]

    def where(self, true: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Words [B, ..., W] of the formulas that a condition [B, F, ...] is true of."""
        extra = (1,) * (true.ndim - 2)
        true = (true | self.any_B.reshape(-1, 1, *extra)) & self.there_BF.reshape(*self.there_BF.shape, *extra)
        packed = np.packbits(np.moveaxis(true, 1, -1), axis=-1, bitorder="little")
        return np.ascontiguousarray(packed).view(np.int64)
