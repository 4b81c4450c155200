"""Positions that the names of features state: chemical shifts and m/z."""

import math

import numpy as np
import pytest

from mmspec_ds.readers.feature_positions import positions_of

NAN = math.nan


@pytest.mark.parametrize(
    ("names", "unit", "positions"),
    [
        (["9.997515 ", "3.2", "-0.046865"], "ppm", [9.997515, 3.2, -0.046865]),
        (["X9.99", "X.0.035"], "ppm", [9.99, -0.035]),
        (["ppm_1.23", "1.25 ppm"], "ppm", [1.23, 1.25]),
        (["3,25", "3,27"], "ppm", [3.25, 3.27]),
        (["9.98..9.99", "[9.96 .. 9.97]", "9.95-9.94"], "ppm", [9.985, 9.965, 9.945]),
        (["0.5,0.54", "0.54,0.58"], "ppm", [0.52, 0.56]),
        (["-0.3 - -0.4", "0.1 - 0.3"], "ppm", [-0.35, 0.2]),
        (
            ["1-Methyladenosine (282.1 / 150.0)", "Xanthine (151.0/108.0)", "Maleic Acid (115.0 / 71.0 (2))"],
            "m/z",
            [282.1, 151.0, 115.0],
        ),
        (["alanine (90.0550)", "urea (61.0396)", "glucose"], "m/z", [90.055, 61.0396, NAN]),
        (["M282T150", "M283.2T10_2"], "m/z", [282.0, 283.2]),
        (["7.34_137.0452m/z", "6.90_113.0582n"], "m/z", [137.0452, NAN]),
        (["150.0578_7.34", "220.1_13.2"], "m/z", [150.0578, 220.1]),
        (["7.34_150.0578", "13.2@220.1"], "m/z", [150.0578, 220.1]),
        (["100.05", "200.1"], "m/z", [100.05, 200.1]),
    ],
)
def test_names_with_positions(names: list[str], unit: str, positions: list[float]) -> None:
    axis = positions_of(names)
    assert axis.unit == unit
    np.testing.assert_allclose(axis.position_F, positions, rtol=1e-12)
    assert unit in axis.remark


@pytest.mark.parametrize(
    "names",
    [
        ["alanine", "lactate"],
        ["1", "2", "3"],
        ["M1", "M2"],
        ["Cer(d18:1/17:0)", "PC 34:1"],
        ["Vitamin (12.5)", "B"],
    ],
)
def test_names_without(names: list[str]) -> None:
    assert positions_of(names).position_F is None


def test_the_settings_decide() -> None:
    assert positions_of(["1.5", "2.5"], "none").unit is None
    assert positions_of(["1", "2", "3"], "ppm").unit == "ppm"
    assert positions_of(["alanine", "lactate"], "ppm").unit is None


def test_the_order_is_told() -> None:
    assert positions_of(["9.5", "9.4", "9.3"]).remark.endswith("descending")
    assert not positions_of(["9.3", "9.4", "9.5"]).remark.endswith("descending")
