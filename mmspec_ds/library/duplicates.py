"""Spectra that a library has already: the same molecule, the same kind and conditions, the same peaks."""

from dataclasses import fields
from hashlib import blake2b
from typing import Any

import numpy as np

from mmspec_ds.library.entry import Entry
from mmspec_ds.library.metadata import parted
from mmspec_ds.readers import mass_fields
from mmspec_ds.readers import part as keys

_DECIMALS = 4
"""To which numbers must agree: m/z, ppm, eV, and intensities as shares of the largest."""


def key_of(entry: Entry) -> int:
    """A 64-bit hash that is equal for duplicates.

    The molecule is the block of the InChIKey, so that a spectrum is kept once for all stereoisomers under whose
    names it stands; without a structure it is the name. Instruments and collision energies are compared as the
    file writes them. The probability that any two of a million entries collide, and one is taken for a
    duplicate, is 3e-8.
    """
    digest = blake2b(digest_size=8)
    named = entry.block or entry.record.smiles or entry.metadata.get(keys.NAME, "")
    told = [entry.metadata.get(one, "") for one in (mass_fields.INSTRUMENT_TYPE, keys.COLLISION_ENERGY)]
    digest.update(repr([str(named), *map(str, told)]).encode("utf-8", "replace"))
    mass, others = parted(entry.record)  # in the order in which a library gives them back
    for spectrum in (*mass, *others):
        digest.update(type(spectrum).__name__.encode())
        for one in fields(spectrum):
            digest.update(_bytes_of(one.name, getattr(spectrum, one.name)))
    return int.from_bytes(digest.digest(), "little")


def _bytes_of(name: str, value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        largest = float(np.abs(value).max(initial=0.0)) if name in ("intensity", "absorbance") else 0.0
        scaled = value / largest if largest > 0 else value
        # Adding zero makes -0.0 and 0.0 the same bytes.
        return f"{name}{len(value)}".encode() + (np.round(scaled, _DECIMALS) + 0.0).astype("<f8").tobytes()
    return f"{name}={round(value, _DECIMALS) if isinstance(value, float) else value!r}".encode()
