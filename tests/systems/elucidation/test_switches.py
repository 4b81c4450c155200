"""Experts in the decoder and masked modalities in the objective of a step; old weights with new switches."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch.nn import functional as F

from mmspec_ds.data.batch import PADDING, Batch
from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings, ObjectiveSettings
from mmspec_ds.moe.interactions import Families, PooledReport, masked_modality
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.masking import Masking
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.objective import Objective
from mmspec_ds.systems.run_file import load_run

NAMES = tuple(modality.name.lower() for modality in Modality)
EXPERTS = (
    ExpertSettings(family="shared", width=32),
    ExpertSettings(family="modality", width=16, modalities=("h_nmr", "c_nmr")),
    ExpertSettings(family="modality", width=48, modalities=("ir", "ms")),
    ExpertSettings(family="interaction", width=16),
)
WEIGHTS = ObjectiveSettings(
    balance=0.1, cost=0.1, structure=0.0, z=0.05, interactions=0.7, temperature=1.0, temperature_min=1.0
)
CHOICES = (0, 1, 2, 3)
PROGRESS = 0.25


def make_objective(workshop: Any, moe: MoESettings, settings: ObjectiveSettings = WEIGHTS) -> Objective:
    torch.manual_seed(0)
    sizes = workshop.settings.model_copy(update={"dropout": 0.0})
    model = build_elucidator(sizes, moe, workshop.schemas, workshop.vocabulary, structure_margin=1.0)
    masking = Masking(5, CHOICES, Families.of(moe, NAMES)) if settings.interactions else None
    return Objective(model, settings, relative_costs(moe), masking=masking).train()


def make_batch(workshop: Any, samples: int = 4) -> Batch:
    target_BL = torch.randint(4, workshop.vocabulary, (samples, 9), generator=torch.Generator().manual_seed(0))
    target_BL[1, 6:] = 0
    weight_B = torch.ones(samples)
    weight_B[-1] = 0
    return Batch(workshop.spectra(workshop.samples(samples), padding=1), target_BL, weight_B)


def test_the_interactions_of_a_step_by_a_loop(workshop: Any) -> None:
    moe = MoESettings(experts=EXPERTS, renormalise=True)
    objective, batch = make_objective(workshop, moe), make_batch(workshop)
    loss = objective(batch, PROGRESS)

    masked = masked_modality(5, PROGRESS, CHOICES)
    model = cast(Elucidator, objective.model)
    modality_BS = batch.spectra.modality_BS
    without = batch.spectra.__class__(
        torch.where(modality_BS == masked, PADDING, modality_BS), batch.spectra.tokens
    )
    order = [e.family for e in sorted_experts(moe)]
    serves = [NAMES[masked] in e.modalities for e in sorted_experts(moe)]
    found: dict[str, list[float]] = {"modality": [], "interaction": [], "shared": []}
    for one, two in zip(model.encode(batch.spectra, 1.0).reports, model.encode(without, 1.0).reports):
        whole, rest = cast(PooledReport, one).pools, cast(PooledReport, two).pools
        for b in range(3):  # the last sample only fills up the batch
            kinds = set(modality_BS[b].tolist()) - {PADDING}
            if masked not in kinds or len(kinds) < 2:
                continue
            for e, family in enumerate(order):
                if whole.weight_BP[b, e] > 0 and rest.weight_BP[b, e] > 0:
                    cosine = float(
                        F.cosine_similarity(whole.output_BPD[b, e], rest.output_BPD[b, e], dim=0).detach()
                    )
                    change = max(0.0, cosine) if serves[e] else 1 - cosine
                    found[family].append(cosine if family == "interaction" else change)
    assert sum(map(len, found.values())) > 6
    expected = sum(sum(values) / max(1, len(values)) for values in found.values())
    assert float(loss.parts["interactions"]) == pytest.approx(expected, rel=1e-4)
    parts = {name: float(value) for name, value in loss.parts.items()}
    weight = 0.05  # lambda(0.25) = 0.1 / 2 * (1 + cos(pi / 2))
    total = (
        parts["task"] + weight * (parts["balance"] + parts["entropy"]) + 0.1 * parts["cost"]
        + 0.05 * parts["z"] + 0.7 * parts["interactions"]
    )  # fmt: skip
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-5)
    loss.total.backward()
    assert all(p.grad is not None for p in objective.parameters())


def sorted_experts(moe: MoESettings) -> list[ExpertSettings]:
    """48, 16 of modality, 32, 16 of interaction: widest next to narrowest."""
    widest = sorted(moe.experts, key=lambda e: -e.width)
    return [widest[0], widest[2], widest[1], widest[3]]


def test_nothing_is_masked_in_evaluation(workshop: Any) -> None:
    objective = make_objective(workshop, MoESettings(experts=EXPERTS)).eval()
    loss = objective(make_batch(workshop), PROGRESS)
    assert "interactions" not in loss.parts
    assert loss.masked_reports == ()
    assert len(loss.reports) == 2


def test_a_decoders_layers_count_in_the_means_of_the_auxiliary_losses(workshop: Any) -> None:
    moe = MoESettings(experts=EXPERTS, decoder=True, selection_bias_rate=0.1)
    settings = WEIGHTS.model_copy(update={"interactions": 0.0, "structure": 0.5})
    objective, batch = make_objective(workshop, moe, settings), make_batch(workshop)
    loss = objective(batch, PROGRESS)
    assert (len(loss.reports), len(loss.decoder_reports)) == (2, 2)
    every = (*loss.reports, *loss.decoder_reports)
    z = sum(float(r.z / r.tokens_M.sum()) for r in every) / 4
    assert float(loss.parts["z"]) == pytest.approx(z, rel=1e-5)
    structure = sum(
        float(r.agreement / r.agreement_count.clamp_min(1) + r.separation / r.separation_count.clamp_min(1))
        for r in loss.reports
    )
    assert float(loss.parts["structure"]) == pytest.approx(structure / 2, rel=1e-5)
    assert sum(float(r.tokens_M.sum()) for r in loss.decoder_reports) == 2 * float(
        (batch.target_BL[:, :-1] != 0).sum()
    )
    objective.rebalance(loss)
    for half in (objective.model.encoder, objective.model.decoder):
        for layer in half.layers:
            assert layer.feedforward.deepspeed_moe.gate.selection_bias.abs().sum() > 0


def test_weights_from_before_the_switches_load(workshop: Any) -> None:
    moe = MoESettings(experts=EXPERTS)
    old = build_elucidator(workshop.settings, moe, workshop.schemas, 11).state_dict()
    names = {key.rsplit("deepspeed_moe.", 1)[-1] for key in old if "deepspeed_moe" in key}
    assert {name for name in names if "experts" not in name} == {
        "gate.bias",
        "gate.selection_bias",
        "gate.tag",
        "gate.wg.weight",
    }
    for changed in ({"gate": "sigmoid"}, {"choice": "expert"}):
        other = MoESettings.model_validate({"experts": EXPERTS, **changed})
        build_elucidator(workshop.settings, other, workshop.schemas, 11).load_state_dict(old)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["moe=null", "objective.interactions=0.1"], "the model is dense: expected 0"),
        (["data.modalities=[h_nmr]", "objective.interactions=0.1"], "at least two kinds in data.modalities"),
        (["data.modalities=[h_nmr]", "objective.alignment=0.1"], "objective.alignment compares the kinds"),
        (["data.modalities=[h_nmr]", "training.modality_gradients=ogm_ge"], "at least two kinds"),
        (["objective.alignment_temperature=0.1"], "alignment_temperature is 0.1, but alignment is 0"),
        (["training.ogm_ge.alpha=0.3"], "modality_gradients is 'none': expected 'ogm_ge'"),
        (["model.encoder_ffn_width=320"], "but there are experts: expected no encoder_ffn_width"),
        (["moe.decoder=true", "moe.mode=capacity"], "decoder is true, but mode is 'capacity'"),
        (
            ["training.modality_gradients=pcgrad", "objective.interactions=0.1"],
            "training.modality_gradients 'pcgrad'",
        ),
    ],
)
def test_switches_that_do_not_go_together(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_run(Path("demo"), ["training.ep_size=1", *overrides])
