"""The vocabulary of a model: SMILES tokens on its output, text tokens on the input of the text baseline."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing


class Vocabulary:
    """Tokens and their ids 0 .. len-1. The first four ids are fixed: padding, begin, end, unknown."""

    PAD: ClassVar[int] = 0
    BOS: ClassVar[int] = 1
    EOS: ClassVar[int] = 2
    UNK: ClassVar[int] = 3
    SPECIALS: ClassVar[tuple[str, ...]] = ("<pad>", "<bos>", "<eos>", "<unk>")

    def __init__(self, tokens: Iterable[str]) -> None:
        """Give each ordinary token the id of its place, from 4 on.

        Raises:
            ValueError: a token is there twice, is empty or is one of the specials.
        """
        self._tokens = (*self.SPECIALS, *tokens)
        self._ids = {token: index for index, token in enumerate(self._tokens)}
        if len(self._ids) != len(self._tokens):
            twice = next(token for index, token in enumerate(self._tokens) if self._ids[token] != index)
            raise ValueError(f"token {twice!r} occurs twice in the vocabulary")
        if "" in self._ids:
            raise ValueError("the vocabulary contains an empty token")

    @classmethod
    def build(cls, sequences: Iterable[Sequence[str]]) -> "Vocabulary":
        """The vocabulary of all tokens in `sequences`, sorted, so that their order does not matter."""
        return cls(sorted({token for sequence in sequences for token in sequence}))

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._tokens == other._tokens

    def __hash__(self) -> int:
        return hash(self._tokens)

    @property
    def tokens(self) -> tuple[str, ...]:
        """All tokens by id, the special ones first."""
        return self._tokens

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of the tokens, UNK for those that are not known; neither BOS nor EOS is added."""
        return [self._ids.get(token, self.UNK) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens up to the first EOS; the other specials are left out.

        Raises:
            ValueError: an id is outside the vocabulary.
        """
        tokens: list[str] = []
        for index in ids:
            if not 0 <= index < len(self._tokens):
                raise ValueError(f"id {index} is outside the vocabulary of {len(self._tokens)} tokens")
            if index == self.EOS:
                break
            if index >= len(self.SPECIALS):
                tokens.append(self._tokens[index])
        return tokens

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary in a form that JSON can hold."""
        return {"specials": list(self.SPECIALS), "tokens": list(self._tokens[len(self.SPECIALS) :])}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Vocabulary":
        """The vocabulary of what `to_dict` gave.

        Raises:
            ValueError: a key is missing or holds something else.
        """
        specials, tokens = content.get("specials"), content.get("tokens")
        if specials != list(cls.SPECIALS):
            raise ValueError(f"the specials are {specials!r}, expected {list(cls.SPECIALS)}")
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("key tokens must hold a list of strings")
        return cls(tokens)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary as JSON; the file appears whole or not at all."""
        with replacing(Path(path)) as partial:
            partial.write_text(
                json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Read a vocabulary that `save` wrote.

        Raises:
            DataError: the file is missing, cannot be read or does not hold a vocabulary.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"the vocabulary cannot be read: {error.strerror}", path=path) from error
        except ValueError as error:  # bad UTF-8 and bad JSON
            raise DataError(f"the vocabulary is not JSON: {error}", path=path) from error
        if not isinstance(content, dict):
            raise DataError("the vocabulary must be a JSON object with the keys specials and tokens", path=path)
        try:
            return cls.from_dict(content)
        except ValueError as error:
            raise DataError(str(error), path=path) from error
