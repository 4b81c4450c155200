"""What a profile feeds its models: the records that the run file names, or generated ones of their lengths."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import TrainingData, read_training
from mmspec_ds.data.shards.folder import is_prepared
from mmspec_ds.data.vocabularies import VOCABULARY, Vocabularies
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.profiling.tokens import TokenFigures, first_records, token_figures
from mmspec_ds.spectra.packed import IntArray, PackedIds, PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

GENERATED_BATCHES = 4
"""Global batches of generated samples. All are as long as each other: more would add nothing."""


@dataclass(frozen=True)
class RunData:
    """Data to profile with: `about` says in words where they come from, `generated` whether they are made
    up."""

    data: TrainingData
    about: str
    generated: bool


def run_data(run: ElucidationRun, world: int, *, generated: bool = False, tokens: int | None = None) -> RunData:
    """Records of the run, or generated ones.

    A prepared folder is opened as training opens it. Of other files the first 2,048 records are read, which
    have the lengths of all if the files are in no particular order; the SMILES vocabulary is then theirs.

    Args:
        run: the settings.
        world: ranks, which share the generated samples.
        generated: generate records even where there are files.
        tokens: of a generated sample; else as many as the run's records have on average or, where no file can
            be read, as many as its settings allow. A number means generated records.

    Raises:
        DataError: a file is there and cannot be used.
    """
    named = (*run.data.train, *run.data.validation)
    if generated or tokens is not None or not run.data.train:
        why = "as asked" if generated or tokens is not None else "data.train names no file"
        return _generated(run, world, tokens, why)
    missing = [path for path in named if not path.exists()]
    if missing:
        return _generated(run, world, None, f"{missing[0]} does not exist")
    start = run.training.start_from
    vocabularies = None if start is None else Vocabularies.load(start / VOCABULARY)
    if is_prepared(run.data.train[0]):
        data = read_training(run.data, vocabularies=vocabularies)
        return RunData(data, f"{len(data.train):,} records of {run.data.train[0]}", generated=False)
    sample = first_records(run, vocabularies)
    vocabularies = vocabularies or Vocabularies(sample.vocabulary, sample.encoding.source)
    data = TrainingData(sample.dataset, sample.dataset, sample.encoding, vocabularies, 0)
    return RunData(data, f"the first {len(data.train):,} records of data.train", generated=False)


def _generated(run: ElucidationRun, world: int, tokens: int | None, why: str) -> RunData:
    figures = token_figures(run, tokens)
    start = run.training.start_from
    if start is not None:
        vocabularies = Vocabularies.load(start / VOCABULARY)
    else:
        vocabularies = Vocabularies(_made_up_words(figures.vocabulary), _made_up_source(run, figures))
    encoding = InputEncoding.from_settings(run.data, vocabularies.source)
    samples = GENERATED_BATCHES * run.training.batch_size * world
    dataset = _made_up_dataset(run.seed, samples, figures, encoding, len(vocabularies.target))
    data = TrainingData(dataset, dataset, encoding, vocabularies, 0)
    about = f"generated records of {round(figures.mean)} spectrum tokens each, {why}; lengths: {figures.source}"
    return RunData(data, about, generated=True)


def _made_up_words(size: int) -> Vocabulary:
    """A vocabulary of so many tokens, specials included."""
    return Vocabulary(f"word {number}" for number in range(max(1, size - len(Vocabulary.SPECIALS))))


def _made_up_source(run: ElucidationRun, figures: TokenFigures) -> dict[Modality, Vocabulary] | None:
    if run.data.representation == "compressed":
        return None
    return {m: _made_up_words(schema.discrete[0].size) for m, schema in figures.schemas.items()}


def _made_up_dataset(
    seed: int, samples: int, figures: TokenFigures, encoding: InputEncoding, vocabulary: int
) -> SpectraDataset:
    """Samples of the mean length, all alike, with random contents."""
    rng = np.random.default_rng(seed)
    shares = [figures.shares.get(modality, 0.0) for modality in encoding.schemas]
    counts = _split(max(1, round(figures.mean)), shares)
    tokens = {
        modality: _made_up_tokens(schema, np.full(samples, count), rng)
        for (modality, schema), count in zip(encoding.schemas.items(), counts)
    }
    first = len(Vocabulary.SPECIALS)
    written = max(1, round(figures.target) - 1)  # the decoder reads BOS and these
    bodies = rng.integers(first, max(vocabulary, first + 1), (samples, written)).tolist()
    return SpectraDataset(
        ids=tuple(f"generated {number}" for number in range(samples)),
        smiles=(None,) * samples,
        tokens=tokens,
        schemas=encoding.schemas,
        targets=PackedIds.of([[Vocabulary.BOS, *body, Vocabulary.EOS] for body in bodies]),
    )


def _split(total: int, shares: Iterable[float]) -> list[int]:
    """A whole number in parts of these shares, which sum up to it."""
    bounds = np.cumsum(list(shares))
    edges = np.round(total * bounds / bounds[-1]).astype(int)
    return cast(list[int], np.diff(edges, prepend=0).tolist())


def _made_up_tokens(schema: TokenSchema, counts: IntArray, rng: np.random.Generator) -> PackedTokens:
    total = int(counts.sum())
    discrete = [rng.integers(field.size, size=total, dtype=np.int16) for field in schema.discrete]
    return PackedTokens(
        np.stack(discrete, axis=1) if discrete else np.empty((total, 0), dtype=np.int16),
        rng.random((total, len(schema.continuous)), dtype=np.float32),
        offsets_of(counts),
    )
