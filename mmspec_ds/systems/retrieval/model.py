"""The interface of the models that turn records into vectors, for training, libraries and evaluation.

Axes: B records, W width of a vector, N rows of a data set.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.spectra.records import Record
from mmspec_ds.systems.retrieval.batch import Inputs

I = TypeVar("I", bound=Inputs)  # noqa: E741
R = TypeVar("R", bound="Rows")


class Rows(Protocol):
    """The interface of the encoded records of a data set, in memory."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> IntArray:
        """Tokens of each record, int64 [N]; 0 for one that the model cannot read."""

    def subset(self, indices: IntArray) -> "Rows":
        """Some of the rows, in that order."""


class Noise(NamedTuple):
    """What the noise of a batch depends on: a number for each row, int64 [B], the seed of the run, and the
    number of the batch."""

    keys_B: IntArray
    seed: int
    number: int


class Encoding(Protocol[R]):
    """The interface of how records become what a model reads."""

    def encode(self, records: Sequence[Record]) -> R:
        """The rows of some records, made once."""

    def joined(self, parts: Sequence[R]) -> R:
        """The rows of several, one after the other."""

    def inputs(self, rows: R, chosen: IntArray, noise: Noise | None = None) -> Any:
        """The batch of the rows `chosen`; with `noise`, as the training wants them changed."""


class RetrievalModel(nn.Module, Generic[I]):
    """A model that gives each record a vector of unit length.

    Attributes:
        width: W.
    """

    width: int

    @abstractmethod
    def forward(self, inputs: I) -> Tensor:
        """The vectors [B, W] of a batch, of length 1."""

    def with_reports(
        self, inputs: I, temperature: float | None = None
    ) -> tuple[Tensor, tuple[RoutingReport, ...]]:
        """The vectors, and the reports of the routers: none in a model without. `temperature` is a router's
        tau, by default the model's own."""
        return self(inputs), ()

    def keep_temperature(self, value: float) -> None:
        """Keep the router's tau with the weights, where there is a router."""

    def rebalance(self, reports: Sequence[RoutingReport]) -> None:
        """Move the routers' selection biases, where they are in use, after a step with these reports."""

    def flops(self, inputs: I, *, again: bool = False) -> float:
        """Floating-point operations of a forward and a backward pass, without those of experts; 0 where they
        are not counted. With `again` the layers are computed once more in the backward pass."""
        return 0.0

    def flops_of_experts(self, reports: Sequence[RoutingReport], *, again: bool = False) -> Tensor:
        """The floating-point operations of the experts, forward and backward, for the tokens of the reports: a
        scalar on their device."""
        return torch.zeros(())


@torch.no_grad()
def embed_rows(
    model: RetrievalModel[Any],
    encoding: Encoding[Any],
    rows: Rows,
    chosen: IntArray,
    *,
    batch: int = 64,
    device: torch.device | None = None,
) -> FloatMatrix:
    """The vectors of the rows `chosen`, float32 [len(chosen), W], rows of like length together; zeros for a row
    without any token. The model is in evaluation mode afterwards."""
    model.eval()
    found = np.zeros((len(chosen), model.width), dtype=np.float32)
    lengths = rows.lengths[chosen]
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        inputs = encoding.inputs(rows, chosen[places])
        if device is not None:
            inputs = inputs.mapped(lambda tensor: tensor.to(device))
        found[places] = model(inputs).float().cpu().numpy()
    return found
