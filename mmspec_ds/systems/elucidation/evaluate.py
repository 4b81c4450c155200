"""Trained models and their controls on one set of molecules."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset
from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.metrics import EvaluationResult, Rule, describe_overlap, score_candidates
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.controls import nearest_molecules, shuffle_spectra
from mmspec_ds.systems.elucidation.predict import BEAM, predict_dataset, predict_molecules
from mmspec_ds.systems.elucidation.trained import TrainedModel

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
    options = ReadOptions(skip_invalid=question.skip_invalid, max_records=question.limit)
    dataset = read_dataset(question.files, trained.encoding, options)
    return dataset if question.modalities is None else dataset.only(question.modalities)


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


def evaluate_controls(
    trained: TrainedModel,
    dataset: SpectraDataset,
    train_files: Sequence[Path],
    question: Question,
    seed: int = 0,
) -> dict[str, EvaluationResult]:
    """Results without the right spectra, and without a model.

    "spectra shuffled": the model with each molecule's spectra swapped for another's. "nearest training
    spectrum": the training molecules with the most similar spectra.
    """
    shuffled = evaluate_model(trained, shuffle_spectra(dataset, seed), question.beam, question.rule)
    library = read_dataset(tuple(train_files), trained.encoding).only(tuple(dataset.tokens))
    started = time.monotonic()
    nearest = [[one.smiles for one in row] for row in nearest_molecules(library, dataset)]
    return {
        "spectra shuffled": shuffled,
        "nearest training spectrum": _scored(nearest, dataset, time.monotonic() - started, "unique"),
    }


def shared_with_training(dataset: SpectraDataset, trained: TrainedModel, train_files: Sequence[Path]) -> int:
    """Number of molecules that have the canonical SMILES of a training molecule."""
    library = read_dataset(tuple(train_files), trained.encoding)
    return describe_overlap(_known(library), _known(dataset))


def _known(dataset: SpectraDataset) -> list[str]:
    return [smiles for smiles in dataset.smiles if smiles is not None]


def _scored(
    proposals: Sequence[Sequence[str]], dataset: SpectraDataset, seconds: float, rule: Rule
) -> EvaluationResult:
    return score_candidates(proposals, _known(dataset), seconds=seconds, rule=rule)
