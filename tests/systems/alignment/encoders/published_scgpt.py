"""A folder of the form in which scGPT is published, tiny and with random weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

WIDTH, HEADS, HIDDEN, LAYERS, BINS = 8, 2, 12, 3, 6
GENES = tuple(f"G{at}" for at in range(30))
IDS = {gene: (7 * at + 3) % 30 for at, gene in enumerate(GENES)} | {"<pad>": 30, "<cls>": 31, "<eoc>": 32}
ARGUMENTS = {
    "embsize": WIDTH, "nheads": HEADS, "d_hid": HIDDEN, "nlayers": LAYERS, "n_bins": BINS, "pad_token": "<pad>",
    "pad_value": -2, "mask_value": -1, "input_style": "binned", "input_emb_style": "continuous", "dropout": 0.2,
    "load_model": None, "mask_ratio": [0.25, 0.5, 0.75], "n_layers_cls": 3, "max_seq_len": 1200,
}  # fmt: skip

Tensors = dict[str, torch.Tensor]


def random_tensors(seed: int = 0) -> Tensors:
    """Those of a published file, flash attention's names among them, with heads that are not used here."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.embedding.weight": (len(IDS), WIDTH), "encoder.enc_norm": (WIDTH,),
        "flag_encoder.weight": (2, WIDTH), "value_encoder.linear1": (WIDTH, 1),
        "value_encoder.linear2": (WIDTH, WIDTH), "value_encoder.norm": (WIDTH,),
        "decoder.fc.0": (WIDTH, WIDTH), "mvc_decoder.gene2query": (WIDTH, WIDTH),
    }  # fmt: skip
    for layer in range(LAYERS):
        inside = {
            "self_attn.Wqkv": (3 * WIDTH, WIDTH), "self_attn.out_proj": (WIDTH, WIDTH), "norm1": (WIDTH,),
            "linear1": (HIDDEN, WIDTH), "linear2": (WIDTH, HIDDEN), "norm2": (WIDTH,),
        }  # fmt: skip
        shapes |= {f"transformer_encoder.layers.{layer}.{name}": shape for name, shape in inside.items()}
    found = {}
    for name, shape in shapes.items():
        named = (
            {name: shape} if name.endswith(".weight") else {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        )
        for one, size in named.items():
            found[one] = torch.from_numpy(rng.normal(scale=1.5, size=size).astype(np.float32))
    return found


def save(
    folder: Path, tensors: Mapping[str, Any] | None = None, ids: Mapping[str, Any] = IDS, **arguments: Any
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "args.json").write_text(json.dumps(ARGUMENTS | arguments))
    (folder / "vocab.json").write_text(json.dumps(ids))
    torch.save(dict(random_tensors() if tensors is None else tensors), folder / "best_model.pt")
    return folder
