"""Questions about cells: types by their labels, studies apart, and types that no training names."""

import re
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.objects import Cell
from mmspec_ds.systems.alignment.questions.cell_types import read_cell_types
from mmspec_ds.systems.alignment.questions.examples_file import examples_of
from mmspec_ds.systems.alignment.questions.high_genes import high_genes
from mmspec_ds.systems.alignment.questions.items import Item
from mmspec_ds.systems.alignment.questions.make import Wanted, make_questions
from mmspec_ds.systems.alignment.questions.question import CellReference, Question
from mmspec_ds.systems.alignment.questions.sides import Split

LABELS = ("B cells", "CD14+ Monocytes", "CD56+ NK", "something else")
ANSWERS = ("B cell", "CD14 monocyte", "NK cell")
GENES = ("CD79A", "CD14", "GNLY", "ACTB", "GAPDH")
CELLS = 200


def write_cells(path: Path, cells: int = CELLS, **more: object) -> Path:
    """A table where cell n is of type n modulo 4 and expresses gene n modulo 4 alone, n + 1 times."""
    rows = np.arange(cells)
    content: dict[str, object] = {
        "data": (rows + 1).astype(np.int32),
        "indices": (rows % 4).astype(np.int32),
        "indptr": np.arange(cells + 1, dtype=np.int32),
        "shape": np.array([cells, len(GENES)]),
        "genes": np.array(GENES),
        "obs_batch": np.array([str(row) for row in rows]),
        "obs_kind": np.array([LABELS[row % 4] for row in rows]),
    }
    np.savez(path, **(content | more))  # type: ignore[arg-type]
    return path


def row_of(one: Question) -> int:
    reference = one.references[0]
    assert isinstance(reference, CellReference)
    return reference.row


def test_answers_are_the_types_and_a_study_is_wholly_in_the_test(tmp_path: Path) -> None:
    first, second = write_cells(tmp_path / "first.npz"), write_cells(tmp_path / "second.npz", 40)
    made = make_questions({"cell": [first, second]}, Wanted(), Split(frozenset([second])), read_cell_types())
    for side, questions in made.questions.items():
        assert {one.group for one in questions} == {"second" if side == "test" else "first"}
        for one in questions:
            kind = ANSWERS[row_of(one) % 4]
            if one.task.startswith("cell type"):
                assert one.answer == kind
                assert set(one.choices) <= set(ANSWERS)
                assert all((name in one.prompt) == (name in one.choices) for name in ANSWERS)
            elif one.task == "marker genes":
                marker = {"B cell": "CD79A", "CD14 monocyte": "CD14,", "NK cell": "GNLY"}[kind]
                assert (one.answer == "yes") == (marker in one.prompt)
            else:
                assert kind in one.answer
    trained = {row_of(one) for one in made.questions["train"]}
    assert not trained & {row_of(one) for one in made.questions["validation"]}
    assert made.remarks["first.npz: cells of another type than the known ones"] == CELLS // 4
    assert any("CD79A, CD79B, MS4A1, CD19" in one.prompt for one in made.questions["train"])


def test_training_names_a_part_of_the_types_and_a_test_all(tmp_path: Path) -> None:
    made = make_questions({"cell": [write_cells(tmp_path / "a.npz")]}, Wanted(), Split(), read_cell_types())
    for task in ("cell type", "cell type by markers"):
        of_task = {side: [one for one in made.questions[side] if one.task == task] for side in made.questions}
        assert {len(one.choices) for one in of_task["train"]} == {2, 3}
        pairs = {tuple(sorted(one.choices)) for one in of_task["train"] if len(one.choices) == 2}
        assert len(pairs) == 3
        for side in ("validation", "test"):
            assert {len(one.choices) for one in of_task[side]} == {3}


