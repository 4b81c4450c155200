"""Measured spectra of MassBank, written out in each text format by the lines below, read back and counted."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.assembly import assemble
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import COLLISION_ENERGY, Part
from mmspec_ds.spectra.records import TandemMS

Row = dict[str, Any]
EVERY = 37  # of 38,812 rows: 1,049, from all contributors, who come one after the other


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[Row]:
    table = pq.read_table(shared_data / "massbank_msms.parquet")
    return table.take(np.arange(0, table.num_rows, EVERY)).to_pylist()


def said(*pairs: tuple[str, object], mark: str) -> str:
    return "".join(f"{key}{mark}{value}\n" for key, value in pairs if value is not None)


def peak_lines(row: Row, indent: str = "") -> str:
    return "".join(f"{indent}{mz!r} {intensity!r}\n" for mz, intensity in zip(row["mz"], row["intensity"]))


def as_mgf(rows: Iterable[Row]) -> str:
    return "".join(
        "BEGIN IONS\n"
        + said(
            ("TITLE", row["accession"]),
            ("PEPMASS", row["precursor_mz"]),
            ("IONMODE", row["ion_mode"]),
            ("ADDUCT", row["precursor_type"]),
            ("COLLISION_ENERGY", row["collision_energy"]),
            ("SMILES", row["smiles"]),
            mark="=",
        )
        + f"{peak_lines(row)}END IONS\n\n"
        for row in rows
    )


def as_msp(rows: Iterable[Row]) -> str:
    return "".join(
        said(
            ("Name", row["accession"]),
            ("PrecursorMZ", row["precursor_mz"]),
            ("Ion_mode", row["ion_mode"]),
            ("Precursor_type", row["precursor_type"]),
            ("Collision_energy", row["collision_energy"]),
            ("SMILES", row["smiles"]),
            ("Num Peaks", len(row["mz"])),
            mark=": ",
        )
        + f"{peak_lines(row)}\n"
        for row in rows
    )


def as_massbank(rows: Iterable[Row]) -> str:
    return "".join(
        said(("ACCESSION", row["accession"]), ("RECORD_TITLE", row["accession"]), mark=": ")
        + said(("CH$SMILES", row["smiles"]), ("AC$MASS_SPECTROMETRY", "MS_TYPE MS2"), mark=": ")
        + said(
            ("AC$MASS_SPECTROMETRY: ION_MODE", row["ion_mode"]),
            ("AC$MASS_SPECTROMETRY: COLLISION_ENERGY", row["collision_energy"]),
            ("MS$FOCUSED_ION: PRECURSOR_M/Z", row["precursor_mz"]),
            ("MS$FOCUSED_ION: PRECURSOR_TYPE", row["precursor_type"]),
            mark=" ",
        )
        + said(("PK$NUM_PEAK", len(row["mz"])), ("PK$PEAK", "m/z int. rel.int."), mark=": ")
        + f"{peak_lines(row, '  ')}//\n"
        for row in rows
    )


def as_massspecgym(rows: Iterable[Row]) -> str:
    columns = ("accession", "mz", "intensity", "smiles", "precursor_mz", "precursor_type", "collision_energy")
    names = "identifier\tmzs\tintensities\tsmiles\tprecursor_mz\tadduct\tcollision_energy\n"

    def cell(value: object) -> str:
        return ",".join(map(repr, value)) if isinstance(value, list) else "" if value is None else str(value)

    return names + "".join("\t".join(cell(row[column]) for column in columns) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.mgf", as_mgf), ("a.msp", as_msp), ("a.txt", as_massbank), ("a.tsv", as_massspecgym)],
    ids=["mgf", "msp", "massbank", "massspecgym"],
)
def test_every_measured_spectrum_is_read(
    rows: list[Row], tmp_path: Path, name: str, write: Callable[[Iterable[Row]], str]
) -> None:
    path = tmp_path / name
    path.write_text(write(rows), encoding="utf-8")
    parts = list(read_file(path))
    assert len(parts) == len(rows) == 1049
    for row, part in zip(rows, parts):
        assert isinstance(part, Part)
        (spectrum,) = part.spectra
        assert isinstance(spectrum, TandemMS)
        assert part.smiles == row["smiles"]
        energy = row["collision_energy"]
        assert part.metadata.get(COLLISION_ENERGY) == (energy and " ".join(energy.split()))
        order = np.argsort(row["mz"], kind="stable")
        np.testing.assert_array_equal(spectrum.mz, np.unique(row["mz"]))
        if len(spectrum.mz) == len(order):
            relative = 100 * np.array(row["intensity"])[order] / max(row["intensity"])
            np.testing.assert_allclose(spectrum.intensity, relative, rtol=1e-12)
    if name != "a.tsv":  # which has no column for the polarity
        found = Counter(part.spectra[0].polarity for part in parts)  # type: ignore[union-attr]
        assert found == Counter(row["ion_mode"].lower() for row in rows)


def test_the_spectra_of_a_molecule_make_one_record(shared_data: Path, tmp_path: Path) -> None:
    """The molecules with measured NMR and MS/MS: at most one spectrum for each polarity and energy. One of them
    is named: its [M-H]- is 353.2333 in one source and 357.2588 in another."""
    table = pq.read_table(shared_data / "experimental_ms_nmr.parquet", columns=["smiles", "formula", "ms2"])
    molecules = [row for row in table.to_pylist()[::10] if row["ms2"]]
    blocks = [{**spectrum, "smiles": row["smiles"]} for row in molecules for spectrum in row["ms2"]]
    path = tmp_path / "measured.msp"
    path.write_text(as_msp(blocks), encoding="utf-8")
    parts = [item for item in read_file(path) if isinstance(item, Part)]
    assert len(parts) == len(blocks) == 286
    by_molecule: dict[str | None, list[Part]] = defaultdict(list)
    for part in parts:
        by_molecule[part.smiles].append(part)
    assert len(by_molecule) == len(molecules) == 71
    refused = []
    for row in molecules:
        try:
            record = assemble(by_molecule[row["smiles"]], formula=row["formula"])
        except DataError as error:
            refused.append(str(error))
            continue
        slots = [(s.polarity, s.collision_energy_ev) for s in record.spectra if isinstance(s, TandemMS)]
        assert len(slots) == len(set(slots)) == len(record.spectra) <= 6
        assert {energy for _, energy in slots} <= {10.0, 20.0, 40.0}
    assert refused == [
        "the precursor [M-H]- of measured.msp:261 is m/z 353.2333, that of measured.msp:258 is 357.2588:"
        " not one molecule"
    ]
