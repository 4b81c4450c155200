"""What a prepared folder is made of: sources, settings, and which rows make which shard.

The plan follows from the files and the settings alone, so that it is the same however many processes carry it
out, and after every interruption.
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
from mmspec_ds.data.splits import SplitSettings
from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.parquet import available_modalities, row_groups
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, CompressionSettings, modality_by_name

PLAN = "plan.json"
KIND = "mmspec shards"
FORMAT = 1
"""Of the shards and the manifest; another number is another layout."""

_LIBRARIES = ("mmspec-ds", "rdkit")
"""Those on whose versions the content of a shard may depend: the operators, and canonical SMILES."""

_FOOTER_END = 8  # bytes at the end of a parquet file: the length of its footer, and PAR1


class PrepareSettings(Settings):
    """What a prepared set is, beside its files.

    Attributes:
        modalities: the spectra that every file must have a column for. What is known besides (the formula) is
            stored where all files have it.
        compression: of the spectra, as in a run file.
        split: which molecules are held back.
        shard_rows: rows of the sources that make a shard, at most.
    """

    modalities: tuple[str, ...] = DataSettings.model_fields["modalities"].default
    compression: CompressionSettings = CompressionSettings()
    split: SplitSettings = SplitSettings()
    shard_rows: int = Field(4096, ge=1)

    @field_validator("modalities")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        DataSettings(modalities=names)  # which refuses unknown ones, and the formula
        return names


@dataclass(frozen=True)
class Source:
    """A file of the set: its rows by row group, and what tells whether it is still the same."""

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
    """Row groups that one process reads in one go, and the shards that it makes of them: `sizes[i]` rows of the
    sources for shard `first_shard + i`."""

    first_shard: int
    sizes: tuple[int, ...]
    runs: tuple[Run, ...]

    @property
    def shards(self) -> range:
        """The numbers of its shards."""
        return range(self.first_shard, self.first_shard + len(self.sizes))


@dataclass(frozen=True)
class Plan:
    """All that decides what the prepared folder will hold; `modalities` in the order of `Modality`."""

    sources: tuple[Source, ...]
    settings: PrepareSettings
    modalities: tuple[Modality, ...]
    tasks: tuple[Task, ...]

    @property
    def rows(self) -> int:
        """Rows of all sources."""
        return sum(sum(source.groups) for source in self.sources)

    @property
    def shards(self) -> int:
        """How many there will be."""
        return self.tasks[-1].shards.stop

    def description(self) -> dict[str, Any]:
        """In JSON's terms, as the plan file and the manifest keep it."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "settings": self.settings.model_dump(mode="json"),
            "modalities": [REGISTRY[modality].name for modality in self.modalities],
            "sources": [dict(source.fingerprint) for source in self.sources],
            "versions": {name: version(name) for name in _LIBRARIES},
        }


def make_plan(files: Sequence[Path], settings: PrepareSettings) -> Plan:
    """Look at the files' footers and divide their rows.

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
    """Tasks of one large row group each, or of as many small ones in a row, across files, as make a shard.

    Row groups are the least that can be read without reading what is before; a task is therefore made of whole
    ones, and a large one becomes several shards in one reading.
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
    """What tells a parquet file from another without reading it whole: its name, its size and the checksum of
    its footer, which holds the place, the size and the statistics of every column chunk."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(-_FOOTER_END, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-min(size, length + _FOOTER_END), 2)
        footer = hashlib.sha256(file.read()).hexdigest()
    return {"name": path.name, "bytes": size, "footer_sha256": footer}


def settle_plan(folder: Path, plan: Plan) -> None:
    """Write the plan into a new folder, or find the same one in a folder that was begun.

    Raises:
        DataError: the folder was begun with other arguments (names the first that differs), or holds something
            else.
    """
    path, wanted = folder / PLAN, json.loads(json.dumps(plan.description()))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        with replacing(path) as partial:
            strangers = [other for other in folder.iterdir() if other != partial]  # which a kill may have left
            if strangers:
                why = "is not empty: expected a new folder, or one that was begun"
                raise DataError(why, path=folder) from None
            partial.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        return
    except ValueError:
        raise DataError("damaged: not valid JSON; start again in another folder", path=path) from None
    check_same_plan(found, wanted, folder)


def check_same_plan(found: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with other arguments than those that a folder was begun with.

    Raises:
        DataError: names the first that differs.
    """
    # A folder of before some setting was there was begun with its default.
    begun_with = PrepareSettings.model_validate(found["settings"]).model_dump(mode="json")
    then, now = dict(flat({**found, "settings": begun_with})), dict(flat(wanted))
    for key in sorted(now):
        if key not in then or then[key] != now[key]:
            raise DataError(
                f"was begun with {key.removeprefix('settings.')} = {then.get(key)!r}, not {now[key]!r}:"
                " expected the same files and options, or another folder",
                path=folder,
            )


def flat(content: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Values by their dotted keys; the items of a list of objects by number, and its length."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from flat(value, f"{before}.{key}" if before else str(key))
    elif isinstance(content, list) and any(isinstance(item, Mapping) for item in content):
        yield f"{before}.count", len(content)
        for number, item in enumerate(content):
            yield from flat(item, f"{before}[{number}]")
    else:
        yield before, content
