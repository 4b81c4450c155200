"""Tell classes of samples apart by their tables: `mmspec cohort`."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.cli.common import Commands, add_command
from mmspec_ds.progress import ProgressLines

if TYPE_CHECKING:
    from mmspec_ds.systems.fusion.cohort.cohort import Cohort
    from mmspec_ds.systems.fusion.cohort.cohort_result import CohortResult
    from mmspec_ds.systems.fusion.cohort.run_settings import CohortRun


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _cohort,
        "tell classes of samples apart, such as ill and healthy, by tables of NMR, MS or other values, and"
        " write a report: how sure that is, what each table contributes, what matters; for research only",
        "mmspec cohort cohort nmr.csv ms.csv metadata.file=samples.csv classes.column=class name=mine\n"
        "  mmspec cohort cohort bacteria_of_maldi_tof batch=plate --check\n"
        "  mmspec cohort study.yaml --check",
    )
    command.add_argument(
        "run",
        type=Path,
        metavar="RUN.yaml",
        help="says which tables there are and what their columns mean (docs/cohort.md); `cohort` is the"
        " project's own, for tables that are named here",
    )
    command.add_argument(
        "files",
        nargs="*",
        default=[],
        type=Path,
        metavar="TABLE",
        help="files in place of those of the run file, in its order, or folders of raw MALDI-TOF spectra; with"
        " `=`, a setting: section.key=value",
    )
    command.add_argument(
        "--check", action="store_true", help="read the tables, say what was understood, and stop"
    )
    command.add_argument("--overwrite", action="store_true", help="replace the results of an earlier run")


def _cohort(options: argparse.Namespace) -> int:
    from mmspec_ds.reporting.cohort_page import check_folder
    from mmspec_ds.systems.fusion.cohort.comparisons import compared
    from mmspec_ds.systems.fusion.cohort.reading import read_cohort
    from mmspec_ds.systems.fusion.cohort.run_settings import load_cohort_run
    from mmspec_ds.systems.run_file import find_run_file

    overrides = [str(path) for path in options.files if "=" in str(path)]
    tables = [path for path in options.files if "=" not in str(path)]
    run = load_cohort_run(find_run_file(options.run), overrides, tables)
    folder = run.output / run.name
    if not options.check:
        check_folder(folder, overwrite=options.overwrite)
    with ProgressLines("reading", len(run.tables), unit="tables") as progress:
        cohort = read_cohort(run, progress.at)
    for remark in cohort.remarks:
        print(remark)
    parts = compared(cohort, run.classes, run.prepared())
    for name, part in parts.items():
        counts = ", ".join(f"{count} {one}" for one, count in part.counts.items())
        print(f"{name}: {counts}")
        for remark in part.remarks:
            if remark not in cohort.remarks:
                print(f"  {remark}")
    if not options.check:
        _analyse(run, cohort, parts, folder)
    return 0


def _analyse(run: "CohortRun", cohort: "Cohort", parts: "dict[str, Cohort]", folder: Path) -> None:
    """Analyse each comparison, write the results and say where they are."""
    import yaml

    from mmspec_ds.reporting.cohort_page import PAGE, CohortReport, write_cohort_report
    from mmspec_ds.reporting.cohort_words import DISCLAIMER, findings
    from mmspec_ds.systems.fusion.cohort.analysis import analyse

    results: dict[str, CohortResult] = {}
    for name, part in parts.items():
        with ProgressLines(name) as progress:
            told = partial(_tell, progress, name)
            results[name] = analyse(part, run.prepared(), told)
    config = yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_cohort_report(folder, CohortReport(run.name, config, cohort, parts, results))
    for result in results.values():
        for comparison in result.comparisons:
            print(f"{comparison.name}:")
            for sentence in findings(result, comparison.name):
                print(f"  {sentence}")
    print(f"{folder / PAGE}, and its tables and pictures beside it")
    print(DISCLAIMER)


def _tell(progress: ProgressLines, name: str, done: float, total: float) -> None:
    """Say how many folds are done; those of the controls count as well."""
    progress.at(done, total, line=f"{name}: {done:.0f} of {total:.0f} folds")
