"""The models that studies train, in one place: two studies that name the same variant share its training.

A variant is a name and the settings in which it differs from the run file `study`, which holds the sparse model
with the settings that measured best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmspec_ds.studies.elucidation.budgets import experts
from mmspec_ds.studies.plan import Budget, Cell

BASE = "study"
STANDARD = ("accuracy", "compute")
"""What is measured on nearly every cell."""

LONGER = {"steps": 2_500, "batch_size": 64}
"""Of a main comparison on a few cores, where other cells have 1,000 steps of 32 samples. Other budgets are long
enough as they are."""

CHANNELS: Mapping[str, tuple[str, ...]] = {"nmr": ("h_nmr", "c_nmr"), "ms": ("ms",), "ir": ("ir",)}
"""The three modalities of the paper, as `data.modalities` names them."""

Experts = list[dict[str, Any]]


@dataclass(frozen=True)
class Variant:
    """A model of a study.

    Attributes:
        name: in tables.
        overrides: by dotted setting, on top of the run file and of the budget.
        data: the name of a data recipe.
        start: what its training begins with.
        trains: False for what learns nothing.
    """

    name: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    data: str = "hard"
    start: "Variant | None" = None
    trains: bool = True

    def named(self, name: str) -> "Variant":
        """The same training under another name."""
        return replace(self, name=name)

    def but(self, name: str, **blocks: Any) -> "Variant":
        """This variant with further settings: `variant.but("k 4", moe={"k": 4})`."""
        changes = {f"{block}.{key}": value for block, one in blocks.items() for key, value in one.items()}
        return replace(self, name=name, overrides={**self.overrides, **changes})

    def cell(self, seed: int = 0, measures: Sequence[str] = STANDARD) -> Cell:
        """Its training with a seed."""
        start = None if self.start is None else self.start.cell(seed, ())
        return Cell(BASE, self.overrides, self.data, seed, tuple(measures), start, self.trains)

    def cells(self, seeds: int, measures: Sequence[str] = STANDARD) -> list[Cell]:
        """Its trainings with the seeds from 0."""
        return [self.cell(seed, measures) for seed in range(seeds)]


SPARSE = Variant("sparse")
"""The settings that measured best."""

SPARSE_BOTH = SPARSE.but("sparse, experts in the decoder too", moe={"decoder": True})
"""The same with experts in the place of the decoder's feed-forward networks as well."""

PAPER_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "unnormalised weights": {"moe.renormalise": False},
    "temperature from 2": {"objective.temperature": 2.0},
    "cost term": {"objective.cost": 0.001},
    "structural term": {"objective.structure": 0.001},
    "balance 0.01": {"objective.balance": 0.01},
}
"""By name, the settings in which the paper's defaults differ from those that measured best."""

PAPER = Variant(
    "sparse, the paper's settings",
    {key: value for one in PAPER_SETTINGS.values() for key, value in one.items()},
)


def dense(width: int, name: str) -> Variant:
    """A dense model whose encoder has feed-forward networks of this width; the decoder is that of all."""
    return Variant(name, {"moe": None, "model.encoder_ffn_width": width})


def heavy(budget: Budget) -> int:
    """The width of a heavy expert, and of the decoder's networks."""
    return budget.width


def light(budget: Budget) -> int:
    """The width of a light expert."""
    return budget.width // 4


def mean_width(budget: Budget) -> int:
    """The mean width of the eight experts, as a multiple of 16."""
    return sixteenth((heavy(budget) + light(budget)) / 2)


def equal_active(budget: Budget) -> Variant:
    """The dense model with as many parameters as the sparse one uses for a token, with k = 2 experts of mean
    width. It is the dense model of every table that has one."""
    return dense(heavy(budget) + light(budget), "dense, equal active")


def equal_active_both(budget: Budget) -> Variant:
    """The dense model as wide as k experts in encoder and decoder, beside experts in both."""
    return Variant(
        "dense, equal active, decoder too", {"moe": None, "model.ffn_width": heavy(budget) + light(budget)}
    )


