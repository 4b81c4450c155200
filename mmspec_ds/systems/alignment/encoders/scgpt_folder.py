"""The folder in which scGPT is published: `args.json`, `vocab.json`, `best_model.pt`.

The weights are a pickle of PyTorch, which is read by PyTorch's restricted loader of tensors (`weights_only`):
no code in it is run. The layers and their names follow github.com/bowang-lab/scGPT (MIT) at cebd6fae; its
package is not imported.

Axes: B cells, L tokens of a cell, D width, F width of the layers between.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from pydantic import ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.readers.part import one_line
from mmspec_ds.settings import Settings, validated

ARGUMENTS, VOCABULARY, WEIGHTS = FILES = "args.json", "vocab.json", "best_model.pt"
CLASS_TOKEN = "<cls>"
LARGEST_JSON, LARGEST_WEIGHTS = 64 << 20, 4 << 30
"""Bytes of a file at most."""
_TENSORS_A_LAYER = 12
_EMBEDDING = "encoder.embedding.weight"
_LAYER = "transformer_encoder.layers.{}"
_EPSILON = 1e-5
"""Added to the variance in a norm."""
_HINT = f"expected the folder of a checkpoint of scGPT, with {', '.join(FILES)}"

Size = Annotated[int, Field(gt=0, le=65_536)]


class ScgptArguments(Settings):
    """What `args.json` says of the model; its other keys are of its training, and are left out.

    Attributes:
        embsize: D.
        nheads: heads of attention.
        d_hid: F.
        nlayers: layers of the Transformer.
        pad_value: the value of the token of the cell.
        pad_token: fills rows in the vocabulary.
        n_bins: bins of the values, one of which is for zero. scGPT cuts values above 512.
        input_style, input_emb_style, cell_emb_style, pre_norm: only the published kinds are known.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    embsize: Size
    nheads: Size
    d_hid: Size
    nlayers: Size
    pad_value: Annotated[float, Field(allow_inf_nan=False)] = -2.0
    pad_token: str = "<pad>"
    n_bins: Annotated[int, Field(ge=3, le=512)] = 51
    input_style: Literal["binned"] = "binned"
    input_emb_style: Literal["continuous"] = "continuous"
    cell_emb_style: Literal["cls"] = "cls"
    pre_norm: Literal[False] = False

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.embsize % self.nheads:
            raise ValueError(f"embsize must be a multiple of nheads: {self.embsize} is none of {self.nheads}")
        return self


def shapes_of(arguments: ScgptArguments, tokens: int) -> dict[str, tuple[int, ...]]:
    """The tensors that give a cell's vector, by the names of PyTorch's own layers.

    Args:
        arguments: sizes.
        tokens: of the vocabulary.
    """
    width, hidden = arguments.embsize, arguments.d_hid
    linears = {"value_encoder.linear1": (width, 1), "value_encoder.linear2": (width, width)}
    norms = ["encoder.enc_norm", "value_encoder.norm"]
    attention: dict[str, tuple[int, ...]] = {}
    for number in range(arguments.nlayers):
        layer = _LAYER.format(number)
        attention[f"{layer}.self_attn.in_proj_weight"] = (3 * width, width)
        attention[f"{layer}.self_attn.in_proj_bias"] = (3 * width,)
        linears[f"{layer}.self_attn.out_proj"] = (width, width)
        linears |= {f"{layer}.linear1": (hidden, width), f"{layer}.linear2": (width, hidden)}
        norms += [f"{layer}.norm1", f"{layer}.norm2"]
    found = {_EMBEDDING: (tokens, width), **attention}
    for name, shape in linears.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        found |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return found


class ScgptNetwork:
    """The part of scGPT that gives a cell's vector. A layer is that of `nn.TransformerEncoder`, normed behind
    each part and rectified.

    It is not made of that class: in evaluation PyTorch's holds the attention of every token to every other,
    1.5 GB for a cell of 4,096 tokens in 8 heads, and takes 2.4 times as long on a processor.

    Args:
        heads: of attention.
        layers: how many.
        weights: of the names and shapes of `shapes_of`.
    """

    def __init__(self, heads: int, layers: int, weights: Mapping[str, Tensor]) -> None:
        self._heads, self._layers, self._weights = heads, layers, weights

    def __call__(self, tokens_BL: Tensor, values_BL: Tensor, seen_BL: Tensor) -> Tensor:
        """The last state of the first token, scaled to a length of 1, [B, D].

        Args:
            tokens_BL: ids in the vocabulary, the token of the cell first.
            values_BL: bins, float32.
            seen_BL: true where there is a token.
        """
        named_BLD = self._norm(functional.embedding(tokens_BL, self._weights[_EMBEDDING]), "encoder.enc_norm")
        hidden_BLD = torch.relu(self._linear(values_BL[..., None], "value_encoder.linear1"))
        valued_BLD = self._norm(self._linear(hidden_BLD, "value_encoder.linear2"), "value_encoder.norm")
        states_BLD = named_BLD + valued_BLD
        for number in range(self._layers):
            states_BLD = self._layer(states_BLD, seen_BL, _LAYER.format(number))
        return functional.normalize(states_BLD[:, 0], dim=-1)

    def _layer(self, states_BLD: Tensor, seen_BL: Tensor, name: str) -> Tensor:
        attended_BLD = self._attend(states_BLD, seen_BL, f"{name}.self_attn")
        states_BLD = self._norm(states_BLD + attended_BLD, f"{name}.norm1")
        hidden_BLF = torch.relu(self._linear(states_BLD, f"{name}.linear1"))
        return self._norm(states_BLD + self._linear(hidden_BLF, f"{name}.linear2"), f"{name}.norm2")

    def _attend(self, states_BLD: Tensor, seen_BL: Tensor, name: str) -> Tensor:
        inputs = (self._weights[f"{name}.in_proj_{part}"] for part in ("weight", "bias"))
        together = functional.linear(states_BLD, *inputs).unflatten(-1, (3, self._heads, -1))
        query, key, content = together.permute(2, 0, 3, 1, 4)  # [B, head, L, D / heads] each
        attended = functional.scaled_dot_product_attention(
            query, key, content, attn_mask=seen_BL[:, None, None]
        )
        return self._linear(attended.transpose(1, 2).flatten(2), f"{name}.out_proj")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, _EPSILON)


