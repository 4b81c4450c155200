"""The results of the analysis of a cohort as files: a page of HTML that needs no other, pictures, tables."""

import base64
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing_output, write_json
from mmspec_ds.reporting.charts import Drawing
from mmspec_ds.reporting.cohort_figures import comparison_drawings
from mmspec_ds.reporting.cohort_reasons import marker_drawings, sample_drawings
from mmspec_ds.reporting.cohort_tables import (
    FEATURE_HEADS,
    explained_methods,
    feature_rows,
    method_heads,
    method_rows,
    write_features,
    write_predictions,
)
from mmspec_ds.reporting.cohort_words import DISCLAIMER, best_alone, findings, main_method, written
from mmspec_ds.systems.fusion.cohort.cohort import Cohort
from mmspec_ds.systems.fusion.cohort.cohort_result import CohortResult

PAGE, RESULT, PREDICTIONS, FEATURES = "report.html", "result.json", "predictions.csv", "features.csv"
CONFIG, PICTURES = "config.yaml", "report_png"


@dataclass(frozen=True)
class CohortReport:
    """A run of `mmspec cohort`, as its page, tables and pictures are made of it.

    Attributes:
        name: of the run.
        config: the settings, as YAML.
        cohort: all samples of all classes, with the remarks of reading.
        parts: the samples of each comparison.
        results: of each comparison.
    """

    name: str
    config: str
    cohort: Cohort
    parts: Mapping[str, Cohort]
    results: Mapping[str, CohortResult]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder for results that cannot be made, or that holds something: before the long work.

    Raises:
        DataError: it is a file, is not empty, is not one of results where these may be replaced, or lies where
            nothing may be written.
    """
    above = next(one for one in (folder.absolute().parent, *folder.absolute().parent.parents) if one.exists())
    if not above.is_dir():
        raise DataError("is a file: expected a folder for the results", path=above)
    if not os.access(above, os.W_OK | os.X_OK):
        raise DataError("may not be written to: expected another `output`", path=above)
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file: expected a folder for the results", path=folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / RESULT).is_file():
        raise DataError("holds other files: expected a new or an empty folder for the results", path=folder)
    if not overwrite:
        raise DataError(
            "holds results already: expected another `name` or `output`, or --overwrite", path=folder
        )


def write_cohort_report(folder: Path, report: CohortReport) -> None:
    """Write the page, result.json, predictions.csv, features.csv, the settings and the pictures: all or none of
    them. A folder that is there is replaced, see `check_folder`.

    Raises:
        DataError: they cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be made: {error.strerror or error}", path=folder.parent) from None
    drawn = {name: _drawn(report, name) for name in report.results}
    with replacing_output(folder) as partial:
        pictures = partial / PICTURES
        pictures.mkdir(parents=True)
        for figures in drawn.values():
            for one in (one for some in figures.values() for one in some):
                (pictures / f"{one['name']}.png").write_bytes(_on_paper(one["light"]))
        (partial / CONFIG).write_text(report.config, encoding="utf-8")
        write_json(partial / RESULT, result_json(report))
        write_predictions(partial / PREDICTIONS, report.parts, report.results)
        write_features(partial / FEATURES, report.results)
        (partial / PAGE).write_text(_page(report, drawn), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)


def result_json(report: CohortReport) -> dict[str, Any]:
    """The numbers of a report as plain values."""
    return {
        "name": report.name,
        "about": DISCLAIMER,
        "samples": len(report.cohort.samples),
        "classes": report.cohort.counts,
        "tables": {
            block.name: {
                "features": len(block.features),
                "samples": int(block.present_N.sum()),
                "unit": block.unit,
            }
            for block in report.cohort.blocks
        },
        "read": list(report.cohort.remarks),
        "comparisons": {name: result.to_json() for name, result in report.results.items()},
    }


