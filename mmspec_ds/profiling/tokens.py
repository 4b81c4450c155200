"""Number of tokens of a sample: from the run's own data where they can be read, else from its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.encoding import InputEncoding, TextLearner, text_schema
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import TrainingData, read_dataset
from mmspec_ds.data.sampler import BucketSampler
from mmspec_ds.data.shards.dataset import split_of
from mmspec_ds.data.shards.folder import is_prepared, open_folder
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, block_of
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

SAMPLE = 2048
"""Number of records read, from the beginning of the training files."""

ASSUMED_VOCABULARY = 128
"""SMILES tokens assumed where no data can be read."""

ASSUMED_WORDS = 10_000
"""Words of a modality's text assumed where no data can be read; the benchmark's MS/MS has about as many."""


@dataclass(frozen=True)
class Load:
    """One batch on one rank: B samples padded to S `places`, `tokens` real tokens in all, L `targets` that the
    decoder reads of each sample."""

    samples: int
    places: int
    tokens: int
    targets: int


@dataclass(frozen=True)
class TokenFigures:
    """Lengths of samples and batches.

    Attributes:
        mean: spectrum tokens of a sample.
        padded: places of a sample in its batch, bucketed by length, on average.
        target: SMILES tokens of a sample that the decoder reads, padded in the same batches, on average.
        largest: the batch with the most places, which memory must hold.
        shares: of the modalities among the tokens.
        schemas: the fields of each modality's tokens.
        vocabulary: SMILES tokens, specials included.
        source: where the figures come from, in words.
    """

    mean: float
    padded: float
    target: float
    largest: Load
    shares: Mapping[Modality, float]
    schemas: Mapping[Modality, TokenSchema]
    vocabulary: int
    source: str

    def of_length(self, tokens: int) -> "TokenFigures":
        """Return the figures for samples that all have this many spectrum tokens."""
        largest = replace(self.largest, places=tokens, tokens=tokens * self.largest.samples)
        return replace(
            self, mean=tokens, padded=tokens, largest=largest, source=f"--tokens {tokens}; targets and"
            f" vocabulary: {self.source}",
        )  # fmt: skip

    def with_batch(self, samples: int) -> "TokenFigures":
        """Return the figures for batches of another size with the same longest sample."""
        tokens = max(self.largest.places, round(self.largest.tokens * samples / self.largest.samples))
        return replace(self, largest=replace(self.largest, samples=samples, tokens=tokens))


def token_figures(run: ElucidationRun, tokens: int | None = None) -> TokenFigures:
    """Return the figures of a run; with `tokens`, every sample has that many."""
    try:
        figures = _from_data(run)
    except DataError as error:
        why = "data.train names no file" if not run.data.train else f"data.train cannot be read ({error})"
        figures = _from_settings(run, why)
    return figures if tokens is None else figures.of_length(tokens)


def first_records(run: ElucidationRun, vocabularies: Vocabularies | None = None) -> TrainingData:
    """Read at most `SAMPLE` records from the beginning of `data.train`, leaving out invalid ones.
    They are the validation data too.

    Args:
        run: the settings.
        vocabularies: of the weights that the run starts from; by default they are built from these records.

    Raises:
        DataError: there is no usable record.
    """
    if not run.data.train:
        raise DataError("no file")
    options = ReadOptions(
        skip_invalid=True,
        max_target_tokens=run.data.max_target_tokens,
        skip_long_targets=True,
        max_records=SAMPLE,
    )
    source = vocabularies.source if vocabularies else None
    if is_prepared(run.data.train[0]):
        encoding = InputEncoding.from_settings(run.data)
        shards = split_of(open_folder(run.data.train[0], run.data), "train", run.data)
        dataset = shards.subset(np.arange(min(SAMPLE, len(shards))))
    elif run.data.representation == "compressed" or source is not None:
        encoding = InputEncoding.from_settings(run.data, source)
        dataset = read_dataset(run.data.train, encoding, options)
    else:
        learner = TextLearner(run.data)
        dataset = read_dataset(run.data.train, learner, options)
        encoding, tables = learner.finish()
        tokens = {m: replace(one, discrete=tables[m][one.discrete]) for m, one in dataset.tokens.items()}
        dataset = replace(dataset, tokens=tokens, schemas=encoding.schemas)
    if vocabularies is None:
        target = Vocabulary.build(tokenize_smiles(one) for one in dataset.smiles if one is not None)
        vocabularies = Vocabularies(target, encoding.source)
    dataset = dataset.with_targets(vocabularies.target)
    return TrainingData(dataset, dataset, encoding, vocabularies, 0)


def _from_data(run: ElucidationRun) -> TokenFigures:
    """Measure the figures on the first records.

    Raises:
        DataError: there is no usable record.
    """
    data = first_records(run)
    dataset = cast(SpectraDataset, data.train)  # held in memory
    batch_size = run.training.batch_size
    loads = [_load(dataset, chosen) for chosen, _ in BucketSampler(dataset.lengths, batch_size).epoch(0)]
    most = max(loads, key=lambda load: (load.places, load.tokens))
    counts = {modality: int(packed.counts.sum()) for modality, packed in dataset.tokens.items()}
    return TokenFigures(
        mean=float(dataset.lengths.mean()),
        padded=float(np.mean([load.places for load in loads])),
        target=float(np.mean([load.targets for load in loads])),
        # The batch with the most places, given the longest target of any batch.
        largest=replace(most, targets=max(load.targets for load in loads)),
        shares={modality: count / max(1, sum(counts.values())) for modality, count in counts.items()},
        schemas=data.encoding.schemas,
        vocabulary=len(data.vocabularies.target),
        source=f"the first {len(dataset):,} records of data.train in bucketed batches of {batch_size}",
    )


def _load(dataset: SpectraDataset, chosen: np.ndarray) -> Load:
    assert dataset.targets is not None
    lengths, targets = dataset.lengths[chosen], dataset.targets.counts[chosen]
    return Load(len(chosen), int(lengths.max()), int(lengths.sum()), int(targets.max()) - 1)


def _from_settings(run: ElucidationRun, why: str) -> TokenFigures:
    """Return the maximum that the settings allow."""
    data = run.data
    if data.representation == "text":
        counts = dict.fromkeys(data.chosen_modalities(), data.max_text_tokens)
        schemas: Mapping[Modality, TokenSchema] = dict.fromkeys(counts, text_schema(ASSUMED_WORDS))
        assumed = f"data.max_text_tokens for each modality, {ASSUMED_WORDS:,} words each"
    else:
        entries = {modality: REGISTRY[modality] for modality in data.chosen_modalities()}
        counts = {m: one.most_tokens(block_of(one, data.compression)) for m, one in entries.items()}
        schemas = InputEncoding.from_settings(data).schemas
        assumed = "the maximum of data.compression"
    tokens, samples = sum(counts.values()), run.training.batch_size
    target = data.max_target_tokens + 1
    return TokenFigures(
        mean=tokens,
        padded=tokens,
        target=target,
        largest=Load(samples, tokens, tokens * samples, target),
        shares={modality: count / tokens for modality, count in counts.items()},
        schemas=schemas,
        vocabulary=ASSUMED_VOCABULARY,
        source=f"{assumed}, data.max_target_tokens, and {ASSUMED_VOCABULARY} SMILES tokens assumed, for {why}",
    )
