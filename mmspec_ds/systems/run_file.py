"""Run files of every system: the key `system:` decides which settings a file must hold.

A system is a folder beside this file and a line in `SYSTEMS`. Its modules are imported when a run file asks for
them.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, overload

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import MANIFEST, faults, read_manifest
from mmspec_ds.settings import nearest, read_yaml, validated
from mmspec_ds.systems.trained_folder import STARTER, resolve_model
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

DOES = {
    "elucidation": "proposes structures",
    "retrieval": "searches libraries",
    "alignment": "answers questions in words",
    "fusion": "tells groups or classes",
}
"""By name what a model of the system does."""

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
    found = _settings_of(name, kind, what)
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


def _settings_of(name: str, kind: type[R], what: str) -> type[R]:
    """The class of the settings of a system, which must be of the `kind` that is expected."""
    found: type[RunSettings] = import_module(SYSTEMS[name][0]).Run
    if not issubclass(found, kind):
        does = f", which {DOES[name]}" if name in DOES else ""
        expected = " or ".join(map(repr, _systems_of(kind)))
        raise ConfigError(f"{what}: system is {name!r}{does}: expected {expected}")
    return found


def _systems_of(kind: type[RunSettings]) -> tuple[str, ...]:
    """The names that settings of a kind may have as their system; none where that is open."""
    return get_args(kind.model_fields["system"].annotation)


@overload
def load_run_of(name: str | Path) -> RunSettings: ...
@overload
def load_run_of(name: str | Path, kind: type[R]) -> R: ...
def load_run_of(name: str | Path, kind: type[RunSettings] = RunSettings) -> RunSettings:
    """The settings of a trained run or of an export by its folder, or of `starter` (`resolve_model`).

    Raises:
        DataError: there is no such folder, or it holds no settings.
        ConfigError: as `load_run`; of another system, `name` is named.
    """
    path = _run_folder(name, kind) / CONFIG
    content = read_yaml(path)
    _settings_of(system_named(content, path), kind, str(name))
    return run_from(content, path, kind)


def _run_folder(name: str | Path, kind: type[RunSettings]) -> Path:
    """The folder of a trained model by its name, with settings in it."""
    folder, systems = resolve_model(name), _systems_of(kind)
    is_starter_possible = not systems or DEFAULT in systems
    check_run_folder(folder, instead=f", or `{STARTER}`" if is_starter_possible else "")
    return folder


def load_whole_run_of(name: str | Path, kind: type[R], files: tuple[str, ...]) -> R:
    """The settings of a trained run or of an export whose folder is whole: it holds all of `files`, and where
    there is a manifest, as in an export, the files have its checksums. `name` is as `resolve_model` takes it.

    Raises:
        DataError: no such folder, or a file of it is missing or was altered.
        ConfigError: as `load_run`.
    """
    folder = _run_folder(name, kind)
    if (folder / MANIFEST).is_file():
        wrong = faults(folder, read_manifest(folder))
        if wrong:
            raise DataError("; ".join(wrong))
    run = load_run_of(name, kind)
    check_run_folder(folder, files)
    return run


def system_of(run: RunSettings) -> "System":
    """The system that makes the task of a run."""
    system: System = import_module(SYSTEMS[run.system][1]).SYSTEM
    return system
