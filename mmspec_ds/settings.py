"""Settings: frozen and typed, read from YAML, with unknown keys refused by naming the nearest known one."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mmspec_ds.errors import ConfigError


class Settings(BaseModel):
    """The base of every block of settings; each room defines its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


S = TypeVar("S", bound=Settings)


def read_yaml(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The keys and values of a YAML file, changed by `section.key=value` overrides, whose values are YAML.

    Raises:
        ConfigError: an unreadable file, or an override that cannot be applied.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise ConfigError(f"{path}: {why}: expected a run file in YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(content).__name__}")
    for override in overrides:
        _apply(content, override)
    return content


def of_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """The keys and values of `key=value` texts alone, whose values are YAML.

    Raises:
        ConfigError: a text that is no such pair.
    """
    content: dict[str, Any] = {}
    for override in overrides:
        _apply(content, override)
    return content


def validated(kind: type[S], content: Mapping[str, Any], source: str) -> S:
    """Settings from plain values, or a ConfigError that begins with `source` and names everything wrong."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            _problem(kind, e["loc"], e["type"], e["msg"], e.get("input")) for e in error.errors()
        )
        raise ConfigError(f"{source}: {problems}") from None


def nearest(name: str, known: Iterable[str], what: str = "keys", otherwise: str | None = None) -> str:
    """A hint for an unknown name: the known name most like it; or all of them, unless `otherwise` says what
    else."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known {what}: {', '.join(names)}" if otherwise is None else otherwise


def flattened(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by their dotted keys; a list counts as a value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"{override!r}: expected section.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{override!r}: not YAML: {' '.join(str(error).split())}") from None
    *sections, last = key.split(".")
    for section in sections:
        inner = content.get(section)
        if inner is None:  # absent, or null, as a run's own config.yaml has a block that is not used
            inner = content[section] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{override!r}: {section} is a value, not a section")
        content = inner
    content[last] = value


def _problem(kind: type[BaseModel], place: tuple[int | str, ...], what: str, message: str, found: Any) -> str:
    key = ".".join(str(part) for part in place)
    if what == "extra_forbidden":
        return f"{key}: unknown key; {nearest(str(place[-1]), _fields_at(kind, place[:-1]))}"
    if what == "missing":
        return f"{key}: missing"
    message = message.removeprefix("Value error, ")
    if not place:  # of several blocks together: the message names the keys
        return message
    shown = "" if isinstance(found, (dict, list, tuple)) or what == "value_error" else f", found {found!r}"
    return f"{key}: {message[:1].lower()}{message[1:]}{shown}"


def _fields_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys of the settings at a place of the tree."""
    for part in place:
        if not isinstance(part, int):
            kind = next(_settings_in(kind.model_fields[part].annotation))
    return list(kind.model_fields)


def _settings_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _settings_in(inner)
