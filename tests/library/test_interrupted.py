"""An addition that is stopped leaves the old library; a flipped byte is found and named; one writer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from mmspec_ds.errors import DataError
from mmspec_ds.library import index, layout
from mmspec_ds.library.answers import molecules_of_hits
from mmspec_ds.library.build import add_to_library, build_library
from mmspec_ds.library.entry import Entry
from mmspec_ds.library.layout import writing
from mmspec_ds.library.references import references_of_library
from mmspec_ds.library.search import Searcher, SearchSettings
from mmspec_ds.library.store import Library
from mmspec_ds.spectra.records import CarbonNMR, Record
from tests.library.made import Model, block_of, entry

OLD, NEW = [entry(number) for number in range(6)], [entry(number) for number in range(6, 11)]
NMR = Entry(Record("nmr:0", (CarbonNMR((77.0,)),), "CC"), block_of(99), {})
NEW.append(NMR)

ENTRY_POINTS = ("fsync", "replace", "truncate", "unlink")
"""Calls of the system that write, before each of which an addition is killed in turn."""


def killed_at(folder: Path, number: int) -> bool:
    """Add to a library in a process of its own that is killed before its `number`-th call that writes; whether
    it was."""
    process = os.fork()
    if process == 0:
        calls = 0

        def dangerous(call):  # type: ignore[no-untyped-def]
            def run(*arguments, **named):  # type: ignore[no-untyped-def]
                nonlocal calls
                calls += 1
                if calls == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **named)

            return run

        for name in ENTRY_POINTS:
            setattr(os, name, dangerous(getattr(os, name)))
        try:
            with threadpool_limits(1):  # a forked process has no threads of OpenMP, and would wait for them
                add_to_library(folder, NEW, [Model()])
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def test_killed_at_every_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FLAT_UP_TO", 8)  # with an index, where faiss is there
    number, outcomes = 0, []
    while True:
        number += 1
        folder = tmp_path / f"lib{number}"
        build_library(folder, OLD, [Model()])
        files = {path.name for path in folder.iterdir()}
        if not killed_at(folder, number):
            break
        library = Library.open(folder)
        assert library.faults() == []
        outcomes.append(len(library))
        again = add_to_library(folder, NEW, [Model()])
        assert again.entries == 12 - outcomes[-1]
        library = Library.open(folder)
        assert (len(library), library.faults()) == (12, [])
        assert library.record(11).spectra == NMR.record.spectra
        allowed = files | {"entries-0001.parquet", "further-0001-0000.parquet", "index-0-0001.faiss"}
        assert {path.name for path in folder.iterdir()} - allowed == set()
        assert [one["bytes"] for one in library.manifest["arrays"]["ends.i64"]] == [48, 48]
        assert (folder / "ends.i64").stat().st_size == 96
    assert number > 10
    # Only the last calls, after the manifest was replaced, come too late to leave the old library.
    assert outcomes == sorted(outcomes)
    assert outcomes.count(6) > 20


def test_the_next_addition_clears_what_was_left(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    build_library(folder, OLD)
    with (folder / "mz.f64").open("ab") as file:
        file.write(b"half of an addition")
    (folder / ".entries-0001.parquet.partial").write_bytes(b"PAR1")
    (folder / "index-0-0007.faiss").write_bytes(b"")
    (folder / "hits.csv").write_text("of the user")
    assert Library.open(folder).faults() == []
    add_to_library(folder, [])
    left = {path.name for path in folder.iterdir()}
    assert left == {"manifest.json", ".lock", "entries-0000.parquet", "mz.f64", "intensity.f64", "ends.i64",
                    "second.i64", "keys.u64", "further.i64", "hits.csv"}  # fmt: skip
    assert (folder / "mz.f64").stat().st_size == 8 * sum(len(one.record.spectra[0].mz) for one in OLD)


def test_an_error_in_the_middle_leaves_the_old_library(tmp_path: Path) -> None:
    def entries():  # type: ignore[no-untyped-def]
        yield from NEW
        raise DataError("the file ends in the middle of a record")

    build_library(tmp_path / "lib", OLD)
    with pytest.raises(DataError, match="ends in the middle"):
        add_to_library(tmp_path / "lib", entries())
    with pytest.raises(DataError, match="ends in the middle"):
        build_library(tmp_path / "new", entries())
    library = Library.open(tmp_path / "lib")
    assert (len(library), library.faults()) == (6, [])
    assert [path.name for path in tmp_path.iterdir()] == ["lib"]


def test_every_flipped_byte_is_found_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    build_library(folder, [*OLD, NMR], [Model()])
    add_to_library(folder, NEW[:3], [Model()])
    library = Library.open(folder)
    assert library.faults() == []
    checked = 0
    for path in folder.iterdir():
        size = path.stat().st_size
        if path.name in (".lock", "manifest.json") or not size:
            continue
        for at in (0, size // 2, size - 1):
            content = bytearray(path.read_bytes())
            content[at] ^= 1
            path.write_bytes(content)
            faults = library.faults()
            assert len(faults) == 1
            assert faults[0].startswith(f"{path}: altered since it was written")
            content[at] ^= 1
            path.write_bytes(content)
            checked += 1
    assert checked == 3 * 9
    content = bytearray((folder / "vectors-0.f32").read_bytes())
    content[7 * 8 * 4 + 5] ^= 1
    (folder / "vectors-0.f32").write_bytes(content)
    assert library.faults()[0].endswith("the checksum of bytes 224 to 320 differs (addition 2 of 2)")


def use(folder: Path) -> None:
    """Search by peaks and by vectors, read an entry of each kind, and add."""
    library = Library.open(folder)
    searcher = Searcher(references_of_library(library), SearchSettings(decoys=0), library, [Model()])
    hits = searcher.search([OLD[0].record])[0]
    molecules_of_hits(hits, library)
    library.entries(range(len(library)))
    add_to_library(folder, OLD, [Model()])


def test_a_flipped_byte_is_found_and_named_where_the_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lib"
    first, second = (one.record.spectra[0] for one in OLD[:2])
    several = Entry(Record("several", (first, second)), "S" * 14)
    build_library(folder, [*OLD, NMR, several], [Model()])
    use(folder)
    files = [path for path in folder.iterdir() if path.suffix != ".json" and path.stat().st_size]
    assert len(files) == 10
    for path in files:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{path}: altered since it was written"):
            use(folder)
        if path.name == "mz.f64":  # a large file is compared by --check alone
            with monkeypatch.context() as patch:
                patch.setattr(layout, "CHECKED_WHEN_USED", 8)
                use(folder)
                assert Library.open(folder).faults()[0].startswith(f"{path}: altered since")
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    use(folder)


def test_a_file_of_another_size_is_found_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    build_library(folder, OLD, [Model()])
    os.truncate(folder / "vectors-0.f32", 100)
    with pytest.raises(DataError, match=r"vectors-0.f32: 100 bytes where 192 were written"):
        Library.open(folder)
    with pytest.raises(DataError, match=r"vectors-0.f32: 100 bytes where 192 were written"):
        add_to_library(folder, NEW, [Model()])
    (folder / "vectors-0.f32").unlink()
    with pytest.raises(DataError, match=r"vectors-0.f32: No such file"):
        Library.open(folder)


def test_ends_of_peaks_that_fall_are_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lib"
    build_library(folder, OLD)
    content = bytearray((folder / "ends.i64").read_bytes())
    content[6] ^= 1
    (folder / "ends.i64").write_bytes(content)
    with pytest.raises(DataError, match=r"ends.i64: altered since it was written"):
        Library.open(folder)
    monkeypatch.setattr(layout, "CHECKED_WHEN_USED", 0)  # as if it were a large one
    with pytest.raises(DataError, match=r"ends.i64: damaged, see `mmspec library info --check`"):
        Library.open(folder)


HOLDER = """
import sys, time
from pathlib import Path
from mmspec_ds.library.layout import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    build_library(folder, OLD)
    with writing(folder), pytest.raises(DataError, match="another process is writing this library"):
        add_to_library(folder, NEW)
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="another process is writing this library"):
            add_to_library(folder, NEW)
        assert len(Library.open(folder)) == 6
        process.kill()
    assert add_to_library(folder, NEW).entries == 6
