"""OGM-GE, PCGrad and gradient blending against the papers' formulas, worked out by hand or on whole vectors.

Axes: B samples, S places, D model width, N tasks, P parameters.
"""

import math
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from mmspec_ds.data.batch import PADDING, Batch
from mmspec_ds.moe.expert_settings import ObjectiveSettings
from mmspec_ds.nn.flops import BatchSize, Dimensions, pass_flops
from mmspec_ds.nn.modality_balance import blend_weights, coefficients, spread_by_modality
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.modality_gradients.alone import alone_losses, evaluating, only
from mmspec_ds.systems.elucidation.modality_gradients.balance_settings import BlendingSettings, OgmGeSettings
from mmspec_ds.systems.elucidation.modality_gradients.blending import BlendingObjective
from mmspec_ds.systems.elucidation.modality_gradients.cost import flops_alone
from mmspec_ds.systems.elucidation.modality_gradients.ogm_ge import (
    OgmGeObjective,
)
from mmspec_ds.systems.elucidation.modality_gradients.pcgrad import (
    PCGradObjective,
    gram,
    projected_shares,
)
from mmspec_ds.systems.elucidation.model import sequence_loss
from mmspec_ds.systems.elucidation.objective import Objective
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run
from mmspec_ds.trainer.task import REPLICATED

RUNS = Path(__file__).parents[3] / "ds_configs" / "runs"
H, C, IR = Modality.H_NMR, Modality.C_NMR, Modality.IR


def batch_of(workshop, number: int = 5) -> Batch:
    """Samples of all kinds with random targets; the last only fills up the batch."""
    source = torch.Generator().manual_seed(number)
    target_BL = torch.randint(4, 11, (number, 7), generator=source)
    target_BL[:, 0], target_BL[:, -1] = 1, 2
    weight_B = torch.ones(number)
    weight_B[-1] = 0
    return Batch(workshop.spectra(workshop.samples(number), padding=1), target_BL, weight_B)


def gradients(module: nn.Module) -> torch.Tensor:
    return torch.cat([cast(torch.Tensor, p.grad).flatten() for p in module.parameters()])


def test_a_batch_of_one_modality_is_that_of_its_tokens(workshop) -> None:
    batch, model = batch_of(workshop), workshop.model()
    alone = only(batch, C)
    samples = [{C: sample[C]} for sample in workshop.samples(5)]
    expected = workshop.spectra(samples)
    assert torch.equal(alone.spectra.modality_BS, expected.modality_BS)
    assert list(alone.spectra.tokens) == [C]
    for field in ("place_T", "order_T", "discrete_TF", "continuous_TF"):
        assert torch.equal(getattr(alone.spectra.tokens[C], field), getattr(expected.tokens[C], field))
    has = [float(len(sample[C][0]) > 0) for sample in samples[:-1]]
    assert alone.weight_B.tolist() == [*has, 0.0]
    with torch.no_grad():
        loss, count = sequence_loss(model(alone).logits_BLV, batch.target_BL, alone.weight_B)
    loss_M, count_M = alone_losses(model, batch, (H, C), None, None)
    assert loss_M[1].item() == pytest.approx(float(loss / count), rel=1e-5)
    assert count_M[1].item() == float(count)


def test_the_formula_stays_with_every_instrument() -> None:
    from mmspec_ds.data.batch import ModalityTokens, SpectraBatch

    modality_BS = torch.tensor([[H, C, Modality.FORMULA, PADDING], [C, C, Modality.FORMULA, PADDING]])
    tokens = {
        m: ModalityTokens(
            (modality_BS.flatten() == m).nonzero()[:, 0], *(torch.zeros(int((modality_BS == m).sum()), 1),) * 3
        )
        for m in (H, C, Modality.FORMULA)
    }
    batch = Batch(SpectraBatch(modality_BS, tokens), torch.ones(2, 3, dtype=torch.int64), torch.ones(2))
    alone = only(batch, H)
    assert alone.spectra.modality_BS.tolist() == [[H, Modality.FORMULA], [Modality.FORMULA, PADDING]]
    assert alone.spectra.tokens[Modality.FORMULA].place_T.tolist() == [1, 2]
    assert alone.weight_B.tolist() == [1, 0]


def test_the_cost_is_that_of_passes_with_one_modality(workshop) -> None:
    batch = batch_of(workshop)
    sizes = Dimensions(16, 32, 32, 2, 2, 11, {}, 0)
    alone = [pass_flops(sizes, BatchSize.of(only(batch, modality))) for modality in workshop.schemas]
    for kind, expected in {
        "none": 0.0,
        "ogm_ge": sum(one.total_forward for one in alone),
        "pcgrad": sum(one.total for one in alone),
        "blending": sum(one.total for one in alone),
    }.items():
        run = load_run(RUNS / "study.yaml", [f"training.modality_gradients={kind}"])
        assert isinstance(run, ElucidationRun)
        assert flops_alone(run, sizes, batch).total == pytest.approx(expected)


