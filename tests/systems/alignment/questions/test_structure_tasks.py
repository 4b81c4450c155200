"""Questions about a structure, with answers that were worked out by hand."""

from pathlib import Path

import numpy as np

from mmspec_ds.systems.alignment.questions.draw import Draw
from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.question import MoleculeReference
from mmspec_ds.systems.alignment.questions.structure_tasks import functional_groups

GROUPS_OF = {
    "CCCCCC": "none",
    "C=CCO": "alcohol, alkene",
    "CC(=O)CCl": "ketone, chlorine, halogen",
    "ClCC1CO1": "ether, epoxide, chlorine, halogen",
    "O=C(O)c1cccnc1": "carboxylic acid, aromatic ring, pyridine ring",
    "CC(=O)Oc1ccccc1C(=O)O": "carboxylic acid, ester, aromatic ring, benzene ring",
    "CC(=O)Nc1ccc(O)cc1": "phenol, amide, aromatic ring, benzene ring",
}
"""By SMILES."""


def test_all_groups_are_listed_in_the_order_of_the_table() -> None:
    items = [Item(MoleculeReference(one), one, Path("a.smi"), one) for one in GROUPS_OF]
    asked = functional_groups(items, 100, Draw("functional groups", "train", np.random.default_rng(0)))
    assert {one.group: one.answer for one in asked} == GROUPS_OF
    assert len(asked) == len(items)
    assert not any(one.choices or one.about for one in asked)
    assert len(functional_groups(items, 3, Draw("functional groups", "test", np.random.default_rng(0)))) == 3
