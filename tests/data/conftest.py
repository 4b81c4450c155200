"""Small files of made-up spectra."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Multiplet, Record, TandemMS

SMILES = (
    *("CCO", "CC(C)=O", "c1ccccc1", "CC(=O)O", "CCN", "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CCCl"),
    *("CCBr", "OCCO", "CC#N", "C1CCCCC1", "CCOC", "CC(C)O", "NCCN", "c1ccncc1"),
)


def record(number: int, smiles: str | None) -> Record:
    """All four modalities; `number` decides the values and how many there are."""
    rng = np.random.default_rng(number)
    multiplets = tuple(
        Multiplet(1.0 + 0.5 * i, 1.1 + 0.5 * i, 0.9 + 0.5 * i, "t", 3, (7.0,)) for i in range(1 + number % 3)
    )
    carbons = tuple(float(ppm) for ppm in rng.integers(0, 200, 2 + number % 4))
    tandem = (
        TandemMS(np.arange(1.0, 4 + number % 2) * 20, np.linspace(1, 100, 3 + number % 2), polarity, energy)
        for polarity in ("positive", "negative")
        for energy in (10.0, 20.0, 40.0)
    )
    spectra = (HydrogenNMR(multiplets), CarbonNMR(carbons), Infrared(rng.random(1800)), *tandem)
    return Record(f"made up {number}", spectra, smiles, "C2H6O")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of one record per SMILES (None: a record without a structure) and gives its path."""

    def write_file(smiles: Sequence[str | None] = SMILES, name: str = "made_up.parquet") -> Path:
        path = tmp_path / name
        write_records(path, (record(number, one) for number, one in enumerate(smiles)))
        return path

    return write_file
