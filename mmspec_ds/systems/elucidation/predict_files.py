"""Answers to requests: piece by piece, one for every record, with what the model read of it and what not."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from mmspec_ds.data.reading import pack
from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.requests import Request
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.candidates import Candidates, MoleculeCandidate
from mmspec_ds.systems.elucidation.predict import predict_molecules
from mmspec_ds.systems.elucidation.trained import TrainedModel
from mmspec_ds.systems.elucidation.verified import VerifiedCandidate, verify
from mmspec_ds.verification.calibration import Calibration, unlike

PIECE = 256
"""Records that are decoded together: enough to find neighbours of like length, little enough to hold, and to do
again when a run is cut off."""

Answer = dict[str, Any]


def predict_requests(
    trained: TrainedModel, requests: Iterable[Request], *, beam: int, top: int, verified: bool = True
) -> Iterator[Answer]:
    """One answer for each request, in their order; memory holds a piece of them.

    Yields:
        `id`; `candidates`, at most `top` molecules with the best first, or `error`; `confidence`, if they are
        verified (`first` and `listed` are None where the model is not calibrated); of a record that was read,
        `invalid` and `merged`, what else the search wrote (see `Candidates`), `read`, the names of
        the modalities that the model was given (`formula` among them), and `unused`, what the record has
        besides; `remarks`, what was changed, guessed or left out on the way.
    """
    source = iter(requests)
    while piece := list(islice(source, PIECE)):
        yield from _answered(trained, piece, beam, top, verified)


def _answered(
    trained: TrainedModel, piece: Sequence[Request], beam: int, top: int, verified: bool
) -> Iterator[Answer]:
    """The answers of one piece."""
    encoded: list[tuple[Record, dict[Modality, PackedTokens]]] = []
    faults: dict[int, str] = {}
    for place, request in enumerate(piece):
        try:
            encoded.append(_encoded(trained, request))
        except DataError as error:
            faults[place] = str(error)
    found: Iterator[Candidates] = iter(())
    if encoded:
        dataset = pack(encoded, trained.encoding.schemas)
        found = iter(predict_molecules(trained.model, dataset, trained.vocabulary, beam=beam))
    tokens = (one for _, one in encoded)
    for place, request in enumerate(piece):
        answer: Answer = {"id": request.id}
        if place in faults:
            answer["error"] = faults[place]
        else:
            candidates = next(found)
            if verified:
                answer |= _verified(candidates, request.record, trained.calibration, top)
            else:
                answer["candidates"] = [_as_json(one) for one in candidates.molecules[:top]]
            answer["invalid"], answer["merged"] = candidates.invalid, candidates.merged
            answer["read"], answer["unused"] = _uses(request.record, next(tokens))
        yield {**answer, "remarks": [*request.remarks, *_unlike(trained.calibration, request.record)]}


def _as_json(one: MoleculeCandidate | VerifiedCandidate) -> dict[str, Any]:
    return {
        "smiles": one.smiles,
        "probability": float(np.exp(one.log_probability)),
        "log_probability": one.log_probability,
    }


def _verified(
    candidates: Candidates, record: Record | None, calibration: Calibration, top: int
) -> dict[str, Any]:
    """The candidates in the order of their combined score, and how probable it is that the first one is right
    and that the right one is among those that were found."""
    assert record is not None
    found = verify(candidates, record, calibration)
    listed = [
        {
            **_as_json(one),
            "score": one.score,
            "verification": dict(one.parts),
            "confidence": found.confidence(rank),
        }
        for rank, one in enumerate(found.molecules[:top], start=1)
    ]
    return {
        "candidates": listed,
        "confidence": {"first": listed[0]["confidence"] if listed else found.listed, "listed": found.listed},
    }


def _unlike(calibration: Calibration, record: Record | None) -> list[str]:
    return [] if record is None or calibration.known is None else unlike(record, calibration.known)


def _encoded(trained: TrainedModel, request: Request) -> tuple[Record, dict[Modality, PackedTokens]]:
    """The record with the tokens of it that the model reads, of spectra at least.

    Raises:
        DataError: there is no record, or nothing in it for this model.
    """
    record = request.record
    if record is None:
        raise DataError(request.error or "nothing was read")
    try:
        tokens = trained.encoding.encode(record)
    except ValueError as error:
        raise DataError(one_line(error, 400)) from None
    tokens = {modality: one for modality, one in tokens.items() if len(one)}
    if not any(REGISTRY[modality].is_instrument for modality in tokens):
        wanted = " or ".join(_names(m for m in trained.encoding.modalities if REGISTRY[m].is_instrument))
        has = ", ".join(_names({spectrum.modality for spectrum in record.spectra})) or "no spectrum"
        raise DataError(f"nothing that this model reads: expected {wanted}, got {has}")
    return record, tokens


def _uses(record: Record | None, tokens: dict[Modality, PackedTokens]) -> tuple[list[str], list[str]]:
    """The modalities that were read, and those of the record that were not."""
    assert record is not None
    there = {modality for modality, entry in REGISTRY.items() if entry.is_in(record)}
    return _names(set(tokens)), _names(there - tokens.keys())


def _names(modalities: Iterable[Modality]) -> list[str]:
    return [REGISTRY[modality].name for modality in sorted(modalities)]
