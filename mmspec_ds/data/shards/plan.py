"""The plan of a prepared folder: source files, settings, and the rows of each shard.

The plan depends on the files and the settings alone, not on the number of processes or on interruptions.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing
from mmspec_ds.molecules.splits import SplitSettings
from mmspec_ds.settings import Settings, flattened
from mmspec_ds.spectra.parquet import available_modalities, row_groups
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings, modality_by_name

PLAN = "plan.json"
KIND = "mmspec shards"
FORMAT = 1
"""The version of the layout of shards and manifest."""

_LIBRARIES = ("mmspec-ds", "rdkit")
"""Libraries whose versions may change a shard: ours by its operators, RDKit by its canonical SMILES."""

_FOOTER_END = 8  # bytes at the end of a parquet file: the length of its footer, and PAR1


class PrepareSettings(Settings):
    """Settings of a prepared folder.

    Attributes:
        modalities: the spectra that every file must have a column for. The formula is stored where all files
            have it.
        compression: the operators' settings, as in a run file.
        split: which molecules are held back.
        shard_rows: the largest number of source rows in a shard.
    """

    modalities: tuple[str, ...] = DataSettings.model_fields["modalities"].default
    compression: CompressionSettings = CompressionSettings()
    split: SplitSettings = SplitSettings()
    shard_rows: int = Field(4096, ge=1)

    @field_validator("modalities")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        DataSettings(modalities=names)  # refuses unknown ones and the formula
        return names


@dataclass(frozen=True)
class Source:
    """A source file: the rows of each row group, and a fingerprint by which a changed file is noticed."""

    path: Path
    groups: tuple[int, ...]
    fingerprint: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """Neighbouring row groups of one source; `first_row` is the first row of the first group."""

    source: int
    groups: tuple[int, ...]
    first_row: int


@dataclass(frozen=True)
class Task:
    """Row groups that one process reads, and the shards that it writes: shard `first_shard + i` is made of
    `sizes[i]` source rows."""

    first_shard: int
    sizes: tuple[int, ...]
    runs: tuple[Run, ...]

    @property
    def shards(self) -> range:
        """The numbers of its shards."""
        return range(self.first_shard, self.first_shard + len(self.sizes))


@dataclass(frozen=True)
class Plan:
    """Everything that determines the prepared folder; `modalities` in the order of `Modality`."""

    sources: tuple[Source, ...]
    settings: PrepareSettings
    modalities: tuple[Modality, ...]
    tasks: tuple[Task, ...]

    @property
    def rows(self) -> int:
        """The number of rows of all sources."""
        return sum(sum(source.groups) for source in self.sources)

    @property
    def shards(self) -> int:
        """The number of shards of all tasks together."""
        return self.tasks[-1].shards.stop

    def description(self) -> dict[str, Any]:
        """The plan as JSON values, as stored in the plan file and the manifest."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "settings": self.settings.model_dump(mode="json"),
            "modalities": [REGISTRY[modality].name for modality in self.modalities],
            "sources": [dict(source.fingerprint) for source in self.sources],
            "versions": library_versions(),
        }


def make_plan(files: Sequence[Path], settings: PrepareSettings) -> Plan:
    """Read the footers of the files and divide their rows into shards.

    Raises:
        DataError: a file cannot be read, or is named twice.
    """
    paths = [path.resolve() for path in files]
    twice = next((path for path in files if paths.count(path.resolve()) > 1), None)
    if twice is not None:
        raise DataError("is named twice", path=twice)
    sources = tuple(Source(path, tuple(row_groups(path)), fingerprint_of(path)) for path in files)
    modalities = {modality_by_name(name) for name in settings.modalities}
    for modality, entry in REGISTRY.items():
        if not entry.is_instrument and all(modality in available_modalities(path) for path in files):
            modalities.add(modality)
    tasks = tuple(divide([source.groups for source in sources], settings.shard_rows))
    return Plan(sources, settings, tuple(sorted(modalities)), tasks)


def divide(groups: Sequence[Sequence[int]], shard_rows: int) -> Iterator[Task]:
    """Tasks of one large row group each, or of consecutive small ones, across files, that fill a shard.

    A row group is the smallest unit that can be read on its own. A task therefore consists of whole row groups,
    and a large one becomes several shards.
    """
    shard, rows, runs = 0, 0, list[Run]()
    for source, sizes in enumerate(groups):
        first_row = 0
        for group, size in enumerate(sizes):
            if runs and rows + size > shard_rows:
                task = _task(shard, rows, runs, shard_rows)
                yield task
                shard, rows, runs = task.shards.stop, 0, []
            if runs and runs[-1].source == source:
                runs[-1] = Run(source, (*runs[-1].groups, group), runs[-1].first_row)
            elif size:
                runs.append(Run(source, (group,), first_row))
            rows += size
            first_row += size
    if runs:
        yield _task(shard, rows, runs, shard_rows)


def _task(first_shard: int, rows: int, runs: Iterable[Run], shard_rows: int) -> Task:
    sizes = tuple(min(shard_rows, rows - start) for start in range(0, rows, shard_rows))
    return Task(first_shard, sizes, tuple(runs))


def fingerprint_of(path: Path) -> dict[str, Any]:
    """Identify a parquet file without reading it whole: its name, its size and the checksum of its footer,
    which has the offset, size and statistics of every column chunk."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(-_FOOTER_END, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-min(size, length + _FOOTER_END), 2)
        footer = hashlib.sha256(file.read()).hexdigest()
    return {"name": path.name, "bytes": size, "footer_sha256": footer}


def library_versions() -> dict[str, str]:
    """The versions of the libraries on which encoded data depend."""
    return {name: version(name) for name in _LIBRARIES}


def settle_plan(folder: Path, plan: Plan) -> None:
    """Write the plan into a new folder, or compare it with that of an interrupted preparation.

    Raises:
        DataError: the folder was begun with other arguments (names the first that differs), or has other files.
    """
    path, wanted = folder / PLAN, json.loads(json.dumps(plan.description()))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        with replacing(path) as partial:
            strangers = [
                other for other in folder.iterdir() if other != partial
            ]  # a killed process may have left it
            if strangers:
                why = "is not empty: expected a new folder, or one that was begun"
                raise DataError(why, path=folder) from None
            partial.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        return
    except ValueError:
        raise DataError("damaged: not valid JSON; start again in another folder", path=path) from None
    check_same_plan(found, wanted, folder)


def check_same_plan(found: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Compare the arguments with those that a folder was begun with.

    Raises:
        DataError: names the first that differs.
    """
    # A folder from before a setting existed was begun with its default.
    begun_with = PrepareSettings.model_validate(found["settings"]).model_dump(mode="json")
    then, now = _by_key({**found, "settings": begun_with}), _by_key(wanted)
    for key in sorted(now):
        if key not in then or then[key] != now[key]:
            raise DataError(
                f"was begun with {key.removeprefix('settings.')} = {then.get(key)!r}, not {now[key]!r}:"
                " expected the same files and options, or another folder",
                path=folder,
            )


def _by_key(description: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a description by their dotted keys, with the sources by number and their count."""
    rest = dict(description)
    sources = rest.pop("sources")
    numbered = {f"sources[{number}]": source for number, source in enumerate(sources)}
    return dict(flattened({**rest, "sources.count": len(sources), **numbered}))
