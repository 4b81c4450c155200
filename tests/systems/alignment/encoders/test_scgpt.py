"""scGPT from a folder of the published form, with random weights, beside attention that is written out here in
float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.encoder_folders import check_encoder, find_encoder
from mmspec_ds.systems.alignment.encoders import scgpt
from mmspec_ds.systems.alignment.encoders.registry import make_encoder
from mmspec_ds.systems.alignment.objects import Cell, Example
from mmspec_ds.systems.alignment.run_settings import EncoderChoice
from mmspec_ds.systems.alignment.task import AlignmentTask
from mmspec_ds.trainer.task import TaskContext
from tests.systems.alignment.encoders.published_scgpt import (
    GENES,
    HEADS,
    IDS,
    LAYERS,
    WIDTH,
    Tensors,
    random_tensors,
    save,
)
from tests.systems.alignment.tiny import make_run, save_language


def normed(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def by_hand(tensors: Tensors, ids: list[int], values: list[float]) -> NDArray[Any]:
    """The vector of one cell whose tokens, <cls> first, have these ids and values."""
    w = {name: one.double().numpy() for name, one in tensors.items()}

    def linear(x: NDArray[Any], name: str) -> NDArray[Any]:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: NDArray[Any], name: str) -> NDArray[Any]:
        return normed(x, w[f"{name}.weight"], w[f"{name}.bias"])

    value = np.maximum(linear(np.array(values, dtype=float)[:, None], "value_encoder.linear1"), 0)
    x = norm(w["encoder.embedding.weight"][ids], "encoder.enc_norm")
    x = x + norm(linear(value, "value_encoder.linear2"), "value_encoder.norm")
    for layer in range(LAYERS):
        at = f"transformer_encoder.layers.{layer}"
        query, key, content = np.split(linear(x, f"{at}.self_attn.Wqkv"), 3, axis=1)
        size, parts = WIDTH // HEADS, []
        for head in range(HEADS):
            here = slice(head * size, (head + 1) * size)
            weights = np.exp(query[:, here] @ key[:, here].T / np.sqrt(size))
            parts.append(weights / weights.sum(1, keepdims=True) @ content[:, here])
        x = norm(x + linear(np.hstack(parts), f"{at}.self_attn.out_proj"), f"{at}.norm1")
        x = norm(x + linear(np.maximum(linear(x, f"{at}.linear1"), 0), f"{at}.linear2"), f"{at}.norm2")
    vector: NDArray[Any] = x[0] / np.linalg.norm(x[0])
    return vector


def logs(counts: Any, genes: tuple[str, ...], name: str = "") -> Cell:
    linear = np.asarray(counts, dtype=float)
    return Cell(np.log1p(linear * 10_000 / max(linear.sum(), 1)).astype(np.float32), genes, name)


def some_cells(count: int, seed: int = 0) -> list[Cell]:
    """Cells of 3 to 30 genes, of which up to two thirds are expressed."""
    rng = np.random.default_rng(seed)
    cells = []
    for at in range(count):
        genes = tuple(rng.permutation(GENES)[: rng.integers(3, 31)].tolist())
        cells.append(logs(rng.poisson(1.0, len(genes)), genes, f"c{at}"))
    return cells


def renamed(name: str, form: str) -> str:
    if form == "PyTorch":
        return name.replace("self_attn.Wqkv.", "self_attn.in_proj_")
    return name.replace("self_attn.", "self_attn._impl.") if form == "a shell" else name


@pytest.mark.parametrize("form", ["flash attention", "PyTorch", "a shell", "half"])
def test_vectors_are_those_of_the_published_layers(tmp_path: Path, form: str) -> None:
    tensors = random_tensors()
    if form == "half":
        tensors = {name: one.half() for name, one in tensors.items()}
    folder = save(tmp_path, {renamed(name, form): one for name, one in tensors.items()})
    encoder = make_encoder(f"scgpt:{folder}")
    # The bounds are the quantiles 0, 1/4, 1/2, 3/4 and 1 of what is known: 2, 2, 5, 9, 30. G0 and G7 equal two
    # of them. Their ids are 3 and 22: 4 and 23 times the golden ratio end in 0.47 and 0.21, in the first half,
    # so both have the upper one of the bins 1 and 2.
    cell = logs([2, 30, 7, 5, 9, 2, 0], ("G0", "G4", "other", "G2", "G9", "G7", "G1"))
    tokens = {"G0": 2, "G4": 5, "G2": 3, "G9": 4, "G7": 2}
    wanted = by_hand(tensors, [31, *(IDS[gene] for gene in tokens)], [-2, *tokens.values()])
    found = encoder.encode([cell])
    assert (encoder.kind, encoder.width, encoder.vectors, found.shape) == ("cell", WIDTH, 1, (1, 1, WIDTH))
    assert found[0, 0] == pytest.approx(wanted, abs=2e-6)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


def test_a_cell_is_the_same_in_any_batch_and_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_encoder(f"scgpt:{save(tmp_path)}")
    cells = some_cells(23)
    together = encoder.encode(cells)
    assert np.array_equal(encoder.encode(cells), together)
    assert len(np.unique(together.round(3), axis=0)) == 23
    monkeypatch.setattr(scgpt, "_AT_ONCE", 5)
    monkeypatch.setattr(scgpt, "_TOKENS_AT_ONCE", 40)
    assert encoder.encode(cells) == pytest.approx(together, abs=2e-6)
    order = np.random.default_rng(1)
    for cell, vector in zip(cells, together):
        turned = order.permutation(len(cell.genes))
        other = Cell(cell.values[turned], tuple(cell.genes[at] for at in turned))
        assert encoder.encode([other])[0] == pytest.approx(vector, abs=2e-6)
        counts = Cell(np.expm1(cell.values), cell.genes)  # bins do not know counts from their logarithms
        assert encoder.encode([counts])[0] == pytest.approx(vector, abs=2e-6)


def test_a_batch_is_bounded_with_its_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scgpt, "_TOKENS_AT_ONCE", 12)
    assert list(scgpt._batches([4, 20, 2, 6, 5, 3])) == [[2, 5, 0], [4, 3], [1]]


def test_a_cell_without_expression_is_its_token_alone(tmp_path: Path) -> None:
    empty = make_encoder(f"scgpt:{save(tmp_path)}").encode([logs([0, 0, 0], ("G1", "G2", "G3"))])
    assert empty[0, 0] == pytest.approx(by_hand(random_tensors(), [31], [-2]), abs=2e-6)
    assert make_encoder(f"scgpt:{tmp_path}").encode([]).shape == (0, 1, WIDTH)


def test_bins_by_hand() -> None:
    values = np.array([9, 1, 4, 1, 5, 2, 1, 6, 3.0])  # bounds 1, 1, 3, 5, 9
    ids = np.array([20, 0, 21, 1, 22, 23, 2, 24, 25])  # the places of 0, 1 and 2 are 0.62, 0.24 and 0.85
    assert scgpt.bins_of(values, ids, 6).tolist() == [5, 1, 3, 2, 4, 2, 1, 4, 3]
    assert scgpt.bins_of(np.array([7.0]), np.array([0]), 6).tolist() == [2]  # all bounds are 7: one of 1 to 5
    assert scgpt.bins_of(np.zeros(0), np.zeros(0, dtype=np.int64), 6).tolist() == []


@pytest.mark.parametrize("count", [2, 9, 51, 400, 1199])
def test_bins_lie_where_those_of_numpy_do(count: int) -> None:
    # count - 1 has no divisor of 49, so that rounding does not move a quantile across a value.
    values = 1.0 + np.random.default_rng(count).poisson(0.8, count)
    ids = np.random.default_rng(1).permutation(60_000)[:count]
    found = scgpt.bins_of(values, ids, 51)
    bounds = np.quantile(values, np.linspace(0, 1, 50))
    upper, lower = np.digitize(values, bounds), np.digitize(values, bounds, right=True)
    assert ((np.minimum(lower + 1, upper) <= found) & (found <= upper)).all()
    ones = values == 1
    width = upper[ones][0] - lower[ones][0]
    expected = (upper + lower + 1)[ones][0] / 2  # the mean of a draw among equal bins
    assert found[ones].mean() == pytest.approx(expected, abs=3 * width / np.sqrt(12 * ones.sum()))
    assert np.array_equal(scgpt.bins_of(np.log1p(values), ids, 51), found)


def test_genes_beyond_the_longest_are_left_out_evenly(tmp_path: Path) -> None:
    values, ids = np.array([10, 9, 8, 7, 6, 5, 4, 3, 2, 1.0]), np.arange(10)
    assert scgpt.chosen_of(values, ids, 4).tolist() == [1, 3, 6, 8]  # ranks 1, 3, 6 and 8 of 10 from below
    assert scgpt.chosen_of(values, ids, 10).tolist() == list(range(10))
    equal = scgpt.chosen_of(np.ones(10), ids, 5)
    places = np.sort(np.mod((equal + 1) * 0.618034, 1))
    assert (np.diff(places) > 0.1).all()
    save(tmp_path)
    counts, genes = [1, 2, 3, 4, 5, 6, 7, 8, 9], GENES[:9]
    short = make_encoder("scgpt", {"path": tmp_path, "longest": 4})
    bins = dict(zip(genes, (1, 1, 2, 2, 3, 3, 4, 4, 5)))  # bounds 1, 3, 5, 7, 9
    kept = ["G1", "G4", "G7"]  # of nine ranks 1, 4 and 7
    wanted = by_hand(random_tensors(), [31, *(IDS[one] for one in kept)], [-2, *(bins[one] for one in kept)])
    assert short.encode([logs(counts, genes)])[0, 0] == pytest.approx(wanted, abs=2e-6)
    assert short.identity != make_encoder(f"scgpt:{tmp_path}").identity


def test_genes_that_are_not_known_are_told(tmp_path: Path) -> None:
    encoder = make_encoder(f"scgpt:{save(tmp_path)}")
    told = "cell 'x': 0 of its 2 genes are known to encoder scgpt, such as G0; its own are such as ENSG1: expe"
    with pytest.raises(DataError, match=told):
        encoder.encode([logs([2, 1], ("ENSG1", "<cls>"), "x")])
    with pytest.raises(DataError, match="1 of its 11 genes"):
        encoder.encode([logs([1] * 11, ("G1", *(f"X{at}" for at in range(10))))])


def test_identity_is_of_the_three_files(tmp_path: Path) -> None:
    first = make_encoder(f"scgpt:{save(tmp_path / 'a')}").identity
    assert make_encoder(f"scgpt:{save(tmp_path / 'b')}").identity == first
    other_ids = IDS | {"G0": IDS["G1"], "G1": IDS["G0"]}
    for number, changed in enumerate(
        (
            save(tmp_path / "c", ids=other_ids),
            save(tmp_path / "d", random_tensors(1)),
            save(tmp_path / "e", n_bins=7),
        )
    ):
        assert make_encoder(f"scgpt:{changed}").identity != first, number


def test_descriptions_of_cells_are_found_by_its_vectors(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    examples = []
    for at in range(48):
        counts = rng.poisson(np.where((np.arange(30) < 15) == (at % 2 == 0), 6.0, 0.1))
        told = ("a B cell of blood", "an alpha cell")[at % 2]
        examples.append(Example("Describe [CELL].", (logs(counts, GENES),), told, "description"))
    options = {"path": str(save(tmp_path / "scgpt"))}
    run = make_run(
        save_language(tmp_path / "language"),
        data={"cache": str(tmp_path / "cache")},
        objective={"contrastive": 1.0, "autoregressive": 0.0},
        training={"batch_size": 8, "steps": 4},
    )
    run = run.model_copy(update={"encoders": {"cell": EncoderChoice(name="scgpt", options=options)}})
    task = AlignmentTask(run, TaskContext(torch.device("cpu"), 0, 1), (examples[16:], examples[:16]))
    optimizer, losses = torch.optim.Adam(task.model.parameters(), lr=5e-3), []
    for number in range(40):
        task.module.train()
        loss = task.module(task.batch(number), 0.0)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(float(loss.parts["task"]))
    assert np.mean(losses[-8:]) < np.mean(losses[:8])
    assert task.validate().scalars["recall_at_1/cell"] > 0.8  # 0.5 by chance
    assert task.final_figures() == {"language_model_unchanged": 1.0}
    choice = EncoderChoice(name="scgpt", options={"path": "elsewhere"})
    moved = find_encoder(choice, "cell", None, {"cell": save(tmp_path / "moved")})
    check_encoder(task.model, "cell", moved)
    other = find_encoder(choice, "cell", None, {"cell": save(tmp_path / "other", random_tensors(1))})
    with pytest.raises(
        DataError, match="encoder scgpt of a cell is not the one that the model was trained with"
    ):
        check_encoder(task.model, "cell", other)
