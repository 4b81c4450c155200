"""What the paper's benchmark does not use: HSQC, hydrogens on a carbon, precursors; as tokens and in files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.modalities.ms import ADDUCTS
from mmspec_ds.spectra.parquet import available_modalities, read_records, write_records
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HSQCPeak, Modality, Record, Spectrum, TandemMS
from mmspec_ds.spectra.registry import CompressionSettings, compress_record, schema_of

ALL = (Modality.C_NMR, Modality.MS, Modality.HSQC)
EDITED = HSQC((HSQCPeak(20.04, 1.26, 3, 50.0), HSQCPeak(60.0, 3.6, 2, -100.0), HSQCPeak(128.4, 7.26)))
MZ, INTENSITY = np.array([50.0, 91.05]), np.array([20.0, 100.0])


def tokens_of(spectrum: Spectrum, options: dict[str, Any]) -> Any:
    settings = CompressionSettings.model_validate(options)
    (tokens,) = compress_record(Record("r", (spectrum,)), [spectrum.modality], settings).values()
    schema = schema_of(spectrum.modality, settings)
    assert tokens.discrete.shape[1] == len(schema.discrete)
    assert tokens.continuous.shape[1] == len(schema.continuous)
    assert (tokens.discrete < [field.size for field in schema.discrete]).all()
    return tokens


def written(path: Path, *spectra: Spectrum, number: int = 1) -> list[Record]:
    """What is read of a file of records with these spectra, of all modalities in the file."""
    write_records(path, (Record(str(row), spectra, "CCO") for row in range(number)))
    return list(read_records(path, modalities=[m for m in available_modalities(path) if m != Modality.FORMULA]))


def assert_same(found: Record, *spectra: Spectrum) -> None:
    assert len(found.spectra) == len(spectra)
    for one, other in zip(found.spectra, spectra):
        assert type(one) is type(other)
        if isinstance(one, TandemMS) and isinstance(other, TandemMS):
            np.testing.assert_array_equal(one.mz, other.mz)
            np.testing.assert_array_equal(one.intensity, other.intensity)
            one, other = (replace(s, mz=MZ, intensity=MZ) for s in (one, other))
        assert repr(one) == repr(other)


# HSQC


def test_cross_peaks_by_hand() -> None:
    tokens = tokens_of(EDITED, {})
    # Bins of 0.1 ppm from -20 and -2 ppm; from high to low 13C shift; hydrogens; whether there is an intensity.
    assert tokens.discrete.tolist() == [[1484, 93, 0, 0], [800, 56, 2, 1], [400, 33, 3, 1]]
    assert tokens.continuous.tolist() == [[0.0], [-1.0], [0.5]]


def test_cross_peaks_are_cut_and_kept_within_their_fields() -> None:
    wide = HSQC((HSQCPeak(-30.0, 20.0, 40), HSQCPeak(300.0, -5.0), HSQCPeak(10.0, 1.0), HSQCPeak(10.0, 2.0)))
    assert tokens_of(wide, {"hsqc": {"max_tokens": 3}}).discrete.tolist() == [
        [2700, 0, 0, 0],
        [300, 40, 0, 0],
        [300, 30, 0, 0],
    ]
    assert tokens_of(HSQC(wide.peaks[:1]), {}).discrete.tolist() == [[0, 200, 31, 0]]


def test_cross_peaks_survive_a_file(tmp_path: Path) -> None:
    (found,) = written(tmp_path / "a.parquet", EDITED)
    assert_same(found, EDITED)
    bare = HSQC(tuple(replace(peak, intensity=None) for peak in EDITED.peaks))
    (found,) = written(tmp_path / "b.parquet", bare)
    assert_same(found, bare)


def test_the_written_cross_peaks_have_the_types_of_the_benchmark(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "alberts" / "example_data_1.parquet"
    records = list(read_records(path, modalities=[Modality.HSQC]))
    assert sum(len(spectrum.peaks) for one in records for spectrum in one.spectra) == 841  # type: ignore[union-attr]
    assert records[0].spectra[0].peaks[0] == HSQCPeak(22.482829447091945, 1.0000040003615054, 3)  # type: ignore[union-attr]
    write_records(tmp_path / "a.parquet", records)
    kinds = [pq.read_schema(one).field("hsqc_nmr_peaks").type for one in (path, tmp_path / "a.parquet")]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"13C_centroid": None}, "13C_centroid is missing"),
        ({"13C_centroid": 301.0}, "301 ppm is outside -50 to 300 ppm"),
        ({"1H_centroid": 31.0}, "31 ppm is outside -10 to 30 ppm"),
        ({"nH": 1.5}, "nH is 1.5"),
        ({"intensity": float("inf")}, "intensity is infinite"),
    ],
    ids=str,
)
def test_a_cross_peak_that_cannot_be_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    peak = {"13C_centroid": 20.0, "1H_centroid": 1.0, "nH": None, "intensity": 1.0}
    cells = [[peak], [peak, {**peak, **change}]]
    pq.write_table(pa.table({"smiles": ["C", "CC"], "hsqc_nmr_peaks": cells}), tmp_path / "a.parquet")
    records = read_records(tmp_path / "a.parquet", modalities=[Modality.HSQC])
    assert next(records).spectra == (HSQC((HSQCPeak(20.0, 1.0, None, 1.0),)),)
    with pytest.raises(DataError, match=rf"row 1, column hsqc_nmr_peaks: .*{words}"):
        next(records)


# Hydrogens on a carbon


DEPT = CarbonNMR((58.2, 18.1, 128.0, 200.0), (2, 3, None, 0))


def test_multiplicities_by_hand() -> None:
    assert tokens_of(DEPT, {"c_nmr": {"multiplicity": True}}).discrete.tolist() == [
        [2200, 1],
        [1480, 0],
        [782, 3],
        [381, 4],
    ]
    assert tokens_of(DEPT, {}).discrete.tolist() == [[2200], [1480], [782], [381]]
    unknown = CarbonNMR(DEPT.shifts_ppm)
    assert not tokens_of(unknown, {"c_nmr": {"multiplicity": True}}).discrete[:, 1].any()


def test_multiplicities_survive_a_file(tmp_path: Path) -> None:
    (found,) = written(tmp_path / "a.parquet", DEPT)
    assert_same(found, DEPT)
    plain = CarbonNMR(DEPT.shifts_ppm)
    (found,) = written(tmp_path / "b.parquet", plain)
    assert_same(found, plain)
    with_column, without = (pq.read_schema(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert set(with_column.names) - set(without.names) == {"c_nmr_attached_hydrogens"}
    kind = with_column.field("c_nmr_peaks").type
    assert kind == without.field("c_nmr_peaks").type, "the benchmark's own columns stay as they were"
    assert [field.name for field in kind.value_type] == ["delta (ppm)", "integral", "intensity", "width (ppm)"]


def test_a_multiplicity_that_cannot_be_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for attached, reason in (
        ([4], "attached hydrogens are 4, expected 0 to 3"),
        ([1, 2], "has 2 values for 1 lines"),
    ):
        columns = {"smiles": ["C"], "c_nmr_peaks": [[{"delta (ppm)": 10.0}]]}
        pq.write_table(pa.table(columns | {"c_nmr_attached_hydrogens": [attached]}), path)
        with pytest.raises(DataError, match=f"c_nmr_attached_hydrogens: {reason}"):
            next(read_records(path, modalities=[Modality.C_NMR]))


def test_a_file_gets_a_column_when_the_first_record_needs_it(tmp_path: Path) -> None:
    """1,000 records are a row group; those before have nulls there."""
    plain = Record("", (CarbonNMR((1.0,)), TandemMS(MZ, INTENSITY, "positive", 10.0)), "C")
    ion = TandemMS(MZ, INTENSITY, "positive", 35.0, 92.06, "[M+H]+", 1)
    path = tmp_path / "a.parquet"
    records = [plain] * 1500 + [Record("", (DEPT, ion, EDITED), "C")] + [plain] * 600
    assert write_records(path, records) == 2101
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
    found = list(read_records(path, modalities=ALL))
    assert_same(found[1500], DEPT, ion, EDITED)
    assert_same(found[0], *plain.spectra)
    assert_same(found[2100], *plain.spectra)


# Precursors


def ions() -> list[TandemMS]:
    """What the benchmark's columns cannot hold, besides what they can."""
    return [
        TandemMS(MZ, INTENSITY, "positive", 20.0),
        TandemMS(MZ[:1], INTENSITY[:1], "positive", 10.0, 195.0877, "[M+H]+", 1, 12.5),
        TandemMS(MZ + 1, INTENSITY, "positive", 20.0, adduct="[M+Na]+"),
        TandemMS(MZ, INTENSITY, "negative", 35.0, charge=-1),
        TandemMS(MZ, INTENSITY, "negative", None),
    ]


