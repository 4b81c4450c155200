"""Encoders that a system pretrained on tokens of axes, for runs of other systems that begin with them.

A system that offers its encoders has a module in `READERS`, with `read_encoder(folder)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from torch import Tensor

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.systems.run_file import load_run_of

READERS = {"fusion": "mmspec_ds.systems.fusion.pretrained"}
"""By the system of a run, the module that reads its encoder."""


@dataclass(frozen=True)
class EncoderSizes:
    """Sizes that two encoders must share for one to begin with the other's weights. `ffn_width` is that of
    dense feed-forward networks, and `patch` the intensities of a token."""

    d_model: int
    heads: int
    encoder_layers: int
    ffn_width: int
    sinusoid_features: int
    patch: int


@dataclass(frozen=True)
class PretrainedEncoder:
    """A trained encoder.

    Attributes:
        sizes: its sizes.
        moe: its sparse layer; None for a dense one.
        modalities: names of what it reads, in the order of the rows of its routers' tables.
        embedding: weights of its `nn.token_embedding.TokenEmbedding`, by name.
        layers: weights of its `nn.encoder.Encoder`, by name; experts stand under their global numbers.
    """

    sizes: EncoderSizes
    moe: MoESettings | None
    modalities: tuple[str, ...]
    embedding: Mapping[str, Tensor]
    layers: Mapping[str, Tensor]


def read_encoder(folder: Path) -> PretrainedEncoder:
    """The encoder of a trained run or an export.

    Raises:
        DataError: no such folder, or a file of it is missing or was altered.
        ConfigError: the model is of a system that offers no encoder.
    """
    if not folder.is_dir():
        raise DataError("no such folder: expected that of a trained run", path=folder)
    system = load_run_of(folder).system
    if system not in READERS:
        raise ConfigError(f"{folder}: system is {system!r}: expected a model of {' or '.join(READERS)}")
    found: PretrainedEncoder = import_module(READERS[system]).read_encoder(folder)
    return found
