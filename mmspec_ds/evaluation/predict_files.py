"""Proposals for the records of files: piece by piece, and a line for every record that cannot be read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmspec_ds.data.reading import ReadOptions, encoded_records, pack
from mmspec_ds.evaluation.predict import ScoredSmiles, predict_dataset
from mmspec_ds.evaluation.trained import TrainedModel
from mmspec_ds.spectra.parquet import ReadReport
from mmspec_ds.spectra.records import Modality, Record
from mmspec_ds.spectra.tokens import Tokens

PIECE = 512
"""Records that are decoded together: enough to find neighbours of like length, little enough to hold."""


def predict_files(
    trained: TrainedModel, files: Sequence[Path], *, beam: int, n_best: int
) -> Iterator[dict[str, Any]]:
    """One answer for each record, in the order of the files.

    Yields:
        `id` with `candidates`, a list of `smiles` and `score` with the best first, or with `error`.

    Raises:
        DataError: a file that cannot be read at all.
    """
    answers: list[dict[str, Any]] = []
    report = ReadReport(on_skip=lambda record, reason: answers.append({"id": record, "error": reason}))
    options = ReadOptions(require_smiles=False, require_all_modalities=False, skip_invalid=True)
    records = encoded_records(files, trained.encoding, options, report)
    piece: list[tuple[Record, dict[Modality, Tokens]]] = []
    for record, tokens in records:
        piece.append((record, tokens))
        answers.append({"id": record.id})
        if len(piece) == PIECE:
            yield from _answered(trained, piece, answers, beam, n_best)
            piece.clear()
            answers.clear()
    yield from _answered(trained, piece, answers, beam, n_best)


def _answered(
    trained: TrainedModel,
    piece: Sequence[tuple[Record, dict[Modality, Tokens]]],
    answers: Sequence[dict[str, Any]],
    beam: int,
    n_best: int,
) -> Iterator[dict[str, Any]]:
    """The answers of one piece, those without an error given their candidates."""
    proposals: Iterator[list[ScoredSmiles]] = iter(())
    if piece:
        dataset = pack(piece, trained.encoding.schemas)
        found = predict_dataset(trained.model, dataset, trained.vocabulary, beam=beam, n_best=n_best)
        proposals = iter(found)
    for answer in answers:
        if "error" not in answer:
            candidates = [{"smiles": c.smiles, "score": c.score} for c in next(proposals)]
            answer["candidates"] = candidates
        yield answer
