"""The reader and the writer of the benchmark's parquet schema: round trip, laziness, both spellings, nulls."""

import dataclasses
import gc
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.parquet import (
    ReadReport,
    available_modalities,
    read_records,
    row_groups,
    write_records,
)
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Modality, Multiplet, Record, TandemMS

SLOTS: list[tuple[Any, float]] = [(p, e) for p in ("positive", "negative") for e in (10.0, 20.0, 40.0)]


def random_record(generator: np.random.Generator, row: int, present: Sequence[bool] = (True,) * 9) -> Record:
    """A record with up to nine spectra, those of `present`: 1H, 13C, IR, then six MS/MS."""

    def multiplet() -> Multiplet:
        centre, width = generator.uniform(0, 10), generator.uniform(0, 0.1)
        j = tuple(generator.uniform(0, 20, generator.integers(0, 4)).tolist())
        category = str(generator.choice(["s", "dd", "heptd", "m"]))
        return Multiplet(centre, centre + width, centre - width, category, int(generator.integers(0, 10)), j)

    def tandem(slot: tuple[Any, float]) -> TandemMS:
        peaks = generator.integers(1, 20)
        return TandemMS(generator.uniform(40, 500, peaks), generator.uniform(0.1, 100, peaks), *slot)

    spectra = [
        HydrogenNMR(tuple(multiplet() for _ in range(generator.integers(1, 6)))),
        CarbonNMR(tuple(generator.uniform(0, 200, generator.integers(1, 9)).tolist())),
        Infrared(generator.normal(size=40).astype(np.float32).astype(np.float64)),
        *(tandem(slot) for slot in SLOTS),
    ]
    kept = tuple(spectrum for spectrum, here in zip(spectra, present) if here)
    return Record(f"spectra.parquet:{row}", kept, "C" * (1 + row % 7) + "O", "C2H6O")


def assert_equal(left: Record, right: Record) -> None:
    assert (left.id, left.smiles, left.formula) == (right.id, right.smiles, right.formula)
    assert [type(spectrum) for spectrum in left.spectra] == [type(spectrum) for spectrum in right.spectra]
    for one, other in zip(left.spectra, right.spectra):
        for field in dataclasses.fields(one):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if isinstance(a, np.ndarray):
                assert a.dtype == b.dtype == np.float64
                np.testing.assert_array_equal(a, b)
            else:
                assert a == b


