"""Dense models as large as a sparse one: in the parameters that a token uses, or in all parameters.

A sparse model of width 256 for its heavy experts has more than a dense one of that width: whether experts or
mere size make a difference is told by dense baselines of equal size. Their encoder is widened, and nothing
else, as the experts are in the encoder (with `moe.decoder` also what the decoder's experts add goes there).

Axes: Y sparse layers, E experts in physical order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.layer import SparseFeedForward
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

Pairs: TypeAlias = Sequence[Sequence[float]] | npt.NDArray[np.float64]
"""How often a token was sent to each expert, [Y, E]."""

ANY_VOCABULARY = 64
"""Target tokens where a comparison of two models is wanted, in which their number has no part."""


@dataclass(frozen=True)
class ModelSize:
    """Parameters of a model: all of them, and those that a token of the spectra uses on the average, which are
    all but the experts that it was not sent to, and but the encoders of other modalities in late fusion."""

    total: int
    active: float


def model_size(
    run: ElucidationRun,
    pairs_YE: Pairs | None = None,
    schemas: Mapping[Modality, TokenSchema] | None = None,
    vocabulary: int = ANY_VOCABULARY,
) -> ModelSize:
    """Count the parameters of the model of a run, without making them.

    Args:
        run: the settings.
        pairs_YE: how often a token was sent to each expert of each layer, as `RoutingTable.chosen_YE` is, with
            the decoder's layers behind where they have experts; without, each expert has its even share of k.
        schemas: the fields of each modality's tokens; without, those of the run's own compression.
        vocabulary: SMILES tokens, specials included.

    Raises:
        ValueError: `pairs_YE` has other layers or experts than the model.
    """
    schemas = InputEncoding.from_settings(run.data).schemas if schemas is None else schemas
    with torch.device("meta"):
        model = build_elucidator(run.model, run.moe, schemas, vocabulary)
    total = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if run.moe is None:
        encoders = len(schemas) if run.model.fusion == "late" else 1
        others = sum(p.numel() for p in model.encoder.parameters()) * (1 - 1 / encoders)
        return ModelSize(total, total - others)
    layers = sum(isinstance(module, SparseFeedForward) for module in model.modules())
    widths, d = [one.width for one in physical_order(run.moe.experts)], run.model.d_model
    each = [network_parameters(d, width) for width in widths]
    if pairs_YE is None:
        pairs_YE = [[run.moe.k / len(widths)] * len(widths)] * layers
    if len(pairs_YE) != layers or any(len(row) != len(widths) for row in pairs_YE):
        raise ValueError(f"expected pairs of {layers} layers and {len(widths)} experts in each")
    used = float(sum(share * size for row in pairs_YE for share, size in zip(row, each)))
    return ModelSize(total, total - layers * sum(each) + used)


def dense_of_equal_active(run: ElucidationRun, pairs_YE: Pairs | None = None) -> ElucidationRun:
    """The dense run whose model has as many parameters as a token of the sparse one uses, to within half of a
    hidden unit in each layer. `pairs_YE` is as in `model_size`.

    Raises:
        ValueError: the run is dense; or as `model_size`.
    """
    return _dense(run, model_size(run, pairs_YE).active)


def dense_of_equal_total(run: ElucidationRun) -> ElucidationRun:
    """The dense run whose model has as many parameters as all of the sparse one, to within half of a hidden
    unit in each layer.

    Raises:
        ValueError: the run is dense.
    """
    return _dense(run, model_size(run).total)


def network_parameters(d_model: int, width: int) -> int:
    """Parameters of a feed-forward network, an expert or a dense one: two matrices and their biases."""
    return 2 * d_model * width + width + d_model


def _dense(run: ElucidationRun, parameters: float) -> ElucidationRun:
    if run.moe is None:
        raise ValueError("the run is dense: expected one with experts, which a dense one is to equal")
    width = run.model.dense_width
    dense = _with_width(run, width)
    missing = parameters - model_size(dense).total
    unit = run.model.encoder_layers * (2 * run.model.d_model + 1)
    return _with_width(run, max(1, width + round(missing / unit)))


def _with_width(run: ElucidationRun, width: int) -> ElucidationRun:
    model = run.model.model_copy(update={"encoder_ffn_width": width})
    training = run.training.model_copy(update={"ep_size": 1})
    return run.model_copy(update={"moe": None, "model": model, "training": training})