def equal_total(budget: Budget) -> Variant:
    """The dense model with as many parameters as the sparse one has."""
    return dense(4 * (heavy(budget) + light(budget)), "dense, equal total")


def one_heavy(budget: Budget) -> Variant:
    """The dense model as wide as one heavy expert: the paper's choice of width."""
    return Variant("dense, one heavy expert", {"moe": None})


def dense_text(budget: Budget, channels: Sequence[str] = tuple(CHANNELS)) -> Variant:
    """The paper's baseline: a dense model that reads the benchmark's text, of all modalities or of some."""
    return replace(on_channels(one_heavy(budget).named("dense on text"), channels), data="hard_text")


def on_channels(variant: Variant, channels: Sequence[str]) -> Variant:
    """The variant that learns from some of the three modalities alone."""
    if set(channels) == set(CHANNELS):
        return variant
    chosen = [name for channel in CHANNELS for name in CHANNELS[channel] if channel in channels]
    return variant.but(f"{variant.name}, {' + '.join(channels)}", data={"modalities": chosen})


def longer(budget: Budget, variant: Variant) -> Variant:
    """The variant with the steps and batches of a main comparison."""
    return variant.but(variant.name, training=LONGER) if budget.name == "cpu" else variant


def with_dropout(variant: Variant, probability: float = 0.15) -> Variant:
    """The variant that learns with modalities left out at random."""
    return variant.but(f"{variant.name}, modality dropout", data={"modality_dropout": probability})


def sixteenth(width: float) -> int:
    """The width as a multiple of 16, at least 16: what an expert may have."""
    return max(16, 16 * round(width / 16))


def pool(budget: Budget, count: int) -> Experts:
    """A pool of `count` experts, half of them heavy: the eight of the paper once or several times, or fewer of
    them with as many families as there is room for.

    Raises:
        ValueError: `count` is neither 2 nor 4 nor a multiple of 8.
    """
    eight = experts(heavy(budget), light(budget))
    if count % 8 == 0:
        return eight * (count // 8)
    if count == 4:  # one of each family, by turns heavy and light
        return [eight[0], eight[3], eight[4], eight[7]]
    if count == 2:
        return [eight[0], eight[7]]
    raise ValueError(f"a pool of {count} experts: expected 2, 4 or a multiple of 8")


def without_families(budget: Budget, families: Sequence[str]) -> Experts:
    """The eight experts without those of some families."""
    eight = experts(heavy(budget), light(budget))
    return [one for one in eight if one["family"] not in families]


def of_equal_width(budget: Budget) -> Experts:
    """The eight experts with the mean width each."""
    return [{**one, "width": mean_width(budget)} for one in experts(heavy(budget), light(budget))]


def halved(budget: Budget) -> Experts:
    """Each of the eight experts as two of half its width (fine-grained experts, Dai et al. 2024)."""
    eight = experts(heavy(budget), light(budget))
    return [{**one, "width": sixteenth(one["width"] / 2)} for one in eight for _ in range(2)]


def scaled_model(budget: Budget, d_model: int, factor: float, *, sparse: bool) -> Variant:
    """The sparse model, or the dense one of equal active parameters, with all widths multiplied.

    Args:
        budget: whose width is that of factor 1.
        d_model: of factor 1.
        factor: of all widths; depth and number of heads stay.
        sparse: which of the two.
    """
    wide, narrow = sixteenth(factor * heavy(budget)), sixteenth(factor * light(budget))
    sizes = {"model.d_model": round(factor * d_model), "model.ffn_width": wide}
    if factor == 1:
        return SPARSE if sparse else equal_active(budget)
    if sparse:
        return Variant(f"sparse x {factor:g}", {**sizes, "moe.experts": experts(wide, narrow)})
    return Variant(f"dense x {factor:g}", {**sizes, "moe": None, "model.encoder_ffn_width": wide + narrow})
