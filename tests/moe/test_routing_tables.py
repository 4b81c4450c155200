"""Figures of routing from reports with known sums. Axes: Y layers, M modalities, E experts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmspec_ds.moe.expert_settings import ExpertSettings
from mmspec_ds.moe.routing_tables import RoutingTable, RoutingTally, expert_names, routing_scalars
from mmspec_ds.moe.statistics import RoutingReport

NAMES = ("h_nmr", "c_nmr", "ir", "ms", "hsqc")
EXPERTS = (
    ExpertSettings(family="shared", width=64),
    ExpertSettings(family="modality", width=64, modalities=("ir", "ms")),
    ExpertSettings(family="shared", width=16),
    ExpertSettings(family="interaction", width=16),
)
"""In physical order: shared 64, shared 16, modality 64, interaction 16."""


def report() -> RoutingReport:
    """Of 1H two tokens and four pairs, of IR four tokens and four pairs, of the others none."""
    nothing = torch.zeros(())
    load_ME = torch.zeros(5, 4)
    load_ME[0] = torch.tensor([2.0, 1.0, 1.0, 0.0])
    load_ME[2] = torch.tensor([0.0, 0.0, 3.0, 1.0])
    importance_ME = torch.zeros(5, 4)
    importance_ME[0] = torch.tensor([1.0, 0.5, 0.25, 0.25])
    importance_ME[2] = 1.0
    dropped_M = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    tokens_M = torch.tensor([2.0, 0.0, 4.0, 0.0, 0.0])
    entropy_M = torch.tensor([2 * math.log(2), 0.0, 4 * math.log(4), 0.0, 0.0])
    return RoutingReport(
        importance_ME, load_ME, dropped_M, tokens_M, entropy_M, nothing, nothing, nothing, nothing, nothing
    )


def test_scalars_worked_out_by_hand() -> None:
    found = routing_scalars([report(), report()], NAMES)
    expected = {
        **{f"load_h_nmr/expert_{e}": share for e, share in enumerate((0.5, 0.25, 0.25, 0.0))},
        **{f"importance_h_nmr/expert_{e}": share for e, share in enumerate((0.5, 0.25, 0.125, 0.125))},
        **{f"load_ir/expert_{e}": share for e, share in enumerate((0.0, 0.0, 0.75, 0.25))},
        **{f"importance_ir/expert_{e}": 0.25 for e in range(4)},
        "dropped/h_nmr": 0.25,
        "dropped/ir": 0.0,
        "entropy/h_nmr": math.log(2),
        "entropy/ir": math.log(4),
    }
    assert found == pytest.approx(expected, abs=1e-6)
    assert routing_scalars([], NAMES) == {}


def test_a_tally_adds_layers_up_by_themselves() -> None:
    tally = RoutingTally()
    assert tally.table() is None
    other = replace(report(), load_ME=torch.ones(5, 4))
    tally.add([report(), other])
    tally.add([report(), other])
    table = tally.table()
    assert table is not None
    assert table.load_YME.shape == (2, 5, 4)
    assert table.load_YME[:, 0].tolist() == [[4, 2, 2, 0], [2, 2, 2, 2]]
    assert table.dropped_YM[0].tolist() == [2, 0, 0, 0, 0]
    assert table.share_YME[0, 0].tolist() == [0.5, 0.25, 0.25, 0]
    assert np.isnan(table.share_YME[0, 1]).all(), "13C did not occur"
    again = RoutingTable.from_json(table.to_json())
    assert np.array_equal(again.entropy_YM, table.entropy_YM)
    assert np.array_equal(again.importance_YME, table.importance_YME)


def test_families_worked_out_by_hand() -> None:
    tally = RoutingTally()
    tally.add([report()])
    table = tally.table()
    assert table is not None
    families_FM = table.families_FM(EXPERTS)
    assert families_FM[:, 0].tolist() == [0.75, 0.25, 0.0]
    assert families_FM[:, 2].tolist() == [0.0, 0.75, 0.25]
    assert expert_names(EXPERTS) == ["0 shared\n64", "1 shared\n16", "2 ir+ms\n64", "3 interaction\n16"]
