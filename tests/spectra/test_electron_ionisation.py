"""EI spectra as columns of a file, as tokens and as drawings."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.modalities.ei import ElectronIonisationDefinition, ElectronIonisationSettings
from mmspec_ds.spectra.modalities.peak_lists import MassPeakNoise
from mmspec_ds.spectra.parquet import available_modalities, read_records, write_records
from mmspec_ds.spectra.records import CarbonNMR, ElectronIonisationMS, Modality, Record, table_rows
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings, compress_record
from mmspec_ds.spectra.token_noise import Draws

BENZOATE = ElectronIonisationMS(
    np.array([51.0, 77.0, 105.0, 150.0]), np.array([150.0, 440.0, 999.0, 210.0]), 70.0
)
BUTANE = ElectronIonisationMS(np.array([29.0, 43.0, 58.0]), np.array([40.0, 100.0, 12.0]))
NAMES = ("mz", "intensity", "energy_ev")


def values_of(spectrum: ElectronIonisationMS) -> tuple[object, ...]:
    return spectrum.mz.tolist(), spectrum.intensity.tolist(), spectrum.energy_ev


def test_models_that_do_not_read_it_have_as_many_rows_as_before() -> None:
    assert table_rows([Modality.MS, Modality.IR]) == 5
    assert table_rows([Modality.HSQC]) == 6
    assert table_rows([Modality.EI]) == 7


def test_spectra_survive_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ei.parquet"
    rows = [
        Record("0", (BENZOATE, BUTANE), "CCOC(=O)c1ccccc1"),
        Record("1", (CarbonNMR((25.0, 13.0)),), "CCCC"),
        Record("2", (BUTANE,), "CCCC"),
    ]
    write_records(path, rows)
    assert Modality.EI in available_modalities(path)
    found = list(read_records(path, modalities=[Modality.EI, Modality.C_NMR]))
    assert [[type(one) for one in record.spectra] for record in found] == [
        [type(one) for one in record.spectra] for record in rows
    ]
    assert [values_of(one) for one in found[0].spectra] == [values_of(BENZOATE), values_of(BUTANE)]  # type: ignore[arg-type]
    assert values_of(found[2].spectra[0]) == values_of(BUTANE)  # type: ignore[arg-type]


def test_the_column_is_there_only_if_needed(tmp_path: Path) -> None:
    path = tmp_path / "carbon.parquet"
    write_records(path, [Record("0", (CarbonNMR((25.0,)),), "C")])
    assert "ei_spectra" not in pq.read_schema(path).names


BAD = {
    "a spectrum has 2 m/z and 1 intensities": [50.0, 60.0],
    "peak -5 1 is not m/z and intensity": [-5.0],
    "peak nan 1 is not m/z and intensity": [float("nan")],
}


@pytest.mark.parametrize("words", BAD)
def test_a_bad_spectrum_is_named_and_costs_its_row_alone(tmp_path: Path, words: str) -> None:
    path = tmp_path / "bad.parquet"
    entries = [
        [{"mz": BAD[words], "intensity": [1.0], "energy_ev": None}],
        [{"mz": [41.0], "intensity": [2.0], "energy_ev": 70.0}],
    ]
    pq.write_table(pa.table({"smiles": ["C", "CC"], "ei_spectra": entries}), path)
    with pytest.raises(DataError, match=f"row 0, column ei_spectra: {words}"):
        list(read_records(path, modalities=[Modality.EI]))
    (sound,) = read_records(path, modalities=[Modality.EI], on_invalid="skip")
    assert values_of(sound.spectra[0]) == ([41.0], [2.0], 70.0)  # type: ignore[arg-type]


def test_a_token_is_a_peak() -> None:
    settings = CompressionSettings(ei=ElectronIonisationSettings(max_peaks=3))
    record = Record("r", (BENZOATE, BUTANE))
    tokens = compress_record(record, [Modality.EI], settings)[Modality.EI]
    assert tokens.discrete.shape == (6, 0)
    np.testing.assert_allclose(
        tokens.continuous,
        [[77, 440 / 999], [105, 1], [150, 210 / 999], [29, 0.4], [43, 1], [58, 0.12]],
        rtol=1e-6,
    )
    few = CompressionSettings(ei=ElectronIonisationSettings(max_tokens=2))
    (tokens,) = compress_record(record, [Modality.EI], few).values()
    assert tokens.continuous[:, 0].tolist() == [105.0, 43.0]


def test_noise_moves_and_removes_peaks() -> None:
    entry, settings = ElectronIonisationDefinition(), ElectronIonisationSettings()
    columns = entry.from_records([Record("r", (BENZOATE, BUTANE))] * 2000)
    tokens = entry.compress(columns, settings)
    draws = Draws.of(np.arange(2000), 7)
    moved = entry.with_noise(tokens, settings, MassPeakNoise(mz_ppm=20.0), draws)
    ppm = 1e6 * (moved.continuous[:, 0].astype(float) / tokens.continuous[:, 0] - 1)
    assert ppm.std() == pytest.approx(20.0, rel=0.03)
    np.testing.assert_array_equal(moved.continuous[:, 1], tokens.continuous[:, 1])
    fewer = entry.with_noise(tokens, settings, MassPeakNoise(missing_peak=0.5), draws)
    assert fewer.counts.mean() == pytest.approx(3.5 + 0.5**7, abs=5 * np.sqrt(7 / 4 / 2000))
    assert fewer.counts.min() == 1


def test_drawing_is_relative_to_the_strongest_peak() -> None:
    drawing = REGISTRY[Modality.EI].drawing(BENZOATE)
    assert (drawing.form, drawing.label_format, drawing.marker) == ("sticks", "{:.0f}", None)
    np.testing.assert_allclose(drawing.y, [15.015015, 44.044044, 100.0, 21.021021], rtol=1e-6)
