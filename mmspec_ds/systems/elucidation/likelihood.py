"""log p(SMILES | spectra): what a model thinks of structures that it need not have proposed itself.

Axes: B structures, L target tokens, S places of the encoder, D model width, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmspec_ds.data.collate import collate
from mmspec_ds.data.reading import pack
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.packed_weights import packed
from mmspec_ds.readers.part import one_line
from mmspec_ds.spectra.records import FloatArray, Record
from mmspec_ds.systems.elucidation.trained import TrainedModel

BATCH = 256
"""Structures of like length that go through the decoder together."""


class Likelihood:
    """The log probability of structures given the spectra of one record, by teacher forcing. The encoder runs
    once, however many structures are asked for.

    Args:
        trained: the model.
        record: what it knows of the spectra; of a record without any that the model reads, the encoder gives
            the state of one empty place.

    Raises:
        DataError: the record holds what cannot be encoded, such as a formula that cannot be read.
    """

    def __init__(self, trained: TrainedModel, record: Record) -> None:
        try:
            tokens = trained.encoding.encode(record)
        except ValueError as error:
            raise DataError(one_line(error, 400)) from None
        self._vocabulary = trained.vocabulary
        self._decoder = packed(trained.model.decoder)
        self._device = next(trained.model.parameters()).device
        spectra = collate(pack([(record, tokens)], trained.encoding.schemas), [0]).to(self._device).spectra
        with torch.inference_mode():
            encoded = trained.model.encode(spectra)
        self._memory_1SD, self._mask_1S = encoded.hidden_BSD, encoded.mask_BS

    def log_probabilities(self, smiles: Sequence[str]) -> FloatArray:
        """The natural logarithm of the probability of each SMILES, its end included, float64 [N]; -inf for one
        that the model cannot write: with a token outside its vocabulary, or too long.

        It is that of this one spelling: give canonical SMILES to a model that was trained on them.
        """
        found = np.full(len(smiles), -np.inf)
        targets = [self._target(one) for one in smiles]
        order = sorted((at for at, one in enumerate(targets) if one), key=lambda at: len(targets[at]))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            found[chosen] = self._scored([targets[at] for at in chosen])
        return found

    def _target(self, smiles: str) -> list[int]:
        """BOS, the tokens and EOS; empty if the model cannot write them."""
        try:
            ids = self._vocabulary.encode(tokenize_smiles(smiles))
        except ValueError:
            return []
        if Vocabulary.UNK in ids or len(ids) >= self._decoder.max_tokens:
            return []
        return [Vocabulary.BOS, *ids, Vocabulary.EOS]

    @torch.inference_mode()
    def _scored(self, targets: Sequence[Sequence[int]]) -> FloatArray:
        rows = [torch.tensor(one) for one in targets]
        target_BL = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=Vocabulary.PAD)
        target_BL = target_BL.to(self._device)
        logits_BLV: Tensor = self._decoder(target_BL[:, :-1], self._memory_1SD, self._mask_1S)
        next_BL = target_BL[:, 1:]
        chosen_BL = logits_BLV.double().log_softmax(dim=-1).gather(2, next_BL.unsqueeze(2)).squeeze(2)
        summed_B = chosen_BL.masked_fill(next_BL == Vocabulary.PAD, 0.0).sum(dim=1)
        values: FloatArray = summed_B.cpu().numpy()
        return values
