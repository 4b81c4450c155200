"""Preparing: the same tokens as reading, the same bytes however it is done, nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.reading import ReadOptions, read_dataset
from mmspec_ds.data.shards.dataset import ShardedDataset
from mmspec_ds.data.shards.folder import open_folder, verify_folder
from mmspec_ds.data.shards.plan import PLAN, PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards
from mmspec_ds.data.shards.rows import Shard, open_shard
from mmspec_ds.errors import DataError
from mmspec_ds.files import read_manifest
from mmspec_ds.molecules.splits import SplitSettings
from mmspec_ds.spectra.parquet import ReadReport

Write = Callable[..., Path]
SMALL = PrepareSettings(shard_rows=8)


def contents(folder: Path) -> dict[str, str]:
    """The checksum of every file of a folder, hidden ones too."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def replace_cell(path: Path, column: str, row: int, value: object) -> None:
    """Write a file again with another value in one cell."""
    table = pq.read_table(path)
    at = table.schema.get_field_index(column)
    cells = table.column(column).to_pylist()
    cells[row] = value
    pq.write_table(table.set_column(at, column, pa.array(cells, table.schema.field(column).type)), path)


def shards_of(folder: Path) -> list[Shard]:
    return [open_shard(folder / entry["file"]) for entry in read_manifest(folder)["shards"]]


def everything(folder: Path, settings: DataSettings) -> ShardedDataset:
    """All rows of a folder, whatever their split."""
    opened = open_folder(folder, settings)
    counts = [len(shard.rows) for shard in opened.shards]
    rows = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
    schemas = InputEncoding.from_settings(settings).schemas
    return ShardedDataset(opened, np.repeat(np.arange(len(counts), dtype=np.int32), counts), rows, schemas)


def assert_as_read(folder: Path, files: list[Path], skip_invalid: bool = False) -> ReadReport:
    """A folder holds, row by row and bit by bit, what reading its files gives."""
    settings = DataSettings(formula=True)
    report, options = ReadReport(), ReadOptions(skip_invalid=skip_invalid)
    expected = read_dataset(files, InputEncoding.from_settings(settings), options, report=report)
    data = everything(folder, settings)
    found = data.subset(np.arange(len(data)))
    assert found.ids == expected.ids
    assert found.smiles == expected.smiles
    for modality, packed in expected.tokens.items():
        np.testing.assert_array_equal(found.tokens[modality].offsets, packed.offsets)
        np.testing.assert_array_equal(found.tokens[modality].discrete, packed.discrete)
        np.testing.assert_array_equal(found.tokens[modality].continuous, packed.continuous)
    return report


