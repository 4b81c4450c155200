"""The measurement batches of samples: those that share a sample are one batch.

A sample that is averaged over measurements in two batches carries the effect of both. If a split parted these
batches, what is held out would have been seen in part; so they stay together, as do batches that are joined
through others.
"""

from collections.abc import Sequence

import numpy as np

from mmspec_ds.readers.part import counted
from mmspec_ds.readers.sample_columns import shortened
from mmspec_ds.systems.fusion.cohort.cohort import IntArray


def joined_batches(batches: Sequence[Sequence[str]]) -> IntArray:
    """Return the batch of each sample as a number, from 0 in the order of appearance, equal for samples of
    batches that some samples join.

    Args:
        batches: of each sample the names of those in which it was measured; samples without any count as one
            batch.
    """
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while joined.setdefault(name, name) != name:
            name = joined[name]
        return name

    for some in batches:
        for other in some[1:]:
            joined[root(other)] = root(some[0])
    number: dict[str, int] = {}
    roots = [root(some[0]) if some else "" for some in batches]
    return np.array([number.setdefault(one, len(number)) for one in roots], dtype=np.int64)


def told_of_batches(names: Sequence[str], batches: Sequence[Sequence[str]]) -> list[str]:
    """Return what is told of samples that were measured in several batches.

    Args:
        names: of the samples.
        batches: as `joined_batches` takes them.
    """
    several = [name for name, some in zip(names, batches) if len(set(some)) > 1]
    if not several:
        return []
    before = len({one for some in batches for one in some})
    after = len(np.unique(joined_batches([some for some in batches if some])))
    return [
        f"{counted(len(several), 'sample')} of more than one batch, whose batches count as one:"
        f" {shortened(several)}; so {before} batches count as {after}"
    ]
