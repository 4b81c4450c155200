"""HSQC, carbon multiplicity and precursors in prepared folders; folders of before these settings were there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.reading import read_training
from mmspec_ds.data.shards.dataset import split_of
from mmspec_ds.data.shards.folder import open_folder
from mmspec_ds.data.shards.plan import PLAN, PrepareSettings
from mmspec_ds.data.shards.prepare import prepare_shards
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import read_manifest, write_manifest
from mmspec_ds.molecules.splits import SplitSettings
from mmspec_ds.spectra.parquet import read_records, write_records
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HSQCPeak, Modality, Record, TandemMS
from mmspec_ds.spectra.registry import CompressionSettings, compress_record

NAMES = ("c_nmr", "ms", "hsqc")
FURTHER = {"c_nmr": {"multiplicity": True}, "ms": {"precursor": True}}
ALL_TRAINED_ON = SplitSettings(validation=0.0, test=0.0)


def record(number: int) -> Record:
    """A record with some of what the benchmark does not have."""
    mz = np.array([40.0, 50.0 + number])
    ion = TandemMS(mz, mz, "negative", 20.0 + 15 * (number % 2), 100.0 + number, "[M-H]-", -1, 27.0)
    peaks = tuple(HSQCPeak(10.0 * i + number, i, i % 4 or None, -1.0 if i % 2 else None) for i in range(4))
    spectra = (CarbonNMR((20.0 + number, 30.0), (3, None)), ion, HSQC(peaks))
    return Record("", spectra if number % 3 else spectra[:2], "C" * (1 + number) + "O")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_records(tmp_path / "rows.parquet", map(record, range(12)))
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize("compression", [{}, FURTHER], ids=["plain", "further"])
def test_shards_hold_the_tokens_of_each_record(path: Path, tmp_path: Path, compression: Any) -> None:
    options = CompressionSettings.model_validate(compression)
    prepared = PrepareSettings(modalities=NAMES, compression=options, split=ALL_TRAINED_ON, shard_rows=5)
    prepare_shards([path], tmp_path / "out", prepared)
    settings = DataSettings(modalities=NAMES, compression=options)
    data = split_of(open_folder(tmp_path / "out", settings), "train", settings)
    asked = settings.chosen_modalities()
    for at, one in enumerate(read_records(path, modalities=asked)):
        dataset, (place,) = data.fetch([at])
        expected = compress_record(one, asked, options)
        for modality in asked:
            found = dataset.tokens[modality].subset(np.array([place]))
            if modality in expected:
                np.testing.assert_array_equal(found.discrete, expected[modality].discrete)
                np.testing.assert_array_equal(found.continuous, expected[modality].continuous)
            else:
                assert len(found) == 0
    assert (data.counts(Modality.HSQC) > 0).sum() == 8


def test_a_folder_of_other_tokens_is_refused(path: Path, tmp_path: Path) -> None:
    prepare_shards([path], tmp_path / "out", PrepareSettings(modalities=NAMES))
    further = DataSettings(
        train=(tmp_path / "out",), modalities=NAMES, compression=CompressionSettings.model_validate(FURTHER)
    )
    with pytest.raises(ConfigError, match=r"c_nmr\.multiplicity is True, prepared with False; .*ms\.precursor"):
        read_training(further)


def without_new_settings(content: dict[str, Any]) -> dict[str, Any]:
    """A manifest or plan of before the settings of this file's tests were there."""
    del content["settings"]["compression"]["hsqc"]
    del content["settings"]["compression"]["ei"]
    del content["settings"]["compression"]["c_nmr"]["multiplicity"]
    del content["settings"]["compression"]["ms"]["precursor"]
    return content


def test_a_folder_of_before_these_settings_is_what_it_was(path: Path, tmp_path: Path) -> None:
    prepared, out = PrepareSettings(modalities=NAMES[:2], split=ALL_TRAINED_ON), tmp_path / "out"
    prepare_shards([path], out, prepared)
    manifest = without_new_settings(read_manifest(out))
    write_manifest(out, manifest.pop("files"), **manifest)
    settings = DataSettings(modalities=NAMES[:2])
    assert len(split_of(open_folder(out, settings), "train", settings)) == 12
    prepare_shards([path], out, prepared)  # there is nothing left to do
    with pytest.raises(DataError, match="begun with"):
        prepare_shards([path], out, prepared.model_copy(update={"shard_rows": 3}))


def test_a_folder_that_was_begun_before_these_settings_is_finished(path: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    prepared, out = PrepareSettings(modalities=NAMES[:2], split=ALL_TRAINED_ON, shard_rows=4), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        prepare_shards([path], out, prepared, progress=stop)
    (out / PLAN).write_text(json.dumps(without_new_settings(json.loads((out / PLAN).read_text()))))
    assert prepare_shards([path], out, prepared).splits["train"] == 12


def test_text_has_no_hsqc() -> None:
    with pytest.raises(ValueError, match="no text of hsqc"):
        DataSettings(modalities=NAMES, representation="text")
