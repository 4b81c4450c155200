"""Pieces of HTML: tables, maps of numbers, pictures within the page."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape

from mmspec_ds.figures.maps import Map, written

__all__ = ["escape", "facts", "map_table", "picture", "section", "table", "tiles"]


def section(name: str, title: str, *parts: str) -> str:
    """A part of the page that can be linked to as `#name`."""
    return f'<section id="{name}">\n<h2>{escape(title)}</h2>\n' + "\n".join(parts) + "\n</section>"


def tiles(figures: Sequence[tuple[str, str]]) -> str:
    """Figures, large, each with what it is."""
    shown = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for name, value in figures
    )
    return f'<div class="tiles">{"".join(shown)}</div>'


def facts(known: Mapping[str, str]) -> str:
    """A table of names and values."""
    rows = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in known.items())
    return f'<div class="scroll"><table class="facts"><tbody>{"".join(rows)}</tbody></table></div>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names the rows; the others hold numbers."""
    head = "".join(
        f"<th{'' if at == 0 else ' class=number'}>{escape(text)}</th>" for at, text in enumerate(heads)
    )
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td class=number>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def map_table(content: Map) -> str:
    """A coloured map as a table, whose colours are those of the page; its numbers can be read and copied."""
    upright = any("\n" in name for name in content.columns)
    heads = "".join(f"<th><span>{escape(' '.join(name.split()))}</span></th>" for name in content.columns)
    rows = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(_cell(content, float(value)) for value in values)}</tr>"
        for name, values in zip(content.rows, content.values_RC)
    )
    kind = "map upright" if upright else "map"
    width = 5 + 2 * len(content.columns)
    return (
        f'<figure><h3>{escape(content.title)}</h3><div class="scroll"><table class="{kind}"'
        f' style="min-width:{width}rem"><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></figure>"
    )


def picture(light: bytes, dark: bytes, words: str) -> str:
    """A PNG within the page, another one where the page is dark; `words` for who cannot see it."""
    sources = [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in (dark, light)]
    return (
        f'<picture><source srcset="{sources[0]}" media="screen and (prefers-color-scheme: dark)">'
        f'<img src="{sources[1]}" alt="{escape(words)}"></picture>'
    )


def _cell(content: Map, value: float) -> str:
    """The colour's strength, 0 to 1, is the distance from the low end or, of values with a sign, from 0."""
    if math.isnan(value):
        return "<td></td>"
    zero = 0.0 if content.diverging else content.low
    strength = min(1.0, abs(value - zero) / (content.high - zero))
    kinds = ["against"] * (content.diverging and value < 0) + ["full"] * (strength > 0.62)
    named = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<td{named} style="--v:{strength:.2f}">{written(value)}</td>'
