"""An all-to-all with uneven splits as two differentiable nodes, start and wait, with other work between them.

The backward pass has the same shape, turned round: the gradient of `wait` starts the gradient's way back, that
of `start` waits for it. Autograd takes the nodes that are ready in the reverse order of their making, so that
what stood between start and wait in the forward pass stands between them in the backward pass too, in the same
order on every rank.

Axes: D model width, N rows sent, R rows received.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Transfer:
    """Rows to other ranks, started and awaited. One object carries one tensor at a time.

    Args:
        sent: rows for each rank of the group, in the order of ranks.
        received: rows from each rank.
        group: the process group; every rank of it makes the same transfers in the same order.
    """

    def __init__(self, sent: list[int], received: list[int], group: Any) -> None:
        self.sent, self.received, self.group = sent, received, group
        self._flight: tuple[Any, Tensor, Tensor] | None = None

    def start(self, rows_ND: Tensor) -> Tensor:
        """Launch. What is returned holds no number: it ties `wait` to this start in autograd's graph."""
        ticket: Tensor = _Start.apply(rows_ND, self)
        return ticket

    def wait(self, ticket: Tensor) -> Tensor:
        """The rows that have arrived [R, D]. On a GPU it is the current stream that waits, not the host."""
        arrived_RD: Tensor = _Wait.apply(ticket, self)
        return arrived_RD

    def launch(self, rows: Tensor, *, returning: bool = False) -> None:
        """Start the collective, the gradient's if `returning`; both buffers live until `land`."""
        assert self._flight is None, "a transfer carries one tensor at a time"
        sent, received = (self.received, self.sent) if returning else (self.sent, self.received)
        rows = rows.contiguous()
        out = rows.new_empty(sum(received), *rows.shape[1:])
        work = dist.all_to_all_single(out, rows, received, sent, group=self.group, async_op=True)
        self._flight = (work, rows, out)

    def land(self) -> Tensor:
        """Wait for what was launched and hand it over."""
        assert self._flight is not None, "launch comes first"
        work, _, out = self._flight
        work.wait()
        self._flight = None
        return out


class _Start(torch.autograd.Function):
    """Launches; its gradient has been launched by `_Wait` and is waited for here.

    What passes between the two nodes is an empty tensor: rows in flight are in nobody's hands, and autograd,
    which compares a gradient's shape with the tensor's, never sees N rows come back for R.
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
    """Waits; launches its gradient."""

    @staticmethod
    def forward(ctx: Any, ticket: Tensor, transfer: Transfer) -> Tensor:
        ctx.transfer = transfer
        return transfer.land()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        ctx.transfer.launch(grad_outputs[0], returning=True)
        return grad_outputs[0].new_empty(0), None
