"""What a run has trained so far: samples and floating-point operations (FLOPs), over all ranks."""

import torch
from torch import Tensor

from mmspec_ds.trainer.distributed import summed


class Counts:
    """Samples and FLOPs of training. Each rank adds its own, and `gather` sums them over the ranks.

    Args:
        samples, flops: of all ranks so far; None in a run that an older version began, where they stay None.
        device: of this rank's tensors.

    Attributes:
        samples, flops: of all ranks, as last gathered.
    """

    def __init__(self, samples: float | None, flops: float | None, device: torch.device) -> None:
        self.samples, self.flops, self._device = samples, flops, device
        self._samples_here: float = 0.0
        self._flops_here: float | Tensor = 0.0

    def add(self, samples: float, flops: float | Tensor) -> None:
        """Add this rank's share of a micro-batch. A tensor stays on its device: no step waits for it."""
        self._samples_here = self._samples_here + samples
        self._flops_here = self._flops_here + flops

    def gather(self) -> None:
        """Add what all ranks have trained since the last time. Every rank calls this, after the same steps in a
        resumed run as in an undisturbed one: then the sums are the same to the last bit."""
        samples, flops = summed([self._samples_here, float(self._flops_here)], self._device)
        self._samples_here, self._flops_here = 0.0, 0.0
        self.samples = None if self.samples is None else self.samples + samples
        self.flops = None if self.flops is None else self.flops + flops
