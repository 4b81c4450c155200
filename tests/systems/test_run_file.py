"""The folder of a trained run or an export is whole, or it is said what is wrong with it."""

import shutil
from pathlib import Path

import pytest

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import entry_of, write_manifest
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.run_file import find_run_file, load_whole_run_of

FILES = ("model.safetensors",)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A folder with the settings of a run, its weights and a manifest of both."""
    shutil.copy(find_run_file(Path("demo")), tmp_path / "config.yaml")
    (tmp_path / FILES[0]).write_bytes(b"weights")
    write_manifest(tmp_path, {name: entry_of(tmp_path / name) for name in ("config.yaml", *FILES)})
    return tmp_path


def test_a_whole_folder_is_read(export: Path) -> None:
    assert load_whole_run_of(export, ElucidationRun, FILES).name == "demo"
    with pytest.raises(ConfigError, match="system is 'elucidation'"):
        load_whole_run_of(export, FusionRun, FILES)


def test_altered_settings_are_named_before_they_are_read(export: Path) -> None:
    with (export / "config.yaml").open("a") as file:
        file.write("stepps: 1\n")
    with pytest.raises(DataError, match=r"config\.yaml: [\d,]+ bytes where [\d,]+ were written"):
        load_whole_run_of(export, ElucidationRun, FILES)


def test_a_missing_file_is_named_with_a_manifest_and_without(export: Path) -> None:
    (export / FILES[0]).unlink()
    with pytest.raises(DataError, match=r"model\.safetensors: No such file"):
        load_whole_run_of(export, ElucidationRun, FILES)
    (export / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"holds no model\.safetensors: expected the folder of a trained run"):
        load_whole_run_of(export, ElucidationRun, FILES)
    (export / "config.yaml").unlink()
    with pytest.raises(DataError, match=r"holds no config\.yaml"):
        load_whole_run_of(export, ElucidationRun, FILES)