def test_a_precursor_by_hand() -> None:
    ion = TandemMS(MZ, INTENSITY, "negative", 20.0, 195.0877, "[M-H]-", -1, 27.5)
    tokens = tokens_of(ion, {"ms": {"precursor": True}})
    # Energy bin of 20 eV, negative, the precursor, its adduct, charge -1, 27 to 28 eV; then the peaks.
    assert tokens.discrete.tolist() == [[5, 1, 1, ADDUCTS.index("[M-H]-"), 3, 28], *[[5, 1, 0, 0, 0, 0]] * 2]
    np.testing.assert_allclose(tokens.continuous, [[195.0877, 0], [50, 0.2], [91.05, 1]], rtol=1e-6)
    assert tokens_of(ion, {}).discrete.tolist() == [[5, 1]] * 2


@pytest.mark.parametrize(("charge", "value"), [(None, 0), (-5, 1), (-3, 1), (-1, 3), (1, 4), (3, 6), (9, 6)])
def test_the_charge_of_a_precursor(charge: int | None, value: int) -> None:
    ion = TandemMS(MZ, INTENSITY, charge=charge, adduct="[M+Xe]+")
    first = tokens_of(ion, {"ms": {"precursor": True}}).discrete[0].tolist()
    assert first == [0, 0, 2, ADDUCTS.index("other"), value, 0]


