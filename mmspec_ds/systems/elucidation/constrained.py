"""The constraint of a search, from what is known of the atoms of each sample."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import torch

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.molecules.composition import Composition
from mmspec_ds.molecules.grammar import build_grammar
from mmspec_ds.molecules.possible_formulas import possible_formulas
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.constraints import GrammarConstraint
from mmspec_ds.nn.formula_constraint import FormulaConstraint, FormulaTables
from mmspec_ds.spectra.modalities.formula import FormulaDefinition, written_formula
from mmspec_ds.spectra.records import Modality

Constrain = Literal["none", "grammar", "composition"]
"""What a search may write. none: anything. grammar: what can still become valid SMILES. composition: of these,
where the formula or mass of a sample is known, what can still become a molecule of it."""


def make_constraint(
    vocabulary: Vocabulary, compositions: Sequence[Composition | None], max_tokens: int, device: torch.device
) -> GrammarConstraint:
    """What may be written for as many samples as there are compositions; None where nothing is known.

    Args:
        vocabulary: of the model.
        compositions: of each sample.
        max_tokens: the most tokens of a hypothesis, EOS included.
        device: that of the search.
    """
    tables = _tables(vocabulary, device)
    formulas = [None if one is None else possible_formulas(one, tables.elements) for one in compositions]
    if all(one is None for one in formulas):
        return GrammarConstraint(tables, len(formulas), max_tokens)
    return FormulaConstraint(tables, formulas, max_tokens)


def can_write(vocabulary: Vocabulary, composition: Composition) -> bool:
    """Whether any formula of a composition has none but elements of the vocabulary."""
    elements = _tables(vocabulary, torch.device("cpu")).elements
    formulas = possible_formulas(composition, elements)
    return formulas is None or any({"H", *elements}.issuperset(formula) for formula in formulas)


def compositions_read(dataset: SpectraDataset) -> list[Composition | None]:
    """The formula of each sample, if it is an input of the model."""
    schema = FormulaDefinition().schema(FormulaDefinition.settings)
    if dataset.schemas.get(Modality.FORMULA) != schema or Modality.FORMULA not in dataset.tokens:
        return [None] * len(dataset)
    packed = dataset.tokens[Modality.FORMULA]
    rows = [packed.discrete[first:last].tolist() for first, last in pairwise(packed.offsets.tolist())]
    texts = [written_formula(row) for row in rows]
    return [None if text is None else Composition.of_formula(text) for text in texts]


@lru_cache(maxsize=4)
def _tables(vocabulary: Vocabulary, device: torch.device) -> FormulaTables:
    return FormulaTables(build_grammar(vocabulary.tokens), device)
