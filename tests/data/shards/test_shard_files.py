"""The files of a prepared folder: their format, who may read them, and what a kill leaves of them."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mmspec_ds.data.shards.plan import PLAN, PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards
from mmspec_ds.data.shards.rows import open_arrays, open_shard, write_arrays
from mmspec_ds.errors import DataError

Write = Callable[..., Path]
SMALL = PrepareSettings(shard_rows=8)


def test_the_safetensors_library_reads_what_is_written(write: Write, tmp_path: Path) -> None:
    prepare_shards([write(range(5))], tmp_path / "out", SMALL)
    path = tmp_path / "out" / "shard-000000.safetensors"
    expected, found = open_shard(path).rows.arrays(), load_file(path)
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    with safe_open(path, "np") as file:
        assert set(file.metadata()) == {"about"}


def test_what_that_library_writes_is_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "empty": np.empty((0, 4), dtype=np.float32)}
    save_file(arrays, tmp_path / "theirs")
    write_arrays(tmp_path / "ours", arrays, {"x": 1})
    for name in ("theirs", "ours"):
        for found, array in zip(open_arrays(tmp_path / name, list(arrays)), arrays.values(), strict=True):
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


def test_every_array_lies_at_a_multiple_of_the_size_of_its_numbers(tmp_path: Path) -> None:
    kinds = {"a": np.uint8, "b": np.int64, "c": np.int16, "d": np.float32, "e": np.uint64}
    write_arrays(tmp_path / "x", {name: np.ones(3, dtype=kind) for name, kind in kinds.items()}, {})
    for array in open_arrays(tmp_path / "x", list(kinds)):
        assert array.flags.aligned


@pytest.fixture
def group_may_read() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("group_may_read")
@pytest.mark.parametrize("smiles", [["CCO", "CC"], ["CCO", "OCC"]], ids=["distinct", "duplicates"])
def test_files_may_be_read_by_whom_the_umask_lets(write: Write, tmp_path: Path, smiles: list[str]) -> None:
    prepare_shards([write(smiles)], tmp_path / "out")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    names = ("manifest.json", "shard-000000.safetensors", "split.safetensors")
    assert modes == dict.fromkeys(names, 0o640)


def test_a_folder_whose_first_write_was_cut_off_goes_on(write: Write, tmp_path: Path) -> None:
    path, out = write(range(12)), tmp_path / "out"
    prepare_shards([path], tmp_path / "whole", SMALL)
    out.mkdir()
    (out / f".{PLAN}.partial").write_text('{"kind": "mmsp')
    prepare_shards([path], out, SMALL)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_of_something_else_is_left_as_it_is(write: Write, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("notes.txt", ".notes.txt.partial", ".x.candidate"):
        (out / name).write_text("mine")
    before = contents(out)
    with pytest.raises(DataError, match="out: is not empty: expected a new folder, or one that was begun"):
        prepare_shards([write(range(3))], out)
    assert contents(out) == before


KILLED_AT_EACH_STEP = """
import os, sys
from pathlib import Path
from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards

out, source = Path(sys.argv[1]), Path(sys.argv[2])
replace, settings = os.replace, PrepareSettings(shard_rows=8)
prepare_shards([source], out / "whole", settings)  # so that every import is done before the forks
step, ended = 0, False
while not ended:
    child = os.fork()
    if not child:
        left = [step]
        def dying(first, second):
            if not left[0]:
                os.truncate(first, os.path.getsize(first) // 2)
                os._exit(9)  # nothing is tidied up, as after a kill
            left[0] -= 1
            replace(first, second)
        os.replace = dying
        prepare_shards([source], out / f"killed-{step}", settings)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    step += 1
print(step - 1)
"""


def test_killed_in_any_of_its_writes_it_goes_on_to_the_same_bytes(write: Write, tmp_path: Path) -> None:
    source, script = write([*range(20), 3], group=8), tmp_path / "killed.py"
    script.write_text(KILLED_AT_EACH_STEP)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(script), str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    steps = int(done.stdout)
    assert steps == 6  # the plan, three shards, the split, the manifest
    for step in range(steps):
        out = tmp_path / f"killed-{step}"
        assert any(path.name.startswith(".") for path in out.iterdir())
        assert not (out / "manifest.json").exists()
        prepare_shards([source], out, SMALL)
        assert contents(out) == contents(tmp_path / "whole")


def contents(folder: Path) -> dict[str, str]:
    """The checksum of every file of a folder, hidden ones too."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
