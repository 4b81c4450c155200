"""`mmspec chat` and `mmspec annotate` from files to answers, with a language model of two layers that was never
trained: what it says is noise, all around it is real."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.language.model_folder import quiet
from mmspec_ds.readers.cell_table import make_table
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.systems.alignment.decoding import Decoding
from mmspec_ds.systems.alignment.encoders.genes import fit_genes
from mmspec_ds.systems.alignment.encoders.registry import make_encoder
from mmspec_ds.systems.alignment.factory import ENCODERS, make_model, shape_of, shapes_to_json
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.object_files import Cells
from mmspec_ds.systems.alignment.objects import Molecule
from mmspec_ds.systems.alignment.trained import load_alignment
from mmspec_ds.trainer.weights import WEIGHTS, write_weights
from tests.systems.alignment.tiny import make_run, save_language

pytest.importorskip("transformers")
CELLS = {
    "data": np.array([5, 1, 3, 2, 7]),
    "indices": np.array([0, 1, 1, 0, 2]),
    "indptr": np.array([0, 2, 3, 5]),
    "shape": np.array([3, 3]),
    "genes": np.array(["CD3D", "MS4A1", "GCG"]),
    "cells": np.array(["x", "y", "z"]),
}


@pytest.fixture
def model(house: Path) -> Path:
    """A model of spectra, molecules, proteins and cells."""
    np.savez(house / "cells.npz", **CELLS)  # type: ignore[arg-type]
    fit_genes([read_cells(house / "cells.npz")], house / "panel")
    encoders: dict[str, dict[str, Any]] = {
        "spectrum": {"name": "mmspec", "options": {"path": str(house / "model")}},
        "molecule": {"name": "morgan"},
        "protein": {"name": "composition"},
        "cell": {"name": "genes", "options": {"path": str(house / "panel")}},
    }
    with quiet():
        language = save_language(house / "language")
    run = make_run(language, encoders=encoders)
    torch.manual_seed(0)
    shapes = {kind: shape_of(make_encoder(one["name"], one.get("options"))) for kind, one in encoders.items()}
    made = make_model(run, FrozenLanguage(language, "float32"), shapes)  # type: ignore[arg-type]
    folder = house / "alignment"
    folder.mkdir()
    (folder / "config.yaml").write_text(run.to_yaml())
    (folder / ENCODERS).write_text(json.dumps(shapes_to_json(made.encoders)))
    write_weights(made.state_dict(), folder / WEIGHTS)
    return folder


def test_questions_of_the_command_line(mmspec: Any, model: Path, instruments: Path) -> None:
    ask = ("chat", model, "--molecule", "CC(=O)OC", "--max-tokens", 4, "--ask")
    told = mmspec(*ask, "Does it contain an ester?", "--choices", "yes,no")
    assert told.status == 0, told
    answer, check = told.out.splitlines()
    verdict = "agrees" if answer.strip() == "yes" else "disagrees"
    assert check == f"  checked: ester: {answer.strip()} {verdict} with the structure given (it contains ester)"
    (line,) = mmspec(*ask, "Does it contain an ester?", "--json").out.splitlines()
    reply = json.loads(line)
    prompt = "Does the molecule [MOLECULE] contain an ester?"
    assert (reply["prompt"], reply["objects"]) == (prompt, ["CC(=O)OC"])
    (expected,) = load_alignment(model).answer([prompt], [[Molecule("COC(C)=O")]], decoding=Decoding(4))
    assert reply["answer"] == expected


def test_all_kinds_of_objects_in_one_dialogue(mmspec: Any, model: Path, instruments: Path, house: Path) -> None:
    (house / "p.fasta").write_text(">one a protein\nMKV\n>two\nGGA*\n")
    told = mmspec(
        *("chat", model, "--spectrum", instruments / "r0", "--c-nmr", instruments / "r1/c_nmr.csv"),
        *("--molecule", "CCO", "--protein", house / "p.fasta", "--cells", house / "cells.npz", "--cell", "y"),
        *("--ask", "Is [SPECTRUM 2] of [MOLECULE], does [PROTEIN 2] make it, and in [CELL]?", "--json"),
        *("--max-tokens", 2),
    )
    assert told.status == 0, told
    reply = json.loads(told.out)
    assert reply["prompt"] == "Is [SPECTRUM] of [MOLECULE], does [PROTEIN] make it, and in [CELL]?"
    assert reply["objects"] == ["c_nmr.csv", "CCO", "two", "y"]
    assert reply["not_checked"] == "only answers about molecules can be checked"


def test_the_same_seed_draws_the_same(mmspec: Any, model: Path) -> None:
    def drawn(seed: int) -> str:
        told = mmspec(
            *("chat", model, "--molecule", "CCO", "--ask", "What is it?", "--temperature", 2),
            *("--top-p", 1, "--seed", seed, "--max-tokens", 12, "--json"),
        )
        return str(json.loads(told.out)["answer"])

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_typed_dialogue(
    mmspec: Any, model: Path, house: Path, monkeypatch: pytest.MonkeyPatch, instruments: Path
) -> None:
    lines = [
        "/help",
        "/objects",
        "Is it chiral?",
        "/molecule CCO",
        "Is [MOLECULE 3] chiral?",
        "/nonsense",
        "/molecule C1CC",
        f"/spectrum {instruments / 'r0'}",
        f"/save {house / 'talk.jsonl'}",
        "/forget",
        "/history",
        "/quit",
        "never asked",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    told = mmspec("chat", model, "--molecule", "CC(O)CN", "--max-tokens", 3, "--history", 2)
    assert told.status == 0, told
    out, errors = told.out.splitlines(), told.err.splitlines()
    assert any(line.startswith("  /quit") for line in out)
    assert "  [MOLECULE]  CC(O)CN: C3H9NO" in out
    assert "  [MOLECULE 2]  CCO: C2H6O" in out
    assert "> Is it chiral?" in out
    assert "mmspec: [MOLECULE 3]: the dialogue has 2 molecules" in errors
    assert "mmspec: /nonsense is no command: /help lists them" in errors
    assert any(line.startswith("mmspec: invalid SMILES ") for line in errors)
    (saved,) = (house / "talk.jsonl").read_text().splitlines()
    assert json.loads(saved)["prompt"] == "Is the molecule [MOLECULE] chiral?"


def test_many_questions_and_going_on(mmspec: Any, model: Path, house: Path, instruments: Path) -> None:
    lines = [
        {"id": "a", "prompt": "Does it contain an ester?", "objects": [{"kind": "molecule", "smiles": "CCO"}]},
        {"id": "b", "prompt": "Is it?", "objects": [{"kind": "spectrum", "file": "instruments/r0/c_nmr.csv"}]},
        {"id": "c", "prompt": "Is it?", "objects": [{"kind": "cell", "file": "cells.npz", "row": 2}]},
        {"id": "d", "prompt": "Is [CELL] it?", "objects": []},
        {"id": "e", "prompt": "Is it?", "answer": "no", "choices": ["no", "yes"]},
    ]
    questions, out = house / "q.jsonl", house / "a.jsonl"
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ask = ("chat", model, "--molecule", "CO", "--questions", questions, "--out", out, "--max-tokens", 2)
    told = mmspec(*ask)
    assert told.status == 0, told
    assert told.out.startswith(f"{out}: 5 questions, 1 without an answer")
    replies = {one["id"]: one for one in map(json.loads, out.read_text().splitlines())}
    assert list(replies) == ["a", "b", "c", "d", "e"]
    assert replies["d"]["error"] == "[CELL]: the dialogue has no cell"
    assert replies["e"]["answer"] in ("no", "yes")
    whole = out.read_text()
    out.write_text("".join(whole.splitlines(keepends=True)[:2]))
    assert mmspec(*ask, "--resume").status == 0
    assert [json.loads(line)["answer"] for line in out.read_text().splitlines() if "answer" in line] == [
        one["answer"] for one in replies.values() if "answer" in one
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--molecule", "C1CC"), "C1CC"),
        (("--spectrum", "none.jdx"), "none.jdx: there is no such file"),
        (("--cells", "none.h5ad"), "none.h5ad: there is no such file"),
        (("--protein", "none.fasta"), "none.fasta"),
        (("--ask", "Is [GENE] it?"), "[GENE] is no placeholder"),
        (("--molecule", "C", "--ask", "x " * 400), "a prompt of"),
        (("--questions", "none.jsonl"), "none.jsonl: there is no such file"),
        (("--ask", "x", "--out", "no/where.jsonl"), "its folder does not exist"),
    ],
)
def test_one_line_for_what_is_wrong(mmspec: Any, model: Path, arguments: tuple[str, ...], told: str) -> None:
    ask = () if {"--ask", "--questions"} & set(arguments) else ("--ask", "Is it?")
    mmspec("chat", model, *arguments, *ask).is_one_line(told)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ask", "a", "--questions", "b"),
        ("--resume", "--ask", "a"),
        ("--cell", "1"),
        ("--formula", "CH4"),
        ("--choices", "yes"),
        ("--temperature", "-1"),
        ("--top-p", "0"),
        ("--history", "-1"),
    ],
)
def test_wrong_usage(mmspec: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    told = mmspec("chat", tmp_path, *arguments)
    assert told.status == 2, told


def test_a_file_of_several_cells_needs_one(mmspec: Any, model: Path, house: Path) -> None:
    ask = ("chat", model, "--cells", house / "cells.npz", "--ask", "Is it?")
    mmspec(*ask).is_one_line("has 3 cells: expected --cell")
    told = mmspec(*ask, "--cell", "w")
    assert "has no cell 'w': expected a name such as 'x' or a number from 0 to 2" in told.err


def test_an_encoder_that_lies_elsewhere_is_named(mmspec: Any, model: Path, house: Path) -> None:
    """The panel was moved, as when an export is used on another machine."""
    cells = house / "cells.npz"
    ask = ("chat", model, "--cells", cells, "--cell", "x", "--max-tokens", 3, "--ask", "What is it?")
    annotated = ("annotate", model, cells, "--types", "B cell, NK cell", "--out")
    (house / "questions.jsonl").write_text(
        '{"task": "cell type", "prompt": "What is [CELL]?", "answer": "B cell",'
        ' "choices": ["B cell", "NK cell"], "objects": [{"kind": "cell", "file": "cells.npz", "row": 0}]}\n'
    )
    asked = ("evaluate", model, "--data", house / "questions.jsonl", "--quick")
    before = mmspec(*ask)
    assert before.status == 0, before
    (house / "panel").rename(house / "moved")
    for command in (ask, (*annotated, house / "a.h5ad"), asked):
        told = mmspec(*command)
        assert told.status == 1
        assert told.err.splitlines()[-1] == (
            f"mmspec: {model}: there is no {house / 'panel'} here with its encoder of a cell: name it"
            f" (--encoder cell=DIR), or make a link {model / 'encoders' / 'cell'} to it"
        )
    named = ("--encoder", f"cell={house / 'moved'}")
    assert mmspec(*ask, *named).out == before.out
    assert mmspec(*annotated, house / "named.h5ad", *named).status == 0
    assert mmspec(*asked, *named).status == 0
    assert "nowhere: there is no such encoder of a cell" in mmspec(*ask, "--encoder", "cell=nowhere").err
    (model / "encoders").mkdir()
    (model / "encoders" / "cell").symlink_to(house / "moved")
    for command in (ask, (*annotated, house / "linked.h5ad"), asked):
        assert mmspec(*command).status == 0
    fit_genes([make_table(np.eye(3), ("CD3D", "MS4A1", "X"), "abc", {})], house / "other")
    told = mmspec(*ask, "--encoder", f"cell={house / 'other'}")
    assert "encoder genes of a cell is not the one that the model was trained with" in told.err
    assert mmspec(*ask, "--encoder", "panel").status == 2


def test_cells_are_annotated(mmspec: Any, model: Path, house: Path) -> None:
    anndata = pytest.importorskip("anndata")
    out = house / "out.h5ad"
    told = mmspec(
        *("annotate", model, house / "cells.npz", "--out", out, "--types", "B cell, NK cell", "--key", "kind"),
    )
    assert told.status == 0, told
    assert told.out.startswith(f"{out}: 3 cells; columns kind, kind_score")
    data = anndata.read_h5ad(out)
    trained = load_alignment(model)
    cells = Cells(read_cells(house / "cells.npz"))
    logs = trained.score_choices(
        [data.uns["kind"]["question"]] * 3, [[one] for one in cells], ["B cell", "NK cell"]
    )
    shares = np.exp(logs) / np.exp(logs).sum(1, keepdims=True)
    np.testing.assert_allclose(data.obsm["kind"], shares, rtol=1e-4)
    assert list(data.obs["kind"]) == [["B cell", "NK cell"][place] for place in shares.argmax(1)]
    np.testing.assert_allclose(data.obs["kind_score"], shares.max(1), rtol=1e-4)
    mmspec("annotate", model, out, "--out", out).is_one_line("is the file of the cells itself")
    again = ("annotate", model, out, "--out", house / "b.h5ad", "--key", "kind")
    mmspec(*again).is_one_line("has obs/kind already: expected another --key, or --replace")
    many = mmspec("annotate", model, house / "cells.npz", "--out", house / "b.h5ad")
    assert "types make a prompt of" in many.err.splitlines()[-1]
    again = mmspec(
        "annotate", model, house / "cells.npz", "--out", house / "b.h5ad", "--types", "cheese,B cell"
    )
    assert "'cheese' is neither a file nor a type of our table" in again.err
