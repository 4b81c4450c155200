"""Heat maps of tables, drawn with Pillow.

A run draws several at each validation: for four maps of 6 x 8 cells on one core, matplotlib takes 1.4 s and
Pillow about 30 ms.

Axes: R rows, C columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Letters = ImageFont.ImageFont | ImageFont.FreeTypeFont

INK, PALE, PAPER = (34, 40, 49), (110, 118, 129), (255, 255, 255)
NOTHING = (236, 238, 241)
"""The colour of a cell without a value."""

_SEQUENTIAL = ((247, 251, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107))
_DIVERGING = ((178, 24, 43), (244, 165, 130), (247, 247, 247), (146, 197, 222), (33, 102, 172))
_CELL_HEIGHT, _GAP, _MARGIN = 30, 2, 14
_WIDEST_CELL, _NARROWEST_CELL, _WIDTH_OF_CELLS = 84, 36, 560


@dataclass(frozen=True)
class Map:
    """A table to draw as a heat map.

    Attributes:
        title: above the map.
        values_RC: NaN where there is no value.
        rows, columns: their names.
        low, high: the values at the two ends of the colour scale.
        diverging: colours from red over white to blue, for values with a sign; else from white to blue.
    """

    title: str
    values_RC: npt.NDArray[np.float64]
    rows: Sequence[str]
    columns: Sequence[str]
    low: float = 0.0
    high: float = 1.0
    diverging: bool = False

    def colour(self, value: float) -> tuple[int, int, int]:
        """Return the colour of a value: red, green and blue from 0 to 255."""
        if np.isnan(value):
            return NOTHING
        stops = np.array(_DIVERGING if self.diverging else _SEQUENTIAL, dtype=np.float64)
        place = np.clip((value - self.low) / (self.high - self.low), 0.0, 1.0) * (len(stops) - 1)
        red, green, blue = (np.interp(place, np.arange(len(stops)), stops[:, part]) for part in range(3))
        return round(red), round(green), round(blue)


def draw_maps(maps: Sequence[Map]) -> Image.Image:
    """Draw maps below each other as an RGB image. Equal names of columns are drawn once, at the top."""
    letters, large = font(12), font(15)  # 3 ms to open each
    named = [at == 0 or one.columns != maps[at - 1].columns for at, one in enumerate(maps)]
    left = _MARGIN + 10 + max(_length(name, letters) for one in maps for name in one.rows)
    drawn = [_draw(one, letters, large, left, heads=heads) for one, heads in zip(maps, named)]
    sheet = Image.new("RGB", (max(one.width for one in drawn), sum(one.height for one in drawn)), color=PAPER)
    top = 0
    for one in drawn:
        sheet.paste(one, (0, top))
        top += one.height
    return sheet


def written(value: float) -> str:
    """Format the value of a cell with two decimals, and "-0.00" as "0.00"."""
    return "" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")


def font(size: int) -> Letters:
    """Return the typeface that comes with Pillow."""
    return ImageFont.load_default(size)


def is_dark(colour: tuple[int, int, int]) -> bool:
    """Return whether a colour needs white letters (by its relative luminance, ITU-R BT.709)."""
    red, green, blue = colour
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 140


def _draw(table: Map, letters: Letters, large: Letters, left: int, *, heads: bool) -> Image.Image:
    width = min(_WIDEST_CELL, max(_NARROWEST_CELL, _WIDTH_OF_CELLS // max(len(table.columns), 1)))
    strip = _heads(table.columns, width, letters) if heads else Image.new("RGB", (1, 1), color=PAPER)
    top = _MARGIN + 26 + strip.height
    breadth = max(left + len(table.columns) * width, _MARGIN + _length(table.title, large))
    image = Image.new("RGB", (breadth + _MARGIN, top + len(table.rows) * _CELL_HEIGHT + _MARGIN), color=PAPER)
    image.paste(strip, (left, top - strip.height))
    pen = ImageDraw.Draw(image)
    pen.text((_MARGIN, _MARGIN), table.title, fill=INK, font=large)
    for row, name in enumerate(table.rows):
        y = top + row * _CELL_HEIGHT
        pen.text((left - 10, y + _CELL_HEIGHT // 2), name, fill=PALE, font=letters, anchor="rm")
        for column in range(len(table.columns)):
            value, x = float(table.values_RC[row, column]), left + column * width
            colour = table.colour(value)
            pen.rectangle((x, y, x + width - 1 - _GAP, y + _CELL_HEIGHT - 1 - _GAP), fill=colour)
            middle = (x + (width - _GAP) // 2, y + (_CELL_HEIGHT - _GAP) // 2)
            ink = PAPER if is_dark(colour) else INK
            pen.text(middle, written(value), fill=ink, font=letters, anchor="mm")
    return image


def _heads(names: Sequence[str], width: int, letters: Letters) -> Image.Image:
    """Draw the names of columns, turned by 90 degrees where one is wider than its column."""
    lines = [name.split("\n") for name in names]
    if any(_length(line, letters) > width - 4 for name in lines for line in name):
        flat = [" ".join(name) for name in lines]
        strip = Image.new("RGB", (8 + max(_length(name, letters) for name in flat), len(names) * width), PAPER)
        pen = ImageDraw.Draw(strip)
        for column, name in enumerate(flat):
            pen.text((4, column * width + width // 2), name, fill=PALE, font=letters, anchor="lm")
        return strip.transpose(Image.Transpose.ROTATE_90)
    image = Image.new("RGB", (len(names) * width, 6 + 15 * max(map(len, lines))), color=PAPER)
    pen = ImageDraw.Draw(image)
    for column, name in enumerate(names):
        place = (column * width + width // 2, image.height - 4)
        pen.multiline_text(place, name, fill=PALE, font=letters, anchor="md", align="center")
    return image


def _length(text: str, letters: Letters) -> int:
    return round(letters.getlength(text))
