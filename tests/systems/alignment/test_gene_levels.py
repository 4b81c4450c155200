"""The levels of genes that a prompt names: which genes, which levels, in training and in use."""

import numpy as np
import pytest

from mmspec_ds.systems.alignment.gene_levels import level_prompts, with_levels
from mmspec_ds.systems.alignment.objects import Cell, Molecule
from mmspec_ds.systems.alignment.prompt import Turn
from mmspec_ds.systems.alignment.questions.wording import WORDINGS, worded

GENES = ("CD14", "CD3D", "CD4", "FCGR3A", "HLA-DRA", "LYZ", "T")
CELL = Cell(np.array([3, 1, 0, 2, 2.5, 0, 4], dtype=np.float32), GENES)
"""The median of what it expresses is 2.5."""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a (CD3D, LYZ); b (CD14)", "a (CD3D low, LYZ none); b (CD14 high)"),
        ("HLA-DRA, FCGR3A, CD79A, cd14: which?", "HLA-DRA low, FCGR3A low, CD79A, cd14: which?"),
        ("Is CD14 high?", "Is CD14 high high?"),
        (
            "Express it LYZ and CD14 or CD4 of it. CD14",
            "Express it LYZ none and CD14 high or CD4 none of it. CD14 high",
        ),
        (
            "One of: CD14 monocyte, CD4 T cell, FCGR3A monocyte.",
            "One of: CD14 monocyte, CD4 T cell, FCGR3A monocyte.",
        ),
        ("aCD14, CD14x, X-CD14, CD14-X, T cell, T", "aCD14, CD14x, X-CD14, CD14-X, T cell, T"),
    ],
)
def test_levels_stand_behind_genes(text: str, told: str) -> None:
    assert with_levels(text, CELL) == told


def test_all_markers_of_a_question_are_told() -> None:
    for task in ("cell type by markers", "marker genes"):
        for number in range(len(WORDINGS[task])):
            named = {
                "types_with_markers": "CD4 T cell (CD3D, LYZ)",
                "a_type": "a CD4 T cell",
                "markers": "CD3D, LYZ",
            }
            text = worded(task, number, object="the cell [CELL]", **named)
            expected = text.replace("CD3D", "CD3D low").replace("LYZ", "LYZ none")
            assert with_levels(text, CELL) == expected


def test_prompts_about_one_cell() -> None:
    turns = [Turn("user", "[CELL] CD14?"), Turn("assistant", "CD14, yes"), Turn("user", "LYZ?")]
    told = [Turn("user", "[CELL] CD14 high?"), Turn("assistant", "CD14, yes"), Turn("user", "LYZ none?")]
    others = ["[MOLECULE] CD14?", "[CELL] [CELL] CD14?"]
    objects = [(CELL,), (Molecule("C"),), (CELL, CELL)]
    assert level_prompts([turns, *others], objects) == [told, *others]
