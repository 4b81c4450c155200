"""The weights of a trained model in one file: no pickle, no DeepSpeed, experts under their global numbers.

The file carries a checksum of its tensors and the router's temperature at which they were reached.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.files import readable_as_usual
from mmspec_ds.systems.elucidation.model import Elucidator

WEIGHTS = "model.safetensors"
ABOUT = "mmspec"


class StoredWeights(NamedTuple):
    """`tensors` by name, and the router's `temperature`."""

    tensors: dict[str, Tensor]
    temperature: float


def write_weights(weights: Mapping[str, Tensor], path: Path, temperature: float) -> None:
    """Write weights together with the router's temperature.

    Raises:
        OSError: they cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # One key: the order of several changes from one process to the next, and with it the file's own checksum.
    about = json.dumps({"temperature": temperature, "sha256": checksum(tensors)})
    try:
        with readable_as_usual(path):
            save_file(tensors, path, metadata={ABOUT: about})
    except SafetensorError as error:  # it hides the system's error in its text
        raise OSError(str(error)) from None


def read_weights(path: Path) -> StoredWeights:
    """What `write_weights` wrote.

    Raises:
        DataError: a file that cannot be read, or that was altered since.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            about = json.loads((file.metadata() or {})[ABOUT])
        temperature, expected = float(about["temperature"]), about["sha256"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot be read as a model's weights: {error}", path=path) from None
    if expected != checksum(tensors):
        raise DataError("altered since it was written: its checksum differs", path=path)
    return StoredWeights(tensors, temperature)


def load_weights(model: Elucidator, path: Path) -> None:
    """Load what `write_weights` wrote into a model that holds all experts, temperature included.

    Raises:
        DataError: a file that cannot be read, was altered or belongs to another model.
    """
    stored = read_weights(path)
    try:
        model.load_state_dict(stored.tensors)
    except RuntimeError as error:
        raise DataError(f"does not fit the model: {' '.join(str(error).split())[:300]}", path=path) from None
    model.temperature = stored.temperature


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
