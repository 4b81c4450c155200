"""The budgets of studies of retrieval, and how long each kind of model is trained within them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmspec_ds.studies.plan import Budget, DataRecipe

RECIPE = "msms"

_BY_SPLIT = {"data.train_where": {"split": "train"}, "data.validation_where": {"split": "val"}}
"""What of the files is learnt from, and what is held back."""


@dataclass(frozen=True)
class Sizes:
    """What a budget gives to each kind of model, by dotted setting.

    Attributes:
        encoder: our encoder.
        language: the language model.
        forms: the language model that learns to read one form of text, of which there are several.
    """

    encoder: Mapping[str, Any]
    language: Mapping[str, Any]
    forms: Mapping[str, Any]


SIZES: Mapping[str, Sizes] = {
    "smoke": Sizes(
        encoder={"model.d_model": 16, "model.heads": 2, "model.encoder_layers": 1, "model.width": 16},
        language={"language.layers": 1, "language.width": 16, "language.lora.rank": 2},
        forms={"language.layers": 1, "language.width": 16, "language.lora.rank": 2},
    ),
    "cpu": Sizes(
        encoder={"training.steps": 800},
        language={"training.steps": 600, "language.bfloat16": True},
        forms={
            "training.steps": 100,
            "training.batch_size": 32,
            "language.layers": 4,
            "language.bfloat16": True,
        },
    ),
    "gpu": Sizes(
        encoder={"training.steps": 5_000},
        language={"training.steps": 3_000, "language.bfloat16": True, "language.layers": None},
        forms={"training.steps": 1_000, "language.bfloat16": True, "language.layers": None},
    ),
    "paper": Sizes(
        encoder={"training.steps": 5_000},
        language={"training.steps": 1_000, "language.bfloat16": True, "language.layers": None},
        forms={"training.steps": 1_000, "language.bfloat16": True, "language.layers": None},
    ),
}
"""By the name of a budget. What is not named is as in the run files `retrieval` and `retrieval_language`."""


def _given(name: str) -> dict[str, DataRecipe]:
    """Data that the user gives."""
    return {RECIPE: DataRecipe(name, overrides=_BY_SPLIT, shards=False)}


SMOKE = Budget(
    name="smoke",
    overrides={"training.steps": 3, "training.batch_size": 8, "training.log_every": 1},
    seeds=1,
    data={RECIPE: DataRecipe("simulated", 40, max_heavy_atoms=6, overrides=_BY_SPLIT, shards=False)},
    evaluate=12,
    about="3 steps of 8 spectra: nothing is learnt",
    molecules="MS/MS of 40 simulated molecules of up to 6 heavy atoms",
)

CPU = Budget(
    name="cpu",
    overrides={"training.threads": 1},
    seeds=1,
    data=_given("msms"),
    evaluate=100_000,
    about="our encoder 800 steps of 256 spectra, the language model 600 of 64, each form of text 100 of 32 with"
    " four layers; one process and one thread for each training",
)

GPU = Budget(
    name="gpu",
    overrides={},
    seeds=1,
    data=_given("msms"),
    evaluate=100_000,
    about="our encoder 5,000 steps of 256 spectra, the language model 3,000 of 64 and each form of text 1,000"
    " of 64, with all layers",
)

PAPER = Budget(
    name="paper",
    overrides={},
    seeds=3,
    data=_given("msms"),
    evaluate=100_000,
    about="our encoder 5,000 steps of 256 spectra, the language model 1,000 of 64 as LLM4MS has it, with all"
    " layers",
)

BUDGETS: dict[str, Budget] = {one.name: one for one in (SMOKE, CPU, GPU, PAPER)}
