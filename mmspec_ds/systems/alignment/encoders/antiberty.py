"""Proteins by AntiBERTy (Ruffolo et al. 2021, arXiv:2112.07782), a BERT of 25.5 million parameters that was
trained on sequences of antibodies.

Its weights come with the package `antiberty` (MIT). They are a pickle of PyTorch, which is read by PyTorch's
restricted loader of tensors (`weights_only`): no code in it is run. The package itself is not imported.
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.files import sha256_of
from mmspec_ds.language.model_folder import transformers
from mmspec_ds.readers.part import one_line
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.encoders.residues import mean_states
from mmspec_ds.systems.alignment.objects import Kind, Object, Protein

PACKAGE = "antiberty"
_FILES = ("vocab.txt", "config.json", "pytorch_model.bin")
_HINT = "expected `pip install 'mmspec-ds[proteins]'`"


class AntiBERTyOptions(Settings):
    """No options: the package has one model."""


class AntiBERTyEncoder:
    """One vector for a protein: the mean of the last states of its residues. See `ObjectEncoder`."""

    Options = AntiBERTyOptions
    name = "antiberty"
    kind: Kind = "protein"
    vectors = 1

    def __init__(self, options: AntiBERTyOptions) -> None:
        vocabulary, config, weights = _installed()
        self._model = read_bert(config, weights)
        self._ids = {token: at for at, token in enumerate(vocabulary.read_text(encoding="utf-8").split())}
        self.width = int(self._model.config.hidden_size)
        self._window = int(self._model.config.max_position_embeddings) - 2
        self.identity: Mapping[str, Any] = {"encoder": self.name, "weights": sha256_of(weights)}

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, width]."""
        unknown = self._ids["[UNK]"]
        proteins = all_of(objects, Protein, self.name)
        ids = [[self._ids.get(letter, unknown) for letter in one.sequence] for one in proteins]
        frame = (self._ids["[CLS]"], self._ids["[SEP]"])
        return mean_states(ids, frame, self._read, width=self.width, window=self._window)[:, None]

    def _read(self, tokens_BL: Tensor, mask_BL: Tensor) -> Tensor:
        states: Tensor = self._model(input_ids=tokens_BL, attention_mask=mask_BL).last_hidden_state
        return states


def read_bert(config: Path, weights: Path) -> Any:
    """A BERT of transformers without its heads, in evaluation mode, from its configuration and a pickle of
    tensors.

    Raises:
        UserError: transformers is not installed.
        DataError: a file cannot be read, the pickle holds more than tensors, or they do not fit.
    """
    library = transformers()
    try:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
        model = library.BertModel(library.BertConfig.from_json_file(str(config)), add_pooling_layer=False)
        body = {name.removeprefix("bert."): one for name, one in tensors.items() if name.startswith("bert.")}
        lacking = model.load_state_dict(body, strict=False).missing_keys
    except Exception as error:  # of the loader of tensors, and of a configuration that is none
        raise DataError(f"cannot be read as a BERT: {one_line(error)}", path=weights) from None
    if lacking:
        raise DataError(f"lacks weights, such as {lacking[0]}", path=weights)
    return model.eval()


def _installed() -> tuple[Path, Path, Path]:
    """The files of the vocabulary, the configuration and the weights."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"encoder antiberty: the package {PACKAGE} is not installed: {_HINT}") from None
    found = {file.name: Path(str(file.locate())) for file in files if file.name in _FILES}
    if len(found) != len(_FILES):
        raise UserError(
            f"encoder antiberty: the package {PACKAGE} lacks a file of {', '.join(_FILES)}: {_HINT}"
        )
    vocabulary, config, weights = (found[name] for name in _FILES)
    return vocabulary, config, weights
