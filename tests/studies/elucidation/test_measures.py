"""Measures of a trained model, against numbers worked out in another way."""

import json
import math
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmspec_ds.data.collate import collate
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import Modality
from mmspec_ds.studies.elucidation.measures import MEASURES
from mmspec_ds.studies.elucidation.measures.accuracy import strata, thirds
from mmspec_ds.studies.elucidation.measures.asking import read_molecules
from mmspec_ds.studies.elucidation.measures.history import pooled_states, separability
from mmspec_ds.studies.elucidation.measures.routing import effective_number
from mmspec_ds.systems.elucidation.activity import count_routers
from mmspec_ds.systems.elucidation.evaluate import Question, evaluate_model, read_question
from mmspec_ds.trainer.weights import write_weights
from tests.studies.elucidation.untrained import RUN, Bench
from tests.studies.elucidation.untrained import bench as bench
from tests.studies.elucidation.untrained import simulated as simulated


def test_accuracy_is_that_of_evaluate(bench: Bench) -> None:
    context = bench.context(bench.model(), evaluate=12, beam=3)
    found = MEASURES["accuracy"](context)
    assert json.loads(json.dumps(found)) == found, "JSON keeps it"
    trained = context.trained
    question = Question(bench.data.test, beam=3, rule="raw", limit=12)
    told = evaluate_model(trained, read_question(trained, question), beam=3, rule="raw").to_json()
    # `evaluate` lists as many proposals as the beam is wide; this measure always lists ten.
    assert [found[key] for key in ("n", "top_1", "top_3")] == [told[key] for key in ("n", "top_1", "top_3")]
    assert len(found["ranks"]) == found["n"] == 12
    first = [one.smiles for path in bench.data.test for one in read_records(path)][:12]
    letters = [sum(letter.isalpha() and letter not in "H" for letter in one) for one in first if one]
    assert found["heavy_atoms"] == [
        count - one.count("l") - one.count("r") for count, one in zip(letters, map(str, first))
    ], "one letter an atom, but for Cl and Br"


def test_the_loss_is_the_mean_over_target_tokens(bench: Bench) -> None:
    context = bench.context(bench.model(), evaluate=5)
    dataset = read_molecules(context.trained, context.data.test, 5)
    total, tokens = 0.0, 0
    for at in range(5):
        batch = collate(dataset, [at])
        with torch.no_grad():
            logits = context.trained.model(batch).logits_BLV[0].double()
        target = batch.target_BL[0, 1:]
        total += float(F.cross_entropy(logits, target, reduction="sum"))
        tokens += len(target)
    assert MEASURES["accuracy"](context)["loss"] == pytest.approx(total / tokens, rel=1e-5)


def test_strata_worked_out_by_hand() -> None:
    result = {"ranks": [1, None, 2, 1, 4], "heavy_atoms": [3, 4, 4, 6, 9]}
    small, middle, large = strata(result, (3, 6))
    assert (small["least"], small["most"], small["n"], small["top_1"]) == (None, 3, 1, 100)
    assert (middle["least"], middle["most"], middle["n"]) == (4, 6, 3)
    assert middle["top_1"] == pytest.approx(100 / 3)
    assert middle["top_2"] == pytest.approx(200 / 3)
    assert (large["least"], large["most"], large["n"], large["top_3"], large["top_4"]) == (7, None, 1, 0, 100)
    assert strata(result, (15, 25))[2] == {"least": 26, "most": None, "n": 0}


def test_thirds_are_as_even_as_whole_sizes_allow() -> None:
    assert thirds([5, 6, 7, 8, 9, 10]) == (6, 8)
    assert thirds([5, *[9] * 10, *[10] * 11]) == (5, 9)
    with pytest.raises(ValueError, match="2 sizes"):
        thirds([9, 10, 10])


