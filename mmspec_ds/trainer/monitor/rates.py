"""Throughput of a run in tokens, samples and operations, and its memory."""

import resource
import sys
import time

import torch
from torch import Tensor

GIB = 2.0**30


class Rates:
    """Tokens and samples between two logs, and the time they took. Counts of tokens stay on the device, so that
    no step waits for them.

    Args:
        device: of the counts.
        ranks: how many take part, each with as many samples as this one.
    """

    def __init__(self, device: torch.device, ranks: int = 1) -> None:
        self._device, self._ranks = device, ranks
        self.restart()

    def restart(self) -> None:
        """Set counts and clock to zero."""
        self._tokens = torch.zeros((), device=self._device)
        self._samples, self._since = 0.0, time.monotonic()

    def count(self, tokens: Tensor, samples: float) -> None:
        """Add a micro-batch: the tokens of all ranks, and the samples of this one."""
        self._tokens += tokens
        self._samples += samples * self._ranks

    def scalars(self, flops_per_token: float) -> dict[str, float]:
        """Rates since the last restart by tag, and the peak memory of this process or its GPU, GiB."""
        seconds = time.monotonic() - self._since
        tokens = float(self._tokens) / seconds
        return {
            "throughput/tokens_per_second": tokens,
            "throughput/samples_per_second": self._samples / seconds,
            "resources/gigaflops_per_second": tokens * flops_per_token / 1e9,
            "resources/megaflops_per_token": flops_per_token / 1e6,
            "resources/memory_gib": peak_memory(self._device) / GIB,
        }


def peak_memory(device: torch.device) -> float:
    """Peak memory in bytes: on a GPU of all tensors, elsewhere the resident set of this process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
