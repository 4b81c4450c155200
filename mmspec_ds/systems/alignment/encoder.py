"""What an encoder of objects is: a frozen model, or a plain description, that turns objects of one kind into
vectors. They are computed once; a language model reads them through a trained projection."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmspec_ds.systems.alignment.objects import Kind, Object


class ObjectEncoder(Protocol):
    """A frozen encoder of objects of one kind.

    Attributes:
        name: in the registry, such as "starter" or "morgan".
        kind: of the objects that it reads.
        width: D, of a vector.
        vectors: V, how many an object has.
        identity: what decides its vectors, in JSON's types: names, versions, checksums of weights. Projections
            are tied to it.
    """

    name: str
    kind: Kind
    width: int
    vectors: int
    identity: Mapping[str, Any]

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """The vectors of objects, [N, V, D].

        Raises:
            DataError: an object that it cannot read; names it.
        """
