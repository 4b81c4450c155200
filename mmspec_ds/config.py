"""Run files: YAML in, frozen and typed settings out, unknown keys refused with the nearest known one."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from mmspec_ds.data.data_settings import DataSettings
from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_settings import MoESettings, ObjectiveSettings
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.settings import Settings
from mmspec_ds.spectra.registry import modality_by_name
from mmspec_ds.trainer.training_settings import TrainingSettings

S = TypeVar("S", bound=Settings)


class RunConfig(Settings):
    """Everything that a run depends on.

    Attributes:
        name: the run's folder is `output/name`.
        seed: of weights, order of samples and dropout.
        engine: DeepSpeed's settings, a JSON file; a relative path starts at the run file.
        output: the folder of runs.
        moe: the sparse layer; absent for a dense model.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    seed: int = Field(0, ge=0)
    engine: Path
    output: Path = Path("runs")
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    moe: MoESettings | None = None
    objective: ObjectiveSettings = ObjectiveSettings()
    training: TrainingSettings

    @model_validator(mode="after")
    def _experts_serve_known_modalities(self) -> Self:
        for number, expert in enumerate(self.moe.experts if self.moe else ()):
            for name in expert.modalities:
                try:
                    modality_by_name(name)
                except ConfigError as error:
                    raise ValueError(f"moe.experts[{number}].modalities: {error}") from None
        return self

    @model_validator(mode="after")
    def _the_model_has_room_for_every_target(self) -> Self:
        if self.data.max_target_tokens >= self.model.max_target_tokens:
            raise ValueError(
                f"model.max_target_tokens is {self.model.max_target_tokens}: expected at least"
                f" {self.data.max_target_tokens + 1}, data.max_target_tokens and one for the begin or the end"
            )
        return self

    @model_validator(mode="after")
    def _ranks_can_share_the_experts(self) -> Self:
        size = self.training.ep_size
        if self.moe is None and size > 1:
            raise ValueError(f"training.ep_size is {size}, but the model is dense: expected 1")
        if self.moe is not None and len(self.moe.experts) % size:
            raise ValueError(
                f"training.ep_size is {size}, but there are {len(self.moe.experts)} experts: expected a divisor"
            )
        return self

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return self.output / self.name


def load_run(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a run file and apply `section.key=value` overrides, whose values are YAML.

    Raises:
        ConfigError: an unreadable file, an unknown key (the nearest known one is named), or a value that does
            not fit; one line for all that is wrong.
    """
    content = _read_yaml(path)
    for override in overrides:
        _apply(content, override)
    run = validated(RunConfig, content, str(path))
    engine = run.engine if run.engine.is_absolute() else (path.parent / run.engine).resolve()
    return run.model_copy(update={"engine": engine})


def validated(kind: type[S], content: Mapping[str, Any], source: str) -> S:
    """Settings from plain values, or a ConfigError that begins with `source`."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            _problem(kind, e["loc"], e["type"], e["msg"], e.get("input")) for e in error.errors()
        )
        raise ConfigError(f"{source}: {problems}") from None


def dump_run(run: RunConfig) -> str:
    """The run as YAML that `load_run` reads back."""
    return yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}: expected a run file in YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


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
        inner = content.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{override!r}: {section} is a value, not a section")
        content = inner
    content[last] = value


def _problem(kind: type[BaseModel], place: tuple[int | str, ...], what: str, message: str, found: Any) -> str:
    key = ".".join(str(part) for part in place)
    if what == "extra_forbidden":
        known = _fields_at(kind, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
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
        if isinstance(part, int):
            continue
        annotation = kind.model_fields[part].annotation
        kind = next(a for a in _settings_in(annotation))
    return list(kind.model_fields)


def _settings_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _settings_in(inner)
