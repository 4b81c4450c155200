"""The model that comes with the package: small, whole, and right about common compounds."""

from pathlib import Path

import pytest

import mmspec_ds
from mmspec_ds.api import Model
from mmspec_ds.files import MANIFEST, faults, read_manifest
from mmspec_ds.systems.trained_folder import resolve_model

EXAMPLES = Path(__file__).parents[3] / "examples"
MOST_BYTES = 12_000_000


@pytest.fixture(scope="module")
def starter() -> Model:
    return mmspec_ds.load("starter")


def test_it_is_small_and_whole() -> None:
    folder = resolve_model("starter")
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES
    assert faults(folder, read_manifest(folder)) == []
    assert {path.name for path in folder.iterdir()} >= {MANIFEST, "README.md", "calibration.json"}


@pytest.mark.parametrize(
    ("compound", "formula", "smiles"),
    [
        ("ethyl_acetate", "C4H8O2", "CCOC(C)=O"),
        ("toluene", "C7H8", "Cc1ccccc1"),
        ("triethylamine", "C6H15N", "CCN(CC)CC"),
    ],
)
def test_published_shifts_of_common_compounds(starter: Model, compound: str, formula: str, smiles: str) -> None:
    answer = starter.predict(mmspec_ds.read(EXAMPLES / compound, formula=formula))
    assert answer.candidates[0].smiles == smiles
    first = answer.confidence["first"]
    assert first is not None
    assert first > 0.9
    found = [one.smiles for one in answer.candidates]
    assert len(found) == len(set(found))


def test_a_molecule_beyond_its_training_is_told(starter: Model, tmp_path: Path) -> None:
    lines = tmp_path / "carbon.csv"
    lines.write_text("shift\n" + "\n".join(str(20.5 + 9 * at) for at in range(17)))
    answer = starter.predict(mmspec_ds.read(c_nmr=lines, formula="C17H36"), top=1, beam=2)
    assert any(remark.startswith("unlike the known") for remark in answer.remarks)
