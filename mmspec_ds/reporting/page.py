"""A report about a run: one page of HTML that needs nothing else, and its pictures as PNG beside it."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.figures.maps import draw_maps
from mmspec_ds.files import replacing
from mmspec_ds.reporting import sections
from mmspec_ds.reporting.charts import DARK, LIGHT
from mmspec_ds.reporting.curves import drawings
from mmspec_ds.reporting.examples import Examples, find_examples
from mmspec_ds.reporting.folder import RunFolder
from mmspec_ds.reporting.html import escape
from mmspec_ds.reporting.structures import example_section


@dataclass(frozen=True)
class ReportRequest:
    """What to report of.

    Attributes:
        folder: of the run.
        page: the HTML file; the pictures go into a folder of its name, with "_png" behind it.
        data: files of molecules for the examples; those that the run was validated on, if none are given.
        ask: molecules that the model reads for them; 0 for none.
        show: of these, how many are drawn.
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
    """Write the page and its pictures; both appear whole or not at all.

    Returns:
        The examples, with the figures over all molecules that were asked for.

    Raises:
        DataError: the folder is not that of a run, or the files cannot be written.
    """
    folder = RunFolder.read(request.folder)
    if request.ask:
        examples = find_examples(
            request.folder, request.data, ask=request.ask, show=request.show, progress=progress
        )
    else:
        examples = Examples("None were asked for.")
    drawn = {
        section: {one.name: (one, one.png(LIGHT), one.png(DARK)) for one in some}
        for section, some in drawings(folder).items()
    }
    parts = [
        sections.learning(folder, drawn["learning"]),
        example_section(folder, examples),
        sections.evaluation(folder),
        sections.routing(folder, drawn["routing"]),
        sections.resources(folder, drawn["resources"]),
        sections.environment(folder),
        sections.configuration(folder),
    ]
    pictures = {name: light for some in drawn.values() for name, (_, light, _) in some.items()}
    try:
        _write_pictures(request.pictures, pictures, folder)
        with replacing(request.page) as partial:
            partial.write_text(_page(sections.head(folder, examples), parts, folder), encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", path=request.page) from None
    return examples


def _page(head: str, parts: Sequence[str], folder: RunFolder) -> str:
    style = files("mmspec_ds.reporting").joinpath("style.css").read_text(encoding="utf-8")
    shown = [part for part in parts if part]
    links = "".join(_link(part) for part in shown)
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = "\n".join(shown)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(folder.run.name)} - mmspec report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header>\n{head}\n<nav>{links}</nav>\n</header>\n<main>\n{body}\n</main>\n"
        f"<footer>mmspec report of {escape(str(folder.path))}, {written}</footer>\n</body>\n</html>\n"
    )


def _link(part: str) -> str:
    name = part.partition('id="')[2].partition('"')[0]
    title = part.partition("<h2>")[2].partition("</h2>")[0]
    return f'<a href="#{name}">{title}</a>'


def _write_pictures(target: Path, pictures: dict[str, bytes], folder: RunFolder) -> None:
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for name, png in pictures.items():
            (partial / f"{name}.png").write_bytes(png)
        tables = sections.maps(folder)
        if tables:
            draw_maps(tables).save(partial / "routing.png")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
