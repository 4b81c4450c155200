"""Proteins as the frequencies of their amino acids and of short words of them: the plain baseline.

Axes: N proteins, W words.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mmspec_ds.errors import DataError
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.objects import Kind, Object, Protein

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
_VERSION = 1
_OTHER = len(AMINO_ACIDS)
_PLACES = np.full(256, _OTHER, dtype=np.int64)
_PLACES[np.frombuffer(AMINO_ACIDS.encode(), dtype=np.uint8)] = np.arange(len(AMINO_ACIDS))


class CompositionOptions(Settings):
    """What a vector holds.

    Attributes:
        longest: of the words, in amino acids: 1 for amino acids alone; 2 adds 400 words, 3 another 8,000.
    """

    longest: Annotated[int, Field(ge=1, le=3)] = 2


class CompositionEncoder:
    """One vector for a protein: for each length of words the square roots of their frequencies, which have a
    Euclidean norm of 1, and a last number: the natural logarithm of the protein's length, over 10. Words with
    another letter than the 20 amino acids are not counted. See `ObjectEncoder`."""

    Options = CompositionOptions
    name = "composition"
    kind: Kind = "protein"
    vectors = 1

    def __init__(self, options: CompositionOptions) -> None:
        self._lengths = range(1, options.longest + 1)
        self.width = sum(len(AMINO_ACIDS) ** length for length in self._lengths) + 1
        self.identity: Mapping[str, Any] = {"encoder": self.name, "version": _VERSION, **options.model_dump()}

    @property
    def words(self) -> tuple[str, ...]:
        """The word of each place of a vector but the last."""
        return tuple("".join(letters) for n in self._lengths for letters in product(AMINO_ACIDS, repeat=n))

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, width]."""
        proteins = all_of(objects, Protein, self.name)
        found = np.zeros((len(proteins), 1, self.width), dtype=np.float32)
        for at, protein in enumerate(proteins):
            letters = np.frombuffer(protein.sequence.encode("latin-1", "replace"), dtype=np.uint8)
            places = _PLACES[letters]
            if not (places < _OTHER).any():
                told = protein.name or protein.sequence[:20]
                raise DataError(f"protein {told!r} has none of the 20 amino acids: expected a sequence of them")
            shares = [np.sqrt(_frequencies(places, length)) for length in self._lengths]
            found[at, 0] = np.concatenate([*shares, [np.log(len(places)) / 10]])
        return found


def _frequencies(places: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """The share of each word of some length among all words without another letter; zeros without a word."""
    count = max(0, len(places) - length + 1)
    windows = np.stack([places[start : start + count] for start in range(length)])
    windows = windows[:, (windows < _OTHER).all(0)]
    base = len(AMINO_ACIDS)
    index = (windows * base ** np.arange(length - 1, -1, -1)[:, None]).sum(0)
    counts = np.bincount(index, minlength=base**length)
    return counts / max(1, counts.sum())
