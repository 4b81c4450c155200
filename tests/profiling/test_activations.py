"""Activations from shapes alone against real passes; parameters against the model itself."""

from typing import Any

import pytest
import torch
from torch import nn

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.profiling.activations import (
    batch_tensors,
    generated_batch,
    pass_loss,
    pass_stages,
)
from mmspec_ds.profiling.ledger import Ledger, StageBytes, watch_pass
from mmspec_ds.profiling.resident import memory_of_process, reset_peak
from mmspec_ds.profiling.sizes import model_sizes, numel, stages
from mmspec_ds.profiling.tokens import Load
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


def peak(found: list[StageBytes]) -> float:
    """The most alive at once in a pass."""
    before, most = 0.0, 0.0
    for stage in found:
        most, before = max(most, before + stage.working), before + stage.kept
    return most


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("moe=null",),
        ("moe.gate=sigmoid", "moe.renormalise=true", "moe.always_on=32"),
        ("moe.choice=expert",),
        ("model.embedding=axis",),
    ],
    ids=["sparse", "dense", "always on", "experts choose", "axis"],
)
def test_estimate_equals_what_a_real_pass_saves(
    make_run: Any, saved_bytes: Any, overrides: tuple[str, ...], dtype: torch.dtype
) -> None:
    run = make_run(*overrides)
    schemas = InputEncoding.from_settings(run.data).schemas
    batch = generated_batch(Load(samples=7, places=210, tokens=1200, targets=55), schemas, VOCABULARY, SHARES)
    direct = saved_bytes(full_model(run, 48).to(dtype), batch)
    found = pass_stages(run, schemas, VOCABULARY, batch, width=48, dtype=dtype, checkpointing=False)
    assert [stage.name for stage in found] == stages(3, 2)
    assert sum(stage.kept for stage in found) == pytest.approx(direct, rel=0.05)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "checkpointed"])
def test_estimate_equals_a_real_pass_stage_by_stage(make_run: Any, checkpointing: bool) -> None:
    run = make_run("model.encoder_layers=4")
    schemas = InputEncoding.from_settings(run.data).schemas
    batch = generated_batch(Load(samples=6, places=256, tokens=1500, targets=40), schemas, VOCABULARY, SHARES)
    model = full_model(run, 48, activation_checkpointing=checkpointing)
    real = watch_pass(model, batch_tensors(batch), lambda: pass_loss(model, batch))
    found = pass_stages(
        run, schemas, VOCABULARY, batch, width=48, dtype=torch.float32, checkpointing=checkpointing
    )
    assert peak(found) == pytest.approx(peak(real), rel=0.05)
    for ours, theirs in zip(found, real, strict=True):
        assert ours.kept == pytest.approx(theirs.kept, rel=0.05), ours.name


def test_an_estimate_leaves_no_trace(make_run: Any) -> None:
    run = make_run()
    schemas = InputEncoding.from_settings(run.data).schemas
    batch = generated_batch(Load(2, 16, 30, 8), schemas, VOCABULARY, SHARES)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    attention = torch.nn.functional.scaled_dot_product_attention
    pass_stages(run, schemas, VOCABULARY, batch, width=48, dtype=torch.float32, checkpointing=True)
    assert torch.equal(torch.rand(2), expected)
    assert torch.nn.functional.scaled_dot_product_attention is attention
    model = full_model(run, 48)
    watch_pass(model, batch_tensors(batch), lambda: pass_loss(model, batch))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_large_model_takes_no_memory(make_run: Any) -> None:
    """200,000,000 parameters of a layer's experts would be 800 MB."""
    run = make_run("model.d_model=1024", "model.heads=16")
    schemas = InputEncoding.from_settings(run.data).schemas
    batch = generated_batch(Load(2, 16, 30, 8), schemas, VOCABULARY, SHARES)
    before = reset_peak()["VmRSS"]
    pass_stages(run, schemas, VOCABULARY, batch, width=24_000, dtype=torch.float32, checkpointing=False)
    assert memory_of_process()["VmHWM"] - before < 200e6


def test_ledger_follows_storages() -> None:
    layer, rows = nn.Linear(16, 32), torch.randn(100, 16)
    ledger = Ledger("forward")
    ledger.ignore([layer.weight, layer.bias, rows])
    with ledger:
        out = layer(rows)  # 100 x 32 floats
        twice = out * 2
        del out  # a product with a number keeps nothing
        total = twice.flatten().sum()
        ledger.stage = "backward"
        total.backward()
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    timeline = ledger.timeline([layer.weight.grad, layer.bias.grad])
    most = {name: max(alive for stage, alive in timeline if stage == name) for name in ("forward", "backward")}
    assert most["forward"] == 2 * 100 * 32 * 4
    # `twice`, the sum, and the gradient of `out`, whose expanded parent is one number.
    assert most["backward"] == pytest.approx(2 * 100 * 32 * 4, abs=64)


@pytest.mark.parametrize(
    "override",
    ["seed=0", "moe=null", "model.d_model=64", "data.formula=true", "moe.always_on=32", "moe.decoder=true"],
)
def test_parameters_are_those_of_the_model(make_run: Any, override: str) -> None:
    run = make_run(override)
    schemas = InputEncoding.from_settings(run.data).schemas
    model = build_elucidator(run.model, run.moe, schemas, VOCABULARY)
    sizes = model_sizes(run, schemas, VOCABULARY)
    assert sizes.total == sum(p.numel() for p in model.parameters())
    assert sizes.total == sizes.dense + sum(sizes.by_expert)


def test_experts_and_nominal_parameters(make_run: Any) -> None:
    run = make_run()
    schemas = InputEncoding.from_settings(run.data).schemas
    sizes = model_sizes(run, schemas, VOCABULARY)
    assert sizes.widths == (64, 32, 64, 32)
    # w1, b1, w2, b2 in each of three layers.
    wide, narrow = 3 * (2 * 32 * 64 + 64 + 32), 3 * (2 * 32 * 32 + 32 + 32)
    assert sizes.by_expert == (wide, narrow, wide, narrow)
    assert sizes.nominal == sizes.dense + 2 * (2 * wide + 2 * narrow) / 4
    for size, rank in ((2, 1), (4, 0)):
        placement = Placement(size, rank)
        local = build_elucidator(run.model, run.moe, schemas, VOCABULARY, placement=placement)
        assert numel(sizes.on_rank(placement)) == sum(p.numel() for p in local.parameters())
