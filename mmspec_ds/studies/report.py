"""Write the folder of a study: OUT/NAME-BUDGET with runs.csv, metrics.json, table.md, figures and index.html.

Everything is made from the small files of the cells, so that it can be made again without a model.
"""

import base64
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing_output
from mmspec_ds.settings import flattened
from mmspec_ds.studies.cells import described
from mmspec_ds.studies.plan import Cell, FigureFile, Table
from mmspec_ds.studies.results import TRAINING, StoredResults
from mmspec_ds.studies.tables import in_markdown, written_out

Scalars = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What a study shows: tables, figures, and the results that they are made of."""

    results: StoredResults
    tables: Sequence[Table]
    figures: Sequence[FigureFile]

    @classmethod
    def of(cls, results: StoredResults) -> "Report":
        """The tables and figures of a study's results, which may lack cells."""
        return cls(results, results.study.tables(results), results.study.figures(results))

    @property
    def folder(self) -> Path:
        """The folder of the study within its budget."""
        return self.results.out / f"{self.results.study.name}-{self.results.budget.name}"

    def facts(self) -> dict[str, str]:
        """What the figures rest on: budget, cells, seeds, machine, and how many cells lack something."""
        results = self.results
        trained = [found for cell in results.cells if cell.trains and (found := results.training(cell))]
        missing = len(results.missing())
        facts = {"budget": f"{results.budget.name}: {results.budget.about}", "data": results.budget.molecules}
        facts["cells"] = f"{len(results.cells)}" + (f", of which {missing} are not complete" if missing else "")
        seeds = sorted({cell.seed for cell in results.cells})
        facts["seeds"] = f"{len(seeds)} ({', '.join(map(str, seeds))})"
        for name in ("device", "commit"):
            known = {str(one[name]) for one in trained if one.get(name)}
            if known:
                facts[name] = ", ".join(sorted(known))
        versions = {f"{key} {value}" for one in trained for key, value in (one.get("versions") or {}).items()}
        if versions:
            facts["versions"] = ", ".join(sorted(versions))
        return facts


def write_report(results: StoredResults) -> Path:
    """Write the folder of a study; each file appears whole or not at all.

    Returns:
        The page.

    Raises:
        DataError: the folder cannot be written.
    """
    report = Report.of(results)
    folder = report.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=folder) from None
    for figure in report.figures:
        with replacing_output(folder / f"{figure.name}.png") as partial:
            partial.write_bytes(figure.png)
    _write_runs(results, folder / "runs.csv")
    with replacing_output(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(summary(results), indent=2) + "\n", encoding="utf-8")
    with replacing_output(folder / "table.md") as partial:
        partial.write_text(_markdown(report), encoding="utf-8")
    page = folder / "index.html"
    with replacing_output(page) as partial:
        partial.write_text(_page(report), encoding="utf-8")
    return page


def summary(results: StoredResults) -> dict[str, Any]:
    """Every figure as mean and standard deviation over seeds, for each variant of the study, in JSON's types:
    `study`, `title`, `budget`, and of each of `variants` what decides its cells and its `figures`."""
    variants = []
    for cell in results.cells:
        alike = results.alike(cell)
        if cell != alike[0]:
            continue
        variants.append(
            {
                "base": cell.base,
                "settings": dict(cell.overrides),
                "data": cell.data,
                "starts_from": None if cell.start_from is None else dict(cell.start_from.overrides),
                "seeds": [one.seed for one in alike],
                "cells": [results.folder(one).path.name for one in alike],
                "figures": _means(results, cell),
            }
        )
    budget = results.budget
    about = {
        "name": budget.name,
        "about": budget.about,
        "molecules": budget.molecules,
        "settings": dict(budget.overrides),
    }
    return {"study": results.study.name, "title": results.study.title, "budget": about, "variants": variants}


