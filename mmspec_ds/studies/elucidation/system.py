"""Elucidation as studies see it."""

from mmspec_ds.studies.elucidation.budgets import BUDGETS
from mmspec_ds.studies.elucidation.data import ElucidationData
from mmspec_ds.studies.elucidation.definitions import STUDIES
from mmspec_ds.studies.elucidation.measures import MEASURES
from mmspec_ds.studies.plan import MeasureContext
from mmspec_ds.studies.systems import StudySystem
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.elucidation.trained import TrainedModel, load_model


def load(context: MeasureContext) -> TrainedModel:
    """The trained model of a cell, on its device."""
    trained = load_model(context.run)
    trained.model.to(context.device)
    return trained


def is_upcycled(run: ElucidationRun, source: ElucidationRun) -> bool:
    """Whether a sparse model begins with a dense one."""
    return run.moe is not None and source.moe is None


SYSTEM = StudySystem(STUDIES, BUDGETS, MEASURES, ElucidationData(), load, is_upcycled=is_upcycled)
