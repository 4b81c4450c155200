"""What to train on and in which form: the `data` block of a run file."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mmspec_ds.errors import ConfigError
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import PAPER_MODALITIES, REGISTRY, CompressionSettings, modality_by_name


class DataSettings(Settings):
    """Files, modalities and their representation.

    `modality_dropout` is the probability with which a whole modality of a sample is left out of a training
    batch; the last one of a sample always stays.
    """

    train: tuple[Path, ...] = Field((), description="files to learn from")
    validation: tuple[Path, ...] = Field((), description="files to measure on; none: a part of `train`")
    validation_fraction: float = Field(
        0.05, gt=0, lt=1, description="share of the molecules of `train` that is held back without such files"
    )
    split_seed: int = Field(0, description="decides which molecules are held back")
    allow_shared_molecules: bool = Field(
        False, description="let molecules occur in both `train` and `validation`"
    )
    modalities: tuple[str, ...] = Field(
        tuple(REGISTRY[modality].name for modality in PAPER_MODALITIES),
        description="the spectra to read; by default the four of the paper (hsqc is another)",
    )
    representation: Literal["compressed", "text"] = Field(
        "compressed",
        description="operators of the paper, or the benchmark's text as the dense baseline reads it",
    )
    formula: bool = Field(False, description="give the molecular formula as a further input")
    skip_invalid: bool = Field(
        False, description="skip and count records that cannot be read, else refuse them"
    )
    modality_dropout: float = Field(0.0, ge=0, lt=1)
    max_target_tokens: int = Field(128, ge=1, description="tokens of a SMILES, without begin and end")
    skip_long_targets: bool = Field(False, description="skip and count longer SMILES, else refuse them")
    max_text_tokens: int = Field(512, ge=1, description="tokens of one modality's text; what follows is cut")
    compression: CompressionSettings = CompressionSettings()
    cache: Path | None = Field(
        None, description="folder that keeps the tokens of parquet files, so that they are encoded once"
    )

    @field_validator("modalities")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("at least one modality is needed")
        for name in names:
            try:
                modality = modality_by_name(name)
            except ConfigError as error:
                raise ValueError(str(error)) from error
            if not REGISTRY[modality].is_instrument:
                raise ValueError(f"the {name} is not measured by an instrument: write {name}: true")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"modality {twice!r} is named twice")
        return names

    @model_validator(mode="after")
    def _separate(self) -> Self:
        both = set(self.train) & set(self.validation)
        if both and not self.allow_shared_molecules:
            raise ValueError(f"{min(both)} is named both in train and in validation")
        unwritten = [name for name in self.modalities if not REGISTRY[modality_by_name(name)].has_text]
        if self.representation == "text" and unwritten:
            raise ValueError(f"the benchmark has no text of {', '.join(unwritten)}")
        return self

    def chosen_modalities(self) -> tuple[Modality, ...]:
        """The modalities to read, in the order in which a sample lays them out."""
        chosen = {modality_by_name(name) for name in self.modalities}
        return tuple(sorted(chosen | ({Modality.FORMULA} if self.formula else set())))
