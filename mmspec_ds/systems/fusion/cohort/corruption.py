"""Blocks of samples made useless in known ways, to train the contribution head and to test a fusion.

Axes: R rows, F features, M blocks, D donors.
"""

from typing import Literal, get_args

import numpy as np

from mmspec_ds.systems.fusion.cohort.cohort import FloatMatrix, FloatVector, IntArray
from mmspec_ds.systems.fusion.cohort.views import Batch

Corruption = Literal["noise", "shuffled", "missing"]
"""noise: a share of the features have values that were drawn from other samples, each feature from another one,
so that every value is a usual one and nothing fits together. shuffled: the whole block is that of another
sample. missing: there is no block."""

KINDS: tuple[Corruption, ...] = get_args(Corruption)


def corrupt(
    batch: Batch,
    donors: Batch,
    block: int,
    rows: IntArray,
    kind: Corruption,
    random: np.random.Generator,
    share: FloatVector | float = 1.0,
) -> Batch:
    """Return the batch with one block of some rows corrupted.

    Args:
        donors: samples from which values are taken, those that have the block.
        rows: those of them that have the block are corrupted. A row that would be left without any block stays
            as it is when `kind` is "missing".
        share: of the features that are drawn anew, for "noise"; one number, or one for each of `rows`.

    Raises:
        ValueError: no donor has the block.
    """
    values, present_RM = list(batch.values), batch.present_RM
    has = present_RM[rows, block]
    share_r = np.broadcast_to(np.asarray(share, dtype=np.float64), rows.shape)[has]
    rows = rows[has]
    if kind == "missing":
        rows = rows[present_RM[rows].sum(1) > 1]
        present_RM = present_RM.copy()
        present_RM[rows, block] = False
        changed_RF = values[block].copy()
        changed_RF[rows] = np.nan
    else:
        pool_DF = donors.values[block][donors.present_RM[:, block]]
        if len(rows) and not len(pool_DF):
            raise ValueError(f"no sample has block {block}")
        changed_RF = values[block].copy()
        if len(rows):
            changed_RF[rows] = _drawn(changed_RF[rows], pool_DF, kind, share_r, random)
    values[block] = changed_RF
    return Batch(tuple(values), present_RM)


def random_copies(
    batch: Batch, donors: Batch, rate: float, random: np.random.Generator
) -> tuple[Batch, IntArray]:
    """Return the batch with each block corrupted with a probability, and how, [R, M]: places in `KINDS`, -1 for
    blocks that are as they were.

    Kinds are drawn with equal probability; noise is of all features."""
    count, blocks = batch.present_RM.shape
    wanted_RM = random.random((count, blocks)) < rate
    kind_RM = random.integers(0, len(KINDS), (count, blocks))
    for block in range(blocks):
        for number, kind in enumerate(KINDS):
            rows = np.flatnonzero(wanted_RM[:, block] & (kind_RM[:, block] == number))
            batch = corrupt(batch, donors, block, rows, kind, random)
    return batch, np.where(wanted_RM, kind_RM, -1)


def _drawn(
    values_RF: FloatMatrix,
    pool_DF: FloatMatrix,
    kind: Corruption,
    share_R: FloatVector,
    random: np.random.Generator,
) -> FloatMatrix:
    count, features = values_RF.shape
    if kind == "shuffled":
        return pool_DF[random.integers(0, len(pool_DF), count)]
    drawn_RF = pool_DF[random.integers(0, len(pool_DF), (count, features)), np.arange(features)]
    return np.where(random.random((count, features)) < share_R[:, None], drawn_RF, values_RF)