def test_precursors_count_towards_the_tokens_of_a_record() -> None:
    options = CompressionSettings.model_validate({"ms": {"precursor": True, "max_tokens": 7}})
    spectra = [TandemMS(np.arange(1.0, 10), np.arange(1.0, 10), "positive", 10.0) for _ in range(3)]
    (tokens,) = compress_record(Record("r", tuple(spectra)), [Modality.MS], options).values()
    assert tokens.discrete[:, 2].tolist() == [2, 0] * 3
    assert tokens.continuous[:, 0].tolist() == [0, 9] * 3
    spectra *= 3  # more than there is room for: a precursor and a peak each
    (tokens,) = compress_record(Record("r", tuple(spectra)), [Modality.MS], options).values()
    assert tokens.discrete[:, 2].tolist() == [2, 0] * 3


def test_measured_spectra_survive_a_file(tmp_path: Path) -> None:
    (found,) = written(tmp_path / "a.parquet", *ions())
    assert_same(found, *ions())
    table = pq.read_table(tmp_path / "a.parquet")
    # What the benchmark has a column for is in it.
    assert table["msms_positive_10ev"].to_pylist() == [[[50.0, 20.0]]]
    assert table["msms_positive_20ev"].to_pylist() == [[[50.0, 20.0], [91.05, 100.0]]]
    listed = table["msms_spectra"].to_pylist()[0]
    assert [entry["column"] for entry in listed] == [
        "msms_positive_20ev",
        "msms_positive_10ev",
        None,
        None,
        None,
    ]


def test_spectra_of_the_benchmark_need_no_further_column(tmp_path: Path) -> None:
    spectra = [TandemMS(MZ, INTENSITY, "positive", 20.0), TandemMS(MZ, INTENSITY, "negative", 10.0)]
    (found,) = written(tmp_path / "a.parquet", *spectra)
    assert_same(found, *spectra)
    assert "msms_spectra" not in pq.read_schema(tmp_path / "a.parquet").names
    (found,) = written(tmp_path / "b.parquet", *reversed(spectra))  # their order would be lost
    assert_same(found, *reversed(spectra))


def test_rows_with_and_without_further_spectra(tmp_path: Path) -> None:
    path, plain = tmp_path / "a.parquet", [TandemMS(MZ, INTENSITY, "negative", 40.0)]
    cases = [plain, ions(), [], plain, ions()[2:3], ions()[3:]]
    records = [Record("", (CarbonNMR((1.0,)), *spectra), "C") for spectra in cases]
    write_records(path, records)
    found = list(read_records(path, modalities=ALL[:2]))
    for record, expected in zip(found, records, strict=True):
        assert_same(record, *expected.spectra)
    settings = CompressionSettings.model_validate({"ms": {"precursor": True}})
    for record, expected in zip(found, records):
        one, other = (compress_record(r, [Modality.MS], settings) for r in (record, expected))
        assert one.keys() == other.keys()
        for modality, tokens in one.items():
            np.testing.assert_array_equal(tokens.discrete, other[modality].discrete)
            np.testing.assert_array_equal(tokens.continuous, other[modality].continuous)


def test_entries_find_their_column_under_the_other_spelling(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    written(path, *ions())
    table = pq.read_table(path)
    names = [name.replace("msms_p", "msms_cfmid_p") for name in table.column_names]
    pq.write_table(table.rename_columns(names), path)
    (found,) = read_records(path, modalities=[Modality.MS])
    assert_same(found, *ions())


ENTRY = {
    "column": None,
    "polarity": "positive",
    "collision_energy_ev": None,
    "measured_energy_ev": None,
    "precursor_mz": 100.0,
    "adduct": None,
    "charge": 1,
    "mz": [50.0],
    "intensity": [1.0],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"polarity": "neutral"}, "polarity is 'neutral'"),
        ({"column": "msms_positive_10ev"}, "no column msms_positive_10ev"),
        ({"mz": [50.0, 60.0]}, "2 m/z and 1 intensities"),
        ({"mz": None, "intensity": None}, "0 m/z and 0 intensities"),
        ({"mz": [-1.0]}, "is not m/z and intensity"),
        ({"intensity": [float("nan")]}, "is not m/z and intensity"),
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.parquet"
    cells = [[ENTRY], [ENTRY, {**ENTRY, **change}], [ENTRY]]
    pq.write_table(pa.table({"smiles": ["C", "CC", "CCC"], "msms_spectra": cells}), path)
    found = list(read_records(path, modalities=[Modality.MS], on_invalid="skip"))
    assert [record.id for record in found] == ["a.parquet:0", "a.parquet:2"]
    with pytest.raises(DataError, match=rf"row 1, column msms_spectra: .*{words}"):
        list(read_records(path, modalities=[Modality.MS]))
