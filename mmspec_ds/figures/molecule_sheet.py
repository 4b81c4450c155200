"""A picture of rows of structures, such as the true one and the proposed ones."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from mmspec_ds.figures.heat_maps import INK, PALE, PAPER, Letters, font
from mmspec_ds.molecules.depiction import structure_png

RIGHT, WRONG, TRUE = (26, 127, 55), (190, 45, 45), (140, 148, 158)
"""Colours of the frames."""

_WIDTH, _HEIGHT, _CAPTION, _GAP, _HEAD = 220, 150, 40, 10, 34


@dataclass(frozen=True, slots=True)
class Panel:
    """A structure as SMILES, its caption and the colour of its frame."""

    smiles: str
    caption: str
    colour: tuple[int, int, int]


def draw_panels(rows: Sequence[Sequence[Panel]], heads: Sequence[str]) -> Image.Image:
    """Draw rows of framed structures below the heads of the columns, as an RGB image. An invalid SMILES is
    shown as text."""
    step_x, step_y = _WIDTH + _GAP, _HEIGHT + _CAPTION + _GAP
    columns = max(len(heads), *(len(row) for row in rows))
    sheet = Image.new("RGB", (_GAP + columns * step_x, _HEAD + len(rows) * step_y), color=PAPER)
    pen, letters = ImageDraw.Draw(sheet), font(13)
    for column, head in enumerate(heads):
        pen.text((_GAP + column * step_x, _HEAD // 2), head, fill=PALE, font=letters, anchor="lm")
    for row, panels in enumerate(rows):
        for column, panel in enumerate(panels):
            sheet.paste(_drawn(panel, letters), (_GAP + column * step_x, _HEAD + row * step_y))
    return sheet


def _drawn(panel: Panel, letters: Letters) -> Image.Image:
    image = Image.new("RGB", (_WIDTH, _HEIGHT + _CAPTION), color=PAPER)
    pen = ImageDraw.Draw(image)
    png = structure_png(panel.smiles, _WIDTH - 8, _HEIGHT - 8)
    if png is None:
        middle = (_WIDTH // 2, _HEIGHT // 2)
        pen.text(middle, "not a valid structure", fill=WRONG, font=letters, anchor="mm")
    else:
        image.paste(Image.open(io.BytesIO(png)).convert("RGB"), (4, 4))
    pen.rectangle((0, 0, _WIDTH - 1, _HEIGHT + _CAPTION - 1), outline=panel.colour, width=3)
    pen.text((10, _HEIGHT + 2), panel.caption, fill=panel.colour, font=letters)
    pen.text((10, _HEIGHT + 19), _short(panel.smiles), fill=INK, font=letters)
    return image


def _short(smiles: str, most: int = 32) -> str:
    return smiles if len(smiles) <= most else smiles[: most - 3] + "..."
