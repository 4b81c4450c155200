"""Files to prepare."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mmspec_ds.spectra.parquet import write_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Multiplet, Record, TandemMS


def chain(number: int) -> str:
    """A SMILES for each number: branched chains that are all different."""
    return "C" + "".join("C(C)" if bit == "1" else "C" for bit in f"{number + 2:b}") + "O"


def record(number: int, smiles: str | None) -> Record:
    """All four modalities; `number` decides the values and how many there are."""
    rng = np.random.default_rng(number)
    multiplets = tuple(
        Multiplet(1.0 + 0.5 * i, 1.1 + 0.5 * i, 0.9 + 0.5 * i, "t", 3, (7.0,)) for i in range(1 + number % 3)
    )
    tandem = (
        TandemMS(np.arange(1.0, 4 + number % 2) * 20, np.linspace(1, 100, 3 + number % 2), polarity, energy)
        for polarity in ("positive", "negative")
        for energy in (10.0, 20.0, 40.0)
    )
    carbons = tuple(rng.integers(0, 200, 2 + number % 4).astype(float).tolist())
    return Record(
        "", (HydrogenNMR(multiplets), CarbonNMR(carbons), Infrared(rng.random(300)), *tandem), smiles, "CH4"
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of one record per SMILES (a number stands for one of its own), in row groups of some rows,
    and gives its path."""

    def write_file(molecules: Sequence[str | int | None], name: str = "rows.parquet", group: int = 10) -> Path:
        path = tmp_path / name
        smiles = [chain(one) if isinstance(one, int) else one for one in molecules]
        write_records(path, (record(number, one) for number, one in enumerate(smiles)))
        pq.write_table(pq.read_table(path), path, row_group_size=group)
        return path

    return write_file
