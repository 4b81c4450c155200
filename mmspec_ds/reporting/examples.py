"""Example predictions of a run for its validation molecules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.errors import UserError
from mmspec_ds.evaluation.metrics import (
    EvaluationResult,
    canonical_or_none,
    rank_of,
    score_candidates,
    tanimoto,
)
from mmspec_ds.reporting.explanation import Explanation, explain
from mmspec_ds.spectra.records import Record
from mmspec_ds.systems.elucidation.evaluate import Question, question_records, read_question
from mmspec_ds.systems.elucidation.predict import ScoredSmiles, predict_dataset
from mmspec_ds.systems.elucidation.predict_files import Asked, predict_record
from mmspec_ds.systems.elucidation.trained import TrainedModel, load_model

BEAM = 10
EXPLAINED = 3
"""Candidates of the one molecule that is explained."""


@dataclass(frozen=True)
class Proposal:
    """A proposed structure, its score (mean log probability of a token), and its Tanimoto similarity to the
    true structure, None if it is invalid."""

    smiles: str
    score: float
    similarity: float | None
    right: bool


@dataclass(frozen=True)
class Example:
    """A molecule: its name, its true structure, the rank of that among the proposals (None if absent), and the
    proposals, best first."""

    id: str
    truth: str
    rank: int | None
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True)
class Examples:
    """Some of the molecules that the model read, and the scores over all of them. `remark` says which they are,
    or why there are none. One of them is explained."""

    remark: str
    shown: tuple[Example, ...] = ()
    result: EvaluationResult | None = None
    explained: Explanation | None = None


def find_examples(
    folder: Path, files: Sequence[Path], *, ask: int, show: int, progress: Callable[[int], None] | None = None
) -> Examples:
    """Predict the structures of molecules with the best weights of a run; choose right and wrong ones.

    Args:
        folder: of the run.
        files: with structures; the run's validation files if none are given.
        ask: number of molecules to read, from the beginning of the files.
        show: number of molecules to choose.
        progress: called with the number of molecules done.
    """
    try:
        trained = load_model(folder)
        validation = tuple(files) or trained.run.data.validation
        if not validation:
            return Examples(
                "No examples: the run was validated on a part of its training files; name a file with --data."
            )
        missing = [path for path in validation if not path.exists()]
        if missing:
            return Examples(f"No examples: {missing[0]} is not there; name a file with --data.")
        question = Question(tuple(validation), BEAM, limit=ask, skip_invalid=True)
        dataset = read_question(trained, question)
    except UserError as error:
        return Examples(f"No examples: {' '.join(str(error).split())}.")
    known = [smiles for smiles in dataset.smiles if smiles is not None]
    if len(known) != len(dataset):
        return Examples(f"No examples: {validation[0]} holds molecules without a structure.")
    found = predict_dataset(
        trained.model, dataset, trained.vocabulary, beam=BEAM, n_best=BEAM, progress=progress
    )
    everyone = [_example(*one) for one in zip(dataset.ids, known, found)]
    result = score_candidates([[c.smiles for c in one] for one in found], known)
    names = ", ".join(path.name for path in validation)
    remark = f"The first {len(known)} molecules of {names}, by the weights of the best validation, beam {BEAM}."
    shown = choose(everyone, show)
    first = next((one for one in question_records(dataset, question) if shown and one.id == shown[0].id), None)
    return Examples(remark, shown, result, _explained(trained, first) if first is not None else None)


def _explained(trained: TrainedModel, record: Record) -> Explanation | None:
    """None for a record that the model cannot answer."""
    try:
        answer = predict_record(trained, record, asked=Asked(EXPLAINED, BEAM))
    except UserError:
        return None
    return explain(trained, record, answer, EXPLAINED)


def choose(examples: Sequence[Example], show: int) -> tuple[Example, ...]:
    """Choose half of the examples with the true structure at rank 1 and half without, as far as there are both.
    Of the others, those with the true structure at a lower rank come first. Both are spread evenly."""
    right = [one for one in examples if one.rank == 1]
    wrong = sorted((one for one in examples if one.rank != 1), key=lambda one: one.rank is None)
    few = min(len(right), max(show // 2, show - len(wrong)))
    return (*_spread(right, few), *_spread(wrong, min(len(wrong), show - few)))


def _spread(examples: Sequence[Example], count: int) -> list[Example]:
    return [examples[at * len(examples) // count] for at in range(count)]


def _example(name: str, truth: str, found: Sequence[ScoredSmiles]) -> Example:
    canonical = [canonical_or_none(one.smiles) for one in found]
    true = canonical_or_none(truth) or truth
    proposals = tuple(
        Proposal(one.smiles, one.score, None if same is None else tanimoto(true, same), same == true)
        for one, same in zip(found, canonical)
    )
    return Example(name, truth, rank_of(true, canonical), proposals)
