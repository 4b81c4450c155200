"""An all-to-all with uneven splits as two differentiable steps, start and wait, with other work between them.

In the backward pass the gradient of `wait` starts the transfer of gradients and that of `start` waits for it.
Autograd runs ready nodes in the reverse order of their creation, so that the work between start and wait stays
between them in the backward pass, in the same order on every rank.

Axes: D model width, N rows sent, R rows received.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Transfer:
    """A transfer of rows to other ranks, one tensor at a time.

    Args:
        sent: rows for each rank of the group, in the order of ranks.
        received: rows from each rank.
        group: the process group; every rank of it makes the same transfers in the same order.
    """

    def __init__(self, sent: list[int], received: list[int], group: Any) -> None:
        self.sent, self.received, self.group = sent, received, group
        self._flight: tuple[Any, Tensor, Tensor] | None = None

    def start(self, rows_ND: Tensor) -> Tensor:
        """Launch. The result is empty: it ties `wait` to this start in autograd's graph."""
        ticket: Tensor = _Start.apply(rows_ND, self)
        return ticket

    def wait(self, ticket: Tensor) -> Tensor:
        """The received rows [R, D]. On a GPU the current stream waits, not the host."""
        arrived_RD: Tensor = _Wait.apply(ticket, self)
        return arrived_RD

    def launch(self, rows: Tensor, *, returning: bool = False) -> None:
        """Start the collective, of gradients if `returning`; both buffers are kept until `land`."""
        assert self._flight is None, "a transfer carries one tensor at a time"
        sent, received = (self.received, self.sent) if returning else (self.sent, self.received)
        rows = rows.contiguous()
        out = rows.new_empty(sum(received), *rows.shape[1:])
        work = dist.all_to_all_single(out, rows, received, sent, group=self.group, async_op=True)
        self._flight = (work, rows, out)

    def land(self) -> Tensor:
        """Wait for the collective and return its result."""
        assert self._flight is not None, "launch comes first"
        work, _, out = self._flight
        work.wait()
        self._flight = None
        return out


class _Start(torch.autograd.Function):
    """Launch the transfer; in the backward pass wait for the gradients that `_Wait` has launched.

    An empty tensor links the two nodes, because autograd compares the shapes of a tensor and its gradient, and
    R rows would come back for N.
    """

    @staticmethod
    def forward(ctx: Any, rows_ND: Tensor, transfer: Transfer) -> Tensor:
        ctx.transfer = transfer
        transfer.launch(rows_ND)
        return rows_ND.new_empty(0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        return ctx.transfer.land(), None


class _Wait(torch.autograd.Function):
    """Wait for the transfer; in the backward pass launch that of the gradients."""

    @staticmethod
    def forward(ctx: Any, ticket: Tensor, transfer: Transfer) -> Tensor:
        ctx.transfer = transfer
        return transfer.land()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        ctx.transfer.launch(grad_outputs[0], returning=True)
        return grad_outputs[0].new_empty(0), None
