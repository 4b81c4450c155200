"""`mmspec evaluate` of models that search, and of the classical scores alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from mmspec_ds.library.entry import Entry
from mmspec_ds.library.evidence import BELOW
from mmspec_ds.library.fusion import read_fusions
from mmspec_ds.systems.retrieval.factory import make_model
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.weights import write_weights
from tests.systems.retrieval.spectra_of_molecules import make_entries, write_mgf

QUICK = ("--quick",)
SIZES = {"d_model": 16, "heads": 2, "encoder_layers": 1, "ffn_width": 32, "width": 12, "sinusoid_features": 8}


@pytest.fixture
def spectra(tmp_path: Path) -> Path:
    """Twenty molecules, five of them held back, with one query each; two institutes."""

    def told(one: Entry) -> Entry:
        number, turn = map(int, one.record.id.split(":"))
        more = {"role": "query" if turn == 0 else "library", "institute": "AB"[(number + turn) % 2]}
        return replace(one, metadata={**one.metadata, **more})

    return write_mgf(tmp_path / "spectra.mgf", [told(one) for one in make_entries()])


def model_of(folder: Path, seed: int = 0, **data: Any) -> Path:
    """An untrained model in the folder of a run."""
    folder.mkdir()
    (folder / "engine.json").write_text("{}")
    run = {"system": "retrieval", "name": folder.name, "engine": "engine.json", "model": SIZES, "data": data}
    (folder / "config.yaml").write_text(yaml.safe_dump({**run, "training": {"steps": 2, "batch_size": 8}}))
    torch.manual_seed(seed)
    model = make_model(load_run(folder / "config.yaml", (), RetrievalRun))
    write_weights(dict(model.state_dict()), folder / "model.safetensors")
    return folder


def test_classical_scores_without_a_model(mmspec: Any, spectra: Path, tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    told = mmspec("evaluate", "none", "--data", spectra, "--json", target, *QUICK)
    assert told.status == 0, told
    figures = json.loads(target.read_text())
    assert (figures["queries"], figures["rows"], figures["row_molecules"]) == (5, 40, 20)
    opened = figures["settings"]["open"]
    assert (opened["n"], opened["molecules"]) == (5, 5)
    entropy = opened["methods"]["spectral entropy"]
    assert (
        entropy["R@1"]["mean"] == 1.0
    )  # two thirds of the peaks are shared within a molecule, none with others
    assert set(entropy) == {"R@1", "R@5", "R@10", "MRR"}
    assert list(figures["settings"]) == [
        "open",
        "precursor",
        "cross-source",
        "cross-source, precursor",
        "analogues",
    ]
    assert "5 queries against a library of 40 rows of 20 molecules" in told.out
    assert "queries: split=val and role=query; library: role=library; training: split=train" in told.out


def test_models_and_every_baseline_in_one_run(mmspec: Any, spectra: Path, tmp_path: Path) -> None:
    pytest.importorskip("gensim")
    learned = {"train_where": {"role": "library"}, "validation_where": {"role": "query"}}
    seen = model_of(tmp_path / "seen", train=[str(spectra)], **learned)
    fresh = model_of(tmp_path / "fresh", 1, train=[str(spectra)], train_where={"split": "train"})
    target = tmp_path / "figures.json"
    told = mmspec("evaluate", fresh, "--data", spectra, "--json", target)
    assert told.status == 0, told
    methods = json.loads(target.read_text())["settings"]["open"]["methods"]
    assert {"modified cosine", "Spec2Vec", "fresh"} < set(methods)
    assert "Spec2Vec learned from 45 spectra" in told.out
    # A model that has learned from the molecules of the queries is not asked for them.
    mmspec("evaluate", fresh, seen, "--data", spectra, *QUICK).is_one_line("no queries")


def test_a_model_whose_training_files_are_gone(mmspec: Any, spectra: Path, tmp_path: Path) -> None:
    moved = model_of(tmp_path / "moved", train=["elsewhere.mgf"])
    told = mmspec("evaluate", moved, "--data", spectra, "--limit", 3, *QUICK)
    assert told.status == 0, told
    assert "moved: its training files are not here" in told.out
    assert "3 queries against" in told.out


def test_other_queries_and_rows(mmspec: Any, spectra: Path) -> None:
    told = mmspec("evaluate", "none", "--data", spectra, "--queries", "split=val", "--library", "", *QUICK)
    assert told.status == 0, told
    assert "15 queries against a library of 60 rows" in told.out
    assert "queries: split=val; library: all" in told.out


def test_a_fusion_is_written_and_searches_take_it(mmspec: Any, spectra: Path, tmp_path: Path) -> None:
    model, library, hits = model_of(tmp_path / "fresh"), tmp_path / "library", tmp_path / "hits.jsonl"
    written = model / "fusion.json"
    told = mmspec("evaluate", model, "--data", spectra, "--fusion", written, "--queries", "role=query", *QUICK)
    assert told.status == 0, told
    # Within the window there are no wrong rows, from which to tell right ones.
    assert f"{written}: precursor: nothing to learn from" in told.out
    (fusion,) = read_fusions(written)
    assert (fusion.open, {"fresh", BELOW} < set(fusion.parts)) == (True, True)
    assert fusion.source == "5 queries against 40 entries of spectra.mgf"
    assert mmspec("library", "build", spectra, "--out", library, "--model", model).status == 0
    told = mmspec("search", library, spectra, "--model", model, "--open", "--decoys", 0, "--out", hits)
    assert told.status == 0, told
    first = json.loads(hits.read_text().splitlines()[0])["hits"][0]
    parts = {name: np.array([np.nan if part is None else part]) for name, part in first["parts"].items()}
    assert parts[BELOW] == pytest.approx(1.0)  # all peaks are lighter than the precursor
    assert first["score"] == pytest.approx(float(fusion.score(parts)[0]), abs=1e-4)


def test_a_fusion_is_for_models_of_different_names(mmspec: Any, spectra: Path, tmp_path: Path) -> None:
    first, other = model_of(tmp_path / "fresh"), tmp_path / "elsewhere" / "fresh"
    other.parent.mkdir()
    shutil.copytree(first, other)
    arguments = ("evaluate", first, other, "--data", spectra, *QUICK)
    assert mmspec(*arguments).status == 0
    mmspec(*arguments, "--fusion", tmp_path / "fusion.json").is_one_line(
        "two of the models have the name 'fresh'"
    )
    assert not (tmp_path / "fusion.json").exists()


def test_a_model_of_the_name_of_a_method_is_told_apart(mmspec: Any, spectra: Path, tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    told = mmspec("evaluate", model_of(tmp_path / "cosine"), "--data", spectra, "--json", target, *QUICK)
    assert told.status == 0, told
    methods = json.loads(target.read_text())["settings"]["open"]["methods"]
    assert {"cosine", str(tmp_path / "cosine")} < set(methods)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none", "--queries", "role=nobody"), "no queries"),
        (("none", "--queries", "role"), "'role': expected NAME=VALUE"),
        (("none", "--precursor-ppm", "0"), "--precursor-ppm 0: expected a number above 0"),
        (("none", "--beam", "5"), "--beam is for models that propose structures"),
        (("none", "none"), "'none' stands for no model"),
    ],
)
def test_what_cannot_be_asked_is_one_line(mmspec: Any, spectra: Path, arguments: Any, said: str) -> None:
    mmspec("evaluate", *arguments, "--data", spectra).is_one_line(said)


def test_models_of_two_systems_are_refused(mmspec: Any, house: Path, spectra: Path) -> None:
    search = model_of(house / "search")
    mmspec("evaluate", search, house / "model", "--data", spectra).is_one_line("elucidation and retrieval")
    mmspec("evaluate", house / "model", "--data", spectra, *QUICK).is_one_line(
        "--quick is for models that search"
    )
