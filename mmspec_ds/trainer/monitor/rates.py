"""How fast a run is, and what it takes: tokens, samples, operations, memory."""

import resource
import sys
import time

import torch
from torch import Tensor

GIB = 2.0**30


class Rates:
    """What was done between two logs, and how long it took. Counts of tokens stay on the device, so that no
    step waits for them.

    Args:
        device: of the counts.
        ranks: how many take part, each with as many samples as this one.
    """

    def __init__(self, device: torch.device, ranks: int = 1) -> None:
        self._device, self._ranks = device, ranks
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self._tokens = torch.zeros((), device=self._device)
        self._samples, self._since = 0.0, time.monotonic()

    def count(self, tokens: Tensor, samples: float) -> None:
        """A micro-batch: the tokens of all ranks, and the samples of this one."""
        self._tokens += tokens
        self._samples += samples * self._ranks

    def scalars(self, flops_per_token: float) -> dict[str, float]:
        """The rates since the beginning, and the most memory so far, of this process or its GPU."""
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
    """Bytes: on a GPU the most that tensors have taken, elsewhere the largest resident set of this process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
