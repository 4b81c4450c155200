"""Curves made from textbook first-order spectra: noisy, broad, shifted, impure and crooked ones."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks/made_curves.py"


@pytest.fixture(scope="module")
def made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("made_curves", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_curves"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_areas_of_made_curves_are_the_hydrogens(made: ModuleType) -> None:
    """The integral over the lines of ethyl acetate, 8 H, is 8 times pi / 2 Hz but for feet beyond the ends."""
    molecule = next(one for one in made.read_molecules() if one.name == "ethyl acetate")
    condition = made.Condition("exact", noise=0.0, spread=0.0)
    curve, expected = made.make_curve(molecule, condition, 0)
    assert float(curve.intensity.sum()) * curve.step_hz / 1e6 / (np.pi / 2) == pytest.approx(8, rel=0.01)
    assert [(one.ppm, one.hydrogens, set(one.names)) for one in expected] == [
        (1.26, 3, {"t"}),
        (2.04, 3, {"s"}),
        (4.12, 2, {"q"}),
    ]


def test_there_are_enough_molecules(made: ModuleType) -> None:
    molecules = made.read_molecules()
    groups = [one.group for one in molecules]
    assert groups.count("tune") >= 25
    assert groups.count("held") >= 25
    assert len({one.name for one in molecules}) == len(molecules)


@pytest.mark.parametrize(
    ("condition", "hydrogens", "both"),
    [("noisy", 0.95, 0.85), ("shifted", 0.92, 0.85), ("impure", 0.92, 0.85), ("everything", 0.92, 0.80)],
)
def test_most_signals_are_read_right(made: ModuleType, condition: str, hydrogens: float, both: float) -> None:
    """Every third molecule of both groups; `benchmarks/run.py curves` reads all. Before the scale was chosen by
    its likelihood, hydrogens of the shifted, impure and last condition were right for 24 to 45 %."""
    chosen = next(one for one in made.CONDITIONS if one.name == condition)
    total = made.Score()
    for number, molecule in enumerate(made.read_molecules()):
        if number % 3 == 0:
            total.add(made.score_curve(molecule, chosen, 100 + number))
    assert total.hydrogens >= hydrogens * total.signals
    assert total.both >= both * total.signals
    assert total.invented <= 0.02 * total.signals


def test_a_formula_gives_the_scale_of_symmetric_molecules(made: ModuleType) -> None:
    """Diethyl ether, 4 : 6, is 2 : 3 by its integrals alone."""
    molecule = next(one for one in made.read_molecules() if one.name == "diethyl ether")
    curve, _ = made.make_curve(molecule, made.CONDITIONS[0], 1)
    counts = {}
    for formula in ("", "C4H10O"):
        picked = made.pick_hydrogen(curve, made.NMRProcessingSettings(formula=formula))
        counts[formula] = [one.hydrogens for one in picked.spectrum.multiplets]
        assert any(remark.startswith("scale of the integrals") for remark in picked.remarks)
    assert counts == {"": [2, 3], "C4H10O": [4, 6]}
