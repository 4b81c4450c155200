"""An elucidator that begins with an encoder that was pretrained on tokens of axes: `training.encoder_from`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.spectra.registry import REGISTRY, modality_by_name
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.pretrained_encoders import EncoderSizes, PretrainedEncoder, read_encoder
from mmspec_ds.trainer.task import Sharding

EMBEDDING, LAYERS = "embedding.tokens.", "encoder."
"""What the names of the weights begin with that are taken over."""

TABLES = (".gate.tag", ".gate.bias", ".gate.selection_bias")
"""Ends of the names of routers' weights with a row for each modality; a selection bias may be one for all."""

FREE = {"mode", "capacity_factor", "exchange_chunks", "decoder"}
"""Keys of the block `moe` that may differ: the weights of the encoder's layers mean the same."""


def load_encoder(model: Elucidator, run: ElucidationRun, sharding: Sharding) -> None:
    """Give a model the embedding of axes and the layers of the encoder that `training.encoder_from` names.
    Everything else keeps what it has: the decoder, the routers' temperature, and what no pretraining has, such
    as the embedding of the formula and its rows in the tables of routers.

    Args:
        model: of the run, with the experts of this rank.
        run: its settings, with such an encoder.
        sharding: which experts this rank has.

    Raises:
        DataError: the encoder cannot be read, or does not fit; the line names what differs, and both values.
        ConfigError: as `read_encoder`.
    """
    folder = run.training.encoder_from
    assert folder is not None
    theirs = read_encoder(folder)
    check_fits(theirs, run, folder)
    rows = [int(modality_by_name(one)) for one in theirs.modalities] if run.moe else []
    with torch.no_grad():
        for name, own in model.state_dict().items():
            if name.startswith(EMBEDDING):
                own.copy_(theirs.embedding[name.removeprefix(EMBEDDING)])
            elif name.startswith(LAYERS):
                _take(name, own, theirs.layers[sharding.global_name(name).removeprefix(LAYERS)], rows)


def check_fits(theirs: PretrainedEncoder, run: ElucidationRun, folder: Path) -> None:
    """Refuse an encoder of other sizes, experts or, where there are experts, modalities than a run's.

    Raises:
        DataError: names the first value that differs, and that of the run.
    """

    def refuse(what: str, found: object, expected: object) -> None:
        if found != expected:
            raise DataError(
                f"does not fit training.encoder_from: {what} is {found}, in this run {expected}", path=folder
            )

    model = run.model
    ours = EncoderSizes(
        model.d_model,
        model.heads,
        model.encoder_layers,
        model.dense_width,
        model.sinusoid_features,
        model.patch,
    )
    sizes = asdict(ours)
    if run.moe is not None or theirs.moe is not None:
        del sizes["ffn_width"]  # experts have widths of their own
    for name, expected in sizes.items():
        refuse(name, getattr(theirs.sizes, name), expected)
    refuse("the encoder", *("dense" if one is None else "sparse" for one in (theirs.moe, run.moe)))
    if theirs.moe is None or run.moe is None:
        return
    for name, expected in _told(run.moe).items():
        refuse(f"moe.{name}", _told(theirs.moe)[name], expected)
    spectra = (REGISTRY[one].name for one in run.data.chosen_modalities() if REGISTRY[one].is_instrument)
    refuse("what it reads", *(", ".join(sorted(one)) for one in (theirs.modalities, spectra)))


def _told(moe: MoESettings) -> dict[str, Any]:
    """The settings that must be equal; the experts in words."""
    experts = (" ".join([one.family, str(one.width), *one.modalities]) for one in moe.experts)
    return moe.model_dump(exclude=FREE) | {"experts": "; ".join(experts)}


def _take(name: str, own: Tensor, theirs: Tensor, rows: Sequence[int]) -> None:
    """Copy a weight of a layer; tables of routers have a row for each modality, here by its number."""
    if name.endswith(TABLES) and own.dim() == 2:
        own[list(rows)] = theirs
    else:
        own.copy_(theirs)
