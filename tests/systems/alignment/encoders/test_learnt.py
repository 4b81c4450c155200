"""Encoders that are fitted here by `mmspec fit`, and those that come with packages."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.cli import main
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.systems.alignment.encoders import programmes
from mmspec_ds.systems.alignment.encoders.antiberty import read_bert
from mmspec_ds.systems.alignment.encoders.cell_model import CellNetwork, PanelScales
from mmspec_ds.systems.alignment.encoders.descent import DescentSettings, descend, rate_at
from mmspec_ds.systems.alignment.encoders.registry import make_encoder, make_fit
from mmspec_ds.systems.alignment.encoders.residues import mean_states
from mmspec_ds.systems.alignment.objects import Cell, Molecule, Protein

SMILES = ["CCO", "CCN", "CC(=O)O", "c1ccccc1", "CCCO", "CC#N", "OCCO", "NCCN", "CCOC", "CC(C)O"] * 3


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty cells of two kinds: the genes of either kind are high or low together."""
    rng = np.random.default_rng(0)
    kinds = np.array([[200.0] * 4 + [20.0] * 4, [20.0] * 4 + [200.0] * 4])
    path = tmp_path_factory.mktemp("cells") / "cells.npz"
    counts = rng.poisson(kinds[np.arange(40) // 2 % 2])
    with path.open("wb") as file:
        np.savez(
            file,
            data=counts.ravel(),
            indices=np.tile(np.arange(8), 40),
            indptr=np.arange(41) * 8,
            shape=np.array([40, 8]),
            genes=np.array([f"G{at}" for at in range(8)]),
        )
    return path


def fitted(folder: Path, *arguments: Any) -> str:
    assert main(["fit", *map(str, arguments), "--out", str(folder)]) == 0
    return str(folder)


def test_the_cell_model_restores_hidden_genes(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--set", "steps=200", "hidden=32", "width=4", "batch=16", "learning_rate=0.01")
    folder = fitted(tmp_path / "a", "cell_model", cells, *settings)
    told = capsys.readouterr().out
    assert "8 genes of 40 cells; of 4 cells that were held back" in told
    assert float(told.split("held back, ")[1].split("%")[0]) > 50  # the two kinds explain most of it
    encoder = make_encoder(f"cell_model:{folder}")
    genes = tuple(f"G{at}" for at in range(8))
    values = np.log1p(np.array([[200.0] * 4 + [20.0] * 4, [20.0] * 4 + [200.0] * 4], dtype=np.float32))
    whole = encoder.encode([Cell(one, genes) for one in values])[:, 0]
    part = encoder.encode([Cell(one[2:6], genes[2:6]) for one in values])[:, 0]
    near, far = np.linalg.norm(whole - part, axis=1), np.linalg.norm(whole - part[::-1], axis=1)
    assert (near < far).all()  # a cell of half of the genes is still of its kind
    again = fitted(tmp_path / "b", "cell_model", cells, *settings)
    assert make_encoder(f"cell_model:{again}").identity == encoder.identity
    other = fitted(tmp_path / "c", "cell_model", cells, *settings, "seed=1")
    assert make_encoder(f"cell_model:{other}").identity != encoder.identity


def test_hidden_genes_do_not_reach_the_network() -> None:
    torch.manual_seed(0)
    network = CellNetwork(6, 8, 3).eval()
    seen = torch.tensor([[True, True, False, True, False, True]])
    values = torch.rand(1, 6)
    changed = values.clone()
    changed[0, [2, 4]] = 99.0
    scales = PanelScales.of(
        np.random.default_rng(0).random((5, 6), dtype=np.float32), np.ones((5, 6), dtype=bool)
    )
    first, second = (network(scales.standard(scales.rescaled(v, seen), seen), seen) for v in (values, changed))
    assert torch.equal(first, second)
    total = torch.expm1(scales.rescaled(values, seen)).sum()
    assert float(total) == pytest.approx(10_000 * float(scales.shares[seen[0]].sum()), rel=1e-4)


def test_the_smiles_model_is_fitted_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.smi").write_text("\n".join(SMILES))
    settings = ("--set", "steps=60", "d_model=32", "heads=2", "layers=1", "batch=8", "learning_rate=0.01")
    folder = fitted(tmp_path / "a", "smiles", tmp_path / "a.smi", *settings)
    assert "30 molecules, " in capsys.readouterr().out
    encoder = make_encoder(f"smiles:{folder}")
    found = encoder.encode([Molecule("OCC"), Molecule("c1ccccc1"), Molecule("CCO")])
    assert found.shape == (3, 1, 64)
    assert found[0] == pytest.approx(found[2], abs=1e-5)  # another SMILES of the same molecule
    assert abs(found[0] - found[1]).max() > 0.01
    alone = encoder.encode([Molecule("CCO")])
    assert alone[0] == pytest.approx(found[0], abs=1e-5)  # padding changes nothing
    with pytest.raises(DataError, match="invalid SMILES"):
        encoder.encode([Molecule("C(")])


def test_what_cannot_be_fitted_is_told(tmp_path: Path, cells: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="encoder 'morgan' is not fitted to data"):
        make_fit("morgan", {})
    assert main(["fit", "genes", str(cells), "--out", str(tmp_path / "a"), "--set", "mots=3"]) == 1
    assert capsys.readouterr().err == "mmspec: fit genes: mots: unknown key; did you mean 'most'?\n"
    (tmp_path / "a.smi").write_text("CCO\nC(\n")
    assert main(["fit", "smiles", str(tmp_path / "a.smi"), "--out", str(tmp_path / "a")]) == 1
    assert "molecule 2: invalid SMILES" in capsys.readouterr().err
    # Told before the files are read: one of them is not there.
    fit = ["fit", "smiles", str(tmp_path / "none.smi"), "--out"]
    assert main([*fit, str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"mmspec: {tmp_path}: is there already: expected a new folder\n"
    assert main([*fit, str(tmp_path / "a"), "--set", "heads=3"]) == 1
    assert "d_model must be a multiple of heads: 128 is no multiple of 3" in capsys.readouterr().err


def test_descent_reaches_a_minimum() -> None:
    layer = torch.nn.Linear(1, 1)
    settings = DescentSettings(steps=300, learning_rate=0.1, weight_decay=0.0)
    told: list[float] = []
    x = torch.linspace(-1, 1, 20)[:, None]
    descend(layer, settings, lambda step: (layer(x) - 3 * x - 1).square().mean(), told.append)
    assert (layer.weight.item(), layer.bias.item()) == pytest.approx((3, 1), abs=0.01)
    assert (len(told), told[-1], layer.training) == (300, 1.0, False)
    assert (rate_at(0.05), rate_at(1.0)) == pytest.approx((1.0, 0.0))


def test_states_of_long_proteins_are_read_in_pieces() -> None:
    seen: list[list[int]] = []

    def read(tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seen.extend(row[: int(count)].tolist() for row, count in zip(tokens, mask.sum(1)))
        return torch.stack([tokens.float(), tokens.float() ** 2], dim=-1)

    found = mean_states([[1, 2, 3, 4, 5], [7]], (0, 9), read, width=2, window=2, tokens_at_once=8)
    assert found == pytest.approx(np.array([[3, 11], [7, 49]]))
    assert sorted(seen) == [[0, 1, 2, 9], [0, 3, 9], [0, 4, 5, 9], [0, 7, 9]]


def test_antiberty_is_read_as_a_bert(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=25, max_position_embeddings=32, **sizes)
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    weights = tmp_path / "weights.bin"
    torch.save({f"bert.{name}": one for name, one in model.state_dict().items()}, weights)
    ids = torch.tensor([[2, 7, 8, 3]])
    read = read_bert(tmp_path / "config.json", weights)
    assert torch.equal(read(ids).last_hidden_state, model(ids).last_hidden_state)
    torch.save({"bert.x": torch.zeros(1), "code": Path("x")}, weights)  # an object that is no tensor
    with pytest.raises(DataError, match="cannot be read as a BERT: Weights only load failed"):
        read_bert(tmp_path / "config.json", weights)


def test_esm_is_read_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokens = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO", ".", "-", "<null_1>", "<mask>"]
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.EsmConfig(
        vocab_size=len(tokens), pad_token_id=1, mask_token_id=32, position_embedding_type="rotary", **sizes
    )
    model = transformers.EsmModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    found = make_encoder(f"esm:{tmp_path}").encode([Protein("LAG"), Protein("V")])
    with torch.no_grad():
        states = model(torch.tensor([[0, 4, 5, 6, 2]])).last_hidden_state[0, 1:4]
    assert found[0, 0] == pytest.approx(states.mean(0).numpy(), abs=1e-5)
    assert found.shape == (2, 1, 16)
    (tmp_path / "config.json").write_text(json.dumps({**config.to_dict(), "model_type": "bert"}))
    with pytest.raises(DataError, match="is of model_type 'bert': expected 'esm'"):
        make_encoder(f"esm:{tmp_path}")


def test_programmes_are_correlations(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 3))
    genes = [f"G{at}" for at in range(6)]
    table = "\t0\t1\t2\n" + "".join(
        "\t".join([g, *map(repr, row.tolist())]) + "\n" for g, row in zip(genes, weights)
    )
    package = tmp_path / "metatime-0-py3-none-any.whl"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(f"metatime/{programmes.TABLE}", table)
    encoder = make_encoder(f"metatime:{package}")
    linear = np.array([5.0, 0, 1, 30])
    cell = Cell(np.log1p(linear).astype(np.float32), ("G5", "G0", "other", "G2"))
    logs = np.log1p(linear[[1, 3, 0]] / 35 * 10_000)  # of the genes of both
    wanted = [np.corrcoef(logs, weights[[0, 2, 5], k])[0, 1] for k in range(3)]
    assert encoder.encode([cell])[0, 0] == pytest.approx(wanted, abs=1e-5)
    (tmp_path / "bad.tsv").write_text("\t0\t1\nA\t1\tx\n")
    with pytest.raises(DataError, match="line 2: expected a gene and 2 weights"):
        make_encoder(f"metatime:{tmp_path / 'bad.tsv'}")