def test_routing_is_counted_token_by_token(bench: Bench) -> None:
    context = bench.context(bench.model(), evaluate=7)
    found = MEASURES["routing"](context)
    dataset = read_molecules(context.trained, context.data.test, 7)
    pairs, first, tokens = np.zeros((2, 4, 4)), np.zeros((2, 4, 4)), np.zeros(4)
    model = context.trained.model
    with torch.no_grad():
        for at in range(7):
            spectra = collate(dataset, [at]).spectra
            hidden = model.embedding(spectra)
            for number, layer in enumerate(model.encoder.layers):
                given: list[Any] = []
                handle = layer.feedforward.register_forward_pre_hook(
                    lambda _, args, into=given: into.append(args)
                )
                layer(hidden, spectra.modality_BS, torch.ones_like(spectra.mask_BS)[:, None, None], 1.0)
                handle.remove()
                gate = layer.feedforward.deepspeed_moe.gate
                logits = gate.wg(given[0][0][0] + (gate.tag + gate.bias)[spectra.modality_BS[0]])
                chosen = logits.topk(2, dim=1).indices
                for modality, row in zip(spectra.modality_BS[0].tolist(), chosen.tolist()):
                    first[number, modality, row[0]] += 1
                    pairs[number, modality, row] += 1
                hidden, _ = layer(
                    hidden, spectra.modality_BS, torch.ones_like(spectra.mask_BS)[:, None, None], 1.0
                )
            tokens += np.bincount(spectra.modality_BS[0], minlength=4)
    assert found["modalities"] == ["h_nmr", "c_nmr", "ir", "ms"]
    np.testing.assert_allclose(found["share"], pairs / pairs.sum(2, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(found["top_1_by_modality"], first / first.sum(2, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(found["top_1"], first.sum(1) / tokens.sum(), atol=1e-6)
    share = pairs.sum(1) / pairs.sum((1, 2))[:, None]
    expected = [math.exp(-sum(p * math.log(p) for p in row if p)) for row in share]
    assert found["effective"] == pytest.approx(expected)
    assert json.loads(json.dumps(found)) == found


def test_effective_numbers_by_hand() -> None:
    assert effective_number(np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])).tolist() == pytest.approx(
        [4, 1, 2]
    )


def test_a_dense_model_has_no_routing(bench: Bench) -> None:
    context = bench.context(bench.model("dense", {"moe": None}))
    with pytest.raises(DataError, match="dense"):
        MEASURES["routing"](context)


def test_compute_of_a_dense_model_by_hand(bench: Bench) -> None:
    model = {**RUN["model"], "encoder_ffn_width": 48}  # type: ignore[dict-item]
    context = bench.context(bench.model("wide", {"moe": None, "model": model}), evaluate=6)
    found = MEASURES["compute"](context)
    assert found["parameters"] == sum(p.numel() for p in context.trained.model.parameters())
    assert found["active"] == found["nominal_active"] == found["parameters"]
    assert found["feed_forward"] == 2 * 4 * 16 * 48, "two layers, two products of 16 x 48, two FLOPs each"
    assert "equal_total" not in found


def test_compute_of_a_sparse_model_counts_the_experts_chosen(bench: Bench) -> None:
    context = bench.context(bench.model(), evaluate=6)
    found, loads = MEASURES["compute"](context), MEASURES["routing"](context)
    widths = [expert["width"] for expert in loads["experts"]]
    chosen = [sum(share * width for share, width in zip(row, widths)) for row in loads["share_all"]]
    experts = sum(2 * 4 * 16 * width for width in chosen)  # k = 2
    routers = 2 * 2 * 16 * 4  # two layers, 16 x 4, two FLOPs each
    assert found["feed_forward"] == pytest.approx(experts + routers, rel=1e-6)
    each = [
        sum(2 * (w * (2 * 16 + 1) + 16) * share for share, w in zip(row, widths)) for row in loads["share_all"]
    ]
    dense = found["parameters"] - 2 * sum(w * (2 * 16 + 1) + 16 for w in widths)
    assert found["active"] == pytest.approx(dense + sum(each), rel=1e-6)
    # Networks of equal total parameters are as wide as all experts, and a little wider for each router and for
    # the biases of all experts but one.
    wider = (count_routers(context.trained.model) / 2 + (len(widths) - 1) * 16) / (2 * 16 + 1)
    assert found["equal_total"]["feed_forward"] == pytest.approx(2 * 4 * 16 * (sum(widths) + wider))
    share = found["share_of_equal_total"]["feed_forward"]
    assert share == pytest.approx(found["feed_forward"] / found["equal_total"]["feed_forward"])


def test_conflict_names_every_pair(bench: Bench) -> None:
    found = MEASURES["conflict"](bench.context(bench.model(), evaluate=4))
    assert found["n"] == 4
    assert set(found["cosine"]) == {
        "h_nmr+c_nmr", "h_nmr+ir", "h_nmr+ms", "c_nmr+ir", "c_nmr+ms", "ir+ms",
    }  # fmt: skip
    assert all(-1 <= value <= 1 for value in found["cosine"].values())


def test_history_reads_each_snapshot_and_leaves_the_model(bench: Bench) -> None:
    folder = bench.model()
    context = bench.context(folder, evaluate=6)
    words = len(context.trained.vocabulary)
    for step, seed in ((1, 5), (2, 0)):
        (folder / "snapshots").mkdir(exist_ok=True)
        weights = bench.weights(context.trained.run, words, seed)
        write_weights(weights, folder / "snapshots" / f"step_{step:08d}.safetensors")
    found = MEASURES["history"](context)
    assert found["steps"] == [1, 2]
    first, last = found["snapshots"]
    assert last["top_1"] == MEASURES["routing"](context)["top_1"], "the last snapshot is the model"
    assert first["top_1"] != last["top_1"]
    assert len(last["pca"]) == len(last["tsne"]) == len(last["modality"])
    assert -1 <= last["silhouette"] <= 1
    assert json.loads(json.dumps(found)) == found


def test_history_needs_snapshots(bench: Bench) -> None:
    with pytest.raises(DataError, match=r"training\.snapshots"):
        MEASURES["history"](bench.context(bench.model()))


def test_states_are_averaged_over_a_modality(bench: Bench) -> None:
    context = bench.context(bench.model(), evaluate=5)
    dataset, model = read_molecules(context.trained, context.data.test, 5), context.trained.model
    pooled, modality, molecule = pooled_states(model, dataset)
    assert molecule.tolist() == sorted(molecule.tolist())
    with torch.no_grad():
        encoded = model.encode(collate(dataset, [3]).spectra)
    carbons = encoded.hidden_BSD[0][encoded.modality_BS[0] == Modality.C_NMR].mean(0)
    (row,) = pooled[(modality == Modality.C_NMR) & (molecule == 3)]
    np.testing.assert_allclose(row, carbons.numpy(), atol=1e-5)


def test_separability_by_hand() -> None:
    points = np.array([[0.0], [10.0], [0.1], [10.1], [0.3], [9.0]])
    kinds, molecules = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2])
    assert separability(points, kinds, molecules) == 1.0
    assert separability(points, np.array([0, 1, 1, 0, 0, 1]), molecules) == pytest.approx(1 / 6)


