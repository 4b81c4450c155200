"""Why a structure fits a record, as a piece of HTML for a notebook and as a page that needs no other file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from mmspec_ds.figures.heat_maps import INK, PAPER, Map, is_dark, written
from mmspec_ds.files import replacing_output
from mmspec_ds.molecules.depiction import Colour, Style, atom_labels, structure_svg
from mmspec_ds.reporting.explanation import (
    COLOURS,
    GRADES,
    NUCLEI,
    PEAKS,
    ExplainedCandidate,
    Explanation,
    coloured,
    error_ppm,
    fragments_title,
    grade,
    label_of,
    labels_of,
    of_nucleus,
    shift,
    strongest,
    summary,
)
from mmspec_ds.verification.assignment import SignalMatch

_BOND = 44.0


def explanation_html(explanation: Explanation) -> str:
    """An element that brings its own style and changes nothing around it."""
    return _rendered("explanation.html", explanation)


def save_page(explanation: Explanation, path: Path) -> None:
    """Write a page, which appears whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    with replacing_output(path) as partial:
        partial.write_text(_rendered("explanation_page.html", explanation), encoding="utf-8")


def _rendered(template: str, explanation: Explanation) -> str:
    templates = Environment(
        loader=PackageLoader("mmspec_ds.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["structure"] = lambda smiles, style: Markup(structure_svg(smiles, 340, 230, style) or "")
    templates.filters["label"] = label_of
    templates.filters["summary"] = summary
    templates.filters["strongest"] = lambda peaks: strongest(peaks, PEAKS)
    templates.filters["fragments_title"] = fragments_title
    templates.filters["atoms"] = lambda smiles, peak: " ".join(atom_labels(smiles)[at] for at in peak.atoms)
    templates.filters["nuclei"] = _nuclei
    parts = explanation.contributions.parts.values() if explanation.contributions else ()
    return templates.get_template(template).render(
        explanation=explanation,
        plain=Style(_BOND),
        longest=max(map(abs, parts), default=0.0) or 1.0,
        routing=_table(explanation.routing) if explanation.routing else None,
    )


def _nuclei(candidate: ExplainedCandidate) -> Iterator[dict[str, Any]]:
    """The assigned spectra of a candidate: a coloured structure and the rows of a table each."""
    labels = atom_labels(candidate.smiles)
    for name, (label, _) in NUCLEI.items():
        found = of_nucleus(candidate.matches, name)
        if found:
            rows = [_row(one, name, labels) for one in found]
            yield {"label": label, "style": coloured(found, name, _BOND), "rows": rows}


def _row(match: SignalMatch, name: str, labels: list[str]) -> dict[str, str]:
    at, error = grade(match), error_ppm(match)
    return {
        "atoms": labels_of(match, labels),
        "observed": shift(match.observed_ppm, name),
        "predicted": shift(match.predicted_ppm, name),
        "error": "" if error is None else f"{error:+.{NUCLEI[name][1]}f}",
        "grade": "not explained" if at is None else GRADES[at],
        "colour": "" if at is None else _css(COLOURS[at]),
    }


def _table(found: Map) -> dict[str, Any]:
    """A heat map as the cells of a table."""
    rows = [
        (
            name,
            [
                {
                    "text": written(value),
                    "colour": _css(found.colour(value)),
                    "ink": _css(PAPER if is_dark(found.colour(value)) else INK),
                }
                for value in values
            ],
        )
        for name, values in zip(found.rows, found.values_RC.tolist())
    ]
    return {"title": found.title, "columns": [" ".join(one.split()) for one in found.columns], "rows": rows}


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