def test_coefficients_by_hand() -> None:
    loss_M = -torch.log(torch.tensor([0.8, 0.4, 0.2, 0.9]))
    found = coefficients(loss_M, torch.tensor([True, True, True, False]), alpha=0.5)
    # 0.8 is 8/3 of the mean of 0.4 and 0.2; 0.4 is less than that of 0.8 and 0.2; the last is absent.
    assert found.tolist() == pytest.approx([1 - math.tanh(0.5 * 8 / 3), 1, 1, 1], rel=1e-6)
    lonely = coefficients(loss_M, torch.tensor([True, False, False, False]), alpha=0.5)
    assert lonely.tolist() == [1, 1, 1, 1]


def test_the_gradient_of_late_fusion_is_scaled_for_each_encoder(workshop) -> None:
    batch, model = batch_of(workshop), workshop.model(fusion="late", dropout=0.0).train()
    settings = ObjectiveSettings(balance=0)
    Objective(model, settings, None)(batch, 0.5).total.backward()
    plain = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    loss = OgmGeObjective(model, settings, None, balance=OgmGeSettings(alpha=0.7, noise=0))(batch, 0.5)
    loss.total.backward()
    scales = {m: loss.parts[f"modulation_{m.name.lower()}"].item() for m in workshop.schemas}
    assert min(scales.values()) < 0.9 < max(scales.values()) == 1
    for modality, scale in scales.items():
        for name, parameter in model.encoder.by_modality[modality.name].named_parameters():
            whole = plain[f"encoder.by_modality.{modality.name}.{name}"]
            torch.testing.assert_close(parameter.grad, scale * whole, rtol=1e-5, atol=1e-9)
    for name, parameter in model.decoder.named_parameters():
        torch.testing.assert_close(parameter.grad, plain[f"decoder.{name}"], rtol=1e-10, atol=1e-12)


def test_the_noise_has_the_size_of_the_gradient(workshop) -> None:
    pull_BSD = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1)) + 0.3
    modality_BS = torch.tensor([[H, H, C, C, PADDING], [C, IR, IR, IR, IR]])
    spread_BS = spread_by_modality(pull_BSD, modality_BS)
    rows = pull_BSD.numpy()
    assert spread_BS[0, 0].item() == pytest.approx(rows[0, :2].std(), rel=1e-5)
    assert spread_BS[1, 2].item() == pytest.approx(rows[1, 1:].std(), rel=1e-5)
    assert spread_BS[0, 4].item() == 0
    batch, model = batch_of(workshop), workshop.model(dropout=0.0).train()
    pulls = []
    for noise in (0.0, 1.0):
        states: list[torch.Tensor] = []

        def keep(module: nn.Module, inputs: object, embedded: torch.Tensor, kept: list = states) -> None:
            if embedded.requires_grad:
                embedded.retain_grad()
                kept.append(embedded)

        hook = model.embedding.register_forward_hook(keep)
        torch.manual_seed(3)
        objective = OgmGeObjective(
            model, ObjectiveSettings(), None, balance=OgmGeSettings(alpha=0, noise=noise)
        )
        objective(batch, 0.5).total.backward()
        hook.remove()
        pulls.append(states[-1].grad)
    difference = pulls[1] - pulls[0]
    assert 0.2 < float(difference.norm() / pulls[0].norm()) < 5


