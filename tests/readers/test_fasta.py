"""FASTA files as they come, and what is refused in one line."""

import gzip
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.fasta import read_fasta


def read(folder: Path, content: bytes) -> list[tuple[str, str]]:
    (folder / "a.fasta").write_bytes(content)
    return [(one.name, one.letters) for one in read_fasta(folder / "a.fasta")]


@pytest.mark.parametrize(
    "content",
    [
        b">sp|P1|X_HUMAN some protein\nMKV\nLLA\n>two\tmore\nACDU*\n",
        b"\n>sp|P1|X_HUMAN\r\nmkv\r\nl l a\r\n\r\n>two\r\nAC-D.U\r\n",
        b"; a comment\n>sp|P1|X_HUMAN\nMKVLLA\n>two\nACDU",
        gzip.compress(b">sp|P1|X_HUMAN\nMKVLLA\n>two\nACDU\n"),
    ],
)
def test_sequences_are_read(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == [("sp|P1|X_HUMAN", "MKVLLA"), ("two", "ACDU")]


def test_a_sequence_without_a_name_is_numbered(tmp_path: Path) -> None:
    assert read(tmp_path, b">a\nMK\n>\nML\n") == [("a", "MK"), ("number 2", "ML")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b">a\nMK\n>b\n\n>c\nMK\n", "line 3: sequence 'b' has no letters"),
        (b">a\nMK*VL\n", r"line 1: sequence 'a' has a stop \(\*\) at 3 of 5"),
        (b">a\nMK1\n", "sequence 'a' has '1' at 3: expected letters of amino acids"),
        (b">a\nMK\xff\n", "sequence 'a' has 'Ÿ' at 3"),
        (b">\nMK@\n", "line 1: a sequence without a name has '@'"),
        (b">a\n" + b"ACGT" * 10, "letters of nucleotides alone"),
        (b"MKVLLA\n", "line 1: 'MKVLLA' comes before the first name: expected FASTA"),
        (b"\n\n", "holds no sequence"),
        (b"", "is empty"),
        (b">a\n" + b"M" * 100_001, "has more than 100,000 letters"),
        (b">a\nM\0K\n", "zero byte"),
    ],
)
def test_what_is_no_protein_is_refused_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read(tmp_path, content)
    assert "a.fasta" in str(caught.value)
    assert "\n" not in str(caught.value)
