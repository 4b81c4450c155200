"""Where the data of a study come from."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.splits import SplitSettings, assign_splits
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset
from mmspec_ds.studies.cells import identity_of, settings_of
from mmspec_ds.studies.data import files_of, make_data, with_data
from mmspec_ds.studies.elucidation.budgets import PAPER
from mmspec_ds.studies.elucidation.data import ElucidationData, split_files
from mmspec_ds.studies.plan import Budget
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from tests.studies.conftest import cell


def test_files_are_split_by_the_rule_of_the_benchmark(tmp_path: Path) -> None:
    names = [f"molecule {number}" for number in range(50)]
    pq.write_table(pa.table({"smiles": names[:30]}), tmp_path / "a.parquet", row_group_size=7)
    pq.write_table(pa.table({"smiles": names[30:]}), tmp_path / "b.parquet")
    out = tmp_path / "out"
    out.mkdir()
    split_files([tmp_path / "a.parquet", tmp_path / "b.parquet"], out)
    expected = assign_splits(SplitSettings(rule="benchmark", seed=3245), np.zeros(50, dtype=np.uint64))
    for number, part in enumerate(("train", "val", "test")):
        found = pq.read_table(out / f"{part}.parquet")["smiles"].to_pylist()
        assert found == [name for name, split in zip(names, expected) if split == number]
    assert sorted(path.name for path in out.iterdir()) == ["test.parquet", "train.parquet", "val.parquet"]


def test_text_of_the_users_files_is_validated_on_molecules_of_its_own(budget: Budget, tmp_path: Path) -> None:
    """Rows are split, and isomers fall on both sides: `read_training` refuses such a pair of files."""
    pq.write_table(pa.table({"smiles": ["C[C@H](N)O", "C[C@@H](N)O"] * 30}), tmp_path / "a.parquet")
    text = cell(data="hard_text")
    files = files_of(text, with_data(PAPER, ElucidationData(), [tmp_path / "a.parquet"]), tmp_path / "out")
    assert [path.name for path in (*files.train, *files.validation, *files.test)] == [
        "train.parquet",
        "test.parquet",
    ]
    assert settings_of(text, PAPER, ElucidationRun).data.validation_fraction == 0.01
    assert [path.name for path in files_of(text, budget, tmp_path / "out").validation] == ["val.parquet"]


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"smiles": ["C"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"formula": ["CH4"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: has other columns than a\.parquet"):
        split_files([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path)


def test_a_given_folder_is_linked_and_counted(budget: Budget, tmp_path: Path) -> None:
    for part, rows in (("train", 5), ("val", 2), ("test", 3)):
        pq.write_table(pa.table({"smiles": ["C"] * rows}), tmp_path / f"{part}.parquet")
    given = with_data(budget, ElucidationData(), given=tmp_path)
    assert {recipe.molecules for recipe in given.data.values()} == {10}
    assert identity_of(cell(), given) != identity_of(cell(), budget)  # of 300 molecules
    text = cell(data="hard_text")
    files = make_data(text, given, tmp_path / "out", 1)
    assert files.shards is None
    assert [path.resolve() for path in files.test] == [tmp_path / "test.parquet"]


def test_shards_are_named_after_the_operators(budget: Budget, tmp_path: Path) -> None:
    def shards(**changes: object) -> Path | None:
        one = cell(overrides={f"data.{key}": value for key, value in changes.items()})
        return files_of(one, budget, tmp_path).shards

    assert shards() == shards(modalities=["h_nmr"])  # a run may read fewer
    assert shards() != shards(modalities=["h_nmr", "hsqc"])
    assert shards() != shards(compression={"ms": {"max_peaks": 4}})


def test_missing_data_are_told(tmp_path: Path, budget: Budget) -> None:
    with pytest.raises(ConfigError, match=r"the paper budget needs the benchmark's files: --data FILE\.\.\."):
        with_data(PAPER, ElucidationData())
    with pytest.raises(DataError, match="no such file"):
        with_data(PAPER, ElucidationData(), [tmp_path / "none.parquet"])
    with pytest.raises(DataError, match="expected what `mmspec simulate` writes"):
        with_data(budget, ElucidationData(), given=tmp_path)


def test_files_that_cannot_be_read_to_the_end_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"smiles": ["C"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"smiles": [["C"]]}), tmp_path / "b.parquet")  # as many names, another type
    with pytest.raises(DataError, match=r"b\.parquet: row group 0 cannot be read"):
        split_files([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path)
    assert not (tmp_path / "parts").exists()


def test_a_file_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    """Its molecules would be learnt from and asked about."""
    pq.write_table(pa.table({"smiles": ["C"]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").symlink_to("a.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: is named twice"):
        with_data(PAPER, ElucidationData(), [tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_another_folder_of_as_many_molecules_is_not_taken(budget: Budget, tmp_path: Path) -> None:
    def given(name: str, test: list[str]) -> Budget:
        for part, rows in (("train", ["C"] * 5), ("val", ["C"]), ("test", test)):
            (tmp_path / name).mkdir(exist_ok=True)
            pq.write_table(pa.table({"smiles": rows}), tmp_path / name / f"{part}.parquet")
        return with_data(budget, ElucidationData(), given=tmp_path / name)

    text, out = cell(data="hard_text"), tmp_path / "out"
    first, same, other = given("first", ["CC", "CO"]), given("same", ["CC", "CO"]), given("other", ["CC", "CN"])
    found = make_data(text, first, out, 1)
    assert make_data(text, same, out, 1) == found
    with pytest.raises(
        DataError, match=r"other/test\.parquet: holds other molecules than .*smoke/test\.parquet"
    ):
        make_data(text, other, out, 1)
    (tmp_path / "first" / "val.parquet").unlink()  # the links lead nowhere: the folder still is of its recipe
    more = given("more", ["CC", "CO", "CN"])
    with pytest.raises(DataError, match=r"was made of .* take another --out"):
        make_data(text, more, out, 1)


def test_shards_of_files_that_are_gone_are_not_learnt_from(budget: Budget, tmp_path: Path) -> None:
    simulate = SimulationSettings(molecules=60, max_heavy_atoms=5)
    for name, seed in (("first", 0), ("other", 1)):
        simulate_dataset(tmp_path / name, simulate.model_copy(update={"seed": seed}))
    first, other = (with_data(budget, ElucidationData(), given=tmp_path / name) for name in ("first", "other"))
    make_data(cell(), first, tmp_path / "out", 1)
    shutil.rmtree(tmp_path / "first")
    with pytest.raises(DataError, match=r"was begun with .*: expected the same files"):
        make_data(cell(), other, tmp_path / "out", 1)


def test_data_of_another_recipe_are_not_taken(budget: Budget, tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        pq.write_table(pa.table({"smiles": ["C"] * 5}), tmp_path / f"{part}.parquet")
    given, out, text = (
        with_data(budget, ElucidationData(), given=tmp_path),
        tmp_path / "out",
        cell(data="hard_text"),
    )
    make_data(text, given, out, 1)
    assert make_data(text, given, out, 1) == files_of(text, given, out)
    other = with_data(budget, ElucidationData(), [tmp_path / "train.parquet"])
    assert (given.molecules, other.molecules) == (
        f"15 molecules of the folder {tmp_path.name}",
        "the molecules of train.parquet",
    )
    with pytest.raises(DataError, match=r'was made of .*15, .*, and {"files": .*} is asked for'):
        make_data(text, other, out, 1)
