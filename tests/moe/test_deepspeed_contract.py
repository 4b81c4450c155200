"""What the sparse layer relies on in DeepSpeed, whose gate contract is private and changes between releases."""

import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from deepspeed.moe.experts import Experts
from deepspeed.moe.layer import MoE
from deepspeed.moe.sharded_moe import MOELayer, TopKGate
from deepspeed.moe.utils import is_moe_param, split_params_into_different_moe_groups_for_optimizer
from deepspeed.runtime.engine import DeepSpeedEngine
from deepspeed.utils import groups
from torch import nn

from mmspec_ds.moe.deepspeed_layer import DeepSpeedSparseFeedForward
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.expert_settings import MoESettings, paper_experts
from mmspec_ds.moe.experts import ExpertBank
from mmspec_ds.moe.layer import Gate, SparseDispatch, SparseFeedForward

PINNED = "0.19.8"
MODALITIES = ("h_nmr", "c_nmr", "ir", "ms", "formula")
SETTINGS = MoESettings(experts=paper_experts(64, 16))


@pytest.fixture
def layer() -> DeepSpeedSparseFeedForward:
    """The second of two ranks' halves of eight experts."""
    torch.manual_seed(0)
    return DeepSpeedSparseFeedForward(16, SETTINGS, MODALITIES, 1.0, Placement(2, 1))


def test_the_version_is_the_one_that_the_contract_was_read_from() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"deepspeed=={PINNED}" in project["project"]["dependencies"]
    assert version("deepspeed") == PINNED


def test_every_part_is_one_of_deepspeeds(layer: DeepSpeedSparseFeedForward) -> None:
    parts = (layer, layer.deepspeed_moe, layer.deepspeed_moe.gate, layer.deepspeed_moe.experts)
    for part, theirs in zip(parts, (MoE, MOELayer, TopKGate, Experts)):
        assert isinstance(part, theirs)
        assert isinstance(part, nn.Module)
    assert type(layer).forward is SparseFeedForward.forward
    assert type(layer.deepspeed_moe).forward is SparseDispatch.forward
    assert type(layer.deepspeed_moe.gate).forward is Gate.forward
    assert type(layer.deepspeed_moe.experts).forward is ExpertBank.forward


def test_what_the_engine_reads_of_a_layer(layer: DeepSpeedSparseFeedForward) -> None:
    assert (layer.ep_size, layer.num_experts, layer.num_local_experts) == (2, 8, 4)
    assert layer.expert_group_name == "ep_size_2"
    assert layer.use_residual is False
    assert layer.enable_expert_tensor_parallelism is False
    assert layer.deepspeed_moe.experts.num_local_experts == 4
    assert len(layer.deepspeed_moe.experts.weights()) == 4
    assert callable(layer.set_deepspeed_parallelism)


def test_expert_parameters_and_no_others_are_marked(layer: DeepSpeedSparseFeedForward) -> None:
    for name, parameter in layer.named_parameters():
        of_expert = ".experts." in name
        assert is_moe_param(parameter) == of_expert, name
        assert getattr(parameter, "allreduce", True) is not of_expert
        assert getattr(parameter, "group_name", None) == ("ep_size_2" if of_expert else None)


def test_no_key_speaks_of_experts_outside_their_place(layer: DeepSpeedSparseFeedForward) -> None:
    place = re.compile(r"^deepspeed_moe\.experts\.deepspeed_experts\.[0-3]\.(w1|b1|w2|b2)$")
    keys = list(layer.state_dict())
    assert [key for key in keys if "expert" in key and not place.match(key)] == []
    assert sum(bool(place.match(key)) for key in keys) == 16


def test_it_is_the_plain_layer_in_names_weights_and_results() -> None:
    torch.manual_seed(7)
    theirs = DeepSpeedSparseFeedForward(16, SETTINGS, MODALITIES, 1.0)
    torch.manual_seed(7)
    plain = SparseFeedForward(16, SETTINGS, MODALITIES, 1.0)
    assert list(plain.state_dict()) == list(theirs.state_dict())
    for key, value in plain.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[key]), key
    hidden, modality = torch.randn(2, 4, 16), torch.tensor([[0, 1, 2, -1], [3, 3, 4, 0]])
    ours, report = plain(hidden, modality, 1.5)
    out, their_report = theirs(hidden, modality, 1.5)
    assert torch.equal(ours, out)
    assert torch.equal(report.load_ME, their_report.load_ME)


def test_experts_of_unequal_width_get_groups_of_their_own(layer: DeepSpeedSparseFeedForward) -> None:
    made = split_params_into_different_moe_groups_for_optimizer(
        [{"params": list(layer.parameters()), "name": "all"}]
    )
    experts = [group for group in made if group.get("moe")]
    assert [group["name"] for group in experts] == ["ep_size_2"]
    assert sum(len(group["params"]) for group in experts) == 4, "those of all local experts are stacked"
    assert sum(len(group["params"]) for group in made) == len(list(layer.parameters()))


def test_the_private_names_are_there() -> None:
    assert list(inspect.signature(MoE._create_process_groups).parameters) == [
        "self",
        "use_data_before_expert_parallel_",
    ]
    assert list(inspect.signature(MOELayer._set_ep_group).parameters) == ["self", "ep_group"]
    assert (
        "use_data_before_expert_parallel_"
        in inspect.signature(groups._create_expert_and_data_parallel).parameters
    )
    assert isinstance(groups._get_expert_parallel_group_dict(), dict)
    assert callable(groups._get_expert_parallel_group)
    engine = inspect.getsource(DeepSpeedEngine)
    assert "isinstance(module, MoE)" in engine
    assert "isinstance(module, MOELayer)" in engine
    assert "isinstance(module, TopKGate)" in engine