def _means(results: StoredResults, cell: Cell) -> dict[str, dict[str, Any]]:
    alike, figures = results.alike(cell), {}
    for measure in (TRAINING, *cell.measures):
        known: Scalars = {}
        for one in alike:
            known |= _scalars(results.of(one, measure))
        means = {key: results.value(cell, measure, key) for key in known}
        figures[measure] = {
            k: {"mean": v.mean, "sd": v.sd, "n": v.n} for k, v in means.items() if v is not None
        }
    return figures


def _scalars(content: Mapping[str, Any] | None) -> Scalars:
    """The numbers of a result by dotted key; lists, such as those of each molecule, are left out."""
    return {k: v for k, v in flattened(content or {}) if isinstance(v, int | float) and not isinstance(v, bool)}


def _write_runs(results: StoredResults, path: Path) -> None:
    """A line for each cell: the settings that differ between the cells, and all its figures."""
    rows: list[Scalars] = []
    settings = [
        {"base": c.base, "data": c.data, "starts_from": _start(results, c), **c.overrides}
        for c in results.cells
    ]
    missing = results.missing()
    keys = list(dict.fromkeys(key for one in settings for key in one))
    differing = [key for key in keys if len({str(one.get(key, "")) for one in settings}) > 1]
    for cell, own in zip(results.cells, settings):
        row: Scalars = {"cell": results.folder(cell).path.name, "seed": cell.seed}
        row |= {key: own.get(key, "") for key in differing}
        row["complete"] = cell not in missing
        for measure in (TRAINING, *cell.measures):
            row |= {f"{measure}.{key}": value for key, value in _scalars(results.of(cell, measure)).items()}
        rows.append(row)
    heads = list(dict.fromkeys(key for row in rows for key in row))
    with replacing_output(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, heads, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _start(results: StoredResults, cell: Cell) -> str:
    """The hash of the cell whose weights a cell begins with."""
    return "" if cell.start_from is None else results.folder(cell.start_from).path.name


def _markdown(report: Report) -> str:
    study = report.results.study
    lines = [f"# {study.title}", "", study.about, ""]
    lines += [f"- {name}: {value}" for name, value in report.facts().items()]
    for table in report.tables:
        lines += ["", f"## {table.title}", ""]
        lines += [*(f"- {one}" for one in table.about), ""] if table.about else []
        lines += [in_markdown(table)]
        lines += ["", *(f"{note}  " for note in table.notes)] if table.notes else []
    for figure in report.figures:
        lines += ["", f"![{figure.caption}]({figure.name}.png)", "", figure.caption]
    missing = _missing(report.results)
    if missing:
        lines += ["", "Not run, or not measured:", "", *(f"- {one}" for one in missing)]
    return "\n".join(lines) + "\n"


def _page(report: Report) -> str:
    """The page, which needs no other file."""
    templates = Environment(
        loader=ChoiceLoader([PackageLoader("mmspec_ds.studies"), PackageLoader("mmspec_ds.reporting")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = report.results
    return templates.get_template("study.html").render(
        study=results.study,
        budget=results.budget,
        facts=report.facts(),
        tables=[(table, written_out(table)) for table in report.tables],
        figures=[(one, base64.b64encode(one.png).decode()) for one in report.figures],
        cells=[_cell_line(results, cell) for cell in results.cells],
        missing=_missing(results),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _missing(results: StoredResults) -> list[str]:
    """The cells of which something is missing, in words, with the reason where a folder was refused."""
    faults = ((cell, results.fault(cell)) for cell in results.missing())
    return [described(cell) if fault is None else f"{described(cell)}: {fault}" for cell, fault in faults]


def _cell_line(results: StoredResults, cell: Cell) -> list[str]:
    """A cell in the list of all cells: what it is, and what its training took."""
    known = results.training(cell) or {}
    figures = [
        known.get(key) for key in ("steps", "samples", "parameters", "active_parameters", "flops", "seconds")
    ]
    loss = known.get("best_validation_loss")
    return [
        described(cell),
        *("" if one is None else _short(one) for one in figures),
        "" if loss is None else f"{loss:.4f}",
        results.folder(cell).path.name,
    ]


def _short(value: float) -> str:
    """A large number in three digits with its unit."""
    for size, unit in ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}"
