"""Proteins by a model of the ESM family (Lin et al. 2023, doi 10.1126/science.ade2574) in a folder as
transformers writes it: `config.json`, `vocab.txt` and safetensors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.files import sha256_of
from mmspec_ds.language.model_folder import quiet, transformers, weight_files
from mmspec_ds.readers.part import one_line
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.encoders.residues import mean_states
from mmspec_ds.systems.alignment.objects import Kind, Object, Protein

CONFIG, VOCABULARY = "config.json", "vocab.txt"
WINDOW = 1022
"""Residues that are read together: what ESM-2 was trained with."""


class EsmOptions(Settings):
    """Which model.

    Attributes:
        path: the folder of the model.
    """

    path: Path


class EsmEncoder:
    """One vector for a protein: the mean of the last states of its residues. See `ObjectEncoder`."""

    Options = EsmOptions
    name = "esm"
    kind: Kind = "protein"
    vectors = 1

    def __init__(self, options: EsmOptions) -> None:
        weights = _checked(options.path)
        self._model = _read(options.path)
        tokens = (options.path / VOCABULARY).read_text(encoding="utf-8").split()
        self._ids = {token: at for at, token in enumerate(tokens)}
        missing = next((one for one in ("<cls>", "<eos>", "<unk>") if one not in self._ids), None)
        if missing is not None:
            raise DataError(
                f"has no token {missing}: expected ESM's vocabulary", path=options.path / VOCABULARY
            )
        self.width = int(self._model.config.hidden_size)
        self._window = min(WINDOW, int(self._model.config.max_position_embeddings) - 4)
        digest = hashlib.sha256("".join(map(sha256_of, [options.path / CONFIG, *weights])).encode())
        self.identity: Mapping[str, Any] = {"encoder": self.name, "weights": digest.hexdigest()}

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, width]."""
        unknown = self._ids["<unk>"]
        proteins = all_of(objects, Protein, self.name)
        ids = [[self._ids.get(letter, unknown) for letter in one.sequence] for one in proteins]
        frame = (self._ids["<cls>"], self._ids["<eos>"])
        return mean_states(ids, frame, self._states, width=self.width, window=self._window)[:, None]

    def _states(self, tokens_BL: Tensor, mask_BL: Tensor) -> Tensor:
        # Padding is told by its id as well: positions are counted past it.
        tokens_BL = tokens_BL.masked_fill(mask_BL == 0, int(self._model.config.pad_token_id))
        states: Tensor = self._model(input_ids=tokens_BL, attention_mask=mask_BL).last_hidden_state
        return states


def _checked(folder: Path) -> list[Path]:
    """The files of the weights.

    Raises:
        DataError: the folder holds no model of this kind, or one that brings code along.
    """
    weights = weight_files(folder)
    try:
        kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"cannot be read: {one_line(error)}", path=folder / CONFIG) from None
    if kind != "esm" or not (folder / VOCABULARY).is_file():
        raise DataError(f"is of model_type {kind!r}: expected 'esm', with {VOCABULARY}", path=folder / CONFIG)
    return weights


def _read(folder: Path) -> Any:
    try:
        with quiet():
            model, loading = transformers().EsmModel.from_pretrained(
                str(folder), add_pooling_layer=False, use_safetensors=True, local_files_only=True,
                output_loading_info=True,
            )  # fmt: skip
    except UserError:
        raise
    except Exception as error:  # of many libraries
        raise DataError(f"cannot be read as an ESM model: {one_line(error)}", path=folder) from None
    if loading["missing_keys"]:
        raise DataError(f"lacks weights, such as {min(loading['missing_keys'])}: expected all", path=folder)
    return model.float().eval()
