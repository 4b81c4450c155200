"""What the language model makes of texts, computed once: it is frozen.

Axes: M texts, W width of the language model.
"""

import os
from collections.abc import Sequence
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

_NAME = "descriptions"


def describe(
    language: FrozenLanguage,
    writer: PromptWriter,
    texts: Sequence[str],
    layer: int,
    folder: Path,
    progress: Progress | None = None,
) -> Tensor:
    """The mean state of each text after a layer, float32 [M, W], from a folder, or computed and kept there. Of
    several processes that ask for the same, one works and the others wait.

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

    def told(done: int) -> None:
        if progress is not None:
            progress(done, f"of {len(texts):,} descriptions")

    key = content_key(language.identity, language.precision, str(layer), str(writer.longest), *texts)
    path = folder / f"{_NAME}-{key}.safetensors"
    try:
        descriptor = take_lock(folder / ".lock")
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=folder) from None
    try:
        if path.is_file():
            found = read_weights(path).tensors.get(_NAME)
            if found is None or found.shape != (len(texts), language.width):
                raise DataError("holds other vectors than expected: remove it, and it is made anew", path=path)
            return found
        ids = [writer.text_ids(text)[: writer.longest] for text in texts]
        found = language.represent(ids, layer=layer, progress=told)
        try:
            with replacing(path) as partial:
                write_weights({_NAME: found}, partial)
        except OSError as error:
            raise DataError(f"cannot be written: {error.strerror or error}", path=folder) from None
        return found
    finally:
        os.close(descriptor)
