"""The spectra of a batch embedded by one set of weights: each token as a position on its axis and the
intensities there.

Axes: B samples, S places, D model width, T tokens, F fields, W intensities of a token, X tokens with two
coordinates.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.data.batch import ModalityTokens, SpectraBatch
from mmspec_ds.nn.embeddings import SpectraEmbedding, tokens_in_order
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.nn.token_embedding import AXIS_STD, AxisTokens, TokenEmbedding
from mmspec_ds.spectra.axes import PLACE, POSITION_STEP, STEP, Form, Intensities, Number
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema


class AxisEmbedding(nn.Module):
    """Embeds the tokens of all modalities and lays them out as a padded sequence; padding is zero.

    Tokens of an axis share one `TokenEmbedding`. Modalities that have no axis, such as the formula, have
    embeddings of their own. A modality that a batch lacks takes part with no tokens, so that every parameter
    has a gradient on every rank and step.

    Args:
        schemas: the fields of each modality's tokens, and how they are read.
        d_model: D.
        patch: W.
        features: sinusoids of a number.
        std: standard deviation at the start of each component of what is summed.

    Raises:
        ValueError: no modality has an axis, or tokens of one have more than `patch` intensities.
    """

    def __init__(
        self,
        schemas: Mapping[Modality, TokenSchema],
        d_model: int,
        patch: int,
        features: int = 64,
        std: float = AXIS_STD,
    ) -> None:
        super().__init__()
        self.schemas, self.patch = {m: schemas[m] for m in sorted(schemas)}, patch
        if not any(schema.axis for schema in schemas.values()):
            names = ", ".join(m.name.lower() for m in schemas) or "none"
            raise ValueError(f"a model needs at least one modality with an axis, found {names}")
        check_patch(self.schemas, patch)
        self.tokens = TokenEmbedding(d_model, patch, features, std)
        others = {m: schema for m, schema in self.schemas.items() if schema.axis is None}
        self.own = SpectraEmbedding(others, d_model, features, std) if others else None

    def forward(self, spectra: SpectraBatch) -> Tensor:
        """The embedded tokens [B, S, D].

        Raises:
            ValueError: the batch holds a modality that the model was not built for, or fields that do not fit
                the schema.
        """
        found = tokens_in_order(spectra, self.schemas)
        shared = {m: part for m, part in found.items() if self.schemas[m].axis is not None}
        read = [read_tokens(part, self.schemas[m], self.patch) for m, part in shared.items()]
        embedded_TD = self.tokens(joined(read))
        place_T, shape = torch.cat([part.place_T for part in shared.values()]), spectra.modality_BS.shape
        padded_PD = embedded_TD.new_zeros(shape.numel(), embedded_TD.shape[1])
        padded_BSD = padded_PD.index_copy(0, place_T, embedded_TD).view(*shape, -1)
        if self.own is None:
            return padded_BSD
        others = {m: part for m, part in found.items() if m not in shared}
        others_BSD: Tensor = self.own(SpectraBatch(spectra.modality_BS, others))
        return padded_BSD + others_BSD

    def product_sizes(self) -> tuple[dict[Modality, int], int]:
        """See `SpectraEmbedding.product_sizes`."""
        inputs, waves = ({}, 0) if self.own is None else self.own.product_sizes()
        for modality, schema in self.schemas.items():
            if schema.axis is not None:
                inputs[modality] = self.tokens.inputs(1 if schema.axis.second is None else 2)
        return inputs, waves


def check_patch(schemas: Mapping[Modality, TokenSchema], patch: int) -> None:
    """Refuse tokens with more intensities than there is room for.

    Raises:
        ValueError: names the modality and both numbers.
    """
    for modality, schema in schemas.items():
        count = 0 if schema.axis is None else len(schema.axis.intensities.fields)
        if count > patch:
            raise ValueError(
                f"model.patch is {patch}, but tokens of {modality.name.lower()} have {count} intensities:"
                " expected at least as many"
            )


def read_tokens(tokens: ModalityTokens, schema: TokenSchema, patch: int) -> AxisTokens:
    """The tokens of one modality, T of them, as tokens of its axis.

    Args:
        tokens: as the schema says.
        schema: with an axis.
        patch: W.
    """
    reading = schema.axis
    assert reading is not None
    discrete, continuous = ([one.name for one in part] for part in (schema.discrete, schema.continuous))
    place_T = tokens.place_T

    def column(name: str) -> Tensor:
        if name == PLACE:
            return tokens.order_T
        if name in discrete:
            return tokens.discrete_TF[:, discrete.index(name)]
        return tokens.continuous_TF[:, continuous.index(name)]

    def number(one: Number) -> Tensor:
        if not one.field:
            return torch.full(place_T.shape, one.start, dtype=torch.float64, device=place_T.device)
        return column(one.field).double() * one.times + one.start

    form_T = torch.full_like(place_T, reading.form)
    if reading.precursor:
        form_T = form_T.masked_fill(column(reading.precursor) > 0, Form.PRECURSOR)
    two_X, second_X = None, None
    if reading.second is not None:
        axis, coordinate = reading.second
        two_X, second_X = torch.arange(len(place_T), device=place_T.device), number(coordinate) / STEP[axis]
    intensities = reading.intensities
    columns = [column(name) for name in intensities.fields] or [torch.ones_like(place_T)]
    values_TW = F.pad(_scaled(torch.stack(columns, dim=1), intensities), (0, patch - len(columns)))
    extent_T = (number(reading.extent) / STEP[reading.axis]).float()
    more_T2 = torch.stack([torch.log1p(extent_T), number(reading.sign).float()], dim=1)
    return AxisTokens(
        steps_T=number(reading.position) / POSITION_STEP[reading.axis],
        numbers_TF=torch.cat([values_TW, more_T2], dim=1),
        axis_T=torch.full_like(place_T, reading.axis),
        form_T=form_T,
        two_X=two_X,
        second_X=second_X,
    )


def joined(parts: Sequence[AxisTokens]) -> AxisTokens:
    """The tokens of several, one after the other; none of them is hidden."""
    twos, seconds, start = [], [], 0
    for part in parts:
        if part.two_X is not None and part.second_X is not None:
            twos.append(part.two_X + start)
            seconds.append(part.second_X)
        start += len(part.steps_T)
    return AxisTokens(
        steps_T=torch.cat([part.steps_T for part in parts]),
        numbers_TF=torch.cat([part.numbers_TF for part in parts]),
        axis_T=torch.cat([part.axis_T for part in parts]),
        form_T=torch.cat([part.form_T for part in parts]),
        two_X=torch.cat(twos) if twos else None,
        second_X=torch.cat(seconds) if seconds else None,
    )


def make_embedding(
    settings: ModelSettings, schemas: Mapping[Modality, TokenSchema]
) -> SpectraEmbedding | AxisEmbedding:
    """The embedding of spectra that a model's settings choose."""
    if settings.embedding == "axis":
        return AxisEmbedding(schemas, settings.d_model, settings.patch, settings.sinusoid_features)
    return SpectraEmbedding(schemas, settings.d_model, settings.sinusoid_features)


def _scaled(values_TF: Tensor, intensities: Intensities) -> Tensor:
    """The intensities that these fields say, float32."""
    numbers_TF = values_TF.double() * intensities.times
    match intensities.scale:
        case "root":
            numbers_TF = numbers_TF.clamp_min(0).sqrt()
        case "sign":
            numbers_TF = 1.0 - 2.0 * (numbers_TF < 0)
    return numbers_TF.float()
