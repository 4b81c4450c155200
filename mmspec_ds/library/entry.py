"""One entry of a library, and what turns records into the vectors that are searched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmspec_ds.spectra.records import Record

FloatMatrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with what is known of it.

    Attributes:
        record: the spectra, mostly one; the SMILES and the formula of the molecule, where known.
        block: the first block of the InChIKey, 14 letters, which names the molecule without its
            stereochemistry; "" where the structure is not known.
        metadata: everything else that the file tells, under the names of `readers.part` and of
            `readers.mass_fields` ("name", "instrument_type", "institute", "licence", "split", "role", ...).
    """

    record: Record
    block: str = ""
    metadata: Mapping[str, str | float | int] = field(default_factory=dict)


class Embedder(Protocol):
    """A model that gives each record a vector; those of similar molecules have a large dot product.

    Attributes:
        name: of the model, for messages and as the name of its score, such as "spectrum encoder".
        identity: a checksum of weights and settings. A library that was built with another one is refused.
        width: of the vectors.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def width(self) -> int: ...

    def embed(self, records: Sequence[Record], progress: Callable[[int], None] | None = None) -> FloatMatrix:
        """The vectors [N, width] of N records, of length 1; a record that the model cannot read has zeros.

        Args:
            records: with any spectra.
            progress: called now and then with the number of records that are done.
        """
