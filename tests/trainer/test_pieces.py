"""Pieces of parameters in files of ranks, and reading across their borders."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.trainer.pieces import BUFFER, PieceReader, file_of_rank, write_pieces

WHOLE = torch.arange(10, dtype=torch.float32).view(5, 2)


def write(folder: Path, parts: list[list[tuple[str, str, int, Tensor]]]) -> PieceReader:
    names = [file_of_rank(rank) for rank in range(len(parts))]
    for name, pieces in zip(names, parts):
        write_pieces(folder / name, pieces)
    return PieceReader(folder, names)


@pytest.mark.parametrize("cuts", [[0, 10], [0, 3, 10], [0, 1, 4, 4, 9, 10], list(range(11))], ids=str)
def test_any_share_reads_any_share(tmp_path: Path, cuts: list[int]) -> None:
    flat = WHOLE.view(-1)
    parts = [[("weight", "a.b", start, flat[start:stop])] for start, stop in pairwise(cuts)]
    reader = write(tmp_path, parts[::-1])
    for start in range(10):
        for stop in range(start, 11):
            assert torch.equal(reader.read("weight", "a.b", start, stop), flat[start:stop])
    assert torch.equal(reader.whole("weight", {"a.b": [5, 2]})["a.b"], WHOLE)


def test_kinds_and_buffers_are_kept_apart(tmp_path: Path) -> None:
    reader = write(
        tmp_path,
        [
            [("weight", "a", 0, torch.ones(2)), (BUFFER, "bias", 0, torch.full((3,), 2.0))],
            [("exp_avg", "a", 0, torch.full((2,), 3.0)), ("weight", "b", 0, torch.full((1,), 4.0))],
        ],
    )
    assert reader.names("weight") == ["a", "b"]
    assert reader.names(BUFFER) == ["bias"]
    assert reader.read("exp_avg", "a", 0, 2).tolist() == [3, 3]
    assert reader.read(BUFFER, "bias", 0, 3).tolist() == [2, 2, 2]


def test_bfloat16_is_kept_as_float32_to_the_bit(tmp_path: Path) -> None:
    narrow = torch.randn(64, generator=torch.Generator().manual_seed(0)).bfloat16()
    reader = write(tmp_path, [[("weight", "a", 0, narrow)]])
    read = reader.read("weight", "a", 0, 64)
    assert read.dtype == torch.float32
    assert torch.equal(read.bfloat16(), narrow)


def test_elements_that_nobody_wrote(tmp_path: Path) -> None:
    flat = WHOLE.view(-1)
    reader = write(tmp_path, [[("weight", "a", 0, flat[:4])], [("weight", "a", 6, flat[6:])]])
    assert reader.read("weight", "a", 6, 9).tolist() == [6, 7, 8]
    for start, stop in ((0, 10), (3, 5), (4, 6), (8, 11)):
        with pytest.raises(DataError, match="holds no elements"):
            reader.read("weight", "a", start, stop)
    with pytest.raises(DataError, match="holds no elements 0 to 2 of exp_avg of a"):
        reader.read("exp_avg", "a", 0, 2)


@pytest.mark.parametrize("content", [b"", b"no tensors", None], ids=["empty", "text", "missing"])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / file_of_rank(0)).write_bytes(content)
    with pytest.raises(DataError, match=r"rank_00000\.safetensors: cannot be read"):
        PieceReader(tmp_path, [file_of_rank(0)])


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_pieces(tmp_path / "none" / "a", [("weight", "a", 0, torch.ones(1))])
