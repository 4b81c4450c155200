"""The methods that an evaluation of retrieval compares: classical scores, models, and their fusion."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from mmspec_ds.errors import ConfigError
from mmspec_ds.library.entry import Embedder, Entry
from mmspec_ds.library.peaks import PeakSettings
from mmspec_ds.progress import ProgressLines
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.retrieval.evaluate import Scores, VectorScores
from mmspec_ds.systems.retrieval.fused_scores import FusedScores
from mmspec_ds.systems.retrieval.peak_scores import ModifiedCosineScores, PeakScores, peak_settings
from mmspec_ds.systems.retrieval.read_question import ReadQuestion, read_files, trained_blocks
from mmspec_ds.systems.retrieval.run_settings import RetrievalData
from mmspec_ds.systems.retrieval.spec2vec import Spec2VecSettings, train_spec2vec


def molecules_of(
    models: Mapping[str, RetrievalData], paths: Sequence[Path], entries: Sequence[Entry], remarks: list[str]
) -> dict[str, frozenset[str]]:
    """By model the molecules that it was trained on.

    Args:
        models: by name what they learned from.
        paths, entries: the files of the evaluation, and what is in them.
        remarks: takes a sentence where the training files of a model are not here.
    """
    found = {}
    for name, data in models.items():
        files = data.train
        if not files or not all(path.exists() for path in files):
            what = "are not here" if files else "are not told"
            remarks.append(
                f"{name}: its training files {what}: molecules that it has seen may be among the queries"
            )
            continue
        same = [path.resolve() for path in files] == [path.resolve() for path in paths]
        learned = entries if same else read_files(files)[0]
        found[name] = trained_blocks(data, learned)
    return found


def scores_of(
    read: ReadQuestion, embedders: Mapping[str, Embedder], *, quick: bool
) -> tuple[list[Scores], list[str]]:
    """All methods, and what was equal between them, a sentence each.

    Args:
        read: the question.
        embedders: models by name.
        quick: without the modified cosine and Spec2Vec.

    Raises:
        ConfigError: there is nothing to compare.
    """
    question = read.question
    scores: list[Scores] = []
    told: list[str] = []
    if read.kind is not None:
        settings = peak_settings(read.kind)
        scores.append(PeakScores(question, settings))
        told.append(
            f"Equal for all methods: queries and library. Peaks of the classical scores: {_written(settings)}"
        )
        if read.kind is Modality.MS and not quick:
            scores.append(ModifiedCosineScores(question, settings))
        if not quick:
            scores += _spec2vec(read, told)
    for name, embedder in embedders.items():
        scores.append(_vectors(embedder, read, name))
    if not scores:
        raise ConfigError("the queries have no mass spectra, and no model is named: nothing can be compared")
    return scores, told


def fused_of(read: ReadQuestion, models: Mapping[str, str]) -> FusedScores | None:
    """The fusion of the classical scores and the models, where there are two or more.

    Args:
        read: the question.
        models: by method the name of its part.
    """
    if read.kind is None:
        return FusedScores(read.question, models, "any") if len(models) > 1 else None
    return FusedScores(read.question, models, "ei" if read.kind is Modality.EI else "ms")


def _spec2vec(read: ReadQuestion, told: list[str]) -> list[Scores]:
    if not read.training:
        told.append("Spec2Vec is left out: there are no spectra to learn from (--train)")
        return []
    if find_spec("gensim") is None:
        told.append("Spec2Vec is left out: it needs gensim (pip install 'mmspec-ds[baselines]')")
        return []
    settings = Spec2VecSettings(decimals=0 if read.kind is Modality.EI else 2)
    count = len(read.training)
    with ProgressLines(f"Spec2Vec learns from {count:,} spectra", settings.epochs, unit="epochs") as progress:
        model = train_spec2vec([one.record for one in read.training], settings, progress.at)
    told.append(
        f"Spec2Vec learned from {count:,} spectra, {settings.epochs} times; its words have"
        f" {settings.decimals} decimals"
    )
    return [_vectors(model, read, model.name)]


def _vectors(embedder: Embedder, read: ReadQuestion, name: str) -> Scores:
    question = read.question
    with ProgressLines(f"reading with {name}", unit="spectra") as progress:
        return VectorScores(embedder, question, name, progress.at)


def _written(settings: PeakSettings) -> str:
    equal = (
        "equal whole numbers of m/z" if settings.whole_numbers else f"equal within {settings.tolerance_da:g} Da"
    )
    return equal if not settings.noise else f"{equal}, below {settings.noise:.1%} of the largest left out"