def test_types_with_letters_are_known_by_their_markers_alone(tmp_path: Path) -> None:
    path = write_cells(tmp_path / "a.npz")
    split = Split(test=0.0, held_out_types=frozenset(["NK cell"]))
    named = make_questions({"cell": [path]}, Wanted(), split, read_cell_types()).questions
    half = make_questions({"cell": [path]}, Wanted(unnamed_types=0.5), split, read_cell_types()).questions
    assert {side: half[side] for side in ("validation", "test")} == {
        side: named[side] for side in ("validation", "test")
    }
    assert not any("type " in one.answer or "of type" in one.prompt for one in named["train"])
    known = {one.name: {*one.markers} for one in read_cell_types().types}
    letters, drawn = set(), set()
    for one in half["train"]:
        assert "NK cell" not in one.prompt
        assert "GNLY" not in one.prompt
        if one.task == "cell type by markers":
            told = re.search(rf"(?<!\w){one.answer} \(([^)]*)\)", one.prompt)
            assert told is not None
            right = {*told[1].split(", ")}
            assert right <= known[ANSWERS[row_of(one) % 4]]
            assert len(right) == 4
            letters |= {name for name in one.choices if name.startswith("type ")}
            drawn.add(frozenset(right))
    assert len(letters) > 10
    assert len(drawn) > 4
    lettered = [one for one in half["train"] if one.task == "marker genes" and "type " in one.prompt]
    of_type = [one for one in half["train"] if one.task == "marker genes"]
    assert 0.3 < len(lettered) / len(of_type) < 0.7
    for one in lettered:
        markers = {*re.findall(r"[A-Z][A-Z0-9]{2,}", one.prompt)} - {"CELL"}
        assert (one.answer == "yes") == (markers <= known[ANSWERS[row_of(one) % 4]])


def test_exchanged_names_leave_the_markers_to_tell(tmp_path: Path) -> None:
    path = write_cells(tmp_path / "a.npz")
    split = Split(test=0.0)
    plain = make_questions({"cell": [path]}, Wanted(), split, read_cell_types()).questions
    wanted = Wanted(exchanged_names=0.5)
    half = make_questions({"cell": [path]}, wanted, split, read_cell_types()).questions
    assert half["validation"] == plain["validation"]
    markers = {one.name: ", ".join(one.markers[:4]) for one in read_cell_types().types}
    exchanged = 0
    listing = [one for one in half["train"] if one.task == "cell type by markers"]
    for one in listing:
        kind = ANSWERS[row_of(one) % 4]
        assert f"{one.answer} ({markers[kind]})" in one.prompt
        assert len(set(one.choices)) == len(one.choices)
        told = [f"{name} ({markers[name]})" in one.prompt for name in one.choices]
        assert all(told) or not any(told)
        assert (one.answer == kind) == all(told)
        exchanged += not any(told)
    assert 0.35 < exchanged / len(listing) < 0.65
    others = [[one for one in of["train"] if one.task != "cell type by markers"] for of in (half, plain)]
    assert others[0] == others[1]


def test_types_of_no_file_stand_beside_those_of_the_study(tmp_path: Path) -> None:
    files = [write_cells(tmp_path / "a.npz"), write_cells(tmp_path / "b.npz", 8)]
    split, types = Split(frozenset([files[1]])), read_cell_types()
    plain = make_questions({"cell": files}, Wanted(), split, types).questions
    more = make_questions({"cell": files}, Wanted(absent_types=True), split, types).questions
    assert (more["validation"], more["test"]) == (plain["validation"], plain["test"])
    for task in ("cell type", "cell type by markers"):
        of_task = [one for one in more["train"] if one.task == task]
        absent = [{*one.choices} - {*ANSWERS} for one in of_task]
        assert {len(names) for names in absent} == {0, 1, 2, 3}
        assert set().union(*absent) == {one.name for one in types.types} - {*ANSWERS}
        for one in of_task:
            assert one.answer == ANSWERS[row_of(one) % 4]
            assert len(set(one.choices)) == len(one.choices)
            assert all(name in one.prompt for name in one.choices)


def test_high_genes_are_those_above_the_other_types(tmp_path: Path) -> None:
    counts = np.array([[8, 1, 1], [6, 2, 2], [1, 8, 1], [1, 1, 8]])  # cells of types x, x, y and z
    path = tmp_path / "a.npz"
    np.savez(
        path,
        data=counts.ravel(),
        indices=np.tile(np.arange(3), 4),
        indptr=np.arange(0, 13, 3),
        shape=np.array([4, 3]),
        genes=np.array(["A", "B", "C"]),
    )
    items = [Item(CellReference(str(path), row), "a", path, label=label) for row, label in enumerate("xxyz")]
    assert high_genes(items) == {"a": {"x": ["A"], "y": ["B"], "z": ["C"]}}
    # Without z the gene C is a little higher in x, whose mean of logarithms is above that of y.
    assert high_genes(items[:3]) == {"a": {"x": ["A", "C"], "y": ["B"]}}
    assert high_genes(items[:2]) == {"a": {"x": []}}


