"""Dense models as large as sparse ones, against counts of models that are really made."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.systems.elucidation.equal_models import (
    dense_of_equal_active,
    dense_of_equal_total,
    model_size,
    network_parameters,
)
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run

STUDY = Path(__file__).parents[3] / "ds_configs" / "runs" / "study.yaml"


def run_of(*overrides: str) -> ElucidationRun:
    run = load_run(STUDY, overrides)
    assert isinstance(run, ElucidationRun)
    return run


def made(run: ElucidationRun) -> int:
    """The parameters of the model, made and counted."""
    model = build_elucidator(run.model, run.moe, InputEncoding.from_settings(run.data).schemas, 64)
    return sum(p.numel() for p in model.parameters())


def test_all_parameters_are_those_of_the_model() -> None:
    run = run_of()
    size = model_size(run)
    assert size.total == made(run)
    # Two of eight experts, 256 and 64 wide in equal numbers, in each of two layers.
    unused = 3 * (network_parameters(128, 256) + network_parameters(128, 64))
    assert size.active == size.total - 2 * unused
    assert network_parameters(128, 256) == 128 * 256 + 256 + 256 * 128 + 128


@pytest.mark.parametrize("overrides", [(), ("moe.always_on=48",), ("moe.k=3",)], ids=str)
def test_dense_models_are_as_large_as_asked(overrides: tuple[str, ...]) -> None:
    sparse = run_of(*overrides)
    half = sparse.model.encoder_layers * (2 * sparse.model.d_model + 1) / 2
    active, total = dense_of_equal_active(sparse), dense_of_equal_total(sparse)
    assert active.moe is None
    assert abs(made(active) - model_size(sparse).active) <= half
    assert abs(made(total) - made(sparse)) <= half
    assert active.model.ffn_width == sparse.model.ffn_width


def test_widths_by_hand() -> None:
    # Two experts of 160 on the average, and what a router of 8 experts and 5 modalities adds to them:
    # 128 * 8 + 2 * 5 * 128 parameters and one bias of 128 more, that is 2,432, or 9.46 hidden units of 257.
    assert dense_of_equal_active(run_of()).model.dense_width == 2 * 160 + 9
    assert dense_of_equal_total(run_of()).model.dense_width == 4 * 320 + round((2304 + 7 * 128) / 257)


def test_experts_that_were_chosen_count() -> None:
    sparse, even = run_of(), model_size(run_of()).active
    heavy = [[1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]] * 2
    assert model_size(sparse, heavy).active - even == 2 * 2 * (256 - 160) * 257
    assert model_size(sparse, np.array(heavy)) == model_size(sparse, heavy)
    with pytest.raises(ValueError, match="2 layers and 8 experts"):
        model_size(sparse, heavy[:1])
    with pytest.raises(ValueError, match="the run is dense"):
        dense_of_equal_total(run_of("moe=null"))


def test_a_token_passes_through_one_of_the_encoders() -> None:
    early, late = (model_size(run_of("moe=null", f"model.fusion={one}")) for one in ("early", "late"))
    assert late.total > early.total == early.active
    assert late.active == pytest.approx(early.active)
