"""The weights of a trained model in one file: no pickle, no DeepSpeed, experts under their global numbers."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.models.elucidator import Elucidator

WEIGHTS = "model.safetensors"


def write_weights(weights: dict[str, Tensor], path: Path, temperature: float) -> None:
    """Write weights together with the router's temperature at which they were reached."""
    save_file(weights, path, metadata={"temperature": repr(temperature)})


def load_weights(model: Elucidator, path: Path) -> None:
    """Load what `write_weights` wrote into a model that holds all experts, temperature included.

    Raises:
        DataError: a file that cannot be read or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict
            temperature = float((file.metadata() or {}).get("temperature", "1.0"))
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"cannot be read as a model's weights: {error}", path=path) from None
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"does not fit the model: {' '.join(str(error).split())[:300]}", path=path) from None
    model.temperature = temperature
