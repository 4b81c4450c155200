"""Questions as JSON lines: what is written is read back, and every damaged line is told in one line."""

import json
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.questions.question import (
    CellReference,
    MoleculeReference,
    ProteinReference,
    Question,
    SpectrumReference,
)
from mmspec_ds.systems.alignment.questions.question_lines import (
    MOST_CHARACTERS,
    question_of_line,
    read_questions,
    write_questions,
)

QUESTIONS = [
    Question(
        "Is [MOLECULE] aromatic?", (MoleculeReference("CCO"),), "no", "aromaticity", ("yes", "no"), 2, "G"
    ),
    Question(
        "Is [SPECTRUM] of [MOLECULE]?",
        (SpectrumReference("a b/ä.parquet", 7), MoleculeReference("C[C@H](N)C(=O)O")),
        "yes",
        "same molecule",
    ),
    Question(
        "Describe [PROTEIN].", (ProteinReference("MKV", "P1"),), "„Größe“\nzwei\u2028Zeilen", "description"
    ),
    Question("[CELL]?", (CellReference("x.h5ad", 0),), "B cell", "cell type", ("B cell", "NK cell")),
    Question("What is water?", (), "H2O", "formula"),
]
GOOD = {
    "task": "rings",
    "prompt": "[MOLECULE]?",
    "answer": "1",
    "objects": [{"kind": "molecule", "smiles": "C1CC1"}],
}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    assert write_questions(path, QUESTIONS) == 5
    assert list(read_questions(path)) == QUESTIONS
    assert len(path.read_text(encoding="utf-8").split("\n")) == 6  # a line each, whatever the answers hold


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": "no placeholder"}, "the prompt names none, and the objects are molecule"),
        ({"prompt": "[CELL]"}, "the prompt names cell, and the objects are molecule"),
        ({"objects": [{"kind": "molecule", "smiles": "C1CC"}]}, "invalid SMILES"),
        ({"objects": [{"kind": "molecule", "smiles": ""}]}, "has no smiles"),
        ({"objects": [{"kind": "molecule"}]}, "has no smiles"),
        ({"objects": [{"kind": "molecule", "smiles": 5}]}, "smiles of a molecule is 5, expected text"),
        ({"objects": [{"kind": "molecule", "smiles": "C", "file": "x"}]}, "has 'file', expected smiles"),
        ({"objects": [{"kind": "planet", "smiles": "C"}]}, "the kind of an object is 'planet'"),
        ({"objects": [{"kind": ["molecule"]}]}, "the kind of an object is"),
        ({"objects": ["C"]}, "objects is no list of objects"),
        ({"objects": None}, "objects is no list of objects"),
        (
            {"prompt": "[SPECTRUM]", "objects": [{"kind": "spectrum", "file": "a", "record": -1}]},
            "record of a spectrum is -1, expected a whole number",
        ),
        (
            {"prompt": "[SPECTRUM]", "objects": [{"kind": "spectrum", "file": "a", "record": True}]},
            "record of a spectrum is True",
        ),
        (
            {"prompt": "[PROTEIN]", "objects": [{"kind": "protein", "sequence": "MK1"}]},
            "the sequence of a protein has '1' at 3",
        ),
        ({"choices": ["2", "3"]}, "the answer '1' is none of the choices"),
        ({"choices": ["1", "1"]}, "a choice is there twice"),
        ({"choices": "1"}, "choices is no list of texts"),
        ({"answer": 1}, "answer is no text"),
        ({"answer": "\ud800"}, "half a character"),
        ({"phrasing": 1.0}, "phrasing is no whole number"),
        ({"group": None}, "group is no text"),
        ({"task": " "}, "the prompt or the task is empty"),
        ({"more": 1}, "unknown key 'more'"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD | change) + "\n")
    with pytest.raises(DataError) as caught:
        list(read_questions(path))
    assert str(caught.value).startswith(f"{path}: line 3: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "is a JSON list"),
        ('{"task": "a", "task": "b"}', "a key is there twice"),
        ('{"task": NaN}', "NaN is no number"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"phrasing": ' + "1" * 5000 + "}", "limit"),  # Python refuses such numbers by itself
        (" " * MOST_CHARACTERS + "{}", "characters, expected at most"),
        ("{}", "task is missing"),
    ],
)
def test_what_is_no_question_is_told(line: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        question_of_line(line)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "no question in the file"),
        (b"\x00\x01", "zero byte"),
        (b"PK\x03\x04", "is a zip archive"),
    ],
)
def test_a_file_without_questions_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_questions(path))
    assert told in str(caught.value)
