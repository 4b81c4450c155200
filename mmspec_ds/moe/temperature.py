"""The temperature of the routers of a model, saved with its weights."""

import torch
from torch import Tensor, nn

ROUTER_TEMPERATURE = "router_temperature"
"""The buffer of a sparse model that holds the routers' tau."""


class KeepsTemperature(nn.Module):
    """A model with routers, or a dense one without; `open_temperature` says which."""

    router_temperature: Tensor

    def open_temperature(self, *, sparse: bool) -> None:
        """Give a sparse model the buffer of its temperature, 1 so far."""
        if sparse:
            self.register_buffer(ROUTER_TEMPERATURE, torch.ones(()))

    @property
    def temperature(self) -> float:
        """The routers' tau where a call gives none: that of the last training step, saved with the weights; 1
        in a dense model."""
        return float(self.router_temperature) if ROUTER_TEMPERATURE in self._buffers else 1.0

    def keep_temperature(self, value: float) -> None:
        """Keep the routers' tau with the weights, where there are routers."""
        if ROUTER_TEMPERATURE in self._buffers:
            self.router_temperature.fill_(value)
