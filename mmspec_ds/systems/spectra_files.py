"""Files of spectra of known molecules that a run learns from, and which of their records are held back."""

from collections.abc import Collection
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.library.entries import matches
from mmspec_ds.library.entry import Entry
from mmspec_ds.molecules.splits import draw_of
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import modality_by_name


class SpectraFiles(Settings):
    """The keys of a `data` block that name files of spectra and part their records."""

    train: tuple[Path, ...] = Field((), description="files to learn from, of any format that the readers know")
    train_where: dict[str, str] = Field({}, description="keep what has these values in its metadata")
    validation: tuple[Path, ...] = Field((), description="files to measure on; none: those of `train`")
    validation_where: dict[str, str] = Field(
        {}, description="of these files (or of those of `train`), what to measure on, such as split: val"
    )
    validation_fraction: float = Field(
        0.05, gt=0, lt=1, description="share of the molecules of `train` held back, if nothing else says which"
    )
    split_seed: int = Field(0, description="decides which molecules are held back")
    allow_shared_molecules: bool = Field(False, description="let molecules occur on both sides")
    modalities: tuple[str, ...] = Field(("ms",), min_length=1, description="the kinds of spectra to read")

    @field_validator("modalities")
    @classmethod
    def _kinds_of_spectra(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                modality_by_name(name)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return names

    @model_validator(mode="after")
    def _the_same_spectra_are_not_both(self) -> Self:
        if self.validation and set(self.validation) & set(self.train) and not self.validation_where:
            raise ValueError(
                f"data.validation names {min(set(self.validation) & set(self.train))}, which is trained on:"
                " expected data.validation_where to say which of its records are held back"
            )
        return self

    def chosen_modalities(self) -> tuple[Modality, ...]:
        """The modalities to read, in the order in which a sample lays them out."""
        return tuple(sorted({modality_by_name(name) for name in self.modalities}))

    def is_held_back(self, entry: Entry) -> bool | None:
        """Whether an entry of the training files is held back; None where it is not used at all. Where no key
        says which are, a hash of the molecule decides, or of the record's id where it has no structure."""
        where = self.validation_where
        if where and not self.validation and matches(entry.metadata, where):
            return True
        if not matches(entry.metadata, self.train_where):
            return None
        if self.validation or where:
            return False
        return draw_of(entry.block or entry.record.id, self.split_seed) / 2**64 < self.validation_fraction

    def check_shared(self, trained: Collection[str], held_back: Collection[str]) -> None:
        """Refuse molecules, by the first block of their InChIKeys, that are on both sides, unless that is
        allowed.

        Raises:
            DataError: there are some.
        """
        shared = set(trained) & set(held_back)
        if shared and not self.allow_shared_molecules:
            raise DataError(
                f"{len(shared)} molecules of the held-back records are also trained on, such as {min(shared)}:"
                " expected a split by molecule, or data.allow_shared_molecules"
            )
