"""The formats: how one is found, what is said where none is, and the benchmark's parquet among them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import FLEX, FORMATS, find_format, read_file, suffix_of
from mmspec_ds.readers.part import Part, Rejected, one_line
from mmspec_ds.spectra.parquet_writer import write_records
from mmspec_ds.spectra.records import Modality, Record, TandemMS


def test_names_are_unique_and_every_format_holds_something() -> None:
    assert len({one.name for one in FORMATS}) == len({one.label for one in FORMATS}) == len(FORMATS)
    assert [one.name for one in FORMATS if not one.modalities] == [FLEX], "spectra of samples, not of molecules"
    assert all(suffix == suffix.lower() and suffix[0] == "." for one in FORMATS for suffix in one.suffixes)


def test_content_counts_more_than_a_wrong_suffix(sound_files: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "really.mgf"
    wrong.write_bytes((sound_files / "psims.mzML").read_bytes())
    assert find_format(wrong).name == "mzml"


def test_the_suffix_decides_where_the_content_does_not(tmp_path: Path) -> None:
    empty = tmp_path / "commented.MGF"
    empty.write_text("# nothing yet\n")
    assert find_format(empty).name == "mgf"


def test_a_modality_that_the_format_cannot_hold(sound_files: Path) -> None:
    with pytest.raises(DataError, match=r"gnps\.mgf: is MGF, which holds MS/MS, EI-MS, not 13C NMR"):
        read_file(sound_files / "gnps.mgf", Modality.C_NMR)
    assert find_format(sound_files / "gnps.mgf", Modality.MS).name == "mgf"


def test_suffixes() -> None:
    names = ("a.mgf", "a.MGF.gz", "a.b.mzML", "a", "a.gz")
    assert [suffix_of(Path(name)) for name in names] == [".mgf", ".mgf", ".mzml", "", ""]


def test_parquet_rows_are_parts_with_all_spectra(sound_files: Path) -> None:
    path = sound_files / "pyarrow.parquet"
    first, second = (item for item in read_file(path) if isinstance(item, Part))
    assert [len(first.spectra), len(second.spectra)] == [9, 2]
    assert (first.id, first.smiles, first.formula) == ("pyarrow.parquet:0", "CCO", "C2H6O")
    (carbon,) = [item for item in read_file(path, Modality.C_NMR) if isinstance(item, Part)]
    assert carbon.modalities == (Modality.C_NMR,)


def test_a_bad_row_is_rejected_in_its_place(sound_files: Path, tmp_path: Path) -> None:
    table = pq.read_table(sound_files / "pyarrow.parquet")
    rows = table.to_pylist()
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.Table.from_pylist([rows[0], {**rows[1], "smiles": "C1CC"}, rows[0]], table.schema), path)
    first, bad, last = read_file(path)
    assert isinstance(first, Part)
    assert isinstance(last, Part)
    assert isinstance(bad, Rejected)
    assert (bad.id, bad.number) == ("bad.parquet:1", 1)
    assert str(bad).startswith(f"{path}, record 1: column smiles: invalid SMILES 'C1CC'")


def test_peaks_of_a_parquet_file_are_put_in_order(tmp_path: Path) -> None:
    mz, intensity = np.array([77.0, 51.0, 77.0]), np.array([30.0, 50.0, 20.0])
    beyond = replace(TandemMS(mz, intensity, "positive", 20.0), mz=np.array([77.0, 51.0, 2e11]))
    rows = [
        Record("0", (TandemMS(mz, intensity, "positive", 20.0),), "c1ccccc1", "C6H6"),
        Record("1", (beyond,), "c1ccccc1", "C6H6"),
    ]
    path = tmp_path / "unordered.parquet"
    write_records(path, rows)
    part, rejected = list(read_file(path))
    assert isinstance(part, Part)
    assert isinstance(rejected, Rejected)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, TandemMS)
    assert spectrum.mz.tolist() == [51.0, 77.0]
    assert spectrum.intensity.tolist() == [100.0, 100.0], "30 and 20 at one m/z are 50, and so the base peak"
    assert part.remarks == ("1 peak added to another one of the same m/z",)
    assert rejected.id == "unordered.parquet:1"
    assert "m/z" in rejected.reason


def test_one_line() -> None:
    assert one_line("a\n b\t\x00c\x1b[31m") == r"a b \x00c\x1b[31m"
    assert one_line("x" * 300) == "x" * 197 + "..."