def test_resources_are_measured(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    found = MEASURES["resources"](bench.context(bench.model()))
    assert found["figures"]["training/tokens_per_second"]["mean"] > 0
    assert found["figures"]["decoding/beam_5/latency"]["mean"] > 0
    assert found["environment"]["device"].startswith("CPU") or torch.cuda.is_available()


def test_a_model_that_knows_the_answers_has_them_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    context = bench.context(bench.model(), evaluate=6, beam=2)
    truths = [str(one) for one in read_molecules(context.trained, context.data.test, 6).smiles]
    order = [
        int(at)
        for at in np.argsort(-read_molecules(context.trained, context.data.test, 6).lengths, kind="stable")
    ]

    def knows(*_: Any) -> list[list[str | None]]:
        return [[None, canonical_smiles(truths[at])] for at in order]

    monkeypatch.setattr(import_module("mmspec_ds.studies.elucidation.measures.accuracy"), "search", knows)
    found = MEASURES["accuracy"](context)
    assert (found["top_1"], found["top_2"], found["validity"], found["tanimoto"]) == (0, 100, 50, 1)
    assert found["ranks"] == [2] * 6


def test_the_matcher_finds_what_is_among_the_candidates(bench: Bench) -> None:
    context = bench.context(bench.folder, evaluate=6)
    found = MEASURES["matcher"](context)
    assert found["n"] == 6
    assert found["candidates"] == 150, "all molecules of the data"
    assert found["top_10"] >= 80, "small molecules with little noise"
    assert 0 < found["tanimoto_trained"] < 1, "the right one is not among those learnt from"
    assert json.loads(json.dumps(found)) == found
