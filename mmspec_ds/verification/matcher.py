"""The matcher that learns nothing: candidates whose predicted spectra agree best with those of a record.

What it finds is what a model must beat: it has every candidate before its eyes and no parameters that were
fitted to spectra of such molecules, but for those of the forward model. In a space without the right molecule,
such as the molecules that a model has learnt from, it can only name a neighbour. Where spectra are simulated,
it predicts them by the very rules that made them, noise aside: an upper bound rather than an estimate for
measured ones."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mmspec_ds.molecules.composition import Composition
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.verification.candidate_space import CandidateSpace
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.verifier import Verdict, Verifier

NMR = (Modality.H_NMR, Modality.C_NMR, Modality.HSQC)
"""Spectra whose agreement is quick to judge; IR and MS/MS take five times as long as these together."""


def matcher_candidates(
    records: Sequence[Record],
    space: CandidateSpace,
    compositions: Sequence[Composition | None] | None = None,
    *,
    keep: int = 300,
    judged: int = 40,
    n_best: int = 10,
    models: ErrorModels | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[list[Verdict]]:
    """The molecules of a space that agree best with each record, best first.

    All are compared by their binned shifts; the best `keep` by the exact assignment of their NMR signals; the
    best `judged` of these by all spectra, as `Verifier` does it. A record without any NMR is compared with the
    first `judged` molecules that fit its composition, and with none where nothing is known of it.

    Args:
        records: with the spectra to go by, and no others.
        space: the molecules.
        compositions: what is known of each molecule's formula or mass beside the spectra; nothing without.
        keep, judged: see above.
        n_best: the most that are given for each record, `judged` at most.
        models: how far spectra are from predicted ones.
        progress: is called with the number of records so far.
    """
    known = [None] * len(records) if compositions is None else compositions
    found = []
    for number, (record, composition) in enumerate(zip(records, known, strict=True)):
        found.append(_best(record, space, composition, (keep, judged), models)[:n_best])
        if progress is not None:
            progress(number + 1)
    return found


def _best(
    record: Record,
    space: CandidateSpace,
    composition: Composition | None,
    sizes: tuple[int, int],
    models: ErrorModels | None,
) -> list[Verdict]:
    """The molecules that are judged by all spectra of one record, best first."""
    keep, judged = sizes
    by_shifts = replace(record, spectra=tuple(one for one in record.spectra if one.modality in NMR))
    among = space.fitting(composition)
    if not by_shifts.spectra:
        among = among[: judged if composition is not None else 0]
    elif len(among) > keep:
        likeness = space.likeness(by_shifts, among)
        order = np.argpartition(-likeness, keep - 1)[:keep]
        among = among[np.sort(order)]
    chosen = [space.smiles[at] for at in among]
    if by_shifts.spectra:
        first = _ordered(Verifier(by_shifts, models).judge(chosen))
        if len(by_shifts.spectra) == len(record.spectra):
            return first
        chosen = [one.smiles for one in first[:judged]]
    return _ordered(Verifier(record, models).judge(chosen))


def _ordered(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Best first; of equal ones, the first of the space."""
    return sorted(verdicts, key=lambda one: -one.score)