def _drawn(report: CohortReport, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the PNG figures of one comparison by the section of the page that shows them."""
    result, cohort, slug = report.results[name], report.parts[name], slugs_of(report.results)[name]
    told = [
        one
        for at, comparison in enumerate(result.comparisons)
        for one in comparison_drawings(cohort, result, comparison, slug if not at else f"{slug}_{at}")
    ]
    sections: dict[str, list[Drawing]] = {
        "told": told,
        "reasons": sample_drawings(result, slug),
        "features": marker_drawings(result, slug),
    }
    return {section: [one.for_page(1) for one in some] for section, some in sections.items()}


def slug_of(name: str) -> str:
    """The name of a comparison, fit for names of files and anchors."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "comparison"


def slugs_of(names: Iterable[str]) -> dict[str, str]:
    """The slug of each comparison; those that names share ("A+", "A-") are numbered from the second on."""
    found: dict[str, str] = {}
    for name in names:
        slug, count = slug_of(name), 1
        while slug in found.values():
            count += 1
            slug = f"{slug_of(name)}-{count}"
        found[name] = slug
    return found


def _on_paper(png: bytes) -> bytes:
    """A picture on white, in place of nothing, for programs that show it on any ground."""
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image)
    out = io.BytesIO()
    paper.convert("RGB").quantize(128).save(out, format="png", optimize=True)
    return out.getvalue()


def _page(report: CohortReport, drawn: Mapping[str, Mapping[str, Any]]) -> str:
    templates = Environment(
        loader=PackageLoader("mmspec_ds.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["base64"] = lambda png: base64.b64encode(png).decode()
    templates.filters["drawing"] = lambda smiles: (
        None
    )  # the pieces that are shared ask for it; here is no molecule
    return templates.get_template("cohort.html").render(
        name=report.name,
        disclaimer=DISCLAIMER,
        lead=_lead(report.cohort),
        tiles=list(_tiles(report)),
        sections=[_section(report, name, drawn[name]) for name in report.results],
        methods=explained_methods(next(iter(report.results.values())).methods),
        feature_heads=FEATURE_HEADS,
        read=report.cohort.remarks,
        config=report.config,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _lead(cohort: Cohort) -> str:
    classes = ", ".join(f"{count} {name}" for name, count in cohort.counts.items())
    tables = ", ".join(
        f"{block.name} ({len(block.features):,} features of {int(block.present_N.sum())} samples)"
        for block in cohort.blocks
    )
    return f"{len(cohort.samples)} samples: {classes}. Tables: {tables}."


def _tiles(report: CohortReport) -> Iterator[tuple[str, str]]:
    """An area for each comparison, and of what it is."""
    for result in report.results.values():
        for comparison in result.comparisons[:3]:
            scores = dict(result.scores[comparison.name])
            main = main_method(result)
            yield f"area, {comparison.name}: {main.replace('_', ' ')}", f"{scores[main].area.auc:.3f}"
            alone = best_alone(scores)
            if alone is not None and alone != main:
                yield f"area, {comparison.name}: {alone}", f"{scores[alone].area.auc:.3f}"


def _section(report: CohortReport, name: str, drawn: Mapping[str, Any]) -> dict[str, Any]:
    result = report.results[name]
    contributions = result.contributions
    weights = "" if contributions is None else _weights(result)
    return {
        "name": name,
        "slug": slugs_of(report.results)[name],
        "comparisons": [
            {
                "name": one.name,
                "findings": list(findings(result, one.name)),
                "rows": method_rows(result, one.name),
            }
            for one in result.comparisons
        ],
        "heads": method_heads(result),
        "interval": "resampled patients" if result.by_patients else "DeLong's method",
        "drawn": drawn,
        "weights": weights,
        "features": [(block, feature_rows(result, block)) for block in result.blocks],
        "remarks": [one for one in result.remarks if one not in report.cohort.remarks],
        "first": written(next(iter(result.scores.values()))[main_method(result)].area),
    }


def _weights(result: CohortResult) -> str:
    """How the tables were weighed, and how well the head's contributions follow the exact ones."""
    found = result.contributions
    assert found is not None
    mean_M = found.weight_NM[result.judged_N].mean(axis=0)
    spread_M = found.weight_NM[result.judged_N].std(axis=0)
    shares = ", ".join(
        f"{name} {mean:.2f} ± {spread:.2f}" for name, mean, spread in zip(result.blocks, mean_M, spread_M)
    )
    return (
        f"Mean weights of the tables over samples that all of them measured: {shares}. What the head predicts"
        f" in one pass correlates with the exact contributions by {found.correlation:.2f}, on held-out samples."
    )
