"""Molecules as Morgan fingerprints and RDKit's descriptors: the plain baseline, without anything that is
learnt."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.descriptors import descriptor_names, descriptors
from mmspec_ds.molecules.fingerprints import BITS, RADIUS, morgan_fingerprints
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of, checksum_of
from mmspec_ds.systems.alignment.objects import Kind, Molecule, Object

PROBES = ("CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)[O-].[Na+]", "FC(F)(F)c1ncc(S(=O)(=O)N2CCOCC2)cc1Br")
"""Molecules whose vectors tell two versions of RDKit apart, where these differ."""


class MorganOptions(Settings):
    """What a vector holds.

    Attributes:
        fingerprint: the bits of the Morgan fingerprint.
        descriptors: the numbers of `molecules.descriptors`, each x as the logarithm of 1 + |x| with its sign.
    """

    fingerprint: bool = True
    descriptors: bool = True

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.fingerprint or self.descriptors):
            raise ValueError("fingerprint and descriptors are both off: expected at least one of them")
        return self


class MorganEncoder:
    """One vector for a molecule: bits, then descriptors. See `ObjectEncoder`."""

    Options = MorganOptions
    name = "morgan"
    kind: Kind = "molecule"
    vectors = 1

    def __init__(self, options: MorganOptions) -> None:
        self._options = options
        self.width = BITS * options.fingerprint + len(descriptor_names()) * options.descriptors
        self.identity: Mapping[str, Any] = {
            "encoder": self.name,
            **options.model_dump(),
            "bits": BITS,
            "radius": RADIUS,
            "checked": checksum_of(self._vectors(PROBES).round(3)),
        }

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, width]."""
        smiles = [one.smiles for one in all_of(objects, Molecule, self.name)]
        try:
            return self._vectors(smiles)[:, None]
        except ValueError as error:
            raise DataError(str(error)) from None

    def _vectors(self, smiles: Sequence[str]) -> NDArray[np.float32]:
        described = descriptors(smiles)  # raises for what the fingerprint passes over
        parts: list[NDArray[Any]] = []
        if self._options.fingerprint:
            parts.append(np.unpackbits(morgan_fingerprints(smiles), axis=1))
        if self._options.descriptors:
            parts.append(np.sign(described) * np.log1p(np.abs(described)))
        return np.concatenate(parts, axis=1, dtype=np.float32)
