"""The weights of a trained model in one file: no pickle, no DeepSpeed, sharded parameters under global names.

The file carries a checksum of its tensors.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mmspec_ds.errors import DataError
from mmspec_ds.files import readable_as_usual

WEIGHTS = "model.safetensors"
ABOUT = "mmspec"


class StoredWeights(NamedTuple):
    """`tensors` by name, and `about`, what else the file says of them."""

    tensors: dict[str, Tensor]
    about: Mapping[str, Any]


def write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights with their checksum.

    Raises:
        OSError: they cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # One key: the order of several changes from one process to the next, and with it the file's own checksum.
    about = json.dumps({"sha256": checksum(tensors)})
    try:
        with readable_as_usual(path):
            save_file(tensors, path, metadata={ABOUT: about})
    except SafetensorError as error:  # it hides the system's error in its text
        raise OSError(str(error)) from None


def read_weights(path: Path) -> StoredWeights:
    """Read a file that `write_weights` of this version or an older one wrote.

    Raises:
        DataError: a file that cannot be read, or that was altered since.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            about = json.loads((file.metadata() or {})[ABOUT])
        expected = about["sha256"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot be read as a model's weights: {error}", path=path) from None
    if expected != checksum(tensors):
        raise DataError("altered since it was written: its checksum differs", path=path)
    return StoredWeights(tensors, about)


def load_state(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors into a model that has exactly these.

    Raises:
        DataError: they belong to another model; names `path`.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"does not fit the model: {' '.join(str(error).split())[:300]}", path=path) from None


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
