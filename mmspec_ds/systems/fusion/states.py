"""The encoder of a trained fusion model, for systems that build on its states, such as a language model that is
asked about spectra; see `systems.trained_states`.

Axes: B records, S places, N tokens of all records, P pieces, D model width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmspec_ds.data.batch import PADDING
from mmspec_ds.errors import DataError
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.systems.fusion.data import make_batch
from mmspec_ds.systems.fusion.reading import data_of_records
from mmspec_ds.systems.fusion.trained import TrainedFusion, load_fusion
from mmspec_ds.systems.trained_states import States


class FusionStates:
    """The states of the last layer of the encoder, those of a record's modalities one after the other; see
    `StatesReader`.

    Raises:
        DataError: the model reads tables.
    """

    def __init__(self, trained: TrainedFusion) -> None:
        if trained.schema.tables:
            raise DataError(
                f"model {trained.name} reads the tables of a cohort: expected one that reads spectra"
            )
        self._trained = trained
        self.modalities: tuple[Modality, ...] = tuple(
            Modality[one.upper()] for one in trained.schema.modalities
        )
        self.width = trained.run.model.d_model
        self.identity: Mapping[str, Any] = {
            "system": "fusion",
            "weights": trained.identity,
            "tokens": trained.run.tokens.model_dump(mode="json"),
        }

    def states(self, records: Sequence[Record]) -> States:
        """See `StatesReader`."""
        trained = self._trained
        data = data_of_records(records, trained.schema, trained.run.tokens)
        without = np.flatnonzero(data.has_NM.sum(axis=1) == 0)
        if len(without):
            names = " or ".join(trained.schema.modalities)
            raise DataError(
                f"record {data.ids[without[0]]}: no spectrum that the model reads: expected {names}"
            )
        pieces = make_batch(data, np.arange(len(records))).pieces
        with torch.inference_mode():
            hidden_PSD = trained.model.encoder.states(pieces).hidden_BSD
        mask_PS = pieces.mask_PS
        sample_N = pieces.sample_P[:, None].expand_as(mask_PS)[mask_PS]
        order_N = sample_N.argsort(stable=True)  # pieces follow each other modality by modality
        count_B = sample_N.bincount(minlength=len(records))
        sample_N = sample_N[order_N]
        place_N = torch.arange(len(sample_N)) - (count_B.cumsum(0) - count_B)[sample_N]
        size = (len(records), int(count_B.max()))
        hidden_BSD = hidden_PSD.new_zeros(*size, self.width)
        hidden_BSD[sample_N, place_N] = hidden_PSD[mask_PS][order_N]
        modality_BS = torch.full(size, PADDING)
        numbers_M = torch.tensor([int(one) for one in self.modalities])
        modality_BS[sample_N, place_N] = numbers_M[pieces.modality_PS[mask_PS][order_N]]
        return States(hidden_BSD, modality_BS)


def read_states(model: str | Path) -> FusionStates:
    """The encoder of a trained run or an export.

    Raises:
        DataError: as `load_fusion`; or the model reads tables.
        ConfigError: as `load_fusion`.
    """
    return FusionStates(load_fusion(model))
