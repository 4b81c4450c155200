"""How a record becomes the tokens that a model reads, and how a trained model keeps that choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.benchmark_text import text_tokens
from mmspec_ds.spectra.compression_settings import CompressionSettings
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import REGISTRY, compress_record
from mmspec_ds.spectra.tokens import DiscreteField, Tokens, TokenSchema


class Encoder(Protocol):
    """What reading needs: the fields of each modality's tokens, and the tokens of a record."""

    @property
    def schemas(self) -> Mapping[Modality, TokenSchema]:
        """Per modality, in the order of `Modality`."""

    def encode(self, record: Record) -> dict[Modality, Tokens]:
        """The tokens of each chosen modality that the record has."""


@dataclass(frozen=True)
class InputEncoding:
    """The input of a model: with `source` vocabularies the benchmark's text, without them compressed spectra.

    Each modality has a vocabulary of its own: a model embeds (modality, word), and a common vocabulary
    would give it a row for every shift in the IR too. A run keeps its encoding as its settings
    (`config.yaml`) and vocabularies (`vocabulary.json`), and rebuilds it by `from_settings`.
    """

    modalities: tuple[Modality, ...]
    compression: CompressionSettings = field(default_factory=CompressionSettings)
    source: Mapping[Modality, Vocabulary] | None = None
    max_text_tokens: int = 512

    @classmethod
    def from_settings(
        cls, settings: DataSettings, source: Mapping[Modality, Vocabulary] | None = None
    ) -> "InputEncoding":
        """
        Args:
            settings: the `data` block.
            source: the vocabularies of the text, needed for that representation and for no other.

        Raises:
            ValueError: the vocabularies are missing, or not wanted.
        """
        modalities = settings.chosen_modalities()
        if settings.representation == "compressed":
            if source is not None:
                raise ValueError("compressed spectra have no use for a source vocabulary")
        elif source is None or not set(modalities) <= set(source):
            raise ValueError("representation 'text' needs a source vocabulary for each modality")
        return cls(modalities, settings.compression, source, settings.max_text_tokens)

    @property
    def schemas(self) -> Mapping[Modality, TokenSchema]:
        """The fields of each modality's tokens, in the order of `Modality`."""
        if self.source is not None:
            return {modality: text_schema(len(self.source[modality])) for modality in self.modalities}
        return {modality: REGISTRY[modality].schema(self.compression) for modality in self.modalities}

    def encode(self, record: Record) -> dict[Modality, Tokens]:
        """The tokens of each chosen modality that the record has; words not in the vocabulary become UNK.

        Raises:
            ValueError: what the record holds cannot be encoded (a formula that is none).
        """
        if self.source is None:
            return compress_record(record, self.modalities, self.compression)
        return {
            modality: _word_tokens(modality, self.source[modality].encode(words))
            for modality, words in _texts(record, self.modalities, self.max_text_tokens).items()
        }


class TextLearner:
    """Encodes text by provisional ids, in the order in which words appear, and so learns the vocabularies
    in the same pass over the data that packs it.

    Args:
        settings: the `data` block of a run that reads text.
    """

    LIMIT = 2**15
    """Ids that fit the stored int16; words beyond are unknown. The benchmark's MS/MS has some ten
    thousand."""

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._first = len(Vocabulary.SPECIALS)
        self._ids: dict[Modality, dict[str, int]] = {m: {} for m in settings.chosen_modalities()}

    @property
    def schemas(self) -> Mapping[Modality, TokenSchema]:
        """One discrete field, of as many values as there may be words."""
        return {modality: text_schema(self.LIMIT) for modality in self._ids}

    def encode(self, record: Record) -> dict[Modality, Tokens]:
        """Tokens of provisional ids."""
        texts = _texts(record, tuple(self._ids), self._settings.max_text_tokens)
        return {m: _word_tokens(m, [self._id(m, word) for word in words]) for m, words in texts.items()}

    def finish(self) -> tuple[InputEncoding, dict[Modality, npt.NDArray[np.int16]]]:
        """The encoding that was learnt, and per modality a table from provisional ids to its own."""
        source = {modality: Vocabulary.build([tuple(ids)]) for modality, ids in self._ids.items()}
        tables = {
            modality: np.array([*range(self._first), *source[modality].encode(ids)], dtype=np.int16)
            for modality, ids in self._ids.items()
        }
        return InputEncoding.from_settings(self._settings, source), tables

    def _id(self, modality: Modality, word: str) -> int:
        ids = self._ids[modality]
        known = ids.get(word)
        if known is not None:
            return known
        if self._first + len(ids) == self.LIMIT:
            return Vocabulary.UNK
        return ids.setdefault(word, self._first + len(ids))


def text_schema(words: int) -> TokenSchema:
    """Text: one nominal id a token, and its order."""
    return TokenSchema(discrete=(DiscreteField("token", words),), ordered=True)


def _texts(record: Record, modalities: Sequence[Modality], limit: int) -> dict[Modality, list[str]]:
    texts = text_tokens(record)
    return {modality: texts[modality][:limit] for modality in modalities if texts.get(modality)}


def _word_tokens(modality: Modality, ids: Sequence[int]) -> Tokens:
    discrete = np.array(ids, dtype=np.int16).reshape(len(ids), 1)
    return Tokens(modality, discrete, np.empty((len(ids), 0), dtype=np.float32))
