"""Hypotheses whose atoms can still fit one of the formulas that are possible.

The formulas of a sample are bits of words, so that what is left of them after a token is an "and" with a row of
a table: of the formulas with so many atoms of an element, of those with so much unsaturation. Unsaturation is
twice the number of rings and double bonds, 2 + sum over the atoms of (valence - 2) - hydrogens. The grammar
counts it along with the string, so that hydrogens are exact.

Axes: those of `constraints`, and F formulas of a sample, N a number of atoms or a value of the unsaturation.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmspec_ds.molecules.atoms import AtomKind
from mmspec_ds.molecules.grammar import Grammar
from mmspec_ds.molecules.smiles_automaton import END
from mmspec_ds.nn.constraints import GrammarConstraint, GrammarTables

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
        super().__init__(grammar, device)
        heavy = [kind for kind in grammar.kinds if kind is not None and kind.is_heavy]
        self.elements = sorted({kind.element for kind in heavy})
        of_element = [[kind for kind in heavy if kind.element == element] for element in self.elements]
        self.valences = np.array([kinds[0].valence for kinds in of_element])
        self.gains = np.array([min(_GAIN, max(2 * k.capacity - 2 for k in kinds)) for kinds in of_element])
        self.falls = np.array([max(map(_falls, kinds)) for kinds in of_element])
        self.falls_of_parts = _FALLS_OF_PARTS if "." in grammar.tokens else 0
        none = len(self.elements)
        element_A = [
            self.elements.index(kind.element) if kind is not None and kind.is_heavy else none
            for kind in (*grammar.kinds, *[None] * (self.actions - self.tokens))
        ]
        self.element_A = torch.tensor(element_A, device=device)
        self.counts_AE = torch.nn.functional.one_hot(self.element_A, none + 1)[:, :-1]
        self.gain_A = torch.tensor([*self.gains.tolist(), 0], device=device)[self.element_A]
        self.change_SA = torch.from_numpy(grammar.unsaturation).to(device)
        # Heavy atoms that are there or must follow after an action, beyond those before it and one for each
        # open branch; where hydrogens are written as atoms, none must.
        self.owes = int(all(kind is None or kind.is_heavy for kind in grammar.kinds))
        self.heavy_A = (self.element_A < none).long()
        self.owed_SA = self.heavy_A + self.owes * torch.from_numpy(grammar.atoms + grammar.depth).to(device)
        self.last_SA = torch.from_numpy(grammar.is_last > 0).to(device)
        self.end = grammar.tokens.index(END)
        self.largest_change = int(np.abs(grammar.unsaturation).max()) + _GAIN


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
        self._zero = (tables.largest_change + 2) * (max_tokens + 1)  # the column of a value 0
        words = _Words(tables, formulas)
        numbers = np.arange(max_tokens + 2)
        values = np.arange(-self._zero, self._zero + 1)
        at_least = words.where(words.counts_BFE[..., None] >= numbers)
        self.at_least_BENW = torch.from_numpy(at_least).to(device)
        most, least = words.unsaturation_BF + words.falls_BF, words.least_BF
        self.up_to_BNW = torch.from_numpy(words.where(most[..., None] >= values)).to(device)
        self.from_BNW = torch.from_numpy(words.where(least[..., None] <= values)).to(device)
        equal = words.where(words.unsaturation_BF[..., None] == values)
        self.unsaturated_BNW = torch.from_numpy(equal).to(device)
        atoms_BF1, more = words.counts_BFE.sum(axis=2)[..., None], np.arange(2 * max_tokens + 4)
        self.of_atoms_BNW = torch.from_numpy(words.where(atoms_BF1 == more)).to(device)
        self.from_atoms_BNW = torch.from_numpy(words.where(atoms_BF1 >= more)).to(device)
        self.possible_BKW = torch.from_numpy(words.all_BW).to(device).unsqueeze(1)
        self.used_BKE = self.possible_BKW.new_zeros(len(formulas), 1, len(tables.elements))
        self.gained_BK = self.possible_BKW.new_zeros(len(formulas), 1)
        self._possible_BKEW = self.possible_BKW.unsqueeze(2)

    def allowed_actions(self) -> Tensor:
        tables, device = self.formula_tables, self.used_BKE.device
        samples, _, elements = self.used_BKE.shape
        sample_B1 = torch.arange(samples, device=device).unsqueeze(1)
        sample_B11 = sample_B1.unsqueeze(2)
        element_E = torch.arange(elements, device=device)
        more_BKEW = self.at_least_BENW[sample_B11, element_E, self.used_BKE + 1]
        more_BKEW = more_BKEW & self.possible_BKW.unsqueeze(2)
        self._possible_BKEW = torch.cat([more_BKEW, self.possible_BKW.unsqueeze(2)], dim=2)
        words_BKAW = self._possible_BKEW.index_select(2, tables.element_A)
        unsaturation_BK = self.unsaturation_BK + self._zero
        after_BKA = unsaturation_BK.unsqueeze(2) + tables.change_SA[self.automaton_BK]
        words_BKAW &= self.up_to_BNW[sample_B11, after_BKA]
        # Each open ring may still be closed by a double bond.
        to_come_BK1 = (2 * self.rings_BK - self.gained_BK).unsqueeze(2)
        reach_BKA = after_BKA + (to_come_BK1 - tables.gain_A)
        words_BKAW &= self.from_BNW[sample_B11, reach_BKA]
        atoms_BK = self.used_BKE.sum(dim=2)
        owed_BK1 = (atoms_BK + tables.owes * self.depth_BK).unsqueeze(2)
        words_BKAW &= self.from_atoms_BNW[sample_B11, owed_BK1 + tables.owed_SA[self.automaton_BK]]
        whole_BKAW = self.of_atoms_BNW[sample_B11, atoms_BK.unsqueeze(2) + tables.heavy_A]
        ends_BKA = tables.last_SA[self.automaton_BK] & (self.depth_BK == 0).unsqueeze(2)
        words_BKAW &= torch.where(ends_BKA.unsqueeze(3), whole_BKAW, -1)
        words_BKAW[:, :, tables.end] &= self.unsaturated_BNW[sample_B1, unsaturation_BK]
        return super().allowed_actions() & (words_BKAW != 0).any(dim=3)

    def advance(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        tables = self.formula_tables
        parents_BK1 = parents_BK.unsqueeze(2)
        chosen_BK = parents_BK * self._possible_BKEW.shape[2] + tables.element_A[tokens_BK]
        self.possible_BKW = self._possible_BKEW.flatten(1, 2).take_along_dim(chosen_BK.unsqueeze(2), dim=1)
        self.used_BKE = self.used_BKE.take_along_dim(parents_BK1, dim=1) + tables.counts_AE[tokens_BK]
        self.gained_BK = self.gained_BK.take_along_dim(parents_BK, dim=1) + tables.gain_A[tokens_BK]
        super().advance(parents_BK, tokens_BK)

    def keep(self, samples: Tensor) -> None:
        super().keep(samples)
        for name in _OF_SAMPLES:
            setattr(self, name, getattr(self, name)[samples])


_OF_SAMPLES = (
    *("at_least_BENW", "up_to_BNW", "from_BNW", "unsaturated_BNW", "of_atoms_BNW", "from_atoms_BNW"),
    *("possible_BKW", "used_BKE", "gained_BK"),
)


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
        self.falls_BF = self.counts_BFE @ tables.falls + tables.falls_of_parts
        self.least_BF = self.unsaturation_BF - self.falls_BF - self.counts_BFE @ tables.gains
        self.all_BW = self.where(np.ones((*self.there_BF.shape, 1), dtype=bool))[:, 0]

    def where(self, true: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Words [B, ..., W] of the formulas that a condition [B, F, ...] is true of."""
        extra = (1,) * (true.ndim - 2)
        true = (true | self.any_B.reshape(-1, 1, *extra)) & self.there_BF.reshape(*self.there_BF.shape, *extra)
        bits = np.int64(1) << np.arange(true.shape[1] // self.words, dtype=np.int64)
        grouped = true.reshape(len(true), self.words, -1, *true.shape[2:])
        return np.ascontiguousarray(np.moveaxis(np.tensordot(grouped, bits, axes=(2, 0)), 1, -1))
