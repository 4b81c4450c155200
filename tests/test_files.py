"""Files that appear whole or not at all, and manifests that notice every change."""

import hashlib
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.files import (
    MANIFEST,
    entry_of,
    faults,
    read_manifest,
    readable_as_usual,
    replacing,
    replacing_output,
    sha256_of,
    write_manifest,
)


def test_a_file_is_replaced_when_all_went_well(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError):
        write_half(path)
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.txt"
    with (
        pytest.raises(DataError, match="cannot be written: No such file or directory") as told,
        replacing_output(path) as partial,
    ):
        partial.write_text("new")
    assert str(path) in str(told.value)


def test_a_private_file_of_a_library_is_made_readable(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "weights.safetensors"
    plain.touch()
    with readable_as_usual(path):
        private = tmp_path / "private"
        private.touch(mode=0o600)
        private.replace(path)
    assert path.stat().st_mode == plain.stat().st_mode


def write_half(path: Path) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files that a manifest vouches for."""
    (tmp_path / "one").write_bytes(b"abc")
    (tmp_path / "two").write_bytes(bytes(range(256)))
    write_manifest(tmp_path, {name: entry_of(tmp_path / name) for name in ("one", "two")}, step=3)
    return tmp_path


def test_what_a_manifest_says(folder: Path) -> None:
    manifest = read_manifest(folder)
    # The published test vector of SHA-256 for "abc" (FIPS 180-2, B.1).
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest["files"]["one"] == {"bytes": 3, "sha256": abc}
    assert manifest["step"] == 3
    assert sha256_of(folder / "two") == hashlib.sha256(bytes(range(256))).hexdigest()
    assert faults(folder, manifest) == []


def test_every_kind_of_damage_is_named(folder: Path) -> None:
    manifest = read_manifest(folder)
    (folder / "one").write_bytes(b"abd")
    (folder / "two").write_bytes(bytes(range(255)))
    assert faults(folder, manifest) == [
        f"{folder / 'one'}: altered since it was written, its checksum differs",
        f"{folder / 'two'}: 255 bytes where 256 were written",
    ]
    (folder / "two").unlink()
    assert faults(folder, manifest, ["two"]) == [f"{folder / 'two'}: No such file or directory"]


def test_no_bit_of_a_manifest_can_be_changed(folder: Path) -> None:
    """Not without notice, unless it is white space and nothing that is said changes."""
    path = folder / MANIFEST
    content, said = path.read_bytes(), read_manifest(folder)
    noticed = 0
    for place in range(len(content)):
        for bit in (0, 3, 6):
            spoilt = bytearray(content)
            spoilt[place] ^= 1 << bit
            path.write_bytes(spoilt)
            try:
                assert read_manifest(folder) == said, (place, bit)
            except DataError:
                noticed += 1
    assert noticed > 2.5 * len(content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"files": {}, "sha256": "0"}', b"\xff"])
def test_what_is_no_manifest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json: damaged"):
        read_manifest(tmp_path)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json: cannot be read: No such file"):
        read_manifest(tmp_path)
