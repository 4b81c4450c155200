"""Trained elucidation models side by side: what their trainings used, and what was equal."""

from pathlib import Path
from typing import Any

from mmspec_ds.evaluation.equality import Compared
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.run_file import load_run_of
from mmspec_ds.systems.trained_folder import resolve_model
from mmspec_ds.trainer.usage import Usage, read_usage

OPTIMIZATION = (
    "optimizer",
    "learning_rate",
    "final_learning_rate",
    "warmup",
    "betas",
    "eps",
    "weight_decay",
    "gradient_clipping",
    "augment",
    "randomise_smiles",
)
"""Settings of training that change what a step learns, beside budget and batch."""

BALANCE = ("modality_gradients", "ogm_ge", "blending")
"""Settings of training that say what is done about modalities that learn at unequal speed."""

NOT_INPUTS = {"train", "validation", "validation_fraction", "split_seed", "allow_shared_molecules", "cache"}
"""Settings of data that say where molecules come from, and not what the model sees of them."""


def read_compared(folder: Path) -> tuple[Compared, Usage]:
    """A model from the folder of its run or export (`starter` is the one that comes with the package), with the
    counts of its training.

    Raises:
        DataError: the folder holds no settings.
        ConfigError: settings that this version cannot read.
    """
    run = load_run_of(folder, ElucidationRun)
    usage = read_usage(resolve_model(folder), run)
    return compared_model(str(folder), run, usage), usage


def compared_model(name: str, run: ElucidationRun, usage: Usage) -> Compared:
    """A model by its settings and the counts of its training."""
    counts = {
        "steps": usage.steps,
        "samples_per_step": samples_per_step(run, usage.samples_per_step),
        "samples": usage.samples,
        "flops": usage.flops,
        "parameters": usage.parameters,
        "active_parameters": usage.active_parameters,
        "seconds": usage.seconds,
    }
    where = None
    if usage.ranks is not None:
        where = f"{usage.ranks} x {usage.threads}"
    return Compared(
        name,
        counts,
        {"data": usage.data, **facts_of(run), "processes x threads": where, "device": usage.device},
    )


def facts_of(run: ElucidationRun) -> dict[str, Any]:
    """What settings decide, as facts to compare."""
    training, start = run.training, run.training.start_from
    first = "drawn" if training.encoder_from is None else f"encoder of {training.encoder_from}, else drawn"
    noise = {"dropout": run.model.dropout, "label_smoothing": run.objective.label_smoothing}
    alignment = run.objective.model_dump(mode="json", include={"alignment", "alignment_temperature"})
    return {
        "inputs": run.data.model_dump(mode="json", exclude=NOT_INPUTS),
        "optimizer and noise": noise | training.model_dump(mode="json", include=set(OPTIMIZATION)),
        "balance of modalities": alignment | training.model_dump(mode="json", include=set(BALANCE)),
        "first weights": first if start is None else str(start),
        "seed": run.seed,
    }


def samples_per_step(run: ElucidationRun, full: int | None) -> int | None:
    """The samples of a step of `full` batches; None where a number of tokens decides how large a batch is."""
    return full if run.training.tokens_per_batch is None else None