def test_a_type_that_is_held_out_is_never_named_in_training(tmp_path: Path) -> None:
    split = Split(test=0.0, held_out_types=frozenset(["NK cell"]))
    made = make_questions({"cell": [write_cells(tmp_path / "a.npz")]}, Wanted(), split, read_cell_types())
    for side in ("train", "validation"):
        for one in made.questions[side]:
            assert "NK cell" not in one.prompt
            assert "GNLY" not in one.prompt
            assert "NK cell" not in (one.answer, *one.choices)
    asked = [one for one in made.questions["test"] if one.task == "cell type by markers"]
    assert {one.answer for one in asked} == {"NK cell"}
    assert all(sorted(one.choices) == sorted(ANSWERS) for one in asked)
    assert all("NK cell (GNLY, NKG7" in one.prompt for one in asked)


def test_cells_are_read_by_their_rows(tmp_path: Path) -> None:
    write_cells(tmp_path / "a.npz")
    asked = [Question("[CELL]", (CellReference("a.npz", row),), "x", "t") for row in (5, 2, 5)]
    first, second, third = (one.objects[0] for one in examples_of(asked, tmp_path))
    assert isinstance(first, Cell)
    assert isinstance(second, Cell)
    assert first.genes == GENES
    # All counts of a cell are of one gene: 10,000 of 10,000.
    np.testing.assert_allclose(first.values, np.log1p([0, 1e4, 0, 0, 0]), rtol=1e-6)
    np.testing.assert_allclose(second.values, np.log1p([0, 0, 1e4, 0, 0]), rtol=1e-6)
    assert third is first
    with pytest.raises(DataError, match=r"a\.npz: has no cell 200: it has 200 cells"):
        examples_of([Question("[CELL]", (CellReference("a.npz", 200),), "x", "t")], tmp_path)


@pytest.mark.parametrize(
    ("column", "told"),
    [("no", "has no column 'no' of cells (has batch, kind)"), ("batch", "no question of"), (None, None)],
)
def test_the_column_of_types_is_found_or_told(tmp_path: Path, column: str | None, told: str | None) -> None:
    path = write_cells(tmp_path / "a.npz")
    if told is None:
        assert make_questions({"cell": [path]}, Wanted(), Split(), read_cell_types(), column).questions["train"]
        write_cells(path, obs_kind=np.array(["unknown"] * CELLS))
        told = "has no column where half of the cells are of a known type"
    with pytest.raises(DataError) as caught:
        make_questions({"cell": [path]}, Wanted(), Split(), read_cell_types(), column)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# nothing\n", "no cell type in the file"),
        ("\tB\tCD19\n", "line 1: expected a name"),
        ("a\tb\tc\td\n", "line 1: expected a name"),
        ("a\tb\tX\nc\tB\tY\n", "line 2: 'b' names 'a' already"),
        ("a\nb; c\t\tX\n", "line 2: the name 'b; c' has ';': expected a name without it"),
        ("a\t\tX\nthe [CELL]\n", "line 2: the name 'the [CELL]' has '[CELL]': expected"),
        ("{object}\n", "line 1: the name '{object}' has '{': expected"),
        ("a\t\tX, Y (Z)\n", "line 1: the marker gene 'Y (Z)' of 'a' has '(': expected the symbol of a gene"),
    ],
)
def test_a_damaged_table_of_types_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "types.tsv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_cell_types(path)
    assert told in str(caught.value)


def test_a_table_of_types_may_be_names_alone(tmp_path: Path) -> None:
    path = tmp_path / "types.tsv"
    path.write_text("glia\nneuron\tneurons; nerve cell\t RBFOX3 ,SYP,\n")
    types = read_cell_types(path)
    assert [(one.name, one.labels, one.markers) for one in types.types] == [
        ("glia", (), ()),
        ("neuron", ("neurons", "nerve cell"), ("RBFOX3", "SYP")),
    ]
    assert types.of("Nerve  Cells") is types.types[1]
