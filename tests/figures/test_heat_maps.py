"""Colours of maps at known values and places, and pictures of structures by their frames."""

import numpy as np
import pytest
from PIL import Image

from mmspec_ds.figures.heat_maps import NOTHING, PAPER, Map, draw_maps, is_dark, written
from mmspec_ds.figures.molecule_sheet import RIGHT, WRONG, Panel, draw_panels


def make(values: list[list[float]], **changes: object) -> Map:
    rows, columns = [f"layer {n}" for n in range(len(values))], [str(n) for n in range(len(values[0]))]
    return Map("load", np.array(values), rows, columns, **changes)  # type: ignore[arg-type]


def colours_of(image: Image.Image) -> dict[tuple[int, ...], int]:
    """How many pixels have each colour."""
    return {tuple(colour): count for count, colour in image.getcolors(1 << 24)}


def test_the_ends_of_the_scales_have_their_colours() -> None:
    load = make([[0.0]], high=0.5)
    assert load.colour(0.0) == (247, 251, 255)
    assert load.colour(0.5) == load.colour(7.0) == (8, 48, 107)
    assert load.colour(0.125) == (198, 219, 239), "the second of five colours, a quarter up"
    cosine = make([[0.0]], low=-1.0, high=1.0, diverging=True)
    assert cosine.colour(0.0) == (247, 247, 247)
    assert cosine.colour(-1.0) == (178, 24, 43)
    assert cosine.colour(float("nan")) == NOTHING


def test_each_cell_is_filled_with_its_colour() -> None:
    table = make([[0.0, 1.0], [float("nan"), 1.0]])
    image = draw_maps([table])
    colours = colours_of(image)
    assert colours[(8, 48, 107)] > 1.8 * colours[(247, 251, 255)], "two cells of 1, one of 0"
    assert colours[NOTHING] > 1000
    right = image.crop((image.width // 2, 0, image.width, image.height))
    assert colours_of(right)[(8, 48, 107)] > 3 * colours_of(right).get((247, 251, 255), 1)


def test_columns_are_named_once() -> None:
    one, other = make([[0.5] * 4]), make([[0.5] * 4])
    alone, both = draw_maps([one]).height, draw_maps([one, other]).height
    assert both < 2 * alone
    renamed = Map("load", other.values_RC, other.rows, ["a\n1", "b\n1", "c\n1", "d\n1"])
    assert draw_maps([one, renamed]).height > both


def test_long_names_stand_upright() -> None:
    short = draw_maps([make([[0.5] * 8])])
    table = make([[0.5] * 8])
    long = draw_maps([Map(table.title, table.values_RC, table.rows, ["an expert of a long name"] * 8)])
    assert long.width == short.width
    assert long.height > short.height + 100


@pytest.mark.parametrize(("value", "expected"), [(0.125, "0.12"), (-0.001, "0.00"), (-0.5, "-0.50")])
def test_numbers_in_cells(value: float, expected: str) -> None:
    assert written(value) == expected
    assert written(float("nan")) == ""


def test_letters_are_white_on_dark_colours() -> None:
    assert is_dark((8, 48, 107))
    assert not is_dark(PAPER)
    assert not is_dark((198, 219, 239))


def test_structures_are_framed_by_what_they_are() -> None:
    rows = [[Panel("CCO", "right", RIGHT), Panel("CCC(", "wrong", WRONG)]]
    image = draw_panels(rows, ("first", "second"))
    left = image.crop((0, 0, image.width // 2, image.height))
    right = image.crop((image.width // 2, 0, image.width, image.height))
    frame = 3 * 2 * (220 + 150)
    assert colours_of(left)[RIGHT] >= frame
    assert WRONG not in colours_of(left)
    assert colours_of(right)[WRONG] >= frame
    assert RIGHT not in colours_of(right)