class ScgptModel(NamedTuple):
    """`arguments` and `network` of a folder, and `ids`, the token of each gene and special token."""

    arguments: ScgptArguments
    network: ScgptNetwork
    ids: Mapping[str, int]


def read_scgpt(folder: Path) -> ScgptModel:
    """The model in a folder, in float32.

    Raises:
        DataError: a file is missing, too large, damaged or of another kind of model; names it.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise DataError(f"there is no {name}: {_HINT}", path=folder)
    try:
        arguments = validated(ScgptArguments, _json_object(folder / ARGUMENTS), str(folder / ARGUMENTS))
    except ConfigError as error:
        raise DataError(one_line(error, 400)) from None
    ids = _vocabulary(folder / VOCABULARY, arguments)
    tensors = _tensors(folder / WEIGHTS)
    return ScgptModel(arguments, _network(arguments, ids, tensors, folder / WEIGHTS), ids)


def _json_object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise DataError(f"is larger than {LARGEST_JSON >> 20} MiB: {_HINT}", path=path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read as JSON: {one_line(error)}", path=path) from None
    if not isinstance(content, dict):
        raise DataError(f"expected an object in JSON, found {type(content).__name__}", path=path)
    return content


def _vocabulary(path: Path, arguments: ScgptArguments) -> dict[str, int]:
    ids = _json_object(path)
    for name, one in ids.items():
        if type(one) is not int or one < 0:
            told = f"{one_line(name, 40)} has the id {one_line(one, 40)}"
            raise DataError(f"{told}: expected a whole number from 0", path=path)
    if len(set(ids.values())) != len(ids):
        raise DataError("two genes have one id: expected an id for each", path=path)
    missing = [one for one in (arguments.pad_token, CLASS_TOKEN) if one not in ids]
    if missing:
        raise DataError(f"has no token {one_line(missing[0], 40)}: expected scGPT's vocabulary", path=path)
    return ids


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights, under the names that PyTorch's own layers have."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        if size > LARGEST_WEIGHTS:
            raise DataError(f"unfolds to more than {LARGEST_WEIGHTS >> 30} GiB: {_HINT}", path=path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
    except UnpicklingError:
        raise DataError(f"holds more than tensors, which may be code: {_HINT}", path=path) from None
    except Exception as error:  # of the loader of tensors, which raises many kinds
        raise DataError(f"cannot be read as tensors of PyTorch: {one_line(error)}", path=path) from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise DataError(f"holds no tensors by name: {_HINT}", path=path)
    return {_own_name(name): one for name, one in found.items() if isinstance(one, Tensor)}


def _own_name(name: str) -> str:
    """Flash attention's layers have the same parameters in the same order under other names."""
    return name.replace("self_attn._impl.", "self_attn.").replace("self_attn.Wqkv.", "self_attn.in_proj_")


def _network(
    arguments: ScgptArguments, ids: Mapping[str, int], tensors: Mapping[str, Tensor], path: Path
) -> ScgptNetwork:
    """The network with these weights, whose sizes are compared with what the other files say."""
    layers, embedding = arguments.nlayers, tensors.get(_EMBEDDING)
    if embedding is None:
        raise DataError(f"lacks {_EMBEDDING}: {_HINT}", path=path)
    if layers * _TENSORS_A_LAYER > len(tensors) or f"{_LAYER.format(layers)}.norm2.weight" in tensors:
        raise DataError(f"has another number of layers than {layers}, as {ARGUMENTS} says", path=path)
    tokens = embedding.shape[0] if embedding.ndim else 0
    name, largest = max(ids.items(), key=lambda item: item[1])
    if largest >= tokens:
        raise DataError(
            f"embeds {tokens} tokens, but {VOCABULARY} gives {one_line(name, 40)} the id {largest}", path=path
        )
    weights = {
        name: _checked(tensors.get(name), name, shape, path)
        for name, shape in shapes_of(arguments, tokens).items()
    }
    return ScgptNetwork(arguments.nheads, layers, weights)


def _checked(tensor: Tensor | None, name: str, shape: tuple[int, ...], path: Path) -> Tensor:
    """The tensor in float32, if it is one of this shape."""
    if tensor is None:
        raise DataError(f"lacks {name}: {_HINT}", path=path)
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and tensor.is_contiguous()
    if not plain or tensor.shape != shape or not tensor.is_floating_point():
        told = f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}"
        raise DataError(f"{told}: expected plain fractions of shape {shape}", path=path)
    found = tensor.detach().float()
    if not all(torch.isfinite(one) for one in found.aminmax()):  # isfinite of all would make copies
        raise DataError(f"{name} holds values that are not finite numbers", path=path)
    return found