def test_the_published_rows_are_prepared_as_they_are_read(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "alberts" / "example_data_1.parquet"
    summary = prepare_shards([path], tmp_path / "out", PrepareSettings(shard_rows=30))
    assert (summary.shards, sum(summary.splits.values()), summary.duplicates) == (4, 100, 0)
    assert_as_read(tmp_path / "out", [path])


def test_odd_rows_are_refused_as_reading_refuses_them(write: Write, tmp_path: Path) -> None:
    path = write(range(30))
    replace_cell(path, "smiles", 3, "C1CC")
    replace_cell(path, "smiles", 4, None)
    replace_cell(path, "ir_spectra", 9, [1.0, 2.0])
    replace_cell(path, "c_nmr_peaks", 10, [])
    replace_cell(path, "molecular_formula", 11, "Xx2")
    replace_cell(path, "msms_positive_20ev", 12, [[50.0, 0.0]])
    replace_cell(path, "h_nmr_peaks", 20, None)
    for column in pq.read_schema(path).names:
        if column not in ("smiles", "molecular_formula"):
            replace_cell(path, column, 21, None)
    with pytest.raises(DataError, match=r"rows.parquet, row 3, column smiles: invalid SMILES 'C1CC'"):
        prepare_shards([path], tmp_path / "out", SMALL)
    summary = prepare_shards([path], tmp_path / "out", SMALL, skip_invalid=True)
    report = assert_as_read(tmp_path / "out", [path], skip_invalid=True)
    assert list(summary.examples) == report.reasons
    assert len(summary.examples) == report.rows_skipped == 7
    spectra = next(column for column in summary.rejected if "," in column)
    assert summary.rejected == {
        "smiles": 2,
        "ir_spectra": 1,
        "c_nmr_peaks": 1,
        "molecular_formula": 1,
        "msms_positive_20ev": 1,
        spectra: 1,
    }


@pytest.mark.parametrize("kind", ["large", "dictionary", "no formula", "null column"])
def test_other_arrow_types_of_the_same_content(write: Write, tmp_path: Path, kind: str) -> None:
    path = write(range(12))
    table = pq.read_table(path)

    def changed(column: pa.ChunkedArray) -> pa.ChunkedArray:
        if kind == "large" and pa.types.is_list(column.type):
            return column.cast(pa.large_list(column.type.value_type))
        if kind == "large":
            return column.cast(pa.large_string())
        return column.dictionary_encode() if pa.types.is_string(column.type) else column

    match kind:
        case "no formula":
            table = table.drop_columns(["molecular_formula"])
        case "null column":
            at = table.schema.get_field_index("h_nmr_peaks")
            table = table.set_column(at, "h_nmr_peaks", pa.nulls(12))
        case _:
            table = pa.table({name: changed(table.column(name)) for name in table.column_names})
    pq.write_table(table, path)
    prepare_shards([path], tmp_path / "out", SMALL)
    if kind == "no formula":
        assert read_manifest(tmp_path / "out")["modalities"] == ["h_nmr", "c_nmr", "ir", "ms"]
    else:
        assert_as_read(tmp_path / "out", [path])


def files_with_duplicates(write: Write) -> list[Path]:
    """70 rows of three files; row groups smaller and larger than a shard; duplicates within and across them."""
    first, second = range(30), (3, 30, 31, 31, 29, *range(32, 47))
    third = (*range(40, 48), *range(60, 72))
    return [write(first, "a.parquet", 4), write(second, "b.parquet", 20), write(third, "c.parquet", 3)]


def test_the_number_of_workers_changes_nothing(write: Write, tmp_path: Path) -> None:
    files = files_with_duplicates(write)
    for workers in (1, 2, 3):
        summary = prepare_shards(files, tmp_path / str(workers), SMALL, workers=workers)
        assert (sum(summary.splits.values()), summary.duplicates) == (60, 10)
        assert contents(tmp_path / str(workers)) == contents(tmp_path / "1")
    assert set(contents(tmp_path / "1")) == {
        "manifest.json",
        "split.safetensors",
        *(f"shard-{number:06d}.safetensors" for number in range(summary.shards)),
    }


def test_of_equal_molecules_the_first_row_is_kept(write: Write, tmp_path: Path) -> None:
    first = write(["CCO", "OCC", "C[C@H](N)O", "CC"], "a.parquet")
    second = write(["C(C)O", "C[C@@H](N)O", "N[C@@H](C)O"], "b.parquet")
    summary = prepare_shards([first, second], tmp_path / "out", PrepareSettings(shard_rows=3))
    data = everything(tmp_path / "out", DataSettings())
    assert list(data.ids) == ["a.parquet:0", "a.parquet:2", "a.parquet:3", "b.parquet:1"]
    assert list(data.smiles()) == ["CCO", "C[C@H](N)O", "CC", "C[C@@H](N)O"]
    assert summary.duplicates == 3


def test_a_shard_of_nothing_but_duplicates_is_empty(write: Write, tmp_path: Path) -> None:
    files = [write(["CCO", "CC"], "a.parquet"), write(["CC", "OCC"], "b.parquet"), write(["C"], "c.parquet")]
    prepare_shards(files, tmp_path / "out", PrepareSettings(shard_rows=2))
    assert [len(shard.rows) for shard in shards_of(tmp_path / "out")] == [2, 0, 1]
    assert verify_folder(tmp_path / "out") == []
    data = everything(tmp_path / "out", DataSettings())
    assert data.subset([2]).smiles == ("C",)
    assert data.words() == {"C", "O"}


class Interrupted(Exception):
    """What stops a run in a test."""


def stop_at(rows: int) -> Callable[[int, int], None]:
    """Progress that fails once so many rows are done."""

    def progress(done: int, total: int) -> None:
        if done >= rows:
            raise Interrupted

    return progress


@pytest.mark.parametrize(("workers", "stops"), [(1, (8, 30, 55)), (2, (30,))])
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    write: Write, tmp_path: Path, workers: int, stops: tuple[int, ...]
) -> None:
    files = files_with_duplicates(write)
    prepare_shards(files, tmp_path / "whole", SMALL)
    out = tmp_path / "out"
    for rows in stops:
        with pytest.raises(Interrupted):
            prepare_shards(files, out, SMALL, workers=workers, progress=stop_at(rows))
        assert not (out / "manifest.json").exists()
        assert not list(out.glob(".*"))
    seen: list[int] = []
    prepare_shards(files, out, SMALL, progress=lambda done, total: seen.append(done))
    assert seen[0] >= stops[-1]
    assert contents(out) == contents(tmp_path / "whole")


KILLED = """
import sys, time
from pathlib import Path
from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards

if __name__ == "__main__":
    files, out = [Path(name) for name in sys.argv[2:]], Path(sys.argv[1])
    prepare_shards(files, out, PrepareSettings(shard_rows=8), workers=2, progress=lambda *_: time.sleep(0.2))
"""


