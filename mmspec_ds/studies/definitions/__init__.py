"""The studies by name: each names the trainings that it needs, and lays out its tables and figures."""

from mmspec_ds.studies.plan import Study

STUDIES: dict[str, Study] = {}
"""In the order of `mmspec study --list`."""
