"""Parquet files with a mass spectrum a row, sound ones and others."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import ElectronIonisationMS, Modality, TandemMS

TANDEM: dict[str, Any] = {
    "accession": "MSBNK-LCSB-LU025104",
    "smiles": "NC(=O)c1cccnc1",
    "inchikey": "DFPAKSUCGFBDDF-UHFFFAOYSA-N",
    "inchikey14": "DFPAKSUCGFBDDF",
    "formula": "C6H6N2O",
    "ion_mode": "POSITIVE",
    "precursor_type": "[M+H]+",
    "precursor_mz": 123.0553,
    "collision_energy": "20",
    "instrument_type": "LC-ESI-QFT",
    "license": "CC BY",
    "inst_dir": "LCSB",
    "split": "train",
    "role": "query",
    "cross_source": True,
    "mz": [80.05, 53.04, 123.055],
    "intensity": [1.0, 0.25, 0.5],
}
IONISED: dict[str, Any] = {
    "accession": "MSBNK-Fac_Eng_Univ_Tokyo-JP003811",
    "licence": "CC BY-NC-SA",
    "instrument_type": "EI-B",
    "energy": "70 eV",
    "name": "Ethyl benzoate",
    "smiles": "CCOC(=O)c1ccccc1",
    "mz": [77.0, 105.0],
    "intensity": [440, 999],
}


def written(path: Path, *rows: dict[str, Any], schema: pa.Schema | None = None) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path)
    return path


def test_a_tandem_spectrum_with_its_fields(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.parquet", TANDEM, {**TANDEM, "cross_source": False})
    assert find_format(path).name == "spectrum-rows"
    part, other = read_file(path)
    assert isinstance(part, Part)
    assert isinstance(other, Part)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, TandemMS)
    assert spectrum.mz.tolist() == [53.04, 80.05, 123.055]
    assert spectrum.intensity.tolist() == [25.0, 100.0, 50.0]
    known = spectrum.precursor_mz, spectrum.adduct, spectrum.charge, spectrum.measured_energy_ev
    assert known == (123.0553, "[M+H]+", 1, 20.0)
    assert (part.id, part.smiles, part.formula) == ("rows.parquet:0", TANDEM["smiles"], "C6H6N2O")
    names = ("accession", "inchikey", "licence", "institute", "split", "role", "cross_source")
    expected = [*(TANDEM[name] for name in ("accession", "inchikey", "license", "inst_dir", "split", "role"))]
    assert [part.metadata[name] for name in names] == [*expected, "true"]
    assert other.metadata["cross_source"] == "false"


def test_the_sound_file(sound_files: Path) -> None:
    tandem, ionised = read_file(sound_files / "spectrum_rows.parquet")
    assert isinstance(tandem, Part)
    assert isinstance(ionised, Part)
    assert [part.modalities for part in (tandem, ionised)] == [(Modality.MS,), (Modality.EI,)]
    assert [part.metadata["institute"] for part in (tandem, ionised)] == ["Made_up"] * 2


def test_an_ei_spectrum_and_the_institute_of_its_accession(tmp_path: Path) -> None:
    path = written(tmp_path / "ei.parquet", IONISED, {**IONISED, "energy": "", "instrument_type": None})
    part, plain = read_file(path)
    assert isinstance(part, Part)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, ElectronIonisationMS)
    assert (spectrum.energy_ev, spectrum.mz.tolist()) == (70.0, [77.0, 105.0])
    assert spectrum.intensity.tolist() == pytest.approx([100 * 440 / 999, 100.0])
    assert part.metadata["institute"] == "Fac_Eng_Univ_Tokyo"
    assert part.metadata["ionization_energy"] == "70 eV"
    assert isinstance(plain, Part)
    assert isinstance(plain.spectra[0], TandemMS)  # nothing says what it is
    assert isinstance(next(read_file(path, Modality.MS)), Rejected)


def test_other_types_of_columns(tmp_path: Path) -> None:
    """Fixed-size and large lists, float32 and integers, categories, and a null where a list should be."""
    columns = {
        "mz": pa.array([[50.0, 60.0], [70.0, 80.0]], pa.list_(pa.float32(), 2)),
        "intensity": pa.array([[1, 2], [2, 1]], pa.large_list(pa.int16())),
        "precursor_mz": pa.array([99, None], pa.int32()),
        "ion_mode": pa.array(["negative", "positive"]).dictionary_encode(),
        "charge": pa.array([-1, 2], pa.int64()),
        "other": pa.array([b"x", b"y"], pa.binary()),
    }
    path = tmp_path / "types.parquet"
    pq.write_table(pa.table(columns), path)
    spectra = [item.spectra[0] for item in read_file(path) if isinstance(item, Part)]
    assert [one.mz.tolist() for one in spectra if isinstance(one, TandemMS)] == [[50.0, 60.0], [70.0, 80.0]]
    known = [(one.precursor_mz, one.polarity, one.charge) for one in spectra if isinstance(one, TandemMS)]
    assert known == [(99.0, "negative", -1), (None, "positive", 2)]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nan": ({"mz": [float("nan"), 60.0, 70.0]}, "m/z of peak 0 is nan, expected a finite number"),
    "infinite": ({"intensity": [1.0, float("inf"), 1.0]}, "intensity of peak 1 is inf"),
    "a null inside": ({"mz": [50.0, None, 70.0]}, "m/z of peak 1 is nan"),
    "negative m/z": ({"mz": [-50.0, 60.0, 70.0]}, "m/z of peak 0 is -50"),
    "all zero": ({"intensity": [0.0, 0.0, 0.0]}, "no peak has an intensity above zero"),
    "all negative": ({"intensity": [-1.0, -2.0, -1.0]}, "no peak has an intensity above zero"),
    "lengths": ({"mz": [50.0]}, "1 m/z values and 3 intensities, expected as many"),
    "empty": ({"mz": [], "intensity": []}, "no peaks"),
    "null": ({"mz": None}, "mz is null, expected a list of numbers"),
    "null intensities": ({"intensity": None}, "intensity is null, expected a list of numbers"),
    "a negative precursor": ({"precursor_mz": -1.0}, "precursor m/z '-1.0', expected a number above 0"),
    "a contradiction": (
        {"ion_mode": "negative"},
        "the ion mode is negative, but the adduct [M+H]+ is positive",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_costs_itself_alone(tmp_path: Path, name: str) -> None:
    change, words = BAD[name]
    path = written(tmp_path / "bad.parquet", TANDEM, {**TANDEM, **change}, TANDEM)
    first, bad, last = read_file(path)
    assert isinstance(first, Part)
    assert isinstance(last, Part)
    assert isinstance(bad, Rejected)
    assert words in bad.reason
    assert (bad.number, bad.fault) == (1, True)
    np.testing.assert_array_equal(first.spectra[0].mz, last.spectra[0].mz)  # type: ignore[union-attr]


def test_odd_texts_of_fields_are_no_crash(tmp_path: Path) -> None:
    odd = {"smiles": "\x00C(", "formula": "?", "collision_energy": "ramp", "name": "a\nb" * 500}
    (part,) = read_file(written(tmp_path / "odd.parquet", {**TANDEM, **odd}))
    assert isinstance(part, Part)
    assert (part.smiles, part.formula) == (None, None)
    assert "\n" not in str(part.metadata["name"])


@pytest.mark.parametrize(
    "columns",
    [
        {"mz": ["50 60"], "intensity": ["1 2"]},
        {"mz": [50.0], "intensity": [1.0]},
        {"mz": [[50.0]], "smiles": ["C"]},
        {"mz": [["50"]], "intensity": [["1"]]},
    ],
    ids=["texts", "numbers", "no intensity", "lists of texts"],
)
def test_other_tables_are_not_taken_for_it(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table(columns), path)
    assert find_format(path).name == "parquet"
    with pytest.raises(DataError, match=r"other\.parquet: the file has no column of the benchmark's schema"):
        list(read_file(path))


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "cut.parquet", *[TANDEM] * 50)
    content = bytearray(path.read_bytes())
    content[40:400] = b"\xff" * 360
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cut\.parquet: cannot be read as parquet"):
        list(read_file(path))


def test_a_file_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(pa.Table.from_pylist([TANDEM]).slice(0, 0), path)
    with pytest.raises(DataError, match="no record in the file"):
        list(read_file(path))


def test_the_published_spectra(shared_data: Path) -> None:
    """The first rows of each file; a spectrum of MassBank is a spectrum."""
    for name, kind in (("massbank_msms", TandemMS), ("massbank_ei", ElectronIonisationMS)):
        table = pq.read_table(shared_data / f"{name}.parquet").slice(0, 200)
        items = read_file(shared_data / f"{name}.parquet")
        for row, item in zip(table.to_pylist(), items):
            assert isinstance(item, Part)
            (spectrum,) = item.spectra
            assert isinstance(spectrum, kind)
            assert item.metadata["accession"] == row["accession"]
            assert item.metadata["role"] == row["role"]
            assert set(spectrum.mz.tolist()) <= set(row["mz"])
            assert item.smiles == row["smiles"]
