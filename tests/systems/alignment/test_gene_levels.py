"""The levels of genes that a prompt names: which genes, which levels, in training and in use."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmspec_ds.readers.cell_table import make_table
from mmspec_ds.systems.alignment.encoders.genes import fit_genes
from mmspec_ds.systems.alignment.gene_levels import GeneWords, with_highest, with_levels
from mmspec_ds.systems.alignment.objects import Cell, Example, Molecule
from mmspec_ds.systems.alignment.prompt import Turn
from mmspec_ds.systems.alignment.questions.wording import WORDINGS, worded
from mmspec_ds.systems.alignment.run_settings import AlignmentRun
from mmspec_ds.systems.alignment.task import AlignmentTask
from mmspec_ds.systems.alignment.trained import Trained
from mmspec_ds.trainer.task import TaskContext
from tests.systems.alignment.tiny import run_content, save_language

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
    assert GeneWords(levels=True, highest=False).prompts([turns, *others], objects) == [told, *others]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        # Means of 2, 2.5 and, of the one gene that the file has, 0.
        ("Which is [CELL]? They are: A (CD3D, CD14); b cell (HLA-DRA); C (CD79A, LYZ).", "b cell"),
        ("A (CD3D, CD14); B (FCGR3A); C (CD4)", "A"),
        ("CD79A+ cell (CD79A); CD14 monocyte (CD14); C (LYZ): which of them?", "CD14 monocyte"),
    ],
)
def test_a_sentence_names_the_highest_markers(text: str, name: str) -> None:
    assert with_highest(text, CELL) == f"{text} Its highest marker genes are those of {name}."


@pytest.mark.parametrize("text", ["Does A (CD14) fit?", "Is A (CD14) a cell (blood)?", "CD14, LYZ?"])
def test_fewer_than_two_lists_are_not_compared(text: str) -> None:
    assert with_highest(text, CELL) == text


def test_the_sentence_names_a_choice_in_every_wording() -> None:
    for number in range(len(WORDINGS["cell type by markers"])):
        types = "CD4 T cell (CD4, LYZ); CD14 monocyte (CD14)"
        text = worded("cell type by markers", number, object="the cell [CELL]", types_with_markers=types)
        assert with_highest(text, CELL).endswith(" Its highest marker genes are those of CD14 monocyte.")


def test_the_sentence_and_levels_together() -> None:
    prompt = "[CELL]: A (CD3D, CD14); B (LYZ)?"
    told = "[CELL]: A (CD3D low, CD14 high); B (LYZ none)? Its highest marker genes are those of A."
    words = GeneWords(levels=True, highest=True)
    assert words.prompts([prompt], [(CELL,)]) == [told]
    example = Example(prompt, (CELL,), "B", "cell type by markers", ("A", "B"))
    assert words.examples([example])[0].prompt == told
    assert GeneWords(levels=False, highest=False).prompts([prompt], [(CELL,)]) == [prompt]


def test_training_and_use_read_the_levels(tmp_path: Path) -> None:
    fit_genes([make_table(np.diag([5, 4, 3, 2, 1, 6, 7]) + 1, GENES, "abcdefg", {})], tmp_path / "panel")
    content = run_content(save_language(tmp_path / "language"), data={"cache": str(tmp_path / "cache")})
    content["encoders"] = {"cell": {"name": "genes", "options": {"path": str(tmp_path / "panel")}}}
    here = TaskContext(torch.device("cpu"))
    found = {}
    for on in (False, True):
        run = AlignmentRun.model_validate(content | {"gene_levels": on, "highest_markers": on})
        asked = "Is LYZ in [CELL] {}; a (CD14); b (T)?"
        examples = [Example(asked.format(at), (CELL,), "no", "t", group=str(at)) for at in range(4)]
        task = AlignmentTask(run, here, (examples, examples[:2]))
        trained = Trained(run, task.model.eval(), task.writer, dict(task.encoders))
        rows = [task.sets.train.rows[0], task.sets.validation.rows[0]]
        rows += trained._read([examples[0].prompt], [examples[0].objects]).rows
        found[on] = [task.writer.decode([one for one in row.ids.tolist() if one >= 0]) for row in rows]
    told = "Is LYZ none in 0; a (CD14 high); b (T)? Its highest marker genes are those of b."
    assert all(told in text for text in found[True])
    assert all("Is LYZ in 0; a (CD14); b (T)?" in text for text in found[False])
