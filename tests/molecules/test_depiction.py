"""Drawn molecules: of the size that was asked for, with ink, and none of what is no molecule."""

import io
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from mmspec_ds.molecules.depiction import structure_png, structure_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def test_a_png_has_its_size_and_shows_the_oxygen() -> None:
    png = structure_png("CCO", 120, 80)
    assert png is not None
    image = Image.open(io.BytesIO(png)).convert("RGB")
    assert image.size == (120, 80)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    red = sum(count for count, (r, g, b) in image.getcolors(1 << 20) if r > 200 and g < 60 and b < 60)
    assert red > 20


def test_an_svg_draws_every_bond_on_no_ground() -> None:
    svg = structure_svg("C=CC", 120, 80)
    assert svg is not None
    root = ElementTree.fromstring(svg)
    bonds = {name for path in root.iter(f"{NAMESPACE}path") for name in path.get("class", "").split()[:1]}
    assert bonds == {"bond-0", "bond-1"}
    assert [rect for rect in root.iter(f"{NAMESPACE}rect") if rect.get("width") == "120"] == []


@pytest.mark.parametrize("text", ["CCCC(", "C1CC", "", "no molecule"])
def test_what_is_no_molecule_is_not_drawn(text: str) -> None:
    assert structure_png(text, 50, 50) is None
    assert structure_svg(text, 50, 50) is None
