"""What is measured on a trained model, by the name that a cell gives."""

from mmspec_ds.studies.elucidation.measures.accuracy import accuracy
from mmspec_ds.studies.elucidation.measures.compute import compute
from mmspec_ds.studies.elucidation.measures.conflict import conflict
from mmspec_ds.studies.elucidation.measures.history import history
from mmspec_ds.studies.elucidation.measures.matching import matcher
from mmspec_ds.studies.elucidation.measures.missing import missing, modality_subsets
from mmspec_ds.studies.elucidation.measures.resources import resources
from mmspec_ds.studies.elucidation.measures.routing import routing
from mmspec_ds.studies.plan import Measure

MEASURES: dict[str, Measure] = {
    one.__name__: one
    for one in (accuracy, compute, conflict, history, matcher, missing, modality_subsets, resources, routing)
}
"""Each measure is made in a process of its own, which has read the model."""
