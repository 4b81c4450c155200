"""Small cohorts whose truth is known."""

import numpy as np

from mmspec_ds.systems.fusion.cohort.cohort import Block, Cohort


def make_cohort(
    *,
    seed: int = 0,
    count: int = 60,
    classes: int = 2,
    effects: tuple[float, ...] = (1.5, 0.7),
    features: tuple[int, ...] = (12, 6),
    missing: float = 0.0,
    twice: int = 0,
) -> Cohort:
    """Return log-normal blocks in whose first feature the classes differ by `effects` standard deviations.

    Args:
        missing: the share of the samples that lack the second block.
        twice: how many of the samples are of the patient before them.
    """
    random = np.random.default_rng(seed)
    label_N = np.arange(count) % classes
    group_N = np.arange(count)
    for at in range(twice):
        label_N[2 * at + 1], group_N[2 * at + 1] = label_N[2 * at], group_N[2 * at]
    blocks = []
    for place, (effect, wide) in enumerate(zip(effects, features)):
        values_NF = random.normal(size=(count, wide))
        values_NF[:, 0] += effect * label_N
        present_N = np.ones(count, dtype=bool)
        if place == 1:
            present_N = random.random(count) >= missing
        values_NF = np.exp(values_NF)
        values_NF[~present_N] = np.nan
        names = tuple(f"{place}-{at}" for at in range(wide))
        blocks.append(Block(f"block{place}", names, values_NF, present_N, np.arange(float(wide)), "m/z"))
    return Cohort(
        tuple(f"s{at}" for at in range(count)),
        group_N,
        None,
        tuple(f"class{at}" for at in range(classes)),
        label_N,
        tuple(blocks),
        {},
    )
