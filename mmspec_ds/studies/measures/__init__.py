"""What is measured on a trained model, by the name that a cell gives."""

from mmspec_ds.studies.measures.accuracy import accuracy
from mmspec_ds.studies.measures.compute import compute
from mmspec_ds.studies.measures.conflict import conflict
from mmspec_ds.studies.measures.history import history
from mmspec_ds.studies.measures.matching import matcher
from mmspec_ds.studies.measures.missing import missing, modality_subsets
from mmspec_ds.studies.measures.resources import resources
from mmspec_ds.studies.measures.routing import routing
from mmspec_ds.studies.plan import Measure

MEASURES: dict[str, Measure] = {
    one.__name__: one
    for one in (accuracy, compute, conflict, history, matcher, missing, modality_subsets, resources, routing)
}
"""Each measure is made in a process of its own, which has read the model."""
