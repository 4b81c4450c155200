"""Where bytes come from: what is no file, what unfolds without end, and what only looks like text."""

import gzip
import os
import time
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers import source
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.source import read_head, read_lines, read_text


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe.mgf"
    os.mkfifo(path)
    started = time.monotonic()
    with pytest.raises(DataError, match=r"pipe\.mgf: is not a regular file"):
        list(read_file(path))
    assert time.monotonic() - started < 5


def test_a_folder_a_loop_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop.mgf").symlink_to(tmp_path / "loop.mgf")
    (tmp_path / "gone.mgf").symlink_to(tmp_path / "nothing.mgf")
    (tmp_path / "folder.mgf").mkdir()
    for name, words in (
        ("loop.mgf", "cannot be read"),
        ("gone.mgf", "there is no such file"),
        ("nothing.mgf", "there is no such file"),
        ("folder.mgf", "is a folder of no known format"),
    ):
        with pytest.raises(DataError, match=rf"{name}: {words}"):
            list(read_file(tmp_path / name))


def test_a_decompression_bomb_is_refused_before_it_unfolds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "UNFOLDED_FREELY", 2**20)
    path = tmp_path / "bomb.mgf.gz"
    block = b"BEGIN IONS\nPEPMASS=100\n" + b"# nothing\n" * 400_000
    path.write_bytes(gzip.compress(block + b"END IONS\n" * 2, 9))
    assert path.stat().st_size * 100 < len(block)
    with pytest.raises(DataError, match=r"bomb\.mgf\.gz: unfolds to more than 1 MiB.*decompression bomb"):
        list(read_file(path))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LONGEST_LINE", 1000)
    path = tmp_path / "long.mgf"
    path.write_text("BEGIN IONS\nTITLE=" + "x" * 2000)
    with pytest.raises(DataError, match=r"long\.mgf: line 2 is longer than 1000 characters"):
        list(read_file(path))


def test_lines_have_their_numbers_whatever_ends_them(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"one\r\ntwo\rthree\n\nfive")
    assert [(line.number, line.text) for line in read_lines(path)] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
        (4, ""),
        (5, "five"),
    ]
    assert read_text(path) == "one\ntwo\nthree\n\nfive\n"


def test_a_line_that_is_no_utf_8_is_latin_1_and_the_next_is_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "mixed.txt"
    path.write_bytes("é\n".encode("latin-1") + "é\n".encode())
    assert [line.text for line in read_lines(path)] == ["é", "é"]


def test_a_text_too_long_to_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LONGEST_TEXT", 2**20)
    path = tmp_path / "long.txt"
    path.write_text("0123456789\n" * 100_000)
    with pytest.raises(DataError, match=r"long\.txt: is longer than 1 MiB of text"):
        read_text(path)


def test_an_honest_gzip_file_may_unfold_freely(tmp_path: Path) -> None:
    path = tmp_path / "zeros.txt.gz"
    path.write_bytes(gzip.compress(b"0" * 2**20 + b"\n"))  # a thousand to one, but only a MiB
    assert len(read_text(path)) == 2**20 + 1
    assert read_head(path).text == "0" * source.HEAD_BYTES
