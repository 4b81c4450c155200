"""What is said to be equal between two trainings, for each setting that makes them another thing."""

import pytest

from mmspec_ds.evaluation.equality import equality_of
from mmspec_ds.systems.elucidation.compared import compared_model
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.trainer.usage import Usage

USAGE = Usage(steps=10, samples_per_step=8, samples=80.0, data="abc", ranks=1, threads=1, device="a CPU")


def run_of(seed: int = 0, **training: object) -> ElucidationRun:
    content = {"name": "a", "engine": "engine.json", "model": {}, "training": {"steps": 10, **training}}
    return ElucidationRun.model_validate({**content, "seed": seed})


def changed(**blocks: dict[str, object]) -> ElucidationRun:
    """The run with other settings than those of its training."""
    return ElucidationRun.model_validate({**run_of().model_dump(), **blocks})


def test_runs_of_the_same_settings_are_equal_in_all_that_is_recorded() -> None:
    found = equality_of([compared_model(name, run_of(), USAGE) for name in "ab"])
    assert found.nearly == found.different == found.unknown == ()
    assert found.equal[:2] == ("steps and batches (10 of 8)", "samples (80)")
    assert {"inputs", "optimizer and noise", "balance of modalities", "first weights", "seed"} < {*found.equal}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (run_of(modality_gradients="pcgrad"), "balance of modalities"),
        (run_of(start_from="runs/dense"), "first weights (drawn, runs/dense)"),
        (run_of(learning_rate=1e-3), "optimizer and noise"),
        (run_of(seed=3), "seed (0, 3)"),
        (changed(model={"dropout": 0.0}), "optimizer and noise"),
        (changed(objective={"label_smoothing": 0.1}), "optimizer and noise"),
    ],
    ids=["gradients", "start", "rate", "seed", "dropout", "smoothing"],
)
def test_what_differs_is_named(other: ElucidationRun, told: str) -> None:
    found = equality_of([compared_model("a", run_of(), USAGE), compared_model("b", other, USAGE)])
    assert found.different == (told,)


def test_batches_of_so_many_tokens_have_no_number_of_samples() -> None:
    model = compared_model("a", run_of(tokens_per_batch=512), USAGE)
    assert model.counts["samples_per_step"] is None
    assert equality_of([model, model]).equal[0] == "steps (10)"
