"""How far one gets without learning: the predicted spectra of candidates, compared with those of a record."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from mmspec_ds.evaluation.metrics import canonical_or_none, tanimoto
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import Record
from mmspec_ds.spectra.registry import PAPER_MODALITIES
from mmspec_ds.studies.elucidation.measures.asking import LISTED, ranks_of, shares
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.verification.candidate_space import CandidateSpace
from mmspec_ds.verification.matcher import matcher_candidates

SMILES = "smiles"
MOLECULES = 250
"""The most that are asked about: judging the candidates of one takes about a second."""


def matcher(context: MeasureContext) -> dict[str, Any]:
    """The measure `matcher`, which reads the data alone.

    The candidates are all molecules of the data, those that are asked about among them. The forward model is
    that of the simulator: on simulated spectra the figures are an upper bound of what matching can do.

    Returns:
        `n` molecules, `candidates`, `top_1` .. `top_10` with `ranks`; and `tanimoto_trained`, the mean
        similarity of the first where only the molecules of the training file are candidates.
    """
    limit = min(context.budget.evaluate, MOLECULES)
    records = list(_records(context.data.test, limit))
    truths = [canonical_smiles(str(record.smiles)) for record in records]
    trained = set(_smiles(context.data.train))
    others = _smiles((*context.data.validation, *context.data.test))
    space = CandidateSpace.of(dict.fromkeys([*sorted(trained), *others]))
    found = [
        [canonical_or_none(verdict.smiles) for verdict in row]
        for row in matcher_candidates(records, space, n_best=LISTED)
    ]
    ranks = ranks_of(truths, found)
    known = np.array([at for at, one in enumerate(space.smiles) if one in trained], dtype=np.int64)
    nearest = matcher_candidates(records, space.subset(known), n_best=1)
    similar = [tanimoto(truth, row[0].smiles) if row else 0.0 for truth, row in zip(truths, nearest)]
    return {
        "n": len(records),
        "candidates": len(space),
        **shares(ranks),
        "tanimoto_trained": sum(similar) / len(similar),
        "ranks": ranks,
    }


def _records(files: Sequence[Path], limit: int) -> Iterator[Record]:
    """The first records of the files, with the spectra of the paper's modalities."""
    left = limit
    for path in files:
        for record in read_records(path, modalities=PAPER_MODALITIES):
            if not left:
                return
            left -= 1
            yield record


def _smiles(files: Sequence[Path]) -> Iterator[str]:
    """The structures of all records of the files."""
    for path in files:
        yield from (one.as_py() for one in pq.read_table(path, columns=[SMILES])[SMILES])
