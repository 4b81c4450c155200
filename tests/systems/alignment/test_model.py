"""Soft tokens at their places, gradients that reach projections alone, and a language model that stays."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._inductor import config as inductor_config

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.batch import Place, PromptBatch, make_batch
from mmspec_ds.systems.alignment.factory import make_writer
from mmspec_ds.systems.alignment.frozen_language import PLAIN_UNTIL, FrozenLanguage
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.projection import Projection
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings
from mmspec_ds.systems.alignment.prompt import joined_rows
from tests.systems.alignment.tiny import make_run, make_tiny, save_language

VECTORS = {
    "molecule": np.random.default_rng(0).normal(size=(3, 2, 6)).astype(np.float32),
    "protein": np.random.default_rng(1).normal(size=(2, 2, 4)).astype(np.float32),
}
PROMPTS = [("[MOLECULE] or [MOLECULE]?", "one"), ("Is [PROTEIN] with [MOLECULE]?", "yes"), ("Hi", "hello")]
PLACES = [
    (Place("molecule", 2), Place("molecule", 0)),
    (Place("protein", 1), Place("molecule", 0)),
    (),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language(tmp_path_factory.mktemp("language"))


def batch_for(model: AlignmentModel, folder: Path, *, left: bool = False) -> PromptBatch:
    writer = make_writer(make_run(folder), model.language, model.soft_tokens)
    rows = [writer.write(*one) for one in PROMPTS]
    return make_batch(rows, PLACES, VECTORS, model.soft_tokens, left=left)  # type: ignore[arg-type]


@pytest.mark.parametrize("left", [False, True])
def test_every_vector_is_at_its_place(folder: Path, left: bool) -> None:
    model = make_tiny(make_run(folder))
    batch = batch_for(model, folder, left=left)
    embedded = model.embedded(batch)
    table = model.language.model.get_input_embeddings().weight
    for at, places in enumerate(PLACES):
        soft = batch.ids_BL[at] < 0
        expected = [
            model.projection(one.kind)(torch.from_numpy(VECTORS[one.kind][one.row][None]))[0] for one in places
        ]
        assert int(soft.sum()) == 2 * len(places)
        if places:
            assert torch.allclose(embedded[at][soft], torch.cat(expected), atol=1e-6)
        hard = ~soft & batch.mask_BL[at]
        assert torch.equal(embedded[at][hard], table[batch.ids_BL[at][hard]])
    assert (batch.mask_BL[:, -1] if left else batch.mask_BL[:, 0]).all()
    assert len(batch.objects.vectors["molecule"]) == 3


def test_the_loss_is_that_of_the_stock_model(folder: Path) -> None:
    model = make_tiny(make_run(folder))
    batch = batch_for(model, folder)
    tokens = model.answers(batch)
    losses = []
    for at in range(3):
        embedded = model.embedded(batch)[at : at + 1, : int(batch.mask_BL[at].sum())]
        log_p = model.language.model(inputs_embeds=embedded).logits[0].log_softmax(-1)
        places = batch.answer_BL[at].nonzero()[:, 0].tolist()
        told = [log_p[place - 1, batch.ids_BL[at, place]] for place in places]
        losses.append(-torch.stack(told).mean())
        best = [int(log_p[place - 1].argmax()) == int(batch.ids_BL[at, place]) for place in places]
        assert bool(tokens.exact(3)[at]) == all(best)
    assert tokens.mean_loss(3).item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)


def test_each_answer_of_a_dialogue_counts_the_same(folder: Path) -> None:
    model = make_tiny(make_run(folder))
    writer = make_writer(make_run(folder), model.language, model.soft_tokens)
    turns = [("Is [MOLECULE] red?", "yes"), ("Why is it?", "because of what it holds"), ("Sure?", "no")]
    pieces = [writer.write(*turns[0]), *(writer.write_later(*one) for one in turns[1:])]
    rows = [joined_rows(pieces), writer.write(*turns[0])]
    places = [(Place("molecule", 2),), (Place("molecule", 1),)]
    batch = make_batch(rows, places, VECTORS, model.soft_tokens)  # type: ignore[arg-type]
    found = model.answers(batch)
    losses = []
    for at, row in enumerate(rows):
        embedded = model.embedded(batch)[at : at + 1, : len(row)]
        log_p = model.language.model(inputs_embeds=embedded).logits[0].log_softmax(-1)
        for first, end in row.answers:
            told = [log_p[place - 1, int(row.ids[place])] for place in range(first, end)]
            losses.append(-torch.stack(told).mean())
    assert found.answer_A.bincount().tolist() == [end - first for row in rows for first, end in row.answers]
    assert found.mean_loss(4).item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)


def test_gradients_reach_projections_only(folder: Path) -> None:
    model = make_tiny(make_run(folder)).train()
    before = model.language.checksum()
    names = [name for name, _ in model.named_parameters()]
    assert all(name.startswith("projections.") for name in names)
    assert not any("embed" in name or "layers" in name for name in model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model.answers(batch_for(model, folder)).mean_loss(3)
        loss.backward()
        losses.append(float(loss.detach()))
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
    assert losses[-1] < losses[0]
    assert all(one.grad is None for one in model.language.model.parameters())
    assert model.language.checksum() == before == FrozenLanguage(folder).checksum()


def test_adapters_are_trained_beside_the_language_model(folder: Path) -> None:
    lora = {"rank": 2, "alpha": 4.0, "dropout": 0.0}
    model = make_tiny(make_run(folder, language={"lora": lora})).train()
    before = model.language.checksum()
    assert before == FrozenLanguage(folder).checksum()
    plain = make_tiny(make_run(folder))
    batch = batch_for(model, folder)
    assert torch.allclose(
        model.answers(batch).log_p_A, plain.answers(batch).log_p_A, atol=1e-6
    )  # no change yet
    names = [name for name, _ in model.named_parameters() if name.startswith("adapter.")]
    assert len(names) == 2 * 7 * 2  # layers, linear layers of each, A and B
    model.answers(batch).mean_loss(3).backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    assert not torch.allclose(model.answers(batch).log_p_A, plain.answers(batch).log_p_A, atol=1e-4)
    assert model.language.checksum() == before
    ids = [[5, 6, 7], [9]]  # descriptions stay what they were when training began, see `descriptions`
    assert torch.equal(model.language.represent(ids, layer=2), plain.language.represent(ids, layer=2))
    assert not torch.allclose(model.answers(batch).log_p_A, plain.answers(batch).log_p_A, atol=1e-4)
    assert all(one.requires_grad for one in model.adapter.values())


def test_a_projection_by_hand() -> None:
    torch.manual_seed(0)
    found = Projection(2, 3, 4, ProjectionSettings(layers=2, hidden=5, dropout=0.0, soft_tokens=2))
    vectors = torch.randn(7, 2, 3)
    vectors[:, 1, 2] = 4.0  # never changes
    mean = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found.fit(vectors, mean, 0.5)
    first, last = found.mlp[1], found.mlp[5]
    x = (vectors - vectors.mean(0)) / vectors.std(0, correction=0)
    x[:, 1, 2] = 0.0
    hidden = torch.relu(x.flatten(1) @ first.weight.T + first.bias)
    hidden = (hidden - hidden.mean(1, keepdim=True)) / (hidden.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    out = (hidden @ last.weight.T + last.bias).view(7, 2, 4)
    out = out / out.pow(2).mean(-1, keepdim=True).sqrt()
    assert torch.allclose(found(vectors), mean + 0.5 * out, atol=1e-4)
    assert torch.allclose((found(vectors) - mean).pow(2).mean(-1), torch.tensor(0.25), atol=1e-4)


def states_and_gradient(language: FrozenLanguage, length: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the same positions of two prompts."""
    embedded = torch.randn(
        2, length, language.width, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    states = language.states(embedded).float()
    (states * torch.linspace(-1, 1, language.width)).sum().backward()
    assert embedded.grad is not None
    return states.detach(), embedded.grad


@pytest.mark.parametrize("length", [7, PLAIN_UNTIL + 1])
def test_bfloat16_computes_what_float32_does(folder: Path, length: int) -> None:
    language = FrozenLanguage(folder, "bfloat16")
    expected = states_and_gradient(FrozenLanguage(folder), length)
    found = states_and_gradient(language, length)
    assert language.model.config._attn_implementation == ("eager" if length == 7 else "sdpa")
    for one, other in zip(found, expected):
        assert torch.allclose(one, other, atol=0.03 * float(other.abs().max()))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_compiled_layers_compute_the_same(folder: Path) -> None:
    torch.compiler.reset()
    plain = FrozenLanguage(folder)
    compiled = FrozenLanguage(folder, compiled=True)
    expected, found = states_and_gradient(plain), states_and_gradient(compiled)
    for one, other in zip(found, expected):
        assert torch.allclose(one, other, atol=1e-5)
    assert compiled.layers.layers[0]._compiled_call_impl is not None
    assert compiled.checksum() == plain.checksum()


def test_a_missing_compiler_is_told(folder: Path) -> None:
    # Not by monkeypatch, which takes the setting away afterwards: the next compilation in the process failed.
    with (
        inductor_config.patch({"cpp.cxx": (None, "no_such_compiler")}),
        pytest.raises(DataError, match=r"language\.compile is true, but there is no C\+\+ compiler"),
    ):
        FrozenLanguage(folder, compiled=True)


def test_states_of_a_layer_are_means_over_the_tokens(folder: Path) -> None:
    language = FrozenLanguage(folder)
    ids = [[5, 6, 7], [], [9], [1, 2]]
    for layer in range(3):
        found = language.represent(ids, layer=layer, batch=3)
        assert not found[1].any()
        for at in (0, 2, 3):
            states = language.model(torch.tensor([ids[at]]), output_hidden_states=True).hidden_states[layer]
            assert torch.allclose(found[at], states[0].mean(0), atol=1e-5)
    assert len(language.layers.layers) == 2


def test_weights_of_other_sizes_are_refused(folder: Path) -> None:
    one = make_tiny(make_run(folder))
    state = one.state_dict()
    state["molecule_identity"] = state["protein_identity"].float()
    with pytest.raises(DataError, match="the encoder of a molecule is not the one"):
        make_tiny(make_run(folder)).load_state_dict(state)


def test_components_are_cut_off_at_the_limit() -> None:
    vectors = torch.tensor([[[-1.0, 0.0]], [[1.0, 2.0]]])  # means 0 and 1, standard deviations 1
    settings = ProjectionSettings(layers=1, soft_tokens=1, input_limit=2.5)
    projection = Projection(1, 2, 8, settings).eval()
    projection.fit(vectors, torch.zeros(8), 1.0)
    far, at_limit, within = torch.tensor([[[9.0, -9.0]], [[2.5, -1.5]], [[2.4, -1.5]]])[:, None]
    assert torch.equal(projection(far), projection(at_limit))
    assert not torch.equal(projection(far), projection(within))
