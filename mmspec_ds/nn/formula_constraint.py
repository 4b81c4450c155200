"""Hypotheses whose atoms can still fit one of the formulas that are possible.

The formulas of a sample are bits of words, so that what is left of them after a token is an "and" with a row of
a table: of the formulas with so many atoms of an element, of those with so much unsaturation. Unsaturation is
twice the number of rings and double bonds, 2 + sum over the atoms of (valence - 2) - hydrogens. The grammar
counts it along with the string, so that hydrogens are exact.

Axes: those of `constraints`, and F formulas of a sample, N a number of atoms or a value of the unsaturation, J
effects of actions.
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
from mmspec_ds.nn.constraints import DEPTH, RINGS, STATE, UNSATURATION, GrammarConstraint, GrammarTables

WORD = 63
"""Formulas in a word."""

_GAIN = 4
"""The most unsaturation that one more atom brings: that of a triple bond."""

_FALLS_OF_PARTS = 4
"""By how much the parts of a salt lower the unsaturation: 2 for each after the first, three parts at most."""

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
        super().__init__(grammar, device)
        self.element_A = torch.from_numpy(self._element_A).to(device)
        # Where hydrogens are written as atoms, no heavy atom must follow.
        self.owes = int(all(kind is None or kind.is_heavy for kind in grammar.kinds))
        self.effects_SJX, self.effect_of_SA = self._effects(self._element_A)

    def more_counters(self) -> list[IntTable]:
        """What the atoms can gain at most, heavy atoms, and atoms of each element."""
        gain_A, none = np.array([*self.gains, 0])[self._element_A], len(self.elements)
        counts = [gain_A, self._element_A < none, *(self._element_A == one for one in range(none))]
        return [np.broadcast_to(one, self.grammar.after.shape).astype(np.int64) for one in counts]

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
        self.formula_tables, device = tables, tables.device
        words = _Words(tables, formulas)
        elements, effects = len(tables.elements), tables.effects_SJX.shape[1]
        conditions = words.conditions(self._deepest)
        self.fits_BNW = torch.from_numpy(words.where(np.concatenate(conditions, axis=2))).to(device)
        self.first_B11 = torch.arange(len(formulas), device=device).view(-1, 1, 1) * self.fits_BNW.shape[1]
        sizes = [one.shape[2] for one in conditions]
        starts = np.cumsum([0, *sizes])
        columns = [*range(elements), *np.repeat(range(elements, len(sizes)), [effects, effects, effects, 1])]
        self.low_X = torch.from_numpy(starts[columns]).to(device)
        self.high_X = torch.from_numpy(starts[1:][columns] - 1).to(device)
        self.counted_X = torch.tensor(
            [*range(3, 3 + elements), *[0] * effects, *[1] * effects, *[2] * effects, 0]
        )
        self.counted_X = self.counted_X.to(device)
        _, change_SJ, reach_SJ, owed_SJ, last_SJ = tables.effects_SJX.unbind(2)
        one_more_SE, none_S1 = (
            change_SJ.new_ones(len(change_SJ), elements),
            change_SJ.new_zeros(len(change_SJ), 1),
        )
        ends_SJ = owed_SJ + last_SJ * (sizes[-2] // 2)
        counted = [one_more_SE, change_SJ - words.lowest, reach_SJ - words.lowest]
        effects_DSX = [torch.cat([*counted, one, none_S1 - words.lowest], dim=1) for one in (ends_SJ, owed_SJ)]
        self.effects_DSX = torch.stack(effects_DSX) + self.low_X
        self.sizes = [elements, effects, effects, effects, 1]
        self.possible_BKW = torch.from_numpy(words.all_BW).to(device).unsqueeze(1)
        self._possible_BKEW = self.possible_BKW.unsqueeze(2)

    def allowed_actions(self) -> Tensor:
        tables, state_BKC = self.formula_tables, self.state_BKC
        state_BK, depth_BK1 = state_BKC[..., STATE], state_BKC[..., DEPTH, None]
        unsaturation_BK1 = state_BKC[..., UNSATURATION, None]
        # Each open ring may still be closed by a double bond.
        to_come_BK1 = unsaturation_BK1 + 2 * state_BKC[..., RINGS, None] - state_BKC[..., _GAINED, None]
        heavy_BK1 = state_BKC[..., _HEAVY, None] + tables.owes * depth_BK1
        counted = (unsaturation_BK1, to_come_BK1, heavy_BK1, state_BKC[..., _USED : self._counters.stop])
        counted_BKX = torch.cat(counted, dim=2).index_select(2, self.counted_X)
        numbers_BKX = counted_BKX + self.effects_DSX[(depth_BK1[..., 0] > 0).long(), state_BK]
        # What lies outside the table is as the last entry on that side.
        rows_BKX = numbers_BKX.clamp(self.low_X, self.high_X) + self.first_B11
        fits_BKXW = self.fits_BNW.flatten(0, 1).index_select(0, rows_BKX.flatten()).unflatten(0, rows_BKX.shape)
        more_BKEW, up_to_BKJW, from_BKJW, atoms_BKJW, whole_BK1W = fits_BKXW.split(self.sizes, dim=2)
        possible_BK1W = self.possible_BKW.unsqueeze(2)
        self._possible_BKEW = torch.cat([more_BKEW & possible_BK1W, possible_BK1W], dim=2)
        element_BKJ1 = tables.effects_SJX[state_BK][..., :1]
        words_BKJW = self._possible_BKEW.take_along_dim(element_BKJ1, dim=2)
        words_BKJW = words_BKJW & up_to_BKJW & from_BKJW & atoms_BKJW
        words_BKJW[:, :, :1] &= whole_BK1W
        fits_BKJ = (words_BKJW != 0).any(dim=3)
        return super().allowed_actions() & fits_BKJ.gather(2, tables.effect_of_SA[state_BK])

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        chosen_BK = parents_BK * self._possible_BKEW.shape[2] + self.formula_tables.element_A[tokens_BK]
        self.possible_BKW = self._possible_BKEW.flatten(1, 2).take_along_dim(chosen_BK.unsqueeze(2), dim=1)
        super().advance(parents_BK, tokens_BK)

    def keep(self, samples: Tensor) -> None:
        super().keep(samples)
        self.fits_BNW, self.possible_BKW = self.fits_BNW[samples], self.possible_BKW[samples]
        self.first_B11 = self.first_B11[: len(self.fits_BNW)]


_GAINED, _HEAVY, _USED = range(UNSATURATION + 1, UNSATURATION + 4)


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
        size = most if self.words == 1 else self.words * WORD
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
        """What is true of a formula [B, F, N]: it has N atoms or more of the first element, of the next ones;
        its unsaturation may be N, and can still be reached from N; it has N heavy atoms or more and, after
        those, exactly N; its unsaturation is N. The unsaturation is counted from `lowest`."""
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
        bits = np.int64(1) << np.arange(true.shape[1] // self.words, dtype=np.int64)
        grouped = true.reshape(len(true), self.words, -1, *true.shape[2:])
        return np.ascontiguousarray(np.moveaxis(np.tensordot(grouped, bits, axes=(2, 0)), 1, -1))
