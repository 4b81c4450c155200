"""The studies by name: each names the trainings that it needs, and lays out its tables and figures."""

from mmspec_ds.studies.elucidation.definitions import dynamics, fair, modalities, robustness, scaling, switches
from mmspec_ds.studies.plan import Study

_ORDER = (
    "main",
    "settings",
    "switches",
    "baselines",
    "scaling",
    "modalities",
    "text-collapse",
    "missing",
    "complexity",
    "routing-signals",
    "subspaces",
    "heterogeneity",
    "experts",
    "top-k",
    "resources",
    "representations",
    "utilization",
    "routing-history",
)
_MODULES = (fair, switches, scaling, modalities, robustness, dynamics)
_BY_NAME = {study.name: study for module in _MODULES for study in module.STUDIES}

STUDIES: dict[str, Study] = {name: _BY_NAME[name] for name in _ORDER}
"""In the order of `mmspec study --list`."""
