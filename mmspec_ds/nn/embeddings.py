"""From the ragged tokens of a batch to a padded sequence of vectors.

Axes: B samples, S places, D model width, T tokens of one modality, N tokens of all modalities, F fields,
V rows of the table of all discrete values, K sinusoid features, R real-valued features of a token.
"""

import math
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.data.batch import ModalityTokens, SpectraBatch
from mmspec_ds.nn.initialization import EMBEDDING_STD, init_embedding
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema

ORDER_WAVELENGTHS = (2.0, 4096.0)
"""Shortest and longest wavelength of the sinusoids of a place, in places: they tell neighbours apart and do
not repeat within any sequence that a spectrum gives."""


def geometric_wavelengths(shortest: float, longest: float, count: int) -> list[float]:
    """`count` wavelengths from `shortest` to `longest`, each a constant multiple of the one before."""
    ratio = (longest / shortest) ** (1.0 / max(count - 1, 1))
    return [shortest * ratio**i for i in range(count)]


class Sinusoids(nn.Module):
    """sin(2 pi x / wavelength), then cos, of `features` / 2 wavelengths spaced geometrically.

    The phase is reduced in float64, whatever the model's dtype: m/z 500 at a wavelength of 0.01 is 50,000
    turns, of which bfloat16 would keep nothing and float32 two decimals.

    Args:
        wavelengths: the shortest and the longest, in the unit of x.
        features: an even number.

    Raises:
        ValueError: the shortest is not above 0, or not below the longest.
    """

    turns_per_unit: Tensor

    def __init__(self, wavelengths: tuple[float, float], features: int) -> None:
        super().__init__()
        shortest, longest = wavelengths
        if not 0 < shortest < longest:
            raise ValueError(f"wavelengths must be 0 < shortest < longest, not {shortest} and {longest}")
        self._turns = [1.0 / length for length in geometric_wavelengths(shortest, longest, features // 2)]
        self.register_buffer("turns_per_unit", torch.tensor(self._turns, dtype=torch.float64), persistent=False)

    def forward(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """Numbers [...] as [..., features], of the type `dtype`."""
        turns = values.unsqueeze(-1) * self.turns_per_unit  # a product with float64 is float64
        phase = ((turns - turns.round()) * (2 * math.pi)).to(torch.promote_types(dtype, torch.float32))
        return torch.cat([phase.sin(), phase.cos()], dim=-1).to(dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow the model to its device, but not to its dtype."""
        super()._apply(fn, recurse)
        self.turns_per_unit = torch.tensor(self._turns, dtype=torch.float64, device=self.turns_per_unit.device)
        return self


class DiscreteTable(nn.Module):
    """One table for all discrete fields of all modalities, and a row for each modality itself.

    A token's embedding is the sum of its fields' rows: one `embedding_bag` for the whole batch. The rows of
    an ordinal field are a learned table plus a learned projection of sinusoids of the value, so neighbouring
    bins start alike and a bin that is rarely seen learns from its neighbours. `wave_elements` is the number of
    elements of these sinusoids.
    """

    def __init__(
        self, schemas: Mapping[Modality, TokenSchema], d_model: int, features: int, std: float = EMBEDDING_STD
    ) -> None:
        super().__init__()
        fields = [field for schema in schemas.values() for field in schema.discrete]
        starts = list(accumulate((field.size for field in fields), initial=0))
        first_field = 0
        for i, (modality, schema) in enumerate(schemas.items()):
            last_field = first_field + len(schema.discrete)
            # The modality's own row follows those of all fields, and is read like the row 0 of one field more.
            bounds = [
                [*starts[first_field:last_field], starts[-1] + i],
                [f.size for f in schema.discrete] + [1],
            ]
            self.register_buffer(f"fields_{modality.name}", torch.tensor(bounds), persistent=False)
            first_field = last_field
        self.table = init_embedding(nn.Embedding(starts[-1] + len(schemas), d_model), std)
        self._sizes = [*(field.size for field in fields), len(schemas)]
        self._ordinal_pieces = [place for place, field in enumerate(fields) if field.ordinal]
        self.ordinal_projections = nn.ParameterList()
        for i, place in enumerate(self._ordinal_pieces):
            size = fields[place].size
            waves = Sinusoids((2.0, 4.0 * size), features)(torch.arange(size), torch.float32)
            self.register_buffer(f"waves_{i}", waves, persistent=False)
            # Half of the summed squares of the features are 1: sin^2 + cos^2 over features / 2
            # wavelengths.
            weight = torch.randn(features, d_model) * (std / math.sqrt(features / 2))
            self.ordinal_projections.append(nn.Parameter(weight))
        self.wave_elements = sum(features * fields[place].size for place in self._ordinal_pieces)

    def forward(self, tokens: Mapping[Modality, ModalityTokens]) -> Tensor:
        """The tokens of all modalities, one modality after the other: [N, D].

        Raises:
            ValueError: a discrete value is out of range; checked on a CPU only.
        """
        rows, offsets, used = [], [], 0
        for modality, part in tokens.items():
            rows_TF = self._rows(modality, part.discrete_TF)
            count, width = rows_TF.shape
            rows.append(rows_TF.flatten())
            offsets.append(torch.arange(used, used + count * width, width, device=rows_TF.device))
            used += count * width
        return F.embedding_bag(torch.cat(rows), self.effective_table(), torch.cat(offsets), mode="sum")

    def effective_table(self) -> Tensor:
        """The table with the projected sinusoids of ordinal fields added: [V, D]."""
        # One split, whose gradient is one cat: that of each slice would be a table of zeros.
        pieces = list(self.table.weight.split(self._sizes))
        for i, at in enumerate(self._ordinal_pieces):
            # DeepSpeed's bf16 converts parameters and leaves buffers.
            waves = getattr(self, f"waves_{i}").to(self.table.weight.dtype)
            pieces[at] = torch.addmm(pieces[at], waves, self.ordinal_projections[i])
        return torch.cat(pieces)

    def _rows(self, modality: Modality, discrete_TF: Tensor) -> Tensor:
        """Row numbers of a token's fields and, last, of its modality."""
        starts_F, sizes_F = getattr(self, f"fields_{modality.name}")
        value_TF = F.pad(discrete_TF, (0, 1))
        # A value out of range would silently read another field's row. On a GPU the check would wait for it.
        if value_TF.device.type == "cpu" and bool(((value_TF < 0) | (value_TF >= sizes_F)).any()):
            raise ValueError(f"a discrete value of {modality.name} is outside 0 .. size-1 of its field")
        return value_TF + starts_F


class Placed(NamedTuple):
    """Sinusoids of the tokens of one modality, [T, K], and their places in the flattened layout, [T]."""

    place_T: Tensor
    waves_TK: Tensor


class RealProjection(nn.Module):
    """The real-valued part of one modality's tokens: plain fields as they are, others as sinusoids, and the
    place of an ordered token as sinusoids, all in one linear projection without bias (the modality's own row
    is the bias)."""

    def __init__(self, schema: TokenSchema, d_model: int, features: int, std: float = EMBEDDING_STD) -> None:
        super().__init__()
        self._plain = [i for i, field in enumerate(schema.continuous) if field.wavelengths is None]
        self._waved = [i for i, field in enumerate(schema.continuous) if field.wavelengths is not None]
        self.waves = nn.ModuleList(
            Sinusoids(field.wavelengths, features)
            for field in schema.continuous
            if field.wavelengths is not None
        )
        self.order = Sinusoids(ORDER_WAVELENGTHS, features) if schema.ordered else None
        waved_features = features * (len(self._waved) + schema.ordered)
        self.weight_RD = nn.Parameter(torch.randn(len(self._plain) + waved_features, d_model) * std)
        with torch.no_grad():
            self.weight_RD[len(self._plain) :] /= math.sqrt(features / 2)

    def forward(self, tokens: ModalityTokens, waves_TK: Tensor) -> Tensor:
        """The embedded tokens of one modality, [T, D], from their fields and the sinusoids of these."""
        dtype = self.weight_RD.dtype
        features = [tokens.continuous_TF[:, self._plain].to(dtype), waves_TK]
        if self.order is not None:
            features.append(self.order(tokens.order_T, dtype))
        return torch.cat(features, dim=-1) @ self.weight_RD

    def sinusoids(self, tokens: ModalityTokens) -> Tensor:
        """The sinusoids of all fields that have some, one after the other, [T, K]."""
        dtype = self.weight_RD.dtype
        none_T0 = tokens.continuous_TF[:, :0].to(dtype)
        fields = zip(self._waved, self.waves, strict=True)
        return torch.cat(
            [none_T0, *(waves(tokens.continuous_TF[:, at], dtype) for at, waves in fields)], dim=-1
        )


class SpectraEmbedding(nn.Module):
    """Embeds the tokens of all modalities and lays them out as a padded sequence; padding is zero.

    A token is the sum of its discrete fields, its continuous fields, its place if its modality is ordered, and
    its modality. A modality that a batch lacks takes part with no tokens, so that every parameter has a
    gradient on every rank and step.

    Args:
        schemas: the fields of each modality's tokens.
        d_model: D.
        features: sinusoids of a number.
        std: standard deviation at the start of each component of what is summed.

    Raises:
        ValueError: there is no modality.
    """

    def __init__(
        self,
        schemas: Mapping[Modality, TokenSchema],
        d_model: int,
        features: int = 64,
        std: float = EMBEDDING_STD,
    ) -> None:
        super().__init__()
        if not schemas:
            raise ValueError("a model needs at least one modality")
        self.schemas = {m: schemas[m] for m in sorted(schemas)}
        self.d_model = d_model
        self.discrete = DiscreteTable(self.schemas, d_model, features, std)
        self.real = nn.ModuleDict(
            {
                m.name: RealProjection(s, d_model, features, std)
                for m, s in self.schemas.items()
                if s.continuous or s.ordered
            }
        )

    def forward(self, spectra: SpectraBatch) -> Tensor:
        """The embedded tokens [B, S, D], see `with_sinusoids`."""
        return self.with_sinusoids(spectra)[0]

    def with_sinusoids(self, spectra: SpectraBatch) -> tuple[Tensor, dict[Modality, Placed]]:
        """The embedded tokens of all modalities, [B, S, D], and of each modality with real-valued fields the
        places and the sinusoids of its tokens.

        Raises:
            ValueError: the batch holds a modality that the model was not built for, fields that do not fit the
                schema, or (checked on a CPU only) a discrete value out of range.
        """
        tokens = tokens_in_order(spectra, self.schemas)
        content_ND = self.discrete(tokens)
        found = {}
        for m, part in tokens.items():
            if m.name in self.real:
                found[m] = Placed(part.place_T, cast(RealProjection, self.real[m.name]).sinusoids(part))
        real = [
            self.real[m.name](part, found[m].waves_TK) if m in found else None for m, part in tokens.items()
        ]
        counts = [len(part.place_T) for part in tokens.values()]
        content_ND = torch.cat(
            [
                part if add is None else part + add
                for part, add in zip(content_ND.split(counts), real, strict=True)
            ]
        )
        place_N = torch.cat([part.place_T for part in tokens.values()])
        padded_PD = content_ND.new_zeros(spectra.modality_BS.numel(), self.d_model)
        padded_PD = padded_PD.index_copy(0, place_N, content_ND)
        return padded_PD.view(*spectra.modality_BS.shape, self.d_model), found

    def product_sizes(self) -> tuple[dict[Modality, int], int]:
        """Inputs of the matrix product of a token of each modality that has one, and elements of the sinusoids
        of all ordinal fields, which are projected once in every pass."""
        real = {Modality[name]: len(cast(RealProjection, one).weight_RD) for name, one in self.real.items()}
        return real, self.discrete.wave_elements


def tokens_in_order(
    spectra: SpectraBatch, schemas: Mapping[Modality, TokenSchema]
) -> dict[Modality, ModalityTokens]:
    """The tokens of every modality of the schemas, in their order; none where the batch lacks one.

    Raises:
        ValueError: the batch holds another modality, or fields that do not fit the schema.
    """
    unknown = [Modality(m).name for m in spectra.tokens if m not in schemas]
    if unknown:
        known = ", ".join(m.name for m in schemas)
        raise ValueError(f"the batch holds {', '.join(unknown)}, but the model was built for {known}")
    return {modality: _tokens_of(modality, schema, spectra) for modality, schema in schemas.items()}


def _tokens_of(modality: Modality, schema: TokenSchema, spectra: SpectraBatch) -> ModalityTokens:
    part, widths = spectra.tokens.get(modality), (len(schema.discrete), len(schema.continuous))
    if part is None:
        whole: dict[str, Any] = {"dtype": torch.int64, "device": spectra.modality_BS.device}
        none_T = torch.empty(0, **whole)
        real_TF = torch.empty(0, widths[1], device=spectra.modality_BS.device)
        return ModalityTokens(none_T, none_T, torch.empty(0, widths[0], **whole), real_TF)
    found = (part.discrete_TF.shape[1], part.continuous_TF.shape[1])
    if found != widths:
        raise ValueError(
            f"{modality.name} tokens have {found[0]} discrete and {found[1]} continuous fields, "
            f"the schema has {widths[0]} and {widths[1]}"
        )
    return part
