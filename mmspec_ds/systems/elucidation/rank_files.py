"""Answers to requests for a ranking: the candidates of a list that fit each record, in order, and what was left
out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.composition import Composition
from mmspec_ds.readers.candidate_list import Sifted, Suspect, read_suspects
from mmspec_ds.readers.known_composition import known_composition
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.requests import Request
from mmspec_ds.systems.elucidation.rank import KEPT, RankedMolecule, rank
from mmspec_ds.systems.elucidation.trained import TrainedModel

Answer = dict[str, Any]


@dataclass(frozen=True)
class Suspects:
    """Where candidates come from.

    Attributes:
        lists: files that are read for each record, one after the other.
        isomers: structures that come before those of the lists.
        precursor_ppm: tolerance of the mass by which they are chosen where no formula is known.
    """

    lists: tuple[Path, ...] = ()
    isomers: tuple[str, ...] = ()
    precursor_ppm: float = 10.0

    def read(self) -> Iterator[Suspect]:
        """The suspected structures one by one: isomers first, then those of the lists."""
        return chain(map(Suspect, self.isomers), chain.from_iterable(map(read_suspects, self.lists)))


def rank_requests(
    requests: Iterable[Request],
    suspects: Suspects,
    trained: TrainedModel | None = None,
    *,
    keep: int = KEPT,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Answer]:
    """One answer for each request, in their order.

    Yields:
        `id`; `candidates`, best first, each with the fields of `RankedMolecule`, or `error`; with them
        `composition`, what candidates had to agree with, `read`, the length of the lists, `left_out`, how many
        of them by reason, `judged`, how many were ranked, and `first_pass`, see `Ranking`; `remarks` always.
    """
    for request in requests:
        answer: Answer = {"id": request.id}
        remarks = list(request.remarks)
        try:
            answer |= _ranked(request, suspects, trained, keep, progress, remarks)
        except DataError as error:
            answer["error"] = str(error)
        yield {**answer, "remarks": remarks}


def _ranked(
    request: Request,
    suspects: Suspects,
    trained: TrainedModel | None,
    keep: int,
    progress: Callable[[int], None] | None,
    remarks: list[str],
) -> Answer:
    record = request.record
    if record is None:
        raise DataError(request.error or "nothing was read")
    try:
        composition = known_composition(record, suspects.precursor_ppm)
    except ValueError as error:
        raise DataError(one_line(error, 400)) from None
    if composition is None:
        remarks.append("neither a formula nor the mass of a precursor is known: all candidates are ranked")
    sifted = Sifted()
    ranking = rank(record, sifted.sift(suspects.read(), composition), trained, keep=keep, progress=progress)
    if not ranking.molecules:
        raise DataError(f"none of {sifted.read:,} candidates is left: {_told(sifted, composition)}")
    if sifted.first_invalid:
        remarks.append(f"the first invalid candidate: {sifted.first_invalid}")
    return {
        "candidates": [_fields(one) for one in ranking.molecules],
        "composition": None if composition is None else str(composition),
        "read": sifted.read,
        "left_out": dict(sifted.left_out),
        "judged": ranking.judged,
        "first_pass": ranking.first_pass,
    }


def _told(sifted: Sifted, composition: Composition | None) -> str:
    expected = "" if composition is None else f" (expected {composition})"
    return ", ".join(f"{count:,} {reason}" for reason, count in sifted.left_out.items()) + expected


def _fields(one: RankedMolecule) -> Answer:
    """The fields for JSON, which has no infinity: null for what the model cannot write."""
    value = one.log_probability
    fields: Answer = {
        "rank": one.rank,
        "smiles": one.smiles,
        "name": one.name,
        "score": one.score,
        "share": one.share,
    }
    return {
        **fields,
        "log_probability": None if value is None or np.isinf(value) else value,
        "parts": dict(one.parts),
    }
