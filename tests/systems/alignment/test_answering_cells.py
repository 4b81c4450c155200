"""Answers about cells: by genes that studies share, by a probe, and how they are scored."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mmspec_ds.systems.alignment.answering.highest_markers import HighestMarkers
from mmspec_ds.systems.alignment.answering.methods import Answers, Majority
from mmspec_ds.systems.alignment.answering.regressions import GeneRegression, Probe, with_own_names
from mmspec_ds.systems.alignment.answering.report import scored
from mmspec_ds.systems.alignment.objects import Cell, Example, Kind, Object
from tests.systems.alignment.test_answering import EXAMPLES, Counts, figure

GENES = tuple(f"G{n}" for n in range(12))
TYPES = ("B cell", "NK cell", "CD4 T cell")


def cells(study: str, count: int, seed: int, genes: tuple[str, ...], shift: float = 0.0) -> list[Example]:
    """Cells whose type decides which of the genes G0 to G2 is high."""
    rng = np.random.default_rng(seed)
    found = []
    for row in range(count):
        values = rng.random(len(GENES)).astype(np.float32) + np.float32(shift)
        values[row % 3] += 3
        kept = values[[GENES.index(gene) for gene in genes]]
        cell = Cell(kept, genes)
        found.append(Example("[CELL]?", (cell,), TYPES[row % 3], "cell type", TYPES, group=study))
    return found


@pytest.mark.parametrize("scale", ["logarithms", "standardised"])
def test_cells_are_known_by_the_genes_that_studies_share(scale: str) -> None:
    train = cells("first", 60, 0, GENES)
    test = cells("second", 30, 1, GENES[5::-1], shift=0.5 if scale == "standardised" else 0.0)
    method = GeneRegression(train, scale)  # type: ignore[arg-type]
    assert method.labels == tuple(sorted(TYPES))
    assert method.answers([*test, EXAMPLES[0]]) == [*(one.answer for one in test), None]
    two = ("B cell", "NK cell")
    narrowed = [
        Example(one.prompt, one.objects, one.answer, one.task, two, group="s")
        for one in test
        if one.answer in two
    ]
    assert set(method.answers(narrowed)) == set(two)


def test_no_type_is_told_where_no_gene_is_shared() -> None:
    train, test = cells("first", 60, 0, GENES[:6]), cells("second", 30, 1, GENES[:6])
    renamed = [
        replace(one, objects=(Cell(one.objects[0].values, tuple(f"ENSG{n}" for n in range(6))),), group="third")
        for one in test
        if isinstance(one.objects[0], Cell)
    ]
    found = GeneRegression(train, "logarithms").answers([*test, *renamed])
    assert found[30:] == [None] * 30
    assert set(found[:30]) == set(TYPES)


class Expression(Counts):
    """An encoder of cells: the values of all genes."""

    kind: Kind = "cell"

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        return np.stack([one.values[None] for one in objects if isinstance(one, Cell)])


def test_a_probe_answers_with_a_type_that_is_asked_for() -> None:
    train, test = cells("first", 60, 0, GENES), cells("second", 30, 1, GENES)
    probe = Probe({"cell": Expression()}, train, "probe")
    assert probe.answers(test) == [one.answer for one in test]
    # Where B cells are called plasma cells, which are not trained on, those are one of the other two.
    others = ("plasma cell", "NK cell", "CD4 T cell")
    renamed = [Example(one.prompt, one.objects, one.answer, one.task, others, group="s") for one in test]
    found = probe.answers(renamed)
    assert set(found) == {"NK cell", "CD4 T cell"}
    assert all(given == one.answer for given, one in zip(found, test) if one.answer in others)
    alone = Example("[CELL]?", test[0].objects, "B cell", "cell type", ("B cell", "plasma cell"))
    assert probe.answers([alone]) == [None]


def test_cells_are_scored_by_study_and_new_types_apart() -> None:
    test = [*cells("a", 6, 0, GENES), *cells("b", 3, 0, GENES)]
    given: Answers = [one.answer for one in test]
    scores = scored(test, {"m": given}, trained_types={"B cell", "NK cell"})
    assert {name: rows[1].n for name, rows in scores.items()} == {
        "cell type, cell, a": 4,
        "cell type, cell, a, types not trained on": 2,
        "cell type, cell, b": 2,
        "cell type, cell, b, types not trained on": 1,
    }
    assert figure(scores["cell type, cell, a"][0], "exact") == pytest.approx(1 / 3)
    majority = Majority({"B cell", "NK cell"})
    scores = scored(test, {"majority": majority.answers(test)}, trained_types={"B cell", "NK cell"})
    assert figure(scores["cell type, cell, a, types not trained on"][1], "exact") == 1  # the one new type
    assert figure(scores["cell type, cell, a"][1], "exact") == 0.5


def test_the_bootstrap_of_cells_is_the_same_in_each_run() -> None:
    first = cells("a", 40, 0, GENES)
    second = [replace(one, objects=(Cell(np.zeros(1, np.float32), ("G",)),)) for one in reversed(first)][::-1]
    given: Answers = [one.answer if at < 15 else "NK cell" for at, one in enumerate(first)]
    found = [scored(some, {"m": given})["cell type, cell, a"][1].figures["exact"] for some in (first, second)]
    assert found[0] == found[1]


def test_the_highest_markers_name_the_type() -> None:
    cell = Cell(np.array([2, 1, 5], dtype=np.float32), ("GNLY", "CD3D", "LYZ"))

    def ask(text: str) -> Example:
        prompt = f"Choose for [CELL] from these, with marker genes: {text}."
        return Example(prompt, (cell,), "T cell", "cell type by markers", ("T cell", "NK cell"))

    questions = [
        ask("T cell (CD3D, CD3E); NK cell (GNLY, NKG7)"),  # the cell's file has neither CD3E nor NKG7
        ask("T cell (CD3D, LYZ); NK cell (GNLY)"),  # 3 against 2
        ask("T cell (CD3E); NKT cell (LYZ); NK cell (CD3D)"),
        ask("CD8 T cell (LYZ); T cell (CD3D); NK cell (GNLY)"),  # not the genes of the CD8 T cell
        ask("T cell (CD3D) or NK cell"),
        ask("T cell (CD3D); NKT cell (GNLY)"),
    ]
    expected = ["NK cell", "T cell", "NK cell", "NK cell", None, None, None]
    assert HighestMarkers().answers([*questions, EXAMPLES[0]]) == expected


def test_a_type_with_a_letter_is_no_label_of_the_regression() -> None:
    train = cells("first", 60, 0, GENES)
    lettered = [
        replace(one, task="cell type by markers", answer="type K", choices=("type K", "B cell"))
        for one in train
    ]
    test = cells("second", 30, 1, GENES)
    assert GeneRegression([*train, *lettered], "logarithms").answers(test) == [one.answer for one in test]


def test_an_exchanged_name_is_no_label_of_the_regression_or_the_probe() -> None:
    train, by_markers = cells("first", 60, 0, GENES), "cell type by markers"
    exchanged = [
        replace(one, task=by_markers, answer=TYPES[(TYPES.index(one.answer) + 1) % 3]) for one in train[:45]
    ]
    own = [replace(one, task=by_markers) for one in train[45:]]
    assert with_own_names([*exchanged, *own]) == [*exchanged, *own]  # nothing tells that they are exchanged
    assert with_own_names([*train, *exchanged, *own, EXAMPLES[0]]) == [*train, *own, EXAMPLES[0]]
    test = cells("second", 30, 1, GENES)
    found = GeneRegression([*train, *exchanged], "logarithms").answers(test)
    assert found == [one.answer for one in test]
    asked = [replace(one, task=by_markers) for one in test]
    plain, mixed = (
        Probe({"cell": Expression()}, given, "probe") for given in ([*train, *own], [*train, *exchanged, *own])
    )
    assert mixed.answers(asked) == plain.answers(asked)
    assert set(mixed.answers(asked)) == set(TYPES)
