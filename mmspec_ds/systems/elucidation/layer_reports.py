"""The reports of all sparse layers of a training step, as one sequence and by where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mmspec_ds.moe.interactions import PooledReport
from mmspec_ds.moe.statistics import RoutingReport, with_values
from mmspec_ds.systems.elucidation.masking import MaskedPass
from mmspec_ds.systems.elucidation.model import ElucidatorOutput


@dataclass(frozen=True)
class Reports:
    """Reports of the encoder's layers, of the decoder's, and of the encoder's in a pass with a masked modality;
    none where there are no routers."""

    encoder: tuple[RoutingReport, ...]
    decoder: tuple[RoutingReport, ...] = ()
    masked: tuple[RoutingReport, ...] = ()

    @classmethod
    def of(cls, output: ElucidatorOutput, masked: MaskedPass | None = None) -> "Reports":
        """Those of a pass of the model, and of one with a masked modality."""
        return cls(
            routing_reports(output.reports),
            routing_reports(output.decoder_reports),
            routing_reports(masked.reports if masked is not None else ()),
        )

    @property
    def every(self) -> tuple[RoutingReport, ...]:
        """The reports of all layers: of the encoder, the decoder and the masked passes."""
        return (*self.encoder, *self.decoder, *self.masked)

    def with_values(self, values: Tensor) -> "Reports":
        """The same with the sums of `values`, the concatenated vectors of `every`."""
        every = with_values(self.every, values)
        first, second = len(self.encoder), len(self.encoder) + len(self.decoder)
        return Reports(every[:first], every[first:second], every[second:])


def routing_reports(reports: Sequence[object | None]) -> tuple[RoutingReport, ...]:
    """The routing reports among the reports of feed-forward networks, without their pools."""
    plain = (one.report if isinstance(one, PooledReport) else one for one in reports)
    return tuple(one for one in plain if isinstance(one, RoutingReport))
