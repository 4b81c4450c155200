"""Folders that are not of the form in which scGPT is published, or damaged."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.encoders import scgpt_folder
from mmspec_ds.systems.alignment.encoders.registry import make_encoder
from tests.systems.alignment.encoders.published_scgpt import HIDDEN, IDS, WIDTH, Tensors, random_tensors, save


def without(name: str) -> Tensors:
    return {key: one for key, one in random_tensors().items() if key != name}


LAYER_0 = "transformer_encoder.layers.0"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "values by category": ({"input_emb_style": "category"}, "input_emb_style: input should be 'continuous'"),
    "logarithms": ({"input_style": "log1p"}, "input_style: input should be 'binned', found 'log1p'"),
    "the mean of genes": ({"cell_emb_style": "avg-pool"}, "cell_emb_style: input should be 'cls', found"),
    "normed before": ({"pre_norm": True}, "pre_norm: input should be False, found True"),
    "no size": ({"embsize": None}, "args.json: embsize: input should be a valid integer, found None"),
    "a size in words": ({"d_hid": "12"}, "d_hid: input should be a valid integer"),
    "a huge size": ({"d_hid": 10**12}, "d_hid: input should be less than or equal to 65536"),
    "too many bins": ({"n_bins": 513}, "n_bins: input should be less than or equal to 512"),
    "heads": ({"nheads": 3}, "embsize must be a multiple of nheads: 8 is none of 3"),
    "other layers": ({"nlayers": 2}, "best_model.pt: has another number of layers than 2"),
    "more layers": ({"nlayers": 60_000}, "another number of layers than 60000"),
    "another width": ({"embsize": 16}, r"encoder.embedding.weight is torch.float32 of shape \(33, 8\)"),
    "an id in words": ({"ids": IDS | {"G0": "3"}}, "vocab.json: G0 has the id 3: expected a whole number"),
    "an id below 0": ({"ids": IDS | {"G0": -1}}, "G0 has the id -1"),
    "an id for two": ({"ids": IDS | {"G0": 31}}, "two genes have one id"),
    "an id above": ({"ids": IDS | {"G0": 33}}, "embeds 33 tokens, but vocab.json gives G0 the id 33"),
    "no token": ({"ids": {"G0": 0, "<pad>": 1}}, "has no token <cls>: expected scGPT's vocabulary"),
    "no ids": ({"ids": {}}, "has no token <pad>"),
    "a list of genes": ({"ids": ["G0"]}, "vocab.json: expected an object in JSON, found list"),
    "no embedding": ({"tensors": without("encoder.embedding.weight")}, "lacks encoder.embedding.weight"),
    "no norm": ({"tensors": without(f"{LAYER_0}.norm1.bias")}, f"lacks {LAYER_0}.norm1.bias: expected"),
    "whole numbers": (
        {"tensors": random_tensors() | {f"{LAYER_0}.norm1.bias": torch.arange(8)}},
        "norm1.bias is torch.int64 of shape",
    ),
    "one number over and over": (
        {"tensors": random_tensors() | {f"{LAYER_0}.linear1.weight": torch.zeros(1, 1).expand(HIDDEN, WIDTH)}},
        "linear1.weight is torch.float32 of shape",
    ),
    "no numbers": (
        {"tensors": random_tensors() | {f"{LAYER_0}.norm1.bias": torch.zeros(WIDTH, device="meta")}},
        "norm1.bias is torch.float32 of shape",
    ),
    "a sparse tensor": (
        {"tensors": random_tensors() | {f"{LAYER_0}.norm1.bias": torch.ones(WIDTH).to_sparse()}},
        "norm1.bias is torch.float32 of shape",
    ),
    "not a number": (
        {"tensors": random_tensors() | {"value_encoder.norm.bias": torch.full((WIDTH,), float("nan"))}},
        "value_encoder.norm.bias holds values that are not finite",
    ),
    "code": ({"tensors": random_tensors() | {"code": Path("x")}}, "best_model.pt: holds more than tensors, w"),
    "numbers as names": ({"tensors": {1: torch.zeros(1)}}, "holds no tensors by name"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "told"), WRONG.values(), ids=WRONG)
def test_a_folder_of_another_kind_is_told(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    save(tmp_path, **changes)
    with pytest.raises(DataError, match=told) as caught:
        make_encoder(f"scgpt:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_damaged_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        with pytest.raises(DataError) as caught:
            make_encoder(f"scgpt:{tmp_path}")
        return str(caught.value).removeprefix(str(tmp_path))

    for name in scgpt_folder.FILES:
        save(tmp_path)
        (tmp_path / name).unlink()
        assert told().startswith(
            f": there is no {name}: expected the folder of a checkpoint of scGPT, with args.json"
        )
    save(tmp_path)
    (tmp_path / "args.json").write_text("[" * 100_000)
    assert told().startswith("/args.json: cannot be read as JSON: ")
    (tmp_path / "args.json").write_bytes(b"\xff{}")
    assert told().startswith("/args.json: cannot be read as JSON: ")
    save(tmp_path)
    weights = tmp_path / "best_model.pt"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    assert told() == "/best_model.pt: cannot be read as tensors of PyTorch: File is not a zip file"
    with zipfile.ZipFile(weights, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", bytes(100_000))
    monkeypatch.setattr(scgpt_folder, "LARGEST_WEIGHTS", 50_000)
    assert told().startswith("/best_model.pt: unfolds to more than 0 GiB: expected")
    monkeypatch.setattr(scgpt_folder, "LARGEST_JSON", 100)
    assert told().startswith("/args.json: is larger than 0 MiB: expected")
