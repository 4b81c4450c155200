"""The parquet of measured shifts and MS/MS: rows worked out by hand, and rows that cannot be right."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality, TandemMS

TANDEM = {
    "accession": "A1",
    "ion_mode": "POSITIVE",
    "precursor_type": "[M+H]+",
    "precursor_mz": 47.05,
    "collision_energy": "20",
    "instrument_type": "ESI-QTOF",
    "license": "CC0",
    "mz": [29.0, 47.05],
    "intensity": [0.5, 1.0],
}
ROW: dict[str, Any] = {
    "smiles": "CCO",
    "inchikey14": "LFQSCWFLJHTTHZ",
    "formula": "C2H6O",
    "h_nmr_shift": [3.7, 3.7, 1.2, 1.2, 1.2, 2.6],
    "h_nmr_mult": ["q", "q", "t", "", "", ""],
    "c_nmr_shift": [18.1, 57.8],
    "c_nmr_mult": ["Q", "T"],
    "nmr_solvent": "0:Unreported ",
    "ms2": [TANDEM],
}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist([{**ROW, **row} for row in rows]), path)
    return path


def only(path: Path, modality: Modality | None = None) -> Part:
    (item,) = read_file(path, modality)
    assert isinstance(item, Part)
    return item


def test_a_row_is_a_part(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {})
    assert find_format(path).name == "measured"
    part = only(path)
    hydrogen, carbon, tandem = part.spectra
    assert isinstance(hydrogen, HydrogenNMR)
    said = [(m.centroid_ppm, m.category, m.hydrogens, m.j_hz) for m in hydrogen.multiplets]
    assert said == [(3.7, "q", 2, ()), (2.6, "m", 1, ()), (1.2, "t", 3, ())]
    edges = [edge for m in hydrogen.multiplets for edge in (m.min_ppm, m.max_ppm)]
    assert edges == pytest.approx([3.683, 3.717, 2.583, 2.617, 1.183, 1.217], abs=1e-12)
    assert carbon == CarbonNMR((57.8, 18.1), (2, 3))
    assert isinstance(tandem, TandemMS)
    assert (tandem.polarity, tandem.collision_energy_ev) == ("positive", 20.0)
    np.testing.assert_array_equal(tandem.mz, [29.0, 47.05])
    np.testing.assert_array_equal(tandem.intensity, [50.0, 100.0])
    assert (part.id, part.smiles, part.formula) == ("a.parquet:0", "CCO", "C2H6O")
    assert part.metadata == {"inchikey": "LFQSCWFLJHTTHZ", "solvent": "0:Unreported"}
    assert part.remarks == (
        "1 1H signals without a multiplicity taken for m",
        "ranges of the 1H signals and couplings are not listed: those of single lines taken",
        "multiplicities s, d, t, q of 13C lines read as C, CH, CH2, CH3",
    )
    assert (tandem.precursor_mz, tandem.adduct, tandem.charge) == (47.05, "[M+H]+", 1)
    assert tandem.measured_energy_ev == 20.0


def test_spectra_of_one_energy_are_merged(tmp_path: Path) -> None:
    other = {**TANDEM, "accession": "A2", "collision_energy": "25 eV", "mz": [29.001], "intensity": [8.0]}
    negative = {**TANDEM, "ion_mode": "NEGATIVE", "precursor_type": "[M-H]-", "collision_energy": "nan"}
    part = only(write(tmp_path / "a.parquet", {"ms2": [negative, TANDEM, other]}), Modality.MS)
    positive, last = part.spectra
    assert isinstance(positive, TandemMS)
    assert isinstance(last, TandemMS)
    # 0.5 at 29.000 and 1 at 29.001 joined: 1.5 at (14.5 + 29.001) / 1.5; against 1 at 47.05
    np.testing.assert_allclose(positive.mz, [43.501 / 1.5, 47.05], rtol=1e-12)
    np.testing.assert_allclose(positive.intensity, [100.0, 100.0 / 1.5], rtol=1e-12)
    assert (last.polarity, last.collision_energy_ev) == ("negative", 20.0)
    assert "A1: no collision energy, taken as 20 eV" in part.remarks
    assert "A2: 25 eV read as 20 eV, the nearest energy of the benchmark" in part.remarks


def test_what_was_not_measured_is_absent(tmp_path: Path) -> None:
    part = only(write(tmp_path / "a.parquet", {"h_nmr_shift": [], "ms2": []}))
    assert part.modalities == (Modality.C_NMR,)
    part = only(write(tmp_path / "b.parquet", {"h_nmr_shift": None, "c_nmr_shift": None}), Modality.MS)
    assert part.modalities == (Modality.MS,)


@pytest.mark.parametrize(
    ("row", "remark"),
    [
        ({"h_nmr_shift": [3.0, float("nan")]}, "h_nmr_shift left out: h_nmr_shift holds something that is not"),
        ({"h_nmr_shift": [3.0, 300.0]}, "h_nmr_shift left out: a 1H shift of 300 ppm, expected -10 to 30"),
        ({"c_nmr_shift": [1e9]}, "c_nmr_shift left out: a 13C shift of 1e+09 ppm, expected -50 to 300"),
        ({"c_nmr_shift": [20.0, 20.0]}, "1 repeated shift left out: a line is listed once"),
        ({"ms2": [TANDEM, {**TANDEM, "accession": "B", "mz": [1.0]}]}, "B left out: "),
        ({"ms2": [TANDEM, {**TANDEM, "accession": "B", "mz": None}]}, "B left out: "),
        ({"ms2": [TANDEM, None]}, "an MS/MS spectrum left out: not a spectrum with fields"),
        ({"ms2": [TANDEM, {**TANDEM, "accession": "B", "ion_mode": "NEGATIVE"}]}, "B left out: the ion mode"),
        ({"smiles": "C1CC"}, "SMILES C1CC is not a valid structure, left out"),
        ({"formula": "water"}, "formula water is not understood, left out"),
        ({"h_nmr_shift": [3.0, 2.0]}, "no shift is listed twice: one hydrogen taken for every signal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_right_is_left_out_with_a_remark(
    tmp_path: Path, row: dict[str, Any], remark: str
) -> None:
    part = only(write(tmp_path / "a.parquet", row))
    assert any(one.startswith(remark) for one in part.remarks), part.remarks
    assert len(part.spectra) >= 2


def test_a_row_without_any_spectrum_is_rejected(tmp_path: Path) -> None:
    empty: dict[str, Any] = {"h_nmr_shift": [], "c_nmr_shift": [], "ms2": []}
    bad = {**empty, "c_nmr_shift": [1e9]}
    first, second, third = read_file(write(tmp_path / "a.parquet", empty, bad, {}))
    assert isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert str(first).endswith("a.parquet, record 0: every list of spectra is empty")
    assert "record 1: c_nmr_shift left out: a 13C shift" in str(second)
    assert isinstance(third, Part)
    assert third.id == "a.parquet:2"


@pytest.mark.parametrize(
    "column", [{"h_nmr_shift": "3.7"}, {"c_nmr_shift": 5}, {"c_nmr_shift": [["a"]]}, {"ms2": [4]}, {"ms2": "x"}]
)
def test_columns_of_other_types(tmp_path: Path, column: dict[str, Any]) -> None:
    part = only(write(tmp_path / "a.parquet", column))
    assert len(part.spectra) == 2
    assert any("left out" in remark for remark in part.remarks)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as parquet"):
        list(read_file(path))


def test_rows_of_the_real_file(shared_data: Path) -> None:
    """Compared by eye with what the columns hold."""
    parts = [item for item in read_file(shared_data / "experimental_ms_nmr.parquet") if isinstance(item, Part)]
    assert len(parts) == 710
    kinds = [{Modality.H_NMR, Modality.C_NMR} & set(part.modalities) for part in parts]
    assert sum(Modality.H_NMR in kind for kind in kinds) == 431
    assert sum(Modality.C_NMR in kind for kind in kinds) == 682
    assert sum(len(kind) == 2 for kind in kinds) == 403
    triazole, aminopyridine = parts[5], parts[248]
    assert (triazole.smiles, triazole.formula) == ("c1c[nH]nn1", "C2H3N3")
    assert triazole.spectra[0] == CarbonNMR((131.6,), (1,))  # listed for two equal CH
    hydrogen, carbon, *tandem = aminopyridine.spectra
    assert isinstance(hydrogen, HydrogenNMR)
    assert [(m.centroid_ppm, m.category, m.hydrogens) for m in hydrogen.multiplets] == [
        (7.89, "ddd", 1),
        (7.34, "dt", 1),
        (6.441, "m", 2),
        (5.874, "s", 2),
    ]
    assert carbon == CarbonNMR((158.9, 147.7, 137.5, 113.3, 108.5), (0, 1, 1, 1, 1))
    assert all(isinstance(one, TandemMS) for one in tandem)
