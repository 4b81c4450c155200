"""How a record becomes the tokens that a model reads, and how a trained model keeps that choice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.columns import discrete_tokens
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import CompressionSettings, compress_record, schema_of, text_tokens
from mmspec_ds.spectra.rows import RecordRows, Rows
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema


@dataclass(frozen=True)
class Encoded:
    """The tokens of some records by modality, and the records (by their place among these) that have none
    because they cannot be encoded."""

    tokens: Mapping[Modality, PackedTokens]
    faults: Mapping[int, DataError] = field(default_factory=dict)


class Encoder(Protocol):
    """The interface of an encoding: the fields of each modality's tokens, and the tokens of a batch."""

    @property
    def schemas(self) -> Mapping[Modality, TokenSchema]:
        """Per modality, in the order of `Modality`."""

    def encode_rows(self, rows: Rows, chosen: Sequence[int]) -> Encoded:
        """The tokens of the records at the places `chosen`, in that order."""


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
        """The encoding that the `data` block of a run file asks for.

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
        return {modality: schema_of(modality, self.compression) for modality in self.modalities}

    def encode(self, record: Record) -> dict[Modality, PackedTokens]:
        """The tokens of each chosen modality that the record has; words not in the vocabulary become UNK.

        Raises:
            ValueError: the record holds what cannot be encoded, such as a formula that cannot be read.
            DataError: the text cannot say what the record holds.
        """
        if self.source is None:
            return compress_record(record, self.modalities, self.compression)
        encoded = self.encode_rows(RecordRows([record.id], [record]), [0])
        for error in encoded.faults.values():
            raise error
        return {modality: one for modality, one in encoded.tokens.items() if len(one)}

    def encode_rows(self, rows: Rows, chosen: Sequence[int]) -> Encoded:
        """The tokens of the records at the places `chosen`."""
        if self.source is not None:
            source = self.source
            return _texts(rows, chosen, self.modalities, self.max_text_tokens, lambda m, w: source[m].encode(w))
        tokens = rows.tokens(self.modalities, self.compression)
        if len(chosen) == len(rows):
            return Encoded(tokens)
        places = np.array(chosen, dtype=np.int64)
        return Encoded({modality: one.subset(places) for modality, one in tokens.items()})


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

    def encode_rows(self, rows: Rows, chosen: Sequence[int]) -> Encoded:
        """Tokens of provisional ids."""
        limit = self._settings.max_text_tokens
        return _texts(rows, chosen, tuple(self._ids), limit, lambda m, words: [self._id(m, w) for w in words])

    def finish(self) -> tuple[InputEncoding, dict[Modality, npt.NDArray[np.int16]]]:
        """The encoding that was learnt, and per modality a table, int16, that gives the id of each provisional
        one."""
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


def _texts(
    rows: Rows,
    chosen: Sequence[int],
    modalities: Sequence[Modality],
    limit: int,
    ids_of: Callable[[Modality, Sequence[str]], Sequence[int]],
) -> Encoded:
    """The benchmark's text of some records, at most `limit` words of each modality, as ids."""
    wanted, faults = set(chosen), {}
    found: dict[Modality, list[Sequence[int]]] = {modality: [] for modality in modalities}
    records = [record for place, record in enumerate(rows.records()) if place in wanted]
    for place, record in enumerate(records):
        texts: dict[Modality, list[str]] = {}
        try:
            texts = text_tokens(record) if isinstance(record, Record) else {}
        except DataError as error:
            faults[place] = error
        for modality, lists in found.items():
            lists.append(ids_of(modality, texts.get(modality, [])[:limit]))
    tokens = {
        modality: discrete_tokens(
            np.array([word for words in lists for word in words], dtype=np.int16).reshape(-1, 1),
            offsets_of([len(words) for words in lists]),
        )
        for modality, lists in found.items()
    }
    return Encoded(tokens, faults)
