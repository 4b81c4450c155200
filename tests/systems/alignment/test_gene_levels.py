"""The levels of genes that a prompt names: which genes, which levels, in training and in use."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmspec_ds.readers.cell_table import make_table
from mmspec_ds.systems.alignment.annotation import question
from mmspec_ds.systems.alignment.encoders.genes import fit_genes
from mmspec_ds.systems.alignment.gene_levels import GeneWords, highest_markers, with_levels
from mmspec_ds.systems.alignment.objects import Cell, Example, Molecule
from mmspec_ds.systems.alignment.prompt import Turn
from mmspec_ds.systems.alignment.questions.cell_types import CellType
from mmspec_ds.systems.alignment.questions.marker_lists import TASK
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


USUAL = ("CD4 T cell", "CD14 monocyte", "NK cell", "type K")
ODD = ("B cell (naive)", "B cell: naive", "T cell (CD4+)", "CD14", "gamma/delta, CD8 T cell: (LYZ, CD14)")
MARKERS = ("CD14, CD79A", "CD3D", "CD4, LYZ", "FCGR3A, X", "LYZ")
"""Means of 3, 1, 0, 2 and 0 in the cell, over those genes that its file has."""


@pytest.mark.parametrize("number", range(len(WORDINGS[TASK])))
@pytest.mark.parametrize("names", [USUAL, ODD])
def test_the_sentence_names_the_highest_type_wherever_it_stands(names: tuple[str, ...], number: int) -> None:
    for noun in ("the cell [CELL]", "[CELL]"):
        for winner, name in enumerate(names):
            genes = [MARKERS[(at - winner) % len(names)] for at in range(len(names))]
            types = "; ".join(f"{one} ({some})" for one, some in zip(names, genes))
            text = worded(TASK, number, object=noun, types_with_markers=types)
            assert highest_markers(text, CELL) == f"Its highest marker genes are those of {name}."
            (told,) = GeneWords(levels=True, highest=True).prompts([text], [(CELL,)])
            leveled = "; ".join(f"{one} ({with_levels(some, CELL)})" for one, some in zip(names, genes))
            assert told == (
                worded(TASK, number, object=noun, types_with_markers=leveled)
                + f" Its highest marker genes are those of {name}."
            )


def test_the_sentence_follows_what_users_type() -> None:
    types = "A (CD3D, CD14); b cell (HLA-DRA); C (CD79A, LYZ)"  # 2, 2.5 and, of the one that the file has, 0
    sentence = "Its highest marker genes are those of b cell."
    for text in (
        f"name the type of [CELL] by its marker genes: {types}",
        f" By their marker genes, {types}: which one is the cell [CELL]? ",
    ):
        assert highest_markers(text, CELL) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "Name the type of [CELL] by its marker genes: A (CD14).",
        "Name the type of [CELL] by its marker genes: A (CD14); B (CD79A).",  # the file has no CD79A
        "Name the type of [CELL] by its marker genes: A (CD14); B, CD3D.",
        "Which is [CELL]: A (CD14) or B (CD3D)?",
        "Is A (CD14) a cell (CD3D)?",
        "CD14, LYZ?",
    ],
)
def test_other_questions_have_no_sentence(text: str) -> None:
    assert highest_markers(text, CELL) == ""
    assert GeneWords(levels=False, highest=True).prompts([text], [(CELL,)]) == [text]


def test_annotation_asks_so_that_the_sentence_names_a_type() -> None:
    types = [CellType(name, markers=tuple(genes.split(", "))) for name, genes in zip(ODD, MARKERS)]
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        asked = question([types[at] for at in order], markers=True)
        assert highest_markers(asked, CELL) == f"Its highest marker genes are those of {ODD[0]}."


def test_the_sentence_and_levels_together() -> None:
    prompt = "Name the type of [CELL] by its marker genes: A (CD3D, CD14); B (LYZ)."
    told = (
        "Name the type of [CELL] by its marker genes: A (CD3D low, CD14 high); B (LYZ none)."
        " Its highest marker genes are those of A."
    )
    words = GeneWords(levels=True, highest=True)
    assert words.prompts([prompt], [(CELL,)]) == [told]
    assert GeneWords(levels=False, highest=False).prompts([prompt], [(CELL,)]) == [prompt]


def test_training_and_use_read_the_levels(tmp_path: Path) -> None:
    fit_genes([make_table(np.diag([5, 4, 3, 2, 1, 6, 7]) + 1, GENES, "abcdefg", {})], tmp_path / "panel")
    content = run_content(save_language(tmp_path / "language"), data={"cache": str(tmp_path / "cache")})
    content["encoders"] = {"cell": {"name": "genes", "options": {"path": str(tmp_path / "panel")}}}
    here = TaskContext(torch.device("cpu"))
    found = {}
    for on in (False, True):
        run = AlignmentRun.model_validate(content | {"gene_levels": on, "highest_markers": on})
        asked = "Choose for [CELL] from these, with marker genes: a{} (CD14); b (T)."
        examples = [Example(asked.format(at), (CELL,), "no", "t", group=str(at)) for at in range(4)]
        task = AlignmentTask(run, here, (examples, examples[:2]))
        trained = Trained(run, task.model.eval(), task.writer, dict(task.encoders))
        rows = [task.sets.train.rows[0], task.sets.validation.rows[0]]
        rows += trained._read([examples[0].prompt], [examples[0].objects]).rows
        found[on] = [task.writer.decode([one for one in row.ids.tolist() if one >= 0]) for row in rows]
    told = "from these, with marker genes: a0 (CD14 high); b (T). Its highest marker genes are those of b."
    assert all(told in text for text in found[True])
    assert all("marker genes: a0 (CD14); b (T).\n" in text for text in found[False])
