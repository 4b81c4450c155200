"""What is measured on a trained model, by the name that a cell gives."""

from mmspec_ds.studies.plan import Measure

MEASURES: dict[str, Measure] = {}
"""Each measure is made in a process of its own, which has read the model."""
