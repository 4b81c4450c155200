"""Run files of every system: the key `system:` decides which settings a file must hold.

A system is a folder beside this file and a line in `SYSTEMS`. Its modules are imported when a run file asks for
them.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import MANIFEST, faults, read_manifest
from mmspec_ds.settings import nearest, read_yaml, validated
from mmspec_ds.trainer.run_settings import CONFIG, RunSettings, check_run_folder

if TYPE_CHECKING:
    from mmspec_ds.trainer.task import System

SYSTEMS = {
    "elucidation": ("mmspec_ds.systems.elucidation.run_settings", "mmspec_ds.systems.elucidation.task"),
    "retrieval": ("mmspec_ds.systems.retrieval.run_settings", "mmspec_ds.systems.retrieval.task"),
    "alignment": ("mmspec_ds.systems.alignment.run_settings", "mmspec_ds.systems.alignment.task"),
    "fusion": ("mmspec_ds.systems.fusion.run_settings", "mmspec_ds.systems.fusion.task"),
}
"""By name: the module whose `Run` is the class of the run file, and that whose `SYSTEM` makes the task."""

DEFAULT = "elucidation"

SHIPPED = Path(__file__).parents[2] / "ds_configs"
"""The run files and engine files of the project: beside the package in a checkout and in an installation."""

R = TypeVar("R", bound=RunSettings)


def find_run_file(path: Path) -> Path:
    """The file itself if there is one, else ours: "demo" and "ds_configs/runs/demo.yaml" work in any folder,
    also where a folder has the name."""
    if path.exists() and not path.is_dir():
        return path
    own = SHIPPED / "runs" / f"{path}.yaml" if len(path.parts) == 1 else SHIPPED.parent / path
    return own if own.is_file() and own.is_relative_to(SHIPPED) else path


@overload
def load_run(path: Path, overrides: Iterable[str] = ()) -> RunSettings: ...
@overload
def load_run(path: Path, overrides: Iterable[str], kind: type[R]) -> R: ...
def load_run(path: Path, overrides: Iterable[str] = (), kind: type[RunSettings] = RunSettings) -> RunSettings:
    """Read a run file and apply `section.key=value` overrides, whose values are YAML.

    Args:
        path: of the file, or the name of one of the project's own, such as "demo".
        overrides: settings to change.
        kind: the settings that the caller can use.

    Raises:
        ConfigError: an unreadable file, an unknown key (the nearest known one is named), a value that does not
            fit, or a run of another system; one line for everything that is wrong.
    """
    path = find_run_file(path)
    return run_from(read_yaml(path, overrides), path, kind)


def run_from(content: dict[str, Any], path: Path, kind: type[R], what: str = "") -> R:
    """The run of the content of a run file.

    Args:
        content: what the file says, perhaps changed since.
        path: of the file: a relative path of the engine's settings begins there.
        kind: the settings that the caller can use.
        what: names the run in errors; without, the file does.

    Raises:
        ConfigError: as `load_run`.
    """
    name, what = system_named(content, path), what or str(path)
    found: type[RunSettings] = import_module(SYSTEMS[name][0]).Run
    if not issubclass(found, kind):
        raise ConfigError(f"{what}: system is {name!r}: this command does not know such models")
    run = validated(found, content | {"system": name}, what)
    engine = run.engine if run.engine.is_absolute() else (path.parent / run.engine).resolve()
    return run.model_copy(update={"engine": engine})


def system_named(content: Mapping[str, Any], path: Path) -> str:
    """The system that the content of a run file names.

    Raises:
        ConfigError: an unknown one.
    """
    name = content.get("system", DEFAULT)
    if not isinstance(name, str) or name not in SYSTEMS:
        raise ConfigError(f"{path}: system: unknown system {name!r}; {nearest(str(name), SYSTEMS, 'systems')}")
    return name


@overload
def load_run_of(folder: Path) -> RunSettings: ...
@overload
def load_run_of(folder: Path, kind: type[R]) -> R: ...
def load_run_of(folder: Path, kind: type[RunSettings] = RunSettings) -> RunSettings:
    """The settings of a trained run or of an export, from its folder.

    Raises:
        DataError: the folder holds no settings.
        ConfigError: as `load_run`.
    """
    check_run_folder(folder)
    return load_run(folder / CONFIG, (), kind)


def load_whole_run_of(folder: Path, kind: type[R], files: tuple[str, ...]) -> R:
    """The settings of a trained run or of an export whose folder is whole: it holds all of `files`, and where
    there is a manifest, as in an export, the files have its checksums.

    Raises:
        DataError: no such folder, or a file of it is missing or was altered.
        ConfigError: as `load_run`.
    """
    check_run_folder(folder)
    if (folder / MANIFEST).is_file():
        wrong = faults(folder, read_manifest(folder))
        if wrong:
            raise DataError("; ".join(wrong))
    run = load_run_of(folder, kind)
    check_run_folder(folder, files)
    return run


def system_of(run: RunSettings) -> "System":
    """The system that makes the task of a run."""
    system: System = import_module(SYSTEMS[run.system][1]).SYSTEM
    return system
