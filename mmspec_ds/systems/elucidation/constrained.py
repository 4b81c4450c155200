"""The constraint of a search, from what is known of the atoms of each sample."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.grammar import build_grammar
from mmspec_ds.molecules.possible_formulas import possible_formulas
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.constraints import GrammarConstraint
from mmspec_ds.nn.formula_constraint import FormulaConstraint, FormulaTables

Constrain = Literal["none", "grammar", "composition"]
"""What a search may write. none: anything. grammar: what can still become valid SMILES. composition: of these, where
the formula or mass of a sample is known, what can still become a molecule of it."""


def make_constraint(
    vocabulary: Vocabulary, compositions: Sequence[Composition | None], max_tokens: int, device: torch.device
) -> GrammarConstraint:
    """For as many samples as there are compositions; None where nothing is known."""
    tables = _tables(vocabulary, device)
    formulas = [
        None if known is None else possible_formulas(known, tables.elements) for known in compositions
    ]
    if all(one is None for one in formulas):
        return GrammarConstraint(tables, len(formulas), max_tokens)
    return FormulaConstraint(tables, formulas, max_tokens)


@lru_cache(maxsize=4)
def _tables(vocabulary: Vocabulary, device: torch.device) -> FormulaTables:
    return FormulaTables(build_grammar(vocabulary.tokens), device)
