"""Which measured spectra the scorer of candidates is fitted on, and the shares that it is to give."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tools.fit_measured_tandem import read_examples

ETHANOL: dict[str, Any] = {
    "smiles": "CCO",
    "inchikey14": "ETHANOL",
    "formula": "C2H6O",
    "ion_mode": "POSITIVE",
    "precursor_type": "[M+H]+",
    "precursor_mz": None,
    "collision_energy": "35 eV",
    "license": "CC BY",
    "split": "train",
    # C2H5+, CH3+ (a radical's loss), noise, the precursor: cube roots of 64, 27, 1.
    "mz": [29.0386, 15.0229, 33.3, 47.0491],
    "intensity": [64.0, 27.0, 1.0, 1000.0],
}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def examples(*rows: dict[str, Any]) -> list[Any]:
        pq.write_table(pa.Table.from_pylist(list(rows)), tmp_path / "spectra.parquet")
        pq.write_table(pa.table({"inchikey14": ["BARRED"]}), tmp_path / "hold.parquet")
        return read_examples(tmp_path / "spectra.parquet", tmp_path / "hold.parquet")

    return examples


def test_shares_of_ethanol_by_hand(read: Any) -> None:
    (example,) = read(ETHANOL)
    positive, negative = example.published
    assert positive[:2].sum() == 0.0  # 35 eV is nearest to 40
    assert positive[2].sum() == pytest.approx(7 / 8)
    mz = example.grids[0].mz
    assert positive[2][np.abs(mz - 29.0386).argmin()] == pytest.approx(4 / 8)
    assert positive[2][np.abs(mz - 15.0229).argmin()] == pytest.approx(3 / 8)
    assert negative.sum() == 0.0


def test_spectra_of_one_energy_count_by_their_mean(read: Any) -> None:
    other = ETHANOL | {"mz": [29.0386], "intensity": [5.0], "precursor_mz": 47.0491}
    (example,) = read(ETHANOL, other)
    mz = example.grids[0].mz
    assert example.published[0][2][np.abs(mz - 29.0386).argmin()] == pytest.approx((4 / 8 + 1) / 2)


@pytest.mark.parametrize(
    "change",
    [
        {"license": "CC BY-SA"},
        {"split": "val"},
        {"precursor_type": "[M+Na]+"},
        {"inchikey14": "BARRED"},
        {"smiles": "CCO.O"},
        {"smiles": "C" * 25},
        {"mz": [47.0491], "intensity": [1.0]},
    ],
    ids=lambda change: ", ".join(f"{name} {value}" for name, value in change.items())[:40],
)
def test_what_is_not_fitted_on(read: Any, change: dict[str, Any]) -> None:
    assert read(ETHANOL | change) == []


def test_molecules_with_three_isomers_are_left_to_the_benchmark(read: Any) -> None:
    isomers = [ETHANOL | {"inchikey14": f"ISOMER {number}"} for number in range(4)]
    assert read(*isomers) == []
    assert len(read(*isomers[:3])) == 3
