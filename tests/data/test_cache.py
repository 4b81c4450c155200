"""Data sets that were read before: the same as read anew, and read anew where they no longer hold."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mmspec_ds.data.reading as reading
from mmspec_ds.data.cache import DAMAGED
from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.reading import read_training
from mmspec_ds.errors import DataError

TRAIN = ("CCO", "CC(C)=O", "c1ccccc1", "C[C@H](N)C(=O)O")
HELD_BACK = ("CCN", "CC#N")


@pytest.fixture
def reads(monkeypatch):
    """The files that were really read, in order."""
    found, plain = [], reading.read_dataset

    def read_dataset(paths, *others):
        found.extend(path.name for path in paths)
        return plain(paths, *others)

    monkeypatch.setattr(reading, "read_dataset", read_dataset)
    return found


@pytest.fixture
def settings(write, tmp_path):
    paths = {"train": (write(TRAIN, "train.parquet"),), "validation": (write(HELD_BACK, "val.parquet"),)}
    return lambda **others: DataSettings(**{**paths, "cache": tmp_path / "cache", **others})


def check_same(one, other):
    assert (one.ids, one.smiles, one.blocks) == (other.ids, other.smiles, other.blocks)
    assert one.remarks == other.remarks
    assert list(one.tokens) == list(other.tokens)
    assert one.schemas == other.schemas
    for modality, packed in one.tokens.items():
        for field in ("discrete", "continuous", "offsets"):
            ours, theirs = getattr(packed, field), getattr(other.tokens[modality], field)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(one.targets.values, other.targets.values)


@pytest.mark.parametrize("representation", ["compressed", "text"])
def test_what_is_recalled_is_what_was_read(representation, settings, reads):
    plain = read_training(settings(representation=representation, formula=True, cache=None))
    first = read_training(settings(representation=representation, formula=True))
    assert reads == ["train.parquet", "val.parquet"] * 2
    again = read_training(settings(representation=representation, formula=True))
    assert len(reads) == 4
    for data in (first, again):
        check_same(data.train, plain.train)
        check_same(data.validation, plain.validation)
        assert data.encoding == plain.encoding
        assert data.vocabularies == plain.vocabularies
    assert again.train.known_blocks == plain.train.blocks


def test_a_part_held_back_by_block_is_the_same(settings):
    options = {"validation": (), "validation_fraction": 0.5, "split_seed": 1}
    plain = read_training(settings(**options, cache=None))
    read_training(settings(**options))
    again = read_training(settings(**options))
    check_same(again.train, plain.train)
    check_same(again.validation, plain.validation)


@pytest.mark.parametrize(
    "others",
    [
        {"modalities": ("ir", "ms")},
        {"compression": {"ir": {"window": 8}}},
        {"skip_invalid": True},
        {"max_target_tokens": 100},
    ],
    ids=["modalities", "compression", "skip_invalid", "max_target_tokens"],
)
def test_other_settings_have_another_entry(others, settings, reads):
    read_training(settings())
    changed = read_training(settings(**others))
    assert reads == ["train.parquet", "val.parquet"] * 2
    check_same(changed.train, read_training(settings(**others, cache=None)).train)


def test_a_changed_file_is_read_anew_and_takes_the_place_of_the_old(settings, reads, write, tmp_path):
    read_training(settings())
    write(("CCC", *TRAIN), "train.parquet")
    changed = read_training(settings())
    assert reads == ["train.parquet", "val.parquet", "train.parquet"]
    assert changed.train.smiles[0] == "CCC"
    assert changed.train.remarks == {}
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("harm", ["altered", "truncated", "no manifest"])
def test_a_damaged_entry_is_read_anew_with_a_remark(harm, settings, reads, tmp_path):
    plain = read_training(settings())
    for entry in (path for path in (tmp_path / "cache").iterdir() if path.is_dir()):
        content = bytearray((entry / "data.safetensors").read_bytes())
        if harm == "altered":
            content[-1] ^= 1
            (entry / "data.safetensors").write_bytes(content)
        elif harm == "truncated":
            (entry / "data.safetensors").write_bytes(content[:-9])
        else:
            (entry / "manifest.json").unlink()
    data = read_training(settings())
    assert data.train.remarks == {DAMAGED: 1}
    assert data.train.smiles == plain.train.smiles
    assert read_training(settings()).train.remarks == {}
    assert len(reads) == 4


def test_of_several_that_start_at_once_one_reads(settings, reads):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: read_training(settings()), range(4)))
    assert sorted(reads) == ["train.parquet", "val.parquet"]
    for data in found[1:]:
        check_same(data.train, found[0].train)


def test_a_record_that_cannot_be_used_leaves_no_entry(settings, write, tmp_path):
    bad = write(("CCO", "C1CC"), "bad.parquet")
    with pytest.raises(DataError, match=r"bad\.parquet, row 1"):
        read_training(settings(train=(bad,)))
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []
    data = read_training(settings(train=(bad,), skip_invalid=True))
    assert data.train.remarks == {"records skipped": 1}
    assert read_training(settings(train=(bad,), skip_invalid=True)).train.remarks == data.train.remarks


def test_a_folder_that_cannot_be_made_is_told_in_a_line(settings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file.*: the cache cannot be written: "):
        read_training(settings(cache=tmp_path / "file" / os.curdir / "deep"))
