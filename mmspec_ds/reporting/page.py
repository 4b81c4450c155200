"""Write a report about a run: one HTML page that needs no other file, and its pictures as PNG beside it."""

import base64
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from mmspec_ds.figures.heat_maps import draw_maps
from mmspec_ds.files import replacing_output
from mmspec_ds.molecules.depiction import structure_svg
from mmspec_ds.reporting.curves import drawings
from mmspec_ds.reporting.examples import Examples, find_examples
from mmspec_ds.reporting.explanation_page import explanation_html
from mmspec_ds.reporting.page_content import maps, page_content
from mmspec_ds.reporting.run_folder import RunFolder

Drawn = Mapping[str, list[dict[str, Any]]]
"""Figures by section of the page, as values for its template."""


@dataclass(frozen=True)
class ReportRequest:
    """The run that a page reports on, and what the page shows.

    Attributes:
        folder: the folder of the run.
        page: the HTML file; the pictures go into a folder of its name with "_png" appended.
        data: files of molecules for the examples; the run's validation files if none are given.
        ask: molecules that the model reads for the examples; 0 for no examples.
        show: how many of them are drawn.
    """

    folder: Path
    page: Path
    data: tuple[Path, ...] = ()
    ask: int = 64
    show: int = 8

    @property
    def pictures(self) -> Path:
        """The folder of the PNG files."""
        return self.page.with_name(f"{self.page.stem}_png")


def write_report(request: ReportRequest, progress: Callable[[int], None] | None = None) -> Examples:
    """Write the page and its pictures; each appears whole or not at all.

    Returns:
        The examples, with the scores over all molecules that the model read.

    Raises:
        DataError: the folder is not that of a run, or the files cannot be written.
    """
    folder = RunFolder.read(request.folder)
    if request.ask:
        examples = find_examples(
            request.folder, request.data, ask=request.ask, show=request.show, progress=progress
        )
    else:
        examples = Examples("No examples were requested.")
    drawn = {
        section: [one.for_page(folder.last_step) for one in some] for section, some in drawings(folder).items()
    }
    _write_pictures(request.pictures, folder, drawn)
    with replacing_output(request.page) as partial:
        partial.write_text(_page(folder, examples, drawn), encoding="utf-8")
    return examples


def _page(folder: RunFolder, examples: Examples, drawn: Drawn) -> str:
    templates = Environment(
        loader=PackageLoader("mmspec_ds.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["base64"] = lambda png: base64.b64encode(png).decode()
    templates.filters["drawing"] = lambda smiles: Markup(structure_svg(smiles, 220, 150) or "")
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    content = page_content(folder, examples)
    if examples.explained is not None:
        content["explained"] = Markup(explanation_html(examples.explained))
    return templates.get_template("report.html").render(**content, drawn=drawn, written=written)


def _write_pictures(target: Path, folder: RunFolder, drawn: Drawn) -> None:
    with replacing_output(target) as partial:
        partial.mkdir(parents=True)
        for figures in drawn.values():
            for one in figures:
                (partial / f"{one['name']}.png").write_bytes(one["light"])
        tables = maps(folder)
        if tables:
            draw_maps(tables).save(partial / "routing.png")
        shutil.rmtree(target, ignore_errors=True)
