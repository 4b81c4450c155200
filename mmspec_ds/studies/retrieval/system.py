"""Retrieval as studies see it."""

from pathlib import Path

import torch

from mmspec_ds.studies.cells import settings_of
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.studies.retrieval.budgets import BUDGETS
from mmspec_ds.studies.retrieval.data import RetrievalData
from mmspec_ds.studies.retrieval.definition import STUDIES
from mmspec_ds.studies.retrieval.measures import MEASURES
from mmspec_ds.studies.systems import StudySystem
from mmspec_ds.systems.retrieval.embedders import TrainedEmbedder, load_embedder
from mmspec_ds.systems.retrieval.factory import make_encoding, make_model
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun


def load(context: MeasureContext) -> TrainedEmbedder:
    """The model of a cell on its device: trained, or as its training would begin where nothing is trained."""
    if context.cell.trains:
        found = load_embedder(context.run, context.budget.language)
    else:
        run = settings_of(context.cell, context.budget, RetrievalRun)
        torch.manual_seed(run.seed)
        found = TrainedEmbedder(run, make_model(run).eval(), make_encoding(run), identity="untrained")
    found.model.to(context.device)
    return found


def language_of(run: RetrievalRun) -> Path | None:
    """The folder of the language model that a run reads."""
    return None if run.language is None else run.language.base


def with_language(run: RetrievalRun, folder: Path) -> RetrievalRun:
    """The run with its language model, if it has one, in another folder."""
    if run.language is None:
        return run
    return run.model_copy(update={"language": run.language.at(folder)})


SYSTEM = StudySystem(
    STUDIES,
    BUDGETS,
    MEASURES,
    RetrievalData(),
    load,
    reads_language=True,
    language_of=language_of,
    with_language=with_language,
)
