"""The budgets of a study: smoke for tests, cpu for a few cores, cpu-hard for the same with more steps on
spectra of which none alone tells the molecule, gpu for one large GPU, paper for the paper's sizes and the
benchmark's own files."""

from dataclasses import replace
from typing import Any

from mmspec_ds.simulator.noise_settings import HARD
from mmspec_ds.studies.plan import Budget, DataRecipe

TEXT = {"data.representation": "text"}
"""How the dense baseline of the paper reads its data."""

SIMULATED = "200,000 simulated molecules of up to 10 heavy atoms"


def experts(heavy: int, light: int) -> list[dict[str, Any]]:
    """The eight experts of the paper (table 9) with these widths, as a run file lists them."""
    kinds: tuple[dict[str, Any], ...] = (
        {"family": "shared"},
        {"family": "modality", "modalities": ["h_nmr", "c_nmr"]},
        {"family": "modality", "modalities": ["ir", "ms"]},
        {"family": "interaction"},
    )
    return [{**kind, "width": width} for kind in kinds for width in (heavy, light)]


def _recipes(hard: DataRecipe, held_back: float | None = None) -> dict[str, DataRecipe]:
    """The data of a budget: `hard`, and `hard_text`, the same molecules as the benchmark's text, of which a
    training holds back a share where it is given no file for its validation."""
    own = {} if held_back is None else {"data.validation_fraction": held_back}
    return {"hard": hard, "hard_text": replace(hard, overrides={**TEXT, **own}, shards=False)}


def _sizes(width: int, layers: int, heads: int, *, dropout: float) -> dict[str, Any]:
    """A model with the paper's proportions: feed-forward networks of twice (small models) or four times d_model
    are `width` wide, light experts a quarter of that."""
    return {
        "model.heads": heads,
        "model.encoder_layers": layers,
        "model.decoder_layers": layers,
        "model.ffn_width": width,
        "model.dropout": dropout,
        "moe.experts": experts(width, width // 4),
    }


_PAPER_SIZES = {
    "model.d_model": 512,
    **_sizes(2048, 6, 8, dropout=0.1),
    "data.compression.ir": {"intervals": 1024, "window": 4, "stride": 4},
    "data.compression.ms": {},
    "training.learning_rate": 5.0e-4,
    "training.weight_decay": 0.01,
    "training.threads": None,
    "engine": "../engine/zero1.json",  # bf16 where the device has it
}

SMOKE = Budget(
    name="smoke",
    overrides={
        "model.d_model": 32,
        **_sizes(64, 1, 2, dropout=0.0),
        "training.steps": 6,
        "training.batch_size": 8,
        "training.log_every": 2,
        "training.validate_every": 1_000,
    },
    seeds=1,
    data=_recipes(DataRecipe("smoke", molecules=300, max_heavy_atoms=6)),
    evaluate=12,
    beam=2,
    width=64,
    about="6 steps of 8 samples: nothing is learnt",
    molecules="300 simulated molecules of up to 6 heavy atoms",
)

CPU = Budget(
    name="cpu",
    overrides={"training.steps": 1_000, "training.batch_size": 32},
    seeds=2,
    data=_recipes(DataRecipe("hard", molecules=200_000, max_heavy_atoms=10)),
    evaluate=1_000,
    beam=10,
    about="1,000 steps of 32 samples unless a row says otherwise, one process and one thread for each training",
    molecules=SIMULATED,
    main_seeds=3,
)

CPU_HARD = replace(
    CPU,
    name="cpu-hard",
    overrides={"training.steps": 2_500, "training.batch_size": 64},
    data=_recipes(
        DataRecipe("hard_profile", molecules=100_000, max_heavy_atoms=10, simulation={"noise": dict(HARD)})
    ),
    about="2,500 steps of 64 samples, one process and one thread for each training",
    molecules="100,000 simulated molecules of up to 10 heavy atoms, with the noise of --profile hard",
)

GPU = Budget(
    name="gpu",
    overrides={**_PAPER_SIZES, "training.steps": 1_500, "training.batch_size": 256},
    seeds=1,
    data=_recipes(DataRecipe("hard", molecules=200_000, max_heavy_atoms=10)),
    evaluate=1_000,
    beam=10,
    width=2048,
    about="1,500 steps of 256 samples unless a row says otherwise, the paper's sizes",
    molecules=SIMULATED,
)

PAPER = Budget(
    name="paper",
    overrides={
        **_PAPER_SIZES,
        "training.steps": None,
        "training.epochs": 30,
        "training.batch_size": 256,
        "training.validate_every": 1_000,
        "data.max_target_tokens": 128,
        "data.skip_long_targets": True,
        "model.max_target_tokens": 160,
    },
    seeds=3,
    data=_recipes(DataRecipe("benchmark"), held_back=0.01),
    evaluate=10_000,
    beam=10,
    width=2048,
    about="30 epochs in batches of 256, the paper's sizes",
    molecules="the benchmark's",
)

BUDGETS: dict[str, Budget] = {one.name: one for one in (SMOKE, CPU, CPU_HARD, GPU, PAPER)}
