"""Open a prepared folder for a run, and check that it is complete, unchanged and fits the run's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.data.shards.plan import FORMAT, KIND
from mmspec_ds.data.shards.prepare import SPLIT_FILE
from mmspec_ds.data.shards.rows import Shard, open_arrays, open_shard
from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import MANIFEST, faults, read_manifest
from mmspec_ds.molecules.splits import SplitSettings
from mmspec_ds.settings import flattened
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings


def is_prepared(path: Path) -> bool:
    """Whether a path of `data.train` is a prepared folder."""
    return path.is_dir()


@dataclass(frozen=True)
class PreparedFolder:
    """An open folder of memory-mapped shards; `manifest` as `prepare_shards` wrote it."""

    path: Path
    manifest: Mapping[str, Any]
    shards: tuple[Shard, ...]
    split_N: npt.NDArray[np.uint8]

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the files it was prepared from."""
        return tuple(source["name"] for source in self.manifest["sources"])

    @property
    def split_settings(self) -> SplitSettings:
        """The split settings of the folder."""
        return SplitSettings.model_validate(self.manifest["settings"]["split"])


def open_folder(path: Path, settings: DataSettings, part: tuple[int, int] | None = None) -> PreparedFolder:
    """Open a prepared folder for a run.

    The sizes of all files are compared with the manifest. Checksums, which need every byte to be read, are
    shared among the ranks of a run: those of every `part[1]`-th file from number `part[0]` on.

    Args:
        path: the folder.
        settings: the `data` block of the run.
        part: (rank, number of ranks) for the checksums; None verifies none.

    Raises:
        DataError: a file is missing, truncated or altered, or the folder is not complete.
        ConfigError: the settings ask for other tokens than the folder holds; names each key.
    """
    manifest = read_whole(path)
    check_fits(path, manifest, settings)
    wrong = size_faults(path, manifest)
    if not wrong and part is not None:
        wrong = faults(path, manifest, list(manifest["files"])[part[0] :: part[1]])
    if wrong:
        more = f"; and {len(wrong) - 1} more files" if len(wrong) > 1 else ""
        raise DataError(f"{wrong[0]}{more}: restore it, or prepare the folder again")
    modalities = settings.chosen_modalities()
    shards = tuple(open_shard(path / entry["file"], modalities) for entry in manifest["shards"])
    (split_N,) = open_arrays(path / SPLIT_FILE, ("split",))
    return PreparedFolder(path, manifest, shards, split_N)


def read_whole(path: Path) -> dict[str, Any]:
    """The manifest of a folder of shards.

    Raises:
        DataError: the folder is not complete, or has another format.
    """
    if not (path / MANIFEST).exists():
        raise DataError("is not a complete prepared folder: expected a manifest.json in it", path=path)
    manifest = read_manifest(path)
    if manifest.get("kind") != KIND or manifest.get("format") != FORMAT:
        raise DataError(f"is not a folder of shards of format {FORMAT}: prepare it again", path=path)
    return manifest


def size_faults(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """One line for each file that is missing or has the wrong size."""
    found = []
    for name, entry in manifest["files"].items():
        try:
            size = (folder / name).stat().st_size
        except OSError as error:
            found.append(f"{folder / name}: {error.strerror}")
        else:
            if size != entry["bytes"]:
                found.append(f"{folder / name}: {size:,} bytes where {entry['bytes']:,} were written")
    return found


def verify_folder(path: Path) -> list[str]:
    """Verify all checksums of a prepared folder: one line for each faulty file.

    Raises:
        DataError: its manifest is missing or damaged.
    """
    return faults(path, read_whole(path))


def check_fits(path: Path, manifest: Mapping[str, Any], settings: DataSettings) -> None:
    """Compare the settings of a run with those that a folder was prepared with.

    Raises:
        ConfigError: names each key that differs.
    """
    if settings.representation != "compressed":
        raise ConfigError(
            f"data.representation is {settings.representation!r}, but {path} holds compressed spectra: name its"
            " parquet files instead"
        )
    chosen = [REGISTRY[modality].name for modality in settings.chosen_modalities()]
    absent = [name for name in chosen if name not in manifest["modalities"]]
    if absent:
        raise ConfigError(
            f"{path} was prepared with {', '.join(manifest['modalities'])}, without {', '.join(absent)}, which"
            " data.modalities or data.formula asks for"
        )
    # A folder from before a setting existed was prepared with its default.
    made_with = CompressionSettings.model_validate(manifest["settings"]["compression"])
    stored = dict(flattened(made_with.model_dump(mode="json"), "data.compression."))
    wanted = dict(flattened(settings.compression.model_dump(mode="json"), "data.compression."))
    differences = [
        f"{key} is {wanted[key]!r}, prepared with {stored.get(key)!r}"
        for key in wanted
        if key.split(".")[2] in chosen and wanted[key] != stored.get(key)
    ]
    if differences:
        raise ConfigError(f"{path} does not fit the run: {'; '.join(differences)}")