def test_a_killed_run_goes_on_to_the_same_bytes(write: Write, tmp_path: Path) -> None:
    files = files_with_duplicates(write)
    prepare_shards(files, tmp_path / "whole", SMALL)
    script, out = tmp_path / "killed.py", tmp_path / "out"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen([sys.executable, str(script), str(out), *map(str, files)], env=environment)
    deadline = time.monotonic() + 30
    while not (out / "shard-000001.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # What a kill in the middle of a write would leave: half of a shard, under a name that is no shard's.
    half = next(out.glob("shard-*")).read_bytes()[:200]
    (out / ".shard-000003.safetensors.1.candidate").write_bytes(half)
    (out / ".shard-000002.safetensors.partial").write_bytes(half)
    assert not (out / "manifest.json").exists()
    prepare_shards(files, out, SMALL)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_goes_on_only_with_the_same_arguments(write: Write, tmp_path: Path) -> None:
    files, out = files_with_duplicates(write), tmp_path / "out"
    other = PrepareSettings(shard_rows=8, split=SplitSettings(seed=1))
    narrow = PrepareSettings.model_validate({"shard_rows": 8, "compression": {"ms": {"max_peaks": 5}}})
    wrong: list[tuple[list[Path], PrepareSettings, str]] = [
        (files, other, r"split.seed = 0, not 1"),
        (files, narrow, r"compression.ms.max_peaks = 100, not 5"),
        (files[:2], SMALL, r"sources.count = 3, not 2"),
        ([files[1], files[0], files[2]], SMALL, r"sources\[0\].bytes"),
    ]
    with pytest.raises(Interrupted):
        prepare_shards(files, out, SMALL, progress=stop_at(8))
    for paths, settings, message in wrong:
        with pytest.raises(DataError, match=f"was begun with {message}"):
            prepare_shards(paths, out, settings)
    prepare_shards(files, out, SMALL)
    before = contents(out)
    for paths, settings, message in wrong:
        with pytest.raises(DataError, match=f"was begun with {message}"):
            prepare_shards(paths, out, settings)
    prepare_shards(files, out, SMALL)  # there is nothing left to do
    assert contents(out) == before


def test_what_is_refused_at_once(write: Write, tmp_path: Path) -> None:
    path, out = write(["CCO"]), tmp_path / "out"
    with pytest.raises(DataError, match=r"none.parquet: there is no such file"):
        prepare_shards([tmp_path / "none.parquet"], out)
    with pytest.raises(DataError, match=r"rows.parquet: is named twice"):
        prepare_shards([path, tmp_path / "." / "rows.parquet"], out)
    assert not out.exists()
    with pytest.raises(DataError, match="is not empty"):
        prepare_shards([path], tmp_path)
    out.mkdir()
    (out / PLAN).write_text("{")
    with pytest.raises(DataError, match=r"plan.json: damaged"):
        prepare_shards([path], out)


def test_a_missing_column_is_named(write: Write, tmp_path: Path) -> None:
    path = write(["CCO"])
    pq.write_table(pq.read_table(path).drop_columns(["ir_spectra"]), path)
    with pytest.raises(DataError, match=r"rows.parquet, column ir_spectra: the column is missing"):
        prepare_shards([path], tmp_path / "out")
    prepare_shards([path], tmp_path / "other", PrepareSettings(modalities=("h_nmr", "c_nmr", "ms")))
    assert read_manifest(tmp_path / "other")["modalities"] == ["h_nmr", "c_nmr", "ms", "formula"]


def test_nothing_usable_is_an_error_that_says_why(write: Write, tmp_path: Path) -> None:
    path = write(["C1CC", "(("])
    with pytest.raises(DataError, match=r"no usable row in 2: 2 rejected, the first because .*C1CC"):
        prepare_shards([path], tmp_path / "out", skip_invalid=True)


def test_two_at_once_are_refused(write: Write, tmp_path: Path) -> None:
    files, out = files_with_duplicates(write), tmp_path / "out"

    def again(done: int, total: int) -> None:
        with pytest.raises(DataError, match="another process is preparing it"):
            prepare_shards(files, out, SMALL)

    prepare_shards(files, out, SMALL, progress=again)


@pytest.mark.parametrize("rule", ["inchikey", "scaffold"])
def test_what_belongs_together_is_on_one_side(tmp_path: Path, write: Write, rule: Any) -> None:
    rings = ["C2CCCCC2", "c2ccccc2", "c2ccncc2", "C2CCNC2", "c2ccoc2", "C2CC2", "c2ccsc2", "C2CCOC2"]
    smiles = [
        f"{left.replace('2', '1')}{hand}(F){'C' * link}{right}"
        for number, left in enumerate(rings)
        for right in rings[number:]
        for hand in ("[C@H]", "[C@@H]")
        for link in (0, 2)
    ]
    settings = PrepareSettings(
        shard_rows=16,
        split=SplitSettings.model_validate({"rule": rule, "validation": 0.2, "test": 0.2, "seed": 3}),
    )
    summary = prepare_shards([write(smiles)], tmp_path / "out", settings)
    assert all(summary.splits.values())
    from rdkit import Chem
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    folder = open_folder(tmp_path / "out", DataSettings())
    sides: dict[str, set[int]] = {}
    for text, side in zip(everything(tmp_path / "out", DataSettings()).smiles(), folder.split_N.tolist()):
        group = Chem.MolToInchiKey(Chem.MolFromSmiles(text))[:14]
        sides.setdefault(group if rule == "inchikey" else MurckoScaffoldSmiles(text), set()).add(side)
    assert len(sides) == 2 * 36  # of the pairs of rings, at two distances, both hands
    assert all(len(side) == 1 for side in sides.values())
