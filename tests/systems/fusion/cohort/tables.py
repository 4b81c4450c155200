"""Small tables of samples for tests: written, and read as a cohort."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mmspec_ds.systems.fusion.cohort.cohort import Cohort
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import CohortRun, load_cohort_run

NMR = """sample,patient,class,3.05,2.05,1.05
S1,P1,ill,1,2,3.5
S2,P2,well,2,4,1.5
S3,P3,ill,3,6,4.5
S4,P4,well,4,8,2.5
"""
MS = """sample,alanine (90.05),urea (61.04)
S1,10,5
S2,20,7
S5,30,9
S3,40,2
"""
SAMPLES = """sample,patient,class,batch,age
S1,P1,ill,1,61
S2,P2,well,1,50
S3,P3,ill,2,44
S4,P4,well,2,
S5,P5,ill,2,70
"""


def write_run(folder: Path, files: Mapping[str, str], **settings: Any) -> Path:
    """Write tables by the names of their files, and a run file that names those with numbers, nmr and ms."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    content: dict[str, Any] = {
        "tables": [{"name": name, "file": f"{name}.csv"} for name in ("nmr", "ms") if f"{name}.csv" in files],
        "classes": {"column": "class"},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(content | settings), encoding="utf-8")
    return folder / "run.yaml"


def load(folder: Path, files: Mapping[str, str], **settings: Any) -> CohortRun:
    """The run of `write_run`."""
    return load_cohort_run(write_run(folder, files, **settings))


def read(folder: Path, files: Mapping[str, str], **settings: Any) -> Cohort:
    """The cohort of `write_run`."""
    return read_cohort(load(folder, files, **settings))
