"""Trained models and their controls on one set of molecules."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.data.records import records_of
from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.metrics import EvaluationResult, Rule, describe_overlap, score_candidates
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.systems.elucidation.controls import derangement, nearest_molecules
from mmspec_ds.systems.elucidation.predict import BEAM, predict_dataset, predict_molecules
from mmspec_ds.systems.elucidation.trained import TrainedModel
from mmspec_ds.systems.elucidation.verified import check_confidence, verify

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Question:
    """The data and search that all models are evaluated with: `limit` molecules (None for all) of `files`,
    `beam` hypotheses each, and only the named modalities (None for all that the model knows). `rule` says what
    is ranked."""

    files: tuple[Path, ...]
    beam: int = BEAM
    rule: Rule = "unique"
    modalities: tuple[Modality, ...] | None = None
    limit: int | None = None
    skip_invalid: bool = False


def read_question(trained: TrainedModel, question: Question) -> SpectraDataset:
    """The molecules of the question in the form that a model reads.

    Raises:
        DataError: a file or record that cannot be used, or a modality that the model does not know.
    """
    unknown = set(question.modalities or ()) - set(trained.encoding.modalities)
    if unknown:
        known = ", ".join(m.name.lower() for m in trained.encoding.modalities)
        raise DataError(f"{min(unknown).name.lower()} is unknown to this model: expected some of {known}")
    dataset = read_dataset(question.files, trained.encoding, _options(question))
    return dataset if question.modalities is None else dataset.only(question.modalities)


def question_records(dataset: SpectraDataset, question: Question) -> Iterator[Record]:
    """The records of the molecules of the question, with the modalities of the dataset."""
    return records_of(dataset, question.files, _options(question))


def evaluate_model(
    trained: TrainedModel,
    dataset: SpectraDataset,
    beam: int = BEAM,
    rule: Rule = "unique",
    progress: Progress | None = None,
) -> EvaluationResult:
    """Top-k, validity and similarity of a model's candidates: the molecules that it finds, or by the rule
    of the benchmark the first ten strings that it writes."""
    started = time.monotonic()
    if rule == "raw":
        written = predict_dataset(
            trained.model, dataset, trained.vocabulary, beam=beam, n_best=min(beam, 10), progress=progress
        )
        proposals = [[one.smiles for one in row] for row in written]
    else:
        found = predict_molecules(trained.model, dataset, trained.vocabulary, beam=beam, progress=progress)
        proposals = [[one.smiles for one in row.molecules] for row in found]
    return _scored(proposals, dataset, time.monotonic() - started, rule)


def evaluate_verified(
    trained: TrainedModel,
    dataset: SpectraDataset,
    records: Iterable[Record],
    beam: int = BEAM,
    progress: Progress | None = None,
) -> tuple[EvaluationResult, EvaluationResult]:
    """The result of `evaluate_model` for unique molecules, and that of the same molecules ranked by their
    predicted spectra as well. `records` are those of the dataset's samples."""
    started = time.monotonic()
    found = predict_molecules(trained.model, dataset, trained.vocabulary, beam=beam, progress=progress)
    searched = time.monotonic() - started
    checked = [verify(one, record, trained.calibration) for one, record in zip(found, records, strict=True)]
    proposals = ([[one.smiles for one in row.molecules] for row in rows] for rows in (found, checked))
    unique = _scored(next(proposals), dataset, searched, "unique")
    verified = _scored(next(proposals), dataset, time.monotonic() - started, "verified")
    stated = {} if trained.calibration.listed is None else check_confidence(checked, dataset.smiles)
    return unique, replace(verified, confidence=stated)


def evaluate_controls(
    trained: TrainedModel,
    dataset: SpectraDataset,
    library: SpectraDataset,
    question: Question,
    seed: int = 0,
) -> dict[str, EvaluationResult]:
    """Results without the right spectra, and without a model; `library` are the molecules of the training.

    "spectra shuffled": the model with each molecule's spectra swapped for another's, in verification too.
    "nearest training spectrum": the training molecules with the most similar spectra.
    """
    order = derangement(dataset.blocks, seed)
    exchanged = dataset.with_spectra_of(order)
    controls: dict[str, EvaluationResult] = {}
    if question.rule == "verified":
        records = list(question_records(dataset, question))
        plain, verified = evaluate_verified(trained, exchanged, [records[at] for at in order], question.beam)
        controls["spectra shuffled"] = plain
        # What the model is sure of is the other molecule: its confidence is no part of this control.
        controls["spectra shuffled, verified"] = replace(verified, confidence={})
    else:
        controls["spectra shuffled"] = evaluate_model(trained, exchanged, question.beam, question.rule)
    started = time.monotonic()
    found = nearest_molecules(library.only(tuple(dataset.tokens)), dataset)
    nearest = [[one.smiles for one in row] for row in found]
    scored = _scored(nearest, dataset, time.monotonic() - started, "unique")
    return {**controls, "nearest training spectrum": scored}


def read_library(trained: TrainedModel, train_files: Sequence[Path]) -> SpectraDataset:
    """The molecules of a training in the form that a model reads."""
    return read_dataset(tuple(train_files), trained.encoding)


def shared_with_training(dataset: SpectraDataset, library: SpectraDataset) -> int:
    """Number of molecules that have the canonical SMILES of a training molecule."""
    return describe_overlap(_known(library), _known(dataset))


def _options(question: Question) -> ReadOptions:
    return ReadOptions(skip_invalid=question.skip_invalid, max_records=question.limit)


def _known(dataset: SpectraDataset) -> list[str]:
    return [smiles for smiles in dataset.smiles if smiles is not None]


def _scored(
    proposals: Sequence[Sequence[str]], dataset: SpectraDataset, seconds: float, rule: Rule
) -> EvaluationResult:
    return score_candidates(proposals, _known(dataset), seconds=seconds, rule=rule)
