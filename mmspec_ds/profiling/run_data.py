"""The data of a profile: the records that the run file names, or generated records of the same lengths."""

from dataclasses import dataclass

from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import TrainingData, read_training
from mmspec_ds.data.shards.folder import is_prepared
from mmspec_ds.data.vocabularies import VOCABULARY, Vocabularies
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.profiling.generated import generated_dataset
from mmspec_ds.profiling.tokens import TokenFigures, first_records, token_figures
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

GENERATED_BATCHES = 4
"""Number of global batches of generated samples; all have the same length, so more would add nothing."""


@dataclass(frozen=True)
class RunData:
    """Data to profile with. `about` says where they come from; `generated` is whether they are random."""

    data: TrainingData
    about: str
    generated: bool


def run_data(run: ElucidationRun, world: int, *, generated: bool = False, tokens: int | None = None) -> RunData:
    """Return the records of the run, or generated ones.

    A prepared folder is opened as training opens it. Of other files the first 2,048 records are read; they
    represent the rest if the files are in random order. The SMILES vocabulary is then that of these records.

    Args:
        run: the settings.
        world: ranks, which share the generated samples.
        generated: generate records even where there are files.
        tokens: of a generated sample, which implies `generated`; by default the mean of the run's records or,
            where no file can be read, the maximum of its settings.

    Raises:
        DataError: a file exists but cannot be used.
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
    data = first_records(run, vocabularies)
    return RunData(data, f"the first {len(data.train):,} records of data.train", generated=False)


def _generated(run: ElucidationRun, world: int, tokens: int | None, why: str) -> RunData:
    figures = token_figures(run, tokens)
    start = run.training.start_from
    if start is not None:
        vocabularies = Vocabularies.load(start / VOCABULARY)
    else:
        vocabularies = Vocabularies(_numbered_words(figures.vocabulary), _generated_source(run, figures))
    encoding = InputEncoding.from_settings(run.data, vocabularies.source)
    samples = GENERATED_BATCHES * run.training.batch_size * world
    dataset = generated_dataset(
        [max(1, round(figures.mean))] * samples,
        figures.shares,
        encoding.schemas,
        targets=round(figures.target),
        vocabulary=len(vocabularies.target),
        seed=run.seed,
    )
    data = TrainingData(dataset, dataset, encoding, vocabularies, 0)
    about = f"generated records of {round(figures.mean)} spectrum tokens each, {why}; lengths: {figures.source}"
    return RunData(data, about, generated=True)


def _numbered_words(size: int) -> Vocabulary:
    """Return a vocabulary of this size, specials included."""
    return Vocabulary(f"word {number}" for number in range(max(1, size - len(Vocabulary.SPECIALS))))


def _generated_source(run: ElucidationRun, figures: TokenFigures) -> dict[Modality, Vocabulary] | None:
    if run.data.representation == "compressed":
        return None
    return {m: _numbered_words(schema.discrete[0].size) for m, schema in figures.schemas.items()}
