"""Answers to requests: piece by piece, one for every record, with what the model read of it and what not."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args

import numpy as np

from mmspec_ds.data.reading import pack
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.composition import Composition
from mmspec_ds.readers.known_composition import known_composition
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.requests import Request
from mmspec_ds.spectra.packed import PackedTokens
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.candidates import Candidates, MoleculeCandidate
from mmspec_ds.systems.elucidation.constrained import Constrain, can_write
from mmspec_ds.systems.elucidation.predict import BEAM, predict_molecules
from mmspec_ds.systems.elucidation.trained import TrainedModel
from mmspec_ds.systems.elucidation.verified import VerifiedCandidate, verify
from mmspec_ds.verification.calibration import Calibration, unlike

PIECE = 256
"""Records that are decoded together: enough to find neighbours of like length, little enough to hold, and to do
again when a run is cut off."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """How structures are proposed for a record.

    Attributes:
        top: candidates per record, at most.
        beam: hypotheses per record, `top` at least.
        verified: whether candidates are ranked by the spectra that are predicted for them as well.
        constrain: what the search may write.
        precursor_ppm: how far the mass of a candidate may be from that of the precursors.

    Raises:
        ConfigError: one of them is not possible.
    """

    top: int = 10
    beam: int = BEAM
    verified: bool = True
    constrain: Constrain = "composition"
    precursor_ppm: float = 10.0

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"top is {self.top}, expected at least 1")
        if self.constrain not in get_args(Constrain):
            raise ConfigError(f"constrain is {self.constrain!r}, expected {' or '.join(get_args(Constrain))}")
        if not 0 < self.precursor_ppm < math.inf:
            raise ConfigError(f"precursor_ppm is {self.precursor_ppm:g}, expected a number above 0")


DEFAULT = Asked()


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A record, the tokens of it that the model reads, what is known of its atoms, and remarks on that."""

    record: Record
    tokens: dict[Modality, PackedTokens]
    composition: Composition | None
    remarks: tuple[str, ...]

    def as_json(self, candidates: Candidates) -> dict[str, Any]:
        """The part of an answer on the record and the search, in JSON's types."""
        there = {modality for modality, entry in REGISTRY.items() if entry.is_in(self.record)}
        return {
            "composition": None if self.composition is None else str(self.composition),
            "invalid": candidates.invalid,
            "merged": candidates.merged,
            "read": _names(self.tokens),
            "unused": _names(there - self.tokens.keys()),
        }


def predict_requests(
    trained: TrainedModel, requests: Iterable[Request], asked: Asked = DEFAULT
) -> Iterator[Answer]:
    """One answer for each request, in their order; memory holds a piece of them.

    Yields:
        `id`; `candidates`, at most `top` molecules with the best first, or `error`; `confidence`, if they are
        verified (`first` and `listed` are None where the model is not calibrated); of a record that was read,
        `composition`, the formula or mass that all candidates have, `invalid` and `merged`, what else the
        search wrote (see `Candidates`), `read`, the names of the modalities that the model was given
        (`formula` among them), and `unused`, what the record has besides; `remarks`, what was changed, guessed
        or left out on the way.
    """
    source = iter(requests)
    while piece := list(islice(source, PIECE)):
        yield from _answered(trained, piece, asked)


def predict_record(
    trained: TrainedModel, record: Record, remarks: Sequence[str] = (), asked: Asked = DEFAULT
) -> Answer:
    """The answer for one record, see `predict_requests`.

    Raises:
        DataError: there is nothing in the record for this model, or what it cannot read.
    """
    request = Request(record.id, record, remarks=tuple(remarks))
    (answer,) = predict_requests(trained, [request], asked)
    if "error" in answer:
        raise DataError(answer["error"])
    return answer


def _answered(trained: TrainedModel, piece: Sequence[Request], asked: Asked) -> Iterator[Answer]:
    """The answers of one piece."""
    encoded: list[_Encoded | str] = []
    for request in piece:
        try:
            encoded.append(_encoded(trained, request, asked))
        except DataError as error:
            encoded.append(str(error))
    found = iter(_found(trained, [one for one in encoded if isinstance(one, _Encoded)], asked))
    for request, one in zip(piece, encoded):
        answer: Answer = {"id": request.id}
        remarks = [*request.remarks]
        if isinstance(one, str):
            answer["error"] = one
        else:
            candidates = next(found)
            answer |= _listed(candidates, one.record, trained.calibration, asked)
            answer |= one.as_json(candidates)
            remarks += one.remarks
            if not candidates.molecules:
                remarks.append(
                    f"no molecule was found{'' if one.composition is None else f' of {one.composition}'}"
                )
        remarks += _unlike(trained.calibration, request.record)
        yield {**answer, "remarks": remarks}


def _found(trained: TrainedModel, encoded: Sequence[_Encoded], asked: Asked) -> list[Candidates]:
    if not encoded:
        return []
    dataset = pack(((one.record, one.tokens) for one in encoded), trained.encoding.schemas)
    return predict_molecules(
        trained.model,
        dataset,
        trained.vocabulary,
        beam=asked.beam,
        constrain=asked.constrain,
        compositions=[one.composition for one in encoded],
    )


def _listed(candidates: Candidates, record: Record, calibration: Calibration, asked: Asked) -> dict[str, Any]:
    """The candidates that are shown, verified if that is asked for."""
    if asked.verified:
        return _verified(candidates, record, calibration, asked.top)
    return {"candidates": [_as_json(one) for one in candidates.molecules[: asked.top]]}


def _as_json(one: MoleculeCandidate | VerifiedCandidate) -> dict[str, Any]:
    return {
        "smiles": one.smiles,
        "probability": float(np.exp(one.log_probability)),
        "log_probability": one.log_probability,
    }


def _verified(candidates: Candidates, record: Record, calibration: Calibration, top: int) -> dict[str, Any]:
    """The candidates in the order of their combined score, and how probable it is that the first one is right
    and that the right one is among those that were found."""
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


def _encoded(trained: TrainedModel, request: Request, asked: Asked) -> _Encoded:
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
    known, remarks = _composition(trained, record, asked)
    return _Encoded(record, tokens, known, remarks)


def _composition(
    trained: TrainedModel, record: Record, asked: Asked
) -> tuple[Composition | None, tuple[str, ...]]:
    """The atoms that the record tells of, and remarks. Not used is what the model cannot write: a mass in whole
    numbers, an element that it was not trained with."""
    if asked.constrain != "composition":
        return None, ()
    try:
        known = known_composition(record, asked.precursor_ppm)
    except DataError as error:
        return None, (f"{error}: not used",)
    except ValueError as error:
        raise DataError(one_line(error, 400)) from None
    if known is not None and not can_write(trained.vocabulary, known):
        return None, (f"the model writes no molecule of {known}: not used",)
    return known, ()


def _names(modalities: Iterable[Modality]) -> list[str]:
    return [REGISTRY[modality].name for modality in sorted(modalities)]
