"""Files to datasets, and what is refused on the way."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.encoding import Encoded, InputEncoding
from mmspec_ds.data.formats import ReadOptions
from mmspec_ds.data.reading import read_dataset, read_training
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.parquet import ReadReport, read_records, write_records
from mmspec_ds.spectra.records import CarbonNMR, Modality, Record
from mmspec_ds.spectra.registry import text_tokens

H, C, IR, MS, FORMULA, HSQC, _ = Modality


def encoding(**options):
    return InputEncoding.from_settings(DataSettings(**options))


def test_the_packed_tokens_are_those_of_each_record(write):
    path, encoder = write(), encoding(formula=True)
    dataset = read_dataset([path], encoder)
    assert dataset.ids[:2] == ("made_up.parquet:0", "made_up.parquet:1")
    assert dataset.smiles[4] == "CCN"
    for at, record in enumerate(read_records(path)):
        for modality, expected in encoder.encode(record).items():
            found = dataset.tokens[modality].subset(np.array([at]))
            np.testing.assert_array_equal(found.discrete, expected.discrete)
            np.testing.assert_array_equal(found.continuous, expected.continuous)
    assert dataset.lengths[0] == 1 + 2 + 256 + 6 * 3 + 3
    assert dataset.targets is None
    assert dataset.remarks == {}


def test_several_files_follow_one_another(write):
    first, second = write(["C", "CC"], "a.parquet"), write(["CCC"], "b.parquet")
    dataset = read_dataset([first, second], encoding())
    assert dataset.ids == ("a.parquet:0", "a.parquet:1", "b.parquet:0")


def test_records_without_smiles_are_for_prediction_only(write):
    path = write(["CCO", None])
    with pytest.raises(DataError, match=r"row 1, column smiles: .*missing"):
        read_dataset([path], encoding())
    dataset = read_dataset([path], encoding(), ReadOptions(require_smiles=False))
    assert dataset.smiles == ("CCO", None)
    with pytest.raises(DataError, match=r"made_up\.parquet:1 has no SMILES"):
        dataset.with_targets(Vocabulary.build([["C", "O"]]))


def test_invalid_records_are_skipped_and_counted_when_asked(write):
    path = write(["CCO", "C1CC", "CC"])
    with pytest.raises(DataError, match="row 1"):
        read_dataset([path], encoding())
    report = ReadReport()
    dataset = read_dataset([path], encoding(), ReadOptions(skip_invalid=True), report=report)
    assert dataset.smiles == ("CCO", "CC")
    assert dataset.remarks == {"records skipped": 1}
    assert "C1CC" in report.reasons[0]


def test_long_targets_are_refused_or_skipped_and_counted(write):
    path = write(["CCO", "CCCCCC"])
    with pytest.raises(DataError, match=r"made_up.parquet:1 has a SMILES of 6 tokens.*max_target_tokens = 5"):
        read_dataset([path], encoding(), ReadOptions(max_target_tokens=5))
    options = ReadOptions(max_target_tokens=5, skip_long_targets=True)
    assert read_dataset([path], encoding(), options).remarks == {"records skipped": 1}
    assert len(read_dataset([path], encoding(), ReadOptions(max_target_tokens=6))) == 2


def test_nothing_usable_is_an_error_that_says_why(write):
    with pytest.raises(
        DataError, match=r"no usable record in .*made_up.parquet: 2 skipped, the first because .*C1CC"
    ):
        read_dataset([write(["C1CC", "(("])], encoding(), ReadOptions(skip_invalid=True))


def test_a_limit_of_records(write):
    assert len(read_dataset([write()], encoding(), ReadOptions(max_records=3))) == 3


def test_a_record_without_tokens_is_named(write):
    class Blind:
        schemas = encoding().schemas

        def encode_rows(self, rows, chosen):
            encoded = encoding().encode_rows(rows, chosen)
            bare = np.array([not rows.id(place).endswith(":1") for place in chosen])
            lists = {m: np.where(bare, one.counts, 0) for m, one in encoded.tokens.items()}
            items = {m: np.repeat(bare, one.counts) for m, one in encoded.tokens.items()}
            return Encoded(
                {
                    m: PackedTokens(one.discrete[items[m]], one.continuous[items[m]], offsets_of(lists[m]))
                    for m, one in encoded.tokens.items()
                }
            )

    path = write()
    with pytest.raises(DataError, match=r"made_up\.parquet:1 has no token"):
        read_dataset([path], Blind())
    assert read_dataset([path], Blind(), ReadOptions(skip_invalid=True)).remarks == {"records skipped": 1}


def test_a_file_without_some_modality(tmp_path):
    table_path = tmp_path / "carbon.parquet"
    write_records(table_path, [Record("a", (CarbonNMR((20.0,)),), "CCO")])
    pq.write_table(pq.read_table(table_path, columns=["smiles", "c_nmr_peaks"]), table_path)
    with pytest.raises(DataError, match="h_nmr_peaks"):
        read_dataset([table_path], encoding())


def test_progress_ends_with_the_number_of_records(write):
    seen = []
    read_dataset([write()], encoding(), progress=seen.append)
    assert seen == [16]


def test_training_data_split_by_molecule(write):
    data = read_training(DataSettings(train=(write(),), validation_fraction=0.3, split_seed=1))
    assert len(data.train) + len(data.validation) == 16
    assert not set(data.train.blocks) & set(data.validation.blocks)
    assert data.shared_molecules == 0
    assert data.vocabularies.source is None
    first = data.train.targets.subset(np.array([0])).values.tolist()
    assert (first[0], first[-1]) == (Vocabulary.BOS, Vocabulary.EOS)
    assert "".join(data.vocabularies.target.decode(first)) == data.train.smiles[0]


def test_mirror_images_do_not_cross(write):
    """The two alanines share a first block, so either side holds both or none."""
    alanines = {"C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"}
    for seed in range(10):
        data = read_training(DataSettings(train=(write(),), validation_fraction=0.3, split_seed=seed))
        assert len(alanines & set(data.train.smiles)) in (0, 2)


def test_a_molecule_of_both_files_is_refused_unless_allowed(write):
    train, held_back = write(name="train.parquet"), write(["CCCC", "C[C@H](N)C(O)=O"], "val.parquet")
    with pytest.raises(
        DataError, match=r"1 molecules .* such as C\[C@H\]\(N\)C\(=O\)O \(record val.parquet:1\)"
    ):
        read_training(DataSettings(train=(train,), validation=(held_back,)))
    data = read_training(DataSettings(train=(train,), validation=(held_back,), allow_shared_molecules=True))
    assert data.shared_molecules == 1


def test_structures_that_cannot_be_written_are_counted(write):
    train, held_back = write(["CCO", "CCC"], "train.parquet"), write(["CCS", "CCCC"], "val.parquet")
    data = read_training(DataSettings(train=(train,), validation=(held_back,)))
    assert data.validation.remarks == {"records with a SMILES token never trained on": 1}
    assert data.train.remarks == {}


def test_training_needs_files():
    with pytest.raises(ConfigError, match=r"data\.train"):
        read_training(DataSettings())


def test_text_is_learnt_in_one_pass(write):
    """The ids that are stored are those of the final vocabulary, whatever order words appeared in."""
    path = write()
    data = read_training(DataSettings(train=(path,), representation="text", formula=True, split_seed=2))
    records = {record.smiles: record for record in read_records(path)}
    assert list(data.train.tokens) == [H, C, IR, MS, FORMULA]
    for at, smiles in enumerate(data.train.smiles):
        for modality, words in text_tokens(records[smiles]).items():
            ids = data.train.tokens[modality].subset(np.array([at])).discrete[:, 0].tolist()
            assert data.encoding.source[modality].decode(ids) == words
    assert data.train.schemas == data.encoding.schemas
    assert data.encoding.schemas[C].discrete[0].size == len(data.encoding.source[C])


def test_the_published_rows(shared_data: Path):
    """The benchmark's own means over the 100 rows: 59.5, 17.8, 401 and 144 tokens of text."""
    path = shared_data / "alberts" / "example_data_1.parquet"
    whole = {"train": (path,), "validation": (path,), "allow_shared_molecules": True, "max_text_tokens": 4096}
    data = read_training(DataSettings(**whole, representation="text"))
    means = [float(packed.counts.mean()) for packed in data.train.tokens.values()]
    assert means == pytest.approx([59.5, 17.8, 401, 144], abs=0.5)
    assert data.shared_molecules == len(set(data.validation.blocks))
    compressed = read_training(DataSettings(**whole))
    assert set(compressed.train.tokens[IR].counts) == {256}
    assert len(compressed.train) == 100
