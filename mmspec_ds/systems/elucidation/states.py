"""The encoder of a trained model, for systems that build on its states; see `systems.trained_states`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmspec_ds.data.collate import collate
from mmspec_ds.data.reading import pack
from mmspec_ds.data.vocabularies import VOCABULARY
from mmspec_ds.errors import DataError
from mmspec_ds.files import sha256_of
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.trained import TrainedModel, load_model
from mmspec_ds.systems.trained_folder import resolve_model
from mmspec_ds.systems.trained_states import States
from mmspec_ds.trainer.weights import checksum


class ElucidationStates:
    """The states of the last layer of the encoder; see `StatesReader`."""

    def __init__(self, trained: TrainedModel, vocabulary: str) -> None:
        self._trained = trained
        self.modalities: tuple[Modality, ...] = trained.encoding.modalities
        self.width = trained.run.model.d_model
        read = {"modalities", "representation", "formula", "compression", "max_text_tokens"}
        self.identity: Mapping[str, Any] = {
            "system": "elucidation",
            "weights": checksum(trained.model.state_dict()),
            "vocabulary": vocabulary,
            "data": trained.run.data.model_dump(mode="json", include=read),
        }

    def states(self, records: Sequence[Record]) -> States:
        """See `StatesReader`."""
        encoding, model = self._trained.encoding, self._trained.model
        packed = []
        for record in records:
            try:
                tokens = {modality: one for modality, one in encoding.encode(record).items() if len(one)}
            except ValueError as error:
                raise DataError(f"record {record.id}: {' '.join(str(error).split())[:400]}") from None
            if not any(REGISTRY[modality].is_instrument for modality in tokens):
                names = " or ".join(REGISTRY[m].name for m in self.modalities if REGISTRY[m].is_instrument)
                raise DataError(f"record {record.id}: no spectrum that the model reads: expected {names}")
            packed.append((record, tokens))
        batch = collate(pack(packed, encoding.schemas), np.arange(len(packed)))
        with torch.inference_mode():
            encoded = model.encode(batch.spectra)
        return States(encoded.hidden_BSD, encoded.modality_BS)


def read_states(model: str | Path) -> ElucidationStates:
    """The encoder of a model; `model` is as `resolve_model` takes it.

    Raises:
        DataError: as `load_model`.
        ConfigError: as `load_model`.
    """
    return ElucidationStates(load_model(model), sha256_of(resolve_model(model) / VOCABULARY))
