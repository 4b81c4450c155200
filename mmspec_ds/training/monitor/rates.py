"""How fast a run is, and what it takes: tokens, samples, arithmetic, memory.

Axes: M modalities, E experts in physical order.
"""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.settings import MoESettings
from mmspec_ds.moe.statistics import RoutingReport

GIB = 2.0**30


@dataclass(frozen=True)
class Arithmetic:
    """Multiplications and additions of a model's matrices in a forward pass: for each token of the spectra,
    for each target token, and for each row that an expert is given. Embeddings, attention's products of queries
    with keys and of weights with values, and padding are left out.

    Attributes:
        per_spectrum_token, per_target_token: FLOPs.
        per_row_E: FLOPs of each expert.
    """

    per_spectrum_token: float
    per_target_token: float
    per_row_E: tuple[float, ...] = ()

    @classmethod
    def of(cls, model: nn.Module, moe: MoESettings | None) -> "Arithmetic":
        """Counted from a model's linear layers by their names; the decoder's output shares its embedding."""
        spectrum = target = 0.0
        for name, module in model.named_modules():
            if not isinstance(module, nn.Linear):
                continue
            flops = 2.0 * module.weight.numel()
            if name.startswith("encoder.") or name.endswith("cross_attention.key_value"):
                spectrum += flops
            elif name.startswith("decoder."):
                target += flops
        head = model.get_parameter("decoder.tokens.weight")
        width = head.shape[1]
        experts = physical_order(moe.experts) if moe else ()
        return cls(spectrum, target + 2.0 * head.numel(), tuple(4.0 * width * one.width for one in experts))

    def of_step(self, spectrum_tokens: float, target_tokens: float, reports: Sequence[RoutingReport]) -> float:
        """FLOPs of a training step: forward, and twice as many backward."""
        forward = self.per_spectrum_token * spectrum_tokens + self.per_target_token * target_tokens
        if reports:
            rows_E = sum(report.load_ME.detach().sum(0) for report in reports)
            forward += float((rows_E.cpu().double() * torch.tensor(self.per_row_E).double()).sum())  # type: ignore[union-attr]
        return 3.0 * forward


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
