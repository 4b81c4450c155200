"""Spectra and structures of many molecules, packed into a handful of arrays."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import inchikey_block, tokenize_smiles
from mmspec_ds.molecules.splits import draw_of
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.packed import IntArray, PackedIds, PackedTokens
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema


class Samples(Protocol):
    """The interface of training data, in memory or on the disk."""

    def __len__(self) -> int: ...

    @property
    def ids(self) -> Sequence[str]:
        """The id of each sample, such as "<file name>:<row>"."""

    @property
    def lengths(self) -> IntArray:
        """Encoder tokens per sample, int64 [N]."""

    @property
    def schemas(self) -> Mapping[Modality, TokenSchema]:
        """The fields of the tokens of each modality."""

    @property
    def remarks(self) -> Mapping[str, int]:
        """Remarks of the reader with the number of records, such as "records skipped": 3."""

    def fetch(self, indices: npt.ArrayLike) -> tuple["SpectraDataset", IntArray]:
        """A dataset in memory that holds the samples `indices`, and their places in it."""


@dataclass(frozen=True)
class SpectraDataset:
    """A data set of N samples in memory.

    Attributes:
        ids: the id of each sample, such as "<file name>:<row>".
        smiles: the canonical SMILES, None where the structure is not known.
        tokens: encoder tokens per modality, in the order of `Modality`; a sample may have none of some.
        schemas: the fields of those tokens.
        targets: BOS, the SMILES and EOS as vocabulary ids, or None when there is nothing to learn from.
        remarks: those of the reader with the number of records, such as "records skipped": 3.
        known_blocks: `blocks` where they were computed before and every structure is known.
    """

    ids: tuple[str, ...]
    smiles: tuple[str | None, ...]
    tokens: Mapping[Modality, PackedTokens]
    schemas: Mapping[Modality, TokenSchema]
    targets: PackedIds | None = None
    remarks: Mapping[str, int] = field(default_factory=dict)
    known_blocks: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lengths(self) -> IntArray:
        """Encoder tokens per sample, int64 [N]."""
        return np.sum([packed.counts for packed in self.tokens.values()], axis=0, dtype=np.int64)

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """The first block of each sample's InChIKey: equal for stereoisomers, which must not cross a split. A
        structure that InChI cannot describe is named by its SMILES instead; a sample without a structure is its
        own block, named by its place."""
        if self.known_blocks is not None:
            return self.known_blocks
        known = {text: _block(text) for text in set(self.smiles) if text is not None}
        return tuple(f"#{at}" if text is None else known[text] for at, text in enumerate(self.smiles))

    @classmethod
    def joined(
        cls, parts: Sequence["SpectraDataset"], schemas: Mapping[Modality, TokenSchema]
    ) -> "SpectraDataset":
        """The samples of several, one after the other, without targets and remarks."""
        empty = {modality: PackedTokens.empty(schema) for modality, schema in schemas.items()}
        tokens = {
            m: PackedTokens.joined([none, *(part.tokens[m] for part in parts)]) for m, none in empty.items()
        }
        ids, smiles = (
            tuple(one for part in parts for one in getattr(part, name)) for name in ("ids", "smiles")
        )
        return cls(ids, smiles, tokens, schemas)

    def fetch(self, indices: npt.ArrayLike) -> tuple["SpectraDataset", IntArray]:
        """This dataset, and the indices themselves."""
        return self, np.asarray(indices, dtype=np.int64)

    def subset(self, indices: npt.ArrayLike) -> "SpectraDataset":
        """The samples `indices`, in that order; remarks stay with the whole."""
        chosen = np.asarray(indices, dtype=np.int64)
        return SpectraDataset(
            ids=tuple(self.ids[at] for at in chosen),
            smiles=tuple(self.smiles[at] for at in chosen),
            tokens={modality: packed.subset(chosen) for modality, packed in self.tokens.items()},
            schemas=self.schemas,
            targets=None if self.targets is None else self.targets.subset(chosen),
            known_blocks=None if self.known_blocks is None else tuple(self.known_blocks[at] for at in chosen),
        )

    def with_spectra_of(self, order: npt.ArrayLike) -> "SpectraDataset":
        """The same molecules in the same order, each with the spectra of sample `order[i]`: for controls.

        Raises:
            ValueError: `order` has not one number for each sample.
        """
        chosen = np.asarray(order, dtype=np.int64)
        if chosen.shape != (len(self),):
            raise ValueError(f"order has shape {chosen.shape}, the dataset {len(self)} samples")
        return replace(self, tokens={m: packed.subset(chosen) for m, packed in self.tokens.items()})

    def only(self, modalities: Collection[Modality]) -> "SpectraDataset":
        """The same samples with fewer modalities.

        Raises:
            DataError: a sample would have no spectrum left; names it.
            ValueError: a modality that the dataset does not hold.
        """
        absent = set(modalities) - set(self.tokens)
        if absent:
            raise ValueError(f"the dataset holds no {', '.join(sorted(m.name.lower() for m in absent))}")
        reduced = replace(
            self,
            tokens={m: packed for m, packed in self.tokens.items() if m in modalities},
            schemas={m: schema for m, schema in self.schemas.items() if m in modalities},
        )
        empty = np.flatnonzero(reduced.lengths == 0)
        if len(empty):
            names = ", ".join(m.name.lower() for m in sorted(modalities))
            raise DataError(
                f"record {self.ids[empty[0]]} and {len(empty) - 1} others have no spectrum of {names}"
            )
        return reduced

    def with_targets(self, vocabulary: Vocabulary) -> "SpectraDataset":
        """The same samples with their structures as ids of `vocabulary`, as training and loss need them.

        Raises:
            DataError: a sample has no structure.
        """
        rows = []
        for name, smiles in zip(self.ids, self.smiles):
            if smiles is None:
                raise DataError(f"record {name} has no SMILES, which training needs")
            rows.append([Vocabulary.BOS, *vocabulary.encode(tokenize_smiles(smiles)), Vocabulary.EOS])
        return replace(self, targets=PackedIds.of(rows))

    def split_by_block(self, fraction: float, seed: int = 0) -> tuple["SpectraDataset", "SpectraDataset"]:
        """Two datasets, the second of about `fraction` of the molecules, with no molecule in both.

        A molecule's side is decided by a hash of its InChIKey block and the seed: it does not depend on
        what else is in the files, so that data added later move no molecule across.

        Raises:
            DataError: one of the two would be empty.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must lie between 0 and 1, not {fraction}")
        held_back = np.array([draw_of(block, seed) / 2**64 < fraction for block in self.blocks], dtype=bool)
        if held_back.all() or not held_back.any():
            raise DataError(
                f"{len(self)} samples cannot be split so that {fraction:.3g} of the molecules are held back;"
                " give a validation file, or a larger validation_fraction"
            )
        return self.subset(np.flatnonzero(~held_back)), self.subset(np.flatnonzero(held_back))


def _block(smiles: str) -> str:
    try:
        return inchikey_block(smiles)
    except ValueError:
        return smiles


def shared_blocks(train: SpectraDataset, other: SpectraDataset, *, allow: bool = False) -> int:
    """How many molecules (InChIKey first blocks) of `other` also occur in `train`.

    Raises:
        DataError: there are some and `allow` is not set; names one of them.
    """
    blocks = set(train.blocks)
    places: dict[str, int] = {}
    for at, block in enumerate(other.blocks):
        if other.smiles[at] is not None and block in blocks:
            places.setdefault(block, at)
    if places and not allow:
        at = next(iter(places.values()))
        raise DataError(
            f"{len(places)} molecules of the held-back data are also trained on, such as {other.smiles[at]}"
            f" (record {other.ids[at]}); split by InChIKey first block"
        )
    return len(places)
