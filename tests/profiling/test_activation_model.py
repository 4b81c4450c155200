"""Activations at any size against a direct count of the full model; parameters against the model itself."""

from typing import Any

import pytest
import torch
from torch import nn

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.profiling.activations import Load, made_up_batch, measure_activations
from mmspec_ds.profiling.ledger import PARTS, Ledger, PassBytes, Place, kept_bytes, pass_bytes
from mmspec_ds.profiling.sizes import model_sizes, numel
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

SHARES = {Modality.H_NMR: 0.1, Modality.C_NMR: 0.1, Modality.IR: 0.5, Modality.MS: 0.3}
VOCABULARY = 20


def full_model(run: ElucidationRun, width: int | None, **options: Any) -> Elucidator:
    """The run's model, its experts all of one width."""
    moe = run.moe
    if moe is not None:
        alike = tuple(expert.model_copy(update={"width": width}) for expert in moe.experts)
        moe = moe.model_copy(update={"experts": alike})
    schemas = InputEncoding.from_settings(run.data).schemas
    torch.manual_seed(0)
    return build_elucidator(run.model, moe, schemas, VOCABULARY, structure_margin=1.0, **options).train()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
def test_estimate_equals_a_direct_count(make_run: Any, dense: bool, dtype: torch.dtype) -> None:
    run = make_run(*(["moe=null"] if dense else []))
    schemas = InputEncoding.from_settings(run.data).schemas
    load = Load(samples=7, places=210, tokens=1200, targets=55)
    model = full_model(run, 48).to(dtype)
    direct = sum(kept_bytes(model, made_up_batch(load, schemas, VOCABULARY, SHARES)).values())
    found = measure_activations(run, schemas, VOCABULARY, SHARES, dtype)
    stages = found.stages(load, 0.0 if dense else 48.0, 3, 2)
    assert sum(stage.kept for stage in stages) == pytest.approx(direct, rel=0.02)


def peak(passed: PassBytes) -> int:
    """The most alive at once in a pass."""
    before, most = 0, 0
    for part in PARTS:
        most, before = max(most, before + passed.working[part]), before + passed.kept[part]
    return most


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointed"])
def test_peak_of_a_pass(make_run: Any, checkpointing: bool) -> None:
    run = make_run("model.encoder_layers=4")
    schemas = InputEncoding.from_settings(run.data).schemas
    load = Load(samples=6, places=256, tokens=1500, targets=40)
    model = full_model(run, 48, activation_checkpointing=checkpointing)
    direct = peak(pass_bytes(model, made_up_batch(load, schemas, VOCABULARY, SHARES)))
    found = measure_activations(run, schemas, VOCABULARY, SHARES, torch.float32)
    before, most = 0.0, 0.0
    for stage in found.stages(load, 48.0, 4, 2, checkpointing=checkpointing):
        most, before = max(most, before + stage.working), before + stage.kept
    assert most == pytest.approx(direct, rel=0.05)


def test_measuring_leaves_no_trace(make_run: Any) -> None:
    run = make_run()
    schemas = InputEncoding.from_settings(run.data).schemas
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    measure_activations(run, schemas, VOCABULARY, SHARES, torch.float32)
    assert torch.equal(torch.rand(2), expected)
    model = full_model(run, 48)
    pass_bytes(model, made_up_batch(Load(2, 16, 30, 8), schemas, VOCABULARY, SHARES))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_ledger_follows_storages() -> None:
    layer, rows = nn.Linear(16, 32), torch.randn(100, 16)
    place = Place("encoder layer")
    ledger = Ledger(place)
    ledger.ignore({p.untyped_storage().data_ptr() for p in (layer.weight, layer.bias, rows)})
    with ledger:
        out = layer(rows)  # 100 x 32 floats
        twice = out * 2
        del out  # a product with a number keeps nothing
        total = twice.flatten().sum()
        place.part = "head"
        total.backward()
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    most = ledger.most([layer.weight.grad, layer.bias.grad])
    assert most["encoder layer"] == 2 * 100 * 32 * 4
    assert most["embedding"] == 0
    # `twice`, the sum, and the gradient of `out`, whose expanded parent is one number.
    assert most["head"] == pytest.approx(2 * 100 * 32 * 4, abs=64)


@pytest.mark.parametrize("override", ["seed=0", "moe=null", "model.d_model=64", "data.formula=true"])
def test_parameters_are_those_of_the_model(make_run: Any, override: str) -> None:
    run = make_run(override)
    schemas = InputEncoding.from_settings(run.data).schemas
    model = build_elucidator(run.model, run.moe, schemas, VOCABULARY)
    sizes = model_sizes(run, schemas, VOCABULARY)
    assert sizes.total == sum(p.numel() for p in model.parameters())
    assert sizes.total == sizes.dense + sum(sizes.by_expert)


def test_experts_and_active_parameters(make_run: Any) -> None:
    run = make_run()
    schemas = InputEncoding.from_settings(run.data).schemas
    sizes = model_sizes(run, schemas, VOCABULARY)
    assert sizes.widths == (64, 32, 64, 32)
    # w1, b1, w2, b2 in each of three layers.
    wide, narrow = 3 * (2 * 32 * 64 + 64 + 32), 3 * (2 * 32 * 32 + 32 + 32)
    assert sizes.by_expert == (wide, narrow, wide, narrow)
    assert sizes.active == sizes.dense + 2 * (2 * wide + 2 * narrow) / 4
    for size, rank in ((2, 1), (4, 0)):
        placement = Placement(size, rank)
        local = build_elucidator(run.model, run.moe, schemas, VOCABULARY, placement=placement)
        assert numel(sizes.on_rank(placement)) == sum(p.numel() for p in local.parameters())
