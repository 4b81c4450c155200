"""The lists of enumerated molecules that are shipped: those that are computed, in the same files and order."""

from hashlib import sha256

import numpy as np
import pytest

from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator import simulate
from mmspec_ds.simulator.enumeration import enumerate_molecules
from mmspec_ds.simulator.listed import arguments_listed, listed
from mmspec_ds.simulator.parts import Molecule, divided, part_of
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset

FILES = {
    (15_000, 8, 0): {"train": "f365712ff9104b2c", "val": "f1839103cb126490", "test": "b34426d8cf969073"},
    (30_000, 8, 0): {"train": "3b1079685ecd12ef", "val": "90802d3833ff80a7", "test": "97669f886301e599"},
    (60_000, 9, 0): {"train": "1f0c44bd3f0c1cec", "val": "164f1bf9fd4697e9", "test": "718517824eb8d392"},
    (200_000, 10, 0): {"train": "83ed0907a84debba", "val": "781cda21785ed84b", "test": "45e2dae2697eab37"},
}
"""SHA-256 of the SMILES of each file, one a line, of data sets that were enumerated before there were lists."""


@pytest.mark.parametrize("arguments", FILES, ids=str)
def test_the_files_are_those_of_before(arguments: tuple[int, int, int]) -> None:
    found = listed(*arguments)
    assert found is not None
    assert len({one.smiles for one in found}) == len(found) == arguments[0]
    parts = divided([Molecule(one.smiles, file=one.file) for one in found], "inchikey", 0.04, 0.06)
    digests = {name: sha256("\n".join(part).encode()).hexdigest()[:16] for name, part in parts.items()}
    assert digests == FILES[arguments]


def test_there_are_no_others() -> None:
    assert arguments_listed() == sorted(FILES)
    assert listed(15_000, 8, 1) is None
    assert listed(15_001, 8, 0) is None


@pytest.fixture(scope="module")
def computed() -> list[str]:
    """All molecules of up to 6 heavy atoms, and the first with 7."""
    return list(enumerate_molecules(2_673 + 150, 7, 0))


@pytest.mark.parametrize("arguments", [(15_000, 8, 0), (30_000, 8, 0), (60_000, 9, 0)], ids=str)
def test_a_list_begins_as_it_is_computed(arguments: tuple[int, int, int], computed: list[str]) -> None:
    shipped = [one.smiles for one in listed(*arguments) or ()]
    found = np.empty(len(shipped), dtype=object)
    found[np.random.default_rng([0, 7]).permutation(len(shipped))] = shipped
    assert found[: len(computed)].tolist() == computed


def test_the_largest_has_all_that_is_computed(computed: list[str]) -> None:
    assert {one.smiles for one in listed(200_000, 10, 0) or ()} >= set(computed)


@pytest.mark.parametrize("arguments", FILES, ids=str)
def test_files_follow_from_the_inchikey(arguments: tuple[int, int, int]) -> None:
    for one in (listed(*arguments) or ())[::5][:100]:
        assert one.file == part_of(inchikey_block(one.smiles), 0.04, 0.06)


class Stop(Exception):
    """Raised instead of a simulation."""


def test_a_simulation_takes_the_list(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    taken: list[str] = []

    def not_simulated(function: object, order: list[str], *others: object, **options: object) -> None:
        taken.extend(order)
        raise Stop

    def not_called(*arguments: object) -> None:
        raise AssertionError(f"enumerated {arguments}")

    monkeypatch.setattr(simulate, "ordered_map", not_simulated)
    monkeypatch.setattr(simulate, "enumerated", not_called)
    with pytest.raises(Stop):
        simulate_dataset(tmp_path, SimulationSettings(molecules=15_000, max_heavy_atoms=8, seed=0))
    assert sha256("\n".join(taken[:13_479]).encode()).hexdigest()[:16] == FILES[15_000, 8, 0]["train"]
    with pytest.raises(AssertionError, match=r"enumerated \(15000, 8, 0\)"):
        simulate_dataset(tmp_path, SimulationSettings(molecules=15_000, max_heavy_atoms=8, hold_out="salt"))