@pytest.mark.parametrize("rows", [1, 255, 257, 1001])
def test_what_is_written_reads_back(tmp_path: Path, rows: int) -> None:
    generator = np.random.default_rng(rows)
    # Any subset of the nine spectra, so that null cells stand beside full ones in every column.
    records = [
        random_record(generator, row, [*(generator.random(8) < 0.6).tolist(), True]) for row in range(rows)
    ]
    path = tmp_path / "spectra.parquet"
    assert write_records(path, iter(records)) == rows
    assert sum(row_groups(path)) == rows
    report = ReadReport()
    for left, right in zip(records, read_records(path, report=report), strict=True):
        assert_equal(left, right)
    assert (report.rows_read, report.rows_skipped, report.reasons) == (rows, 0, [])
    assert pq.ParquetFile(path).num_row_groups == -(-rows // 1000)


def test_the_published_sample_survives_a_round_trip(shared_data: Path, tmp_path: Path) -> None:
    published = list(read_records(shared_data / "alberts" / "example_data_1.parquet"))
    path = tmp_path / "example_data_1.parquet"
    assert write_records(path, published) == 100
    for left, right in zip(published, read_records(path), strict=True):
        assert_equal(left, right)


def test_the_published_sample_by_eye(shared_data: Path) -> None:
    path = shared_data / "alberts" / "example_data_1.parquet"
    record = next(read_records(path))
    assert record.id == "example_data_1.parquet:0"
    assert record.smiles == "CC(C)CCNc1ncc(F)cc1C(=O)O"
    assert record.formula == "C11H15FN2O2"
    hydrogen, carbon, infrared, *tandem = record.spectra
    assert isinstance(hydrogen, HydrogenNMR)
    assert hydrogen.multiplets[0] == Multiplet(
        8.118477854103567, 8.152183203386798, 8.084788727764348, "dd", 1, (1.6256103515625, 14.0802001953125)
    )
    assert isinstance(carbon, CarbonNMR)
    assert (len(carbon.shifts_ppm), carbon.shifts_ppm[0]) == (16, 169.53768365893262)
    assert isinstance(infrared, Infrared)
    assert (len(infrared.absorbance), infrared.start_cm1, infrared.stop_cm1) == (1800, 400, 4000)
    assert [(s.polarity, s.collision_energy_ev) for s in tandem if isinstance(s, TandemMS)] == SLOTS
    assert isinstance(tandem[0], TandemMS)
    assert tandem[0].mz.tolist() == [157.04078, 227.11903]
    assert tandem[0].intensity.tolist() == [62.43, 100.0]
    assert sum(row_groups(path)) == 100
    assert available_modalities(path) == tuple(Modality)[:-1]  # but for EI-MS


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "spectra.parquet"
    write_records(path, [random_record(np.random.default_rng(0), 0)])
    for modality in (Modality.H_NMR, Modality.C_NMR, Modality.IR, Modality.MS):
        (record,) = read_records(path, modalities=[modality, modality])
        assert {spectrum.modality for spectrum in record.spectra} == {modality}
        assert len(record.spectra) == (6 if modality is Modality.MS else 1)
    (record,) = read_records(path, modalities=[])
    assert (record.spectra, record.smiles) == ((), "CO")


def rewrite(source: Path, target: Path, edit: Any) -> Path:
    pq.write_table(edit(pq.read_table(source)), target)
    return target


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "spectra.parquet"
    write_records(path, [random_record(np.random.default_rng(row), row) for row in range(3)])
    return path


def test_both_spellings_of_the_ms_columns(written: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    renamed = rewrite(
        written,
        tmp_path / "other" / "spectra.parquet",
        lambda table: table.rename_columns([n.replace("msms_", "msms_cfmid_") for n in table.column_names]),
    )
    assert "msms_cfmid_negative_40ev" in pq.read_schema(renamed).names
    for left, right in zip(read_records(written), read_records(renamed), strict=True):
        assert_equal(left, right)


def test_the_plain_spelling_wins_where_both_are(written: Path, tmp_path: Path) -> None:
    def add_other(table: pa.Table) -> pa.Table:
        return table.append_column("msms_cfmid_positive_10ev", table["msms_positive_40ev"])

    both = rewrite(written, tmp_path / "both.parquet", add_other)
    plain, mixed = (next(read_records(path, modalities=[Modality.MS])) for path in (written, both))
    assert isinstance(plain.spectra[0], TandemMS)
    assert isinstance(mixed.spectra[0], TandemMS)
    assert plain.spectra[0].mz.tolist() == mixed.spectra[0].mz.tolist()


def test_some_of_the_ms_columns_are_enough(written: Path, tmp_path: Path) -> None:
    one = rewrite(
        written, tmp_path / "one.parquet", lambda table: table.select(["smiles", "msms_negative_20ev"])
    )
    for record in read_records(one, modalities=[Modality.MS]):
        assert [(s.polarity, s.collision_energy_ev) for s in record.spectra if isinstance(s, TandemMS)] == [
            ("negative", 20.0)
        ]
    assert available_modalities(one) == (Modality.MS,)


def test_a_file_to_predict_has_no_smiles(written: Path, tmp_path: Path) -> None:
    bare = rewrite(
        written, tmp_path / "bare.parquet", lambda table: table.drop_columns(["smiles", "molecular_formula"])
    )
    records = list(read_records(bare, require_smiles=False))
    assert [(record.smiles, record.formula, len(record.spectra)) for record in records] == [(None, None, 9)] * 3
    with pytest.raises(DataError, match="column smiles: the column is missing"):
        read_records(bare)


def test_smiles_become_canonical_unless_asked_not_to(written: Path, tmp_path: Path) -> None:
    def spell(table: pa.Table) -> pa.Table:
        return table.set_column(0, "smiles", pa.array(["OCC", "C1=CC=CC=C1", "C"]))

    other = rewrite(written, tmp_path / "other.parquet", spell)
    assert [record.smiles for record in read_records(other)] == ["CCO", "c1ccccc1", "C"]
    assert [r.smiles for r in read_records(other, canonicalise=False)] == ["OCC", "C1=CC=CC=C1", "C"]


@pytest.mark.parametrize("kind", ["large_lists", "single_precision", "fixed_size_pairs", "categories"])
def test_other_arrow_types_of_the_same_content(written: Path, tmp_path: Path, kind: str) -> None:
    pairs = {
        "large_lists": pa.large_list(pa.large_list(pa.float64())),
        "single_precision": pa.list_(pa.list_(pa.float32())),
        "fixed_size_pairs": pa.list_(pa.list_(pa.float64(), 2)),
    }

    def convert(table: pa.Table) -> pa.Table:
        if kind == "categories":
            return table.set_column(0, "smiles", table["smiles"].dictionary_encode())
        place = table.column_names.index("msms_positive_10ev")
        return table.set_column(place, "msms_positive_10ev", table["msms_positive_10ev"].cast(pairs[kind]))

    converted = rewrite(written, tmp_path / "converted.parquet", convert)
    assert pq.read_schema(converted) != pq.read_schema(written)
    for left, right in zip(read_records(written), read_records(converted), strict=True):
        assert left.smiles == right.smiles
        one, other = next(left.of(Modality.MS)), next(right.of(Modality.MS))
        assert isinstance(one, TandemMS)
        assert isinstance(other, TandemMS)
        np.testing.assert_allclose(one.mz, other.mz, rtol=1e-7)
        np.testing.assert_allclose(one.intensity, other.intensity, rtol=1e-7)


def test_a_column_of_nothing_but_nulls_means_no_such_spectrum(written: Path, tmp_path: Path) -> None:
    def blank(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index("ir_spectra"), "ir_spectra", pa.nulls(3))

    blanked = rewrite(written, tmp_path / "blank.parquet", blank)
    assert pa.types.is_null(pq.read_schema(blanked).field("ir_spectra").type)
    for record in read_records(blanked):
        assert [s.modality for s in record.spectra] == [Modality.H_NMR, Modality.C_NMR] + [Modality.MS] * 6
    with pytest.raises(DataError, match="row 0, column ir_spectra: every spectrum is null"):
        next(read_records(blanked, modalities=[Modality.IR]))


def damage(path: Path, column: str, row_group: int) -> None:
    """Overwrite the pages of one column in one row group."""
    metadata = pq.read_metadata(path).row_group(row_group)
    chunks = [metadata.column(i) for i in range(metadata.num_columns)]
    chunk = next(chunk for chunk in chunks if chunk.path_in_schema.startswith(column))
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)


def test_columns_that_are_not_asked_for_are_not_touched(written: Path) -> None:
    damage(written, "ir_spectra", 0)
    nmr = [Modality.H_NMR, Modality.C_NMR, Modality.MS]
    assert len(list(read_records(written, modalities=nmr))) == 3
    with pytest.raises(DataError, match="cannot be read as parquet") as caught:
        list(read_records(written))
    assert "\n" not in str(caught.value)


def test_fields_that_are_not_read_are_not_touched(written: Path) -> None:
    modalities = [Modality.H_NMR, Modality.C_NMR]
    before = list(read_records(written, modalities=modalities))
    for path in ("c_nmr_peaks.list.element.integral", "h_nmr_peaks.list.element.delta"):
        damage(written, path, 0)
    for left, right in zip(read_records(written, modalities=modalities), before, strict=True):
        assert_equal(left, right)
    damage(written, "c_nmr_peaks.list.element.delta (ppm)", 0)
    with pytest.raises(DataError, match="cannot be read as parquet"):
        list(read_records(written, modalities=modalities))


def test_a_file_that_was_read_leaves_no_footer_behind(written: Path) -> None:
    gc.collect()
    gc.disable()  # what is in a cycle would stay, 4 MB for a file of 200 row groups
    try:
        for _ in range(3):
            list(read_records(written))
        left = [type(one).__name__ for one in gc.get_objects()]
    finally:
        gc.enable()
    assert not {"FileMetaData", "ParquetSchema"}.intersection(left)


def test_reading_is_lazy_by_row_group(tmp_path: Path) -> None:
    path = tmp_path / "spectra.parquet"
    generator = np.random.default_rng(0)
    write_records(path, (random_record(generator, row) for row in range(1010)))
    damage(path, "ir_spectra", 1)
    records = read_records(path)
    assert len(list(islice(records, 1000))) == 1000
    with pytest.raises(DataError, match="cannot be read as parquet"):
        next(records)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(written: Path) -> None:
    before = written.read_bytes()

    def failing() -> Iterator[Record]:
        yield random_record(np.random.default_rng(0), 0)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write_records(written, failing())
    assert written.read_bytes() == before
    assert [entry.name for entry in written.parent.iterdir()] == ["spectra.parquet"]


PEAK = np.array([50.0])


@pytest.mark.parametrize(
    ("spectra", "message"),
    [
        ((Infrared(np.zeros(5), 600.0, 4000.0),), "IR grid from 600 to 4000"),
        ((CarbonNMR((1.0,)), CarbonNMR((2.0,))), "two spectra for column c_nmr_peaks"),
    ],
    ids=["grid", "twice"],
)
def test_what_the_schema_cannot_hold_is_refused(tmp_path: Path, spectra: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_records(tmp_path / "spectra.parquet", [Record("r", spectra, "CCO")])
    assert list(tmp_path.iterdir()) == []


def test_the_written_types_are_those_of_the_published_sample(shared_data: Path, written: Path) -> None:
    published = pq.read_schema(shared_data / "alberts" / "example_data_1.parquet")
    for field in pq.read_schema(written):
        name = field.name if field.name in published.names else field.name.replace("msms_", "msms_cfmid_")
        assert field.type == published.field(name).type, name
