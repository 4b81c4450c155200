"""What the language model makes of texts, computed once: it is frozen.

Axes: M texts, W width of the language model.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing, take_lock
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.objects import content_key
from mmspec_ds.systems.alignment.prompt import PromptWriter
from mmspec_ds.trainer.task import Progress
from mmspec_ds.trainer.weights import read_weights, write_weights


def describe(
    language: FrozenLanguage,
    writer: PromptWriter,
    texts: Sequence[str],
    layer: int,
    folder: Path,
    progress: Progress | None = None,
) -> Tensor:
    """The mean state of each text after a layer, float32 [M, W], from a folder; what it lacks is computed and
    added to it. Of several processes that ask for the same, one works and the others wait.

    Args:
        language: frozen.
        writer: makes tokens of texts; of each the first `longest`.
        texts: descriptions.
        layer: see `FrozenLanguage.represent`.
        folder: made if it is not there.
        progress: told how many texts the model has read, where they are computed.

    Raises:
        DataError: the model has fewer layers, or the folder cannot be used.
    """
    if layer > language.depth:
        raise DataError(
            f"has {language.depth} layers: expected at least {layer}, see objective.layer", path=language.folder
        )
    if not texts:
        return torch.zeros(0, language.width)

    model = content_key(language.identity, language.precision, str(layer), str(writer.longest))
    path = folder / f"descriptions-{model}.safetensors"
    own = {content_key(text): text for text in texts}
    try:
        descriptor = take_lock(folder / ".lock")
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=folder) from None
    try:
        known = _read(path, language.width) if path.is_file() else {}
        new = [key for key in own if key not in known]
        if new:
            ids = [writer.text_ids(own[key])[: writer.longest] for key in new]

            def told(done: int) -> None:
                if progress is not None:
                    progress(done, f"of {len(new):,} descriptions")

            known |= zip(new, language.represent(ids, layer=layer, progress=told))
            _write(path, known)
        return torch.stack([known[content_key(text)] for text in texts])
    finally:
        os.close(descriptor)


def _read(path: Path, width: int) -> dict[str, Tensor]:
    """The mean states that a file holds, by the keys of their texts."""
    held = read_weights(path).tensors
    keys_MK, states_MW = held.get("keys"), held.get("states")
    if (
        keys_MK is None
        or states_MW is None
        or keys_MK.dim() != 2
        or keys_MK.dtype != torch.uint8
        or states_MW.shape != (len(keys_MK), width)
    ):
        raise DataError("holds other vectors than expected: remove it, and it is made anew", path=path)
    return {bytes(key).hex(): state for key, state in zip(keys_MK.tolist(), states_MW)}


def _write(path: Path, known: Mapping[str, Tensor]) -> None:
    keys_MK = torch.tensor([list(bytes.fromhex(key)) for key in known], dtype=torch.uint8)
    try:
        with replacing(path) as partial:
            write_weights({"keys": keys_MK, "states": torch.stack(list(known.values()))}, partial)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=path.parent) from None
