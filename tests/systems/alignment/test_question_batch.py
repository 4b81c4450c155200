"""Lines of questions: what is asked of the model, and one line for each that cannot be asked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, Record
from mmspec_ds.systems.alignment import question_batch
from mmspec_ds.systems.alignment.objects import Cell, Molecule, Protein
from mmspec_ds.systems.alignment.question_batch import answer_questions
from mmspec_ds.systems.alignment.subjects import molecule_subject
from tests.systems.alignment.speaking import Speaking

ESTER = {"kind": "molecule", "smiles": "CC(=O)OC"}


def answers(folder: Path, *lines: Any, **named: Any) -> tuple[Speaking, list[dict[str, Any]]]:
    model = named.pop("model", Speaking(("yes",)))
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "q.jsonl").write_text("\n".join(texts) + "\n")
    return model, list(answer_questions(model, folder / "q.jsonl", **named))


def test_lines_of_all_kinds(tmp_path: Path) -> None:
    records = [Record(f"r{n}", (CarbonNMR((20.0 + n,)),), "COC(C)=O", "C3H6O2") for n in range(2)]
    write_records(tmp_path / "s.parquet", records)
    np.savez(
        tmp_path / "c.npz",
        data=np.array([1, 3, 2]),
        indices=np.array([0, 1, 1]),
        indptr=np.array([0, 2, 3]),
        shape=np.array([2, 2]),
        genes=np.array(["CD3D", "MS4A1"]),
        cells=np.array(["1", "0"]),  # names that look like numbers of other rows
    )
    model, found = answers(
        tmp_path,
        {"id": "a", "prompt": "Does it contain an ester?", "objects": [ESTER], "answer": "Yes"},
        "",
        {
            "question": "Does it contain an ester?",
            "objects": [{"kind": "spectrum", "file": "s.parquet", "record": 1}],
        },
        {"question": "Is it a T cell?", "objects": [{"kind": "cell", "file": "c.npz", "row": 1}]},
        {"question": "Is it an enzyme?", "objects": [{"kind": "protein", "sequence": "MKV", "name": "p"}]},
        {"question": "Does it contain an ester?"},
        {
            "prompt": "Is it?",
            "objects": [ESTER],
            "choices": ["no", "yes"],
            "task": "t",
            "phrasing": 1,
            "group": "g",
            "about": "ester",
        },
        subjects=[molecule_subject("CCO")],
    )
    assert [one["id"] for one in found] == ["a", *(f"q.jsonl:{n}" for n in (3, 4, 5, 6, 7))]
    given = [one.objects[0] for one in model.asked]
    assert given[0] == Molecule("COC(C)=O")
    assert (given[1].spectra[0].shifts_ppm, given[1].smiles) == ((21.0,), None)  # type: ignore[union-attr, index]
    assert isinstance(given[2], Cell)
    np.testing.assert_allclose(given[2].values, [0.0, np.log1p(10_000)], rtol=1e-6)
    assert given[3] == Protein("MKV", "p")
    assert given[4] == Molecule("CCO")
    verdicts = [[check["verdict"] for check in one["checks"]] for one in found]
    assert verdicts == [["agrees"], ["agrees"], [], [], ["disagrees"], []]
    assert (found[0]["expected"], found[0]["answer"]) == ("Yes", "yes")
    assert (found[5]["answer"], model.asked[5].choices) == ("no", ("no", "yes"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1: is not JSON"),
        ("[1]", "line 1: is a JSON list, expected an object with a prompt"),
        ('{"promt": "a"}', "unknown key 'promt'; did you mean 'prompt'?"),
        ('{"objects": []}', "expected a prompt, or a question, and not both"),
        ('{"prompt": "a", "question": "b"}', "expected a prompt, or a question, and not both"),
        ('{"prompt": 1}', "prompt is no text"),
        ('{"prompt": "\\ud800"}', "half a character"),
        ('{"prompt": ""}', "the question is empty"),
        ('{"prompt": "Is [PROTEIN] it?"}', "the dialogue has no protein"),
        ('{"prompt": "a", "objects": [{"kind": "gene"}]}', "the kind of an object is 'gene'"),
        ('{"prompt": "a", "objects": [{"kind": "molecule", "smiles": "C1CC"}]}', "C1CC"),
        ('{"prompt": "a", "objects": [{"kind": "spectrum", "file": "none.jdx"}]}', "none.jdx"),
        ('{"prompt": "a", "objects": [{"kind": "cell", "file": "none.h5ad", "row": 0}]}', "none.h5ad"),
        ('{"prompt": "a", "choices": ["yes", "yes"]}', "expected two different ones or more"),
        ("[" * 100_000, "line 1: is"),
        ('{"prompt": "fault"}', "nothing that the encoder reads"),
    ],
)
def test_a_line_that_cannot_be_asked_is_a_line_of_its_own(tmp_path: Path, line: str, told: str) -> None:
    _, found = answers(tmp_path, line, {"prompt": "Is it?", "objects": [ESTER]})
    assert told in found[0]["error"]
    assert "\n" not in found[0]["error"]
    assert (found[1]["answer"], found[1]["id"]) == ("yes", "q.jsonl:2")


def test_pieces_are_answered_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question_batch, "PIECE", 2)
    lines = [{"id": str(n), "prompt": f"Is it {n}?", "objects": [ESTER]} for n in range(5)]
    _, found = answers(tmp_path, *lines, model=Speaking([str(n) for n in range(5)]))
    assert [(one["id"], one["answer"]) for one in found] == [(str(n), str(n)) for n in range(5)]
    _, rest = answers(tmp_path, *lines, answered=lambda name: name in "024")
    assert [one["id"] for one in rest] == ["1", "3"]


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no question"):
        answers(tmp_path, "")
