"""What encoders share: the check of their objects, and checksums of arrays."""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.objects import Object, kind_of

T = TypeVar("T")


def all_of(objects: Sequence[Object], wanted: type[T], encoder: str) -> list[T]:
    """The objects, all of one class.

    Raises:
        DataError: one is of another.
    """
    found: list[T] = []
    for at, one in enumerate(objects):
        if not isinstance(one, wanted):
            expected = wanted.__name__.lower()
            raise DataError(f"encoder {encoder}: object {at} is a {kind_of(one)}: expected a {expected}")
        found.append(one)
    return found


def checksum_of(values: NDArray[Any]) -> str:
    """SHA-256 of the shape and the values of an array of numbers, in 16 hexadecimal digits."""
    content = np.ascontiguousarray(values, dtype="<f8") + 0.0  # -0 becomes 0
    return hashlib.sha256(f"{content.shape}".encode() + content.tobytes()).hexdigest()[:16]
