"""A prepared folder as training sees it: the samples of a split, what does not fit, what is damaged."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.data.collate import collate
from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.reading import TrainingData, read_training
from mmspec_ds.data.sampler import BucketSampler
from mmspec_ds.data.shards.dataset import ShardedDataset
from mmspec_ds.data.shards.folder import verify_folder
from mmspec_ds.data.shards.plan import PrepareSettings
from mmspec_ds.data.shards.prepare import SPLIT_FILE, prepare_shards
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import MANIFEST
from mmspec_ds.molecules.splits import SplitSettings
from mmspec_ds.molecules.vocabulary import Vocabulary

Write = Callable[..., Path]
ODD = ("CC(C)=O", "c1ccccc1Br", "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC#N", "O=C=O", "[2H]C", "C[Si](C)(C)C")
BY_BLOCK = SplitSettings(validation=0.3, test=0, seed=1)


@pytest.fixture
def both(write: Write, tmp_path: Path) -> tuple[Path, Path]:
    """A file of 48 molecules, and shards made of it: three tenths to validate on, none for a test."""
    path = write([*range(20), *ODD, *range(20, 40)])
    prepare_shards([path], tmp_path / "shards", PrepareSettings(shard_rows=7, split=BY_BLOCK))
    return path, tmp_path / "shards"


def of_folder(folder: Path, **options: Any) -> TrainingData:
    return read_training(DataSettings(train=(folder,), **options))


def of_file(path: Path, **options: Any) -> TrainingData:
    return read_training(DataSettings(train=(path,), validation_fraction=0.3, split_seed=1, **options))


def in_memory(data: TrainingData) -> tuple[SpectraDataset, SpectraDataset]:
    found = []
    for samples in (data.train, data.validation):
        assert isinstance(samples, ShardedDataset)
        found.append(samples.subset(np.arange(len(samples))))
    return found[0], found[1]


@pytest.mark.parametrize(
    "options",
    [{}, {"formula": True}, {"modalities": ("ms", "c_nmr")}, {"modalities": ("ir",), "formula": True}],
    ids=str,
)
def test_shards_give_what_their_file_gives(both: tuple[Path, Path], options: dict[str, Any]) -> None:
    path, folder = both
    read, opened = of_file(path, **options), of_folder(folder, **options)
    assert opened.vocabularies == read.vocabularies
    assert opened.encoding == read.encoding
    assert opened.shared_molecules == 0
    for one, other, found in zip(
        (read.train, read.validation), (opened.train, opened.validation), in_memory(opened)
    ):
        assert isinstance(one, SpectraDataset)
        assert list(other.ids) == list(one.ids)
        assert list(other.ids[1:3]) == list(one.ids[1:3])
        assert found.smiles == one.smiles
        assert one.remarks == other.remarks
        assert list(other.schemas) == list(one.schemas)
        np.testing.assert_array_equal(other.lengths, one.lengths)
        assert one.targets is not None
        assert found.targets is not None
        np.testing.assert_array_equal(found.targets.values, one.targets.values)
        np.testing.assert_array_equal(found.targets.offsets, one.targets.offsets)
        for modality, packed in one.tokens.items():
            np.testing.assert_array_equal(found.tokens[modality].offsets, packed.offsets)
            np.testing.assert_array_equal(found.tokens[modality].discrete, packed.discrete)
            np.testing.assert_array_equal(found.tokens[modality].continuous, packed.continuous)


def test_batches_of_shards_are_those_of_the_file(both: tuple[Path, Path]) -> None:
    path, folder = both
    read, opened = of_file(path).train, of_folder(folder).train
    for rank in (0, 1):
        sampler = BucketSampler(opened.lengths, 5, world_size=2, rank=rank, seed=3, bucket_batches=2)
        for indices, weights in sampler.epoch(2):
            one, other = (
                collate(data, indices, weights, modality_dropout=0.4, rng=np.random.default_rng(7))
                for data in (read, opened)
            )
            assert one.ids == other.ids
            assert (one.target_BL == other.target_BL).all()
            assert (one.weight_B == other.weight_B).all()
            assert (one.spectra.modality_BS == other.spectra.modality_BS).all()
            for modality, tokens in one.spectra.tokens.items():
                for name in tokens.__dataclass_fields__:
                    found = getattr(other.spectra.tokens[modality], name)
                    assert found.dtype == getattr(tokens, name).dtype
                    assert (found == getattr(tokens, name)).all()


def test_tokens_are_not_read_until_they_are_asked_for(both: tuple[Path, Path]) -> None:
    train = of_folder(both[1]).train
    assert isinstance(train, ShardedDataset)
    tokens = next(iter(train.folder.shards[0].rows.tokens.values()))
    assert not tokens.discrete.flags.owndata
    assert not tokens.discrete.flags.writeable


def test_words_that_are_not_in_the_vocabulary_are_counted(both: tuple[Path, Path]) -> None:
    _, folder = both
    settings = DataSettings(train=(folder,))
    given = Vocabularies(Vocabulary(["C", "(", ")", "O"]))
    data = read_training(settings, vocabularies=given)
    remark = "records with a SMILES token never trained on"
    assert data.vocabularies is not None
    assert data.train.remarks.get(remark, 0) + data.validation.remarks.get(remark, 0) == len(ODD)
    train, _ = in_memory(data)
    assert train.targets is not None
    assert Vocabulary.UNK in train.targets.values


def test_long_and_empty_records_are_refused_or_skipped_and_counted(both: tuple[Path, Path]) -> None:
    path, folder = both
    with pytest.raises(
        DataError, match=r"shards: record rows.parquet:\d+ has a SMILES of more than .*= 9 tokens"
    ):
        of_folder(folder, max_target_tokens=9)
    opened = of_folder(folder, max_target_tokens=9, skip_long_targets=True)
    read = of_file(path, max_target_tokens=9, skip_long_targets=True)
    for one, other in ((read.train, opened.train), (read.validation, opened.validation)):
        assert list(one.ids) == list(other.ids)
    skipped = sum(part.remarks["records skipped"] for part in (opened.train, opened.validation))
    assert skipped == read.train.remarks["records skipped"] > 5
    assert opened.vocabularies == read.vocabularies
    with pytest.raises(DataError, match=r"no usable record in the train split: \d+ skipped"):
        of_folder(folder, max_target_tokens=1, skip_long_targets=True)


def test_a_record_without_the_chosen_modality_is_refused_or_skipped(write: Write, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = write(range(20))
    table = pq.read_table(path)
    for column, row in (("ir_spectra", 5), ("molecular_formula", 6)):
        cells = table.column(column).to_pylist()
        cells[row] = None
        at, kind = table.schema.get_field_index(column), table.schema.field(column).type
        table = table.set_column(at, column, pa.array(cells, kind))
    pq.write_table(table, path)
    prepare_shards([path], tmp_path / "out", PrepareSettings(split=BY_BLOCK))
    of_folder(tmp_path / "out")
    for options, row, why in (
        ({"modalities": ("ir",)}, 5, "no token in any of the modalities"),
        ({"formula": True}, 6, "no formula"),
    ):
        with pytest.raises(DataError, match=f"record rows.parquet:{row} has {why}"):
            of_folder(tmp_path / "out", **options)
        data = of_folder(tmp_path / "out", **options, skip_invalid=True)
        assert len(data.train) + len(data.validation) == 19


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"representation": "text"}, r"data.representation is 'text', but .*shards holds compressed"),
        ({"compression": {"ms": {"max_peaks": 9}}}, r"data.compression.ms.max_peaks is 9, prepared with 100"),
        (
            {"compression": {"ms": {"max_peaks": 9}, "ir": {"window": 8, "stride": 8}}},
            r"ir.window is 8, prepared with 4; .*ir.stride is 8, prepared with 4; .*ms.max_peaks is 9",
        ),
    ],
)
def test_what_does_not_fit_the_run_is_named(
    both: tuple[Path, Path], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        of_folder(both[1], **options)


def test_the_settings_of_a_modality_that_is_not_read_do_not_matter(both: tuple[Path, Path]) -> None:
    options = {"modalities": ("h_nmr", "c_nmr"), "compression": {"ms": {"max_peaks": 9}}}
    assert len(of_folder(both[1], **options).train)


def test_a_modality_that_was_not_prepared_is_named(write: Write, tmp_path: Path) -> None:
    prepare_shards(
        [write(range(20))], tmp_path / "out", PrepareSettings(modalities=("ir", "ms"), split=BY_BLOCK)
    )
    with pytest.raises(ConfigError, match=r"prepared with ir, ms, formula, without h_nmr, c_nmr"):
        of_folder(tmp_path / "out")


def test_other_data_to_validate_on(both: tuple[Path, Path], write: Write, tmp_path: Path) -> None:
    path, folder = both
    elsewhere = write([*range(60, 80)], "elsewhere.parquet")
    data = of_folder(folder, validation=(elsewhere,))
    assert (len(data.validation), data.shared_molecules) == (20, 0)
    with pytest.raises(DataError, match=r"\d+ molecules of the held-back data are also trained on, such as "):
        of_folder(folder, validation=(path,))
    data = of_folder(folder, validation=(path,), allow_shared_molecules=True)
    assert data.shared_molecules == len(data.train)
    # By InChIKey block: the other hand of a molecule, and its anion, are the same molecule.
    train, _ = in_memory(of_folder(folder))
    assert "C[C@H](N)C(=O)O" in train.smiles
    with pytest.raises(DataError, match=r"1 molecules of the held-back data .* such as C\[C@@H\]"):
        of_folder(folder, validation=(write(["C[C@@H](N)C(=O)[O-]"], "other.parquet"),))

    prepare_shards([elsewhere], tmp_path / "more", PrepareSettings(split=BY_BLOCK))
    data = of_folder(folder, validation=(tmp_path / "more",))
    assert set(data.validation.ids) < {f"elsewhere.parquet:{row}" for row in range(20)}
    prepare_shards([path], tmp_path / "again", PrepareSettings(split=SplitSettings(validation=0.3, seed=2)))
    with pytest.raises(DataError, match="also trained on"):
        of_folder(folder, validation=(tmp_path / "again",))


def test_how_a_folder_may_be_named(both: tuple[Path, Path], tmp_path: Path) -> None:
    path, folder = both
    with pytest.raises(ConfigError, match=r"data.train names a prepared folder and more"):
        read_training(DataSettings(train=(folder, path)))
    with pytest.raises(ConfigError, match=r"data.validation is a prepared folder, so data.train must be one"):
        read_training(DataSettings(train=(path,), validation=(folder,)))
    with pytest.raises(DataError, match=r"is not a complete prepared folder"):
        of_folder(tmp_path)
    prepare_shards([path], tmp_path / "all", PrepareSettings(split=SplitSettings(validation=0, test=0)))
    with pytest.raises(DataError, match=r"all: no molecule is in its validation split"):
        of_folder(tmp_path / "all")


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            lambda f: os.truncate(f / "shard-000002.safetensors", 900),
            "shard-000002.safetensors: 900 bytes where",
        ),
        (lambda f: (f / "shard-000003.safetensors").unlink(), "shard-000003.safetensors: No such file"),
        (lambda f: flip(f / "shard-000001.safetensors", -1), "shard-000001.safetensors: altered"),
        (lambda f: flip(f / SPLIT_FILE, -1), "split.safetensors: altered"),
        (lambda f: flip(f / MANIFEST, 400), "manifest.json: damaged"),
        (lambda f: (f / MANIFEST).write_text("{}"), "manifest.json: damaged"),
    ],
    ids=["truncated", "missing", "a bit", "a bit of the splits", "a bit of the manifest", "no manifest"],
)
def test_damage_is_found_and_named(both: tuple[Path, Path], damage: Callable[[Path], Any], told: str) -> None:
    _, folder = both
    assert verify_folder(folder) == []
    damage(folder)
    with pytest.raises(DataError, match=told):
        of_folder(folder)
    if "manifest" not in told:
        (line,) = verify_folder(folder)
        assert told in line


def test_ranks_share_the_checksums(both: tuple[Path, Path]) -> None:
    _, folder = both
    flip(folder / "shard-000001.safetensors", -1)
    settings, faulty = DataSettings(train=(folder,)), 0
    for rank in range(3):
        try:
            read_training(settings, part=(rank, 3))
        except DataError:
            faulty += 1
    assert faulty == 1


def test_a_damaged_head_is_found_without_checksums(both: tuple[Path, Path]) -> None:
    from mmspec_ds.data.shards.rows import open_shard

    path = both[1] / "shard-000000.safetensors"
    whole = path.read_bytes()
    for size in (0, 3, 8, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"shard-000000.safetensors: damaged: not a shard"):
            open_shard(path)
    path.write_bytes(b"\xff" * 8 + whole[8:])
    with pytest.raises(DataError, match="damaged"):
        open_shard(path)
