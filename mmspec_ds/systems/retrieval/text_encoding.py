"""Records as the texts that a language model reads.

Axes: N records, T positions of all texts end to end, B records of a batch, L positions, P tokens of a position.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from mmspec_ds.language.model_folder import read_tokenizer
from mmspec_ds.spectra.packed import IntArray, counts_at, offsets_of, places, ranges
from mmspec_ds.spectra.records import Record
from mmspec_ds.spectra.textualize import PLAIN, new_tokens, positions, text_of_record
from mmspec_ds.spectra.token_noise import Draws
from mmspec_ds.systems.retrieval.batch import TextBatch
from mmspec_ds.systems.retrieval.energies import without_energies
from mmspec_ds.systems.retrieval.language_settings import LanguageModelSettings
from mmspec_ds.systems.retrieval.model import Noise

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_TOKEN = -1
_DROPPED, _MASKED = 1, 2
"""Numbers that tell the draws of one batch apart."""


@dataclass(frozen=True)
class TextRows:
    """The texts of N records: `ids_TP` int32, -1 where a position has fewer tokens than P; `offsets`, where
    each record begins and the last one ends, [N + 1]."""

    ids_TP: np.ndarray
    offsets: IntArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> IntArray:
        """Positions of each record, [N]."""
        return np.diff(self.offsets)

    def subset(self, indices: IntArray) -> Self:
        """The rows `indices`, in that order."""
        counts = counts_at(self.offsets, indices)
        return type(self)(self.ids_TP[ranges(self.offsets[indices], counts)], offsets_of(counts))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The rows of several."""
        most = max((part.ids_TP.shape[1] for part in parts), default=1)
        padded = [_widened(part.ids_TP, most) for part in parts]
        counts = np.concatenate([np.zeros(0, np.int64), *(part.lengths for part in parts)])
        return cls(np.concatenate([np.zeros((0, most), np.int32), *padded]), offsets_of(counts))


@dataclass(frozen=True)
class TextEncoding:
    """Records as token ids, see `model.Encoding`. The ids are those of the model's tokenizer, or, in a form of
    new tokens, places in `new_tokens`.

    Attributes:
        settings: form, base model, noise.
        masked: hide positions of training batches, as the masked objective wants it.
        energies: whether collision energies are told.
    """

    settings: LanguageModelSettings
    masked: bool = False
    energies: bool = True
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = {token: at for at, token in enumerate(new_tokens(self.settings.text))}
        object.__setattr__(self, "_ids", ids)

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """That of the base model; only the forms of plain words need it."""
        return read_tokenizer(self.settings.base)

    def encode(self, records: Sequence[Record]) -> TextRows:
        """The ids of some records; a record without a peak in a mass spectrum has none."""
        text, most = self.settings.text, self.settings.max_tokens
        if not self.energies:
            records = without_energies(records)
        texts = [text_of_record(record, text) for record in records]
        if text.form in PLAIN:
            found = self.tokenizer.encode_batch(texts, add_special_tokens=False)
            rows = [np.array(one.ids[:most], np.int32).reshape(-1, 1) for one in found]
        else:
            rows = [self._new(positions(one, text.form)[:most]) for one in texts]
        return TextRows.joined([TextRows(row, offsets_of([len(row)])) for row in rows])

    def joined(self, parts: Sequence[TextRows]) -> TextRows:
        """The rows of several."""
        return TextRows.joined(parts)

    def inputs(self, rows: TextRows, chosen: IntArray, noise: Noise | None = None) -> TextBatch:
        """The batch of the rows `chosen`; with `noise`, positions left out and hidden as the settings say. A
        record keeps its first position, and the first is not hidden."""
        counts_B = counts_at(rows.offsets, chosen)
        at_T = ranges(rows.offsets[chosen], counts_B)
        if noise is not None and self.settings.missing:
            draws = Draws.of(noise.keys_B, noise.seed, noise.number, _DROPPED)
            kept = (draws.items(counts_B) >= self.settings.missing) | (places(counts_B) == 0)
            row_T = np.repeat(np.arange(len(chosen)), counts_B)
            at_T, counts_B = at_T[kept], np.bincount(row_T[kept], minlength=len(chosen))
        row_T, place_T = np.repeat(np.arange(len(chosen)), counts_B), places(counts_B)
        shape = (len(chosen), int(counts_B.max(initial=0)))
        ids = np.full((*shape, rows.ids_TP.shape[1]), NO_TOKEN, dtype=np.int64)
        ids[row_T, place_T] = rows.ids_TP[at_T]
        mask = np.zeros(shape, dtype=bool)
        mask[row_T, place_T] = True
        hidden = None
        if noise is not None and self.masked:
            draws = Draws.of(noise.keys_B, noise.seed, noise.number, _MASKED)
            hidden_BL = np.zeros(shape, dtype=bool)
            hidden_BL[row_T, place_T] = (draws.items(counts_B) < self.settings.masked) & (place_T > 0)
            hidden = torch.from_numpy(hidden_BL)
        return TextBatch(torch.from_numpy(ids), torch.from_numpy(mask), hidden)

    def _new(self, words: Sequence[tuple[str, ...]]) -> np.ndarray:
        ids = np.full((len(words), max(map(len, words), default=1)), NO_TOKEN, dtype=np.int32)
        for place, word in enumerate(words):
            ids[place, : len(word)] = [self._ids[token] for token in word]
        return ids


def _widened(ids_TP: np.ndarray, most: int) -> np.ndarray:
    return np.pad(ids_TP, ((0, 0), (0, most - ids_TP.shape[1])), constant_values=NO_TOKEN)