def algorithm_1(gradient_NP: np.ndarray, seed: int) -> np.ndarray:
    """The mean of the projected gradients as algorithm 1 of the paper has them, on whole vectors."""
    source, projected = torch.Generator().manual_seed(seed), []
    for own in range(len(gradient_NP)):
        vector = gradient_NP[own].copy()
        for other in torch.randperm(len(gradient_NP), generator=source).tolist():
            along = vector @ gradient_NP[other]
            if other != own and along < 0:
                vector -= along / (gradient_NP[other] @ gradient_NP[other]) * gradient_NP[other]
        projected.append(vector)
    return np.mean(projected, axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_projections_are_those_of_the_paper(seed: int) -> None:
    gradient_NP = np.random.default_rng(seed).normal(size=(4, 6))
    assert (gradient_NP @ gradient_NP.T < 0).any()
    share_N = projected_shares(gram(torch.from_numpy(gradient_NP)), seed)
    np.testing.assert_allclose(share_N.numpy() @ gradient_NP, algorithm_1(gradient_NP, seed), rtol=1e-12)


def test_tasks_that_agree_are_averaged() -> None:
    together = torch.tensor([[1.0, 0.0, 2.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    assert projected_shares(gram(together), 0).tolist() == [0.5, 0.5]
    opposed = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    # (1, 0) without its part along (-1, 1) is (0.5, 0.5); (-1, 1) without that along (1, 0) is (0, 1).
    np.testing.assert_allclose((projected_shares(gram(opposed), 0) @ opposed).numpy(), [0.5 / 3, 1.5 / 3])


def test_pcgrad_has_the_gradient_of_its_tasks(workshop) -> None:
    batch, model = batch_of(workshop), workshop.model(dropout=0.0).float().train()
    settings = ObjectiveSettings(balance=0)
    tasks = []
    for modality in (None, *workshop.schemas):
        model.zero_grad()
        alone = batch if modality is None else only(batch, modality)
        Objective(model, settings, None)(alone, 0.5).total.backward()
        tasks.append(gradients(model).double().numpy())
    torch.manual_seed(4)
    seed = int(torch.randint(2**31, (1,)))
    model.zero_grad()
    torch.manual_seed(4)
    loss = PCGradObjective(model, settings, None, sharding=REPLICATED)(batch, 0.5)
    loss.total.backward()
    expected = algorithm_1(np.stack(tasks), seed)
    np.testing.assert_allclose(gradients(model).numpy(), expected, rtol=1e-4, atol=1e-7)
    assert loss.total.item() == pytest.approx(loss.parts["task"].item(), rel=1e-6)


def test_blending_weights_by_hand() -> None:
    before = [2.0, 3.0, 3.0, 1.0], [2.1, 3.1, 3.1, 1.0]
    now = [1.5, 2.5, 2.0, 0.9], [1.7, 2.61, 2.6, 1.2]
    # G: 0.4, 0.49, 0.5, none. O: 0.1, 0.01 (counted as 0.05), 0.5.
    raw = [0.4 / 0.1**2, 0.49 / 0.05**2, 0.5 / 0.5**2, 0.0]
    expected = [one / sum(raw) for one in raw]
    assert blend_weights(before, now, 0.05) == pytest.approx(expected, rel=1e-9)
    assert blend_weights(now, before, 0.05) is not None
    assert blend_weights(now, now, 0.05) is None


def test_the_blended_gradient_is_the_weighted_sum(workshop) -> None:
    batch, model = batch_of(workshop), workshop.model(dropout=0.0).train()
    settings, weights = ObjectiveSettings(balance=0), [0.4, 0.3, 0.2, 0.1, 0.0]
    expected = 0.0
    for weight, modality in zip(weights, (None, *workshop.schemas)):
        model.zero_grad()
        Objective(model, settings, None)(
            batch if modality is None else only(batch, modality), 0.5
        ).total.backward()
        expected = expected + weight * gradients(model)
    model.zero_grad()
    objective = BlendingObjective(model, settings, None, balance=BlendingSettings())
    objective.load_state({"weights": weights, "measured": None, "updates": 3})
    objective(batch, 0.5).total.backward()
    # Sums over ranks are made in float32, whatever the model's precision; elements are up to 10.
    torch.testing.assert_close(gradients(model), expected, rtol=1e-5, atol=1e-6)
    assert objective.state() == {"weights": weights, "measured": None, "updates": 3}


def test_estimates_are_of_the_mean_over_batches_without_dropout(workshop) -> None:
    batches, model = [batch_of(workshop, 4), batch_of(workshop, 6)], workshop.model(dropout=0.5).train()
    objective = BlendingObjective(model, ObjectiveSettings(), None, balance=BlendingSettings(every=2)).train()
    assert [objective.is_due() for _ in range(3)] == [False, True, True]
    found = objective.mean_losses(batches)
    assert model.training
    with evaluating(model), torch.no_grad():
        sums = [sequence_loss(model(one).logits_BLV, one.target_BL, one.weight_B) for one in batches]
    assert found[0] == pytest.approx(float(sum(s for s, _ in sums) / sum(n for _, n in sums)), rel=1e-5)
    objective.estimate(batches, batches)
    assert objective.weights == [0.2] * 5
    assert objective.updates == 0
    objective.estimate(batches, batches)
    assert objective.weights == [0.2] * 5  # nothing was learnt


def test_evaluation_is_that_of_a_plain_training(workshop) -> None:
    batch, model = batch_of(workshop), workshop.model()
    expected = Objective(model, ObjectiveSettings(), None).eval()(batch, 0.5)
    for one in (
        OgmGeObjective(model, ObjectiveSettings(), None, balance=OgmGeSettings()),
        PCGradObjective(model, ObjectiveSettings(), None, sharding=REPLICATED),
        BlendingObjective(model, ObjectiveSettings(), None, balance=BlendingSettings()),
    ):
        found = one.eval()(batch, 0.5)
        assert found.total.item() == expected.total.item()
        assert found.parts.keys() == expected.parts.keys()
