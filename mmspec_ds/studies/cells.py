"""A cell's settings, its identity, and its folder.

A cell is known by a hash of what decides its training: the settings of its run file that differ from the
defaults, names and paths left out, the engine's settings, the data recipe, the pretrained language model that
it reads, if any, and the cell that it begins with. A setting that the project gains later, with a default that
changes nothing, leaves the hash as it is. Where a default changes, the stored run file no longer says the same
as the cell, and `CellFolder.check` refuses it.

OUT/cells/<hash>/
    cell.json      what the cell is, for readers and for the process that measures
    run.yaml       the run file, engine.json beside it
    run/           the folder of the run, without checkpoints once everything is measured
    result.json    steps, seconds, parameters, operations, losses, versions
    measures/      a file for each measure
    log.txt        what training and measures printed
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from pydantic import BaseModel

from mmspec_ds.errors import ConfigError, DataError, UserError
from mmspec_ds.settings import flattened, read_yaml
from mmspec_ds.studies.language import LANGUAGE_MODEL, language_identity
from mmspec_ds.studies.plan import Budget, Cell, DataRecipe
from mmspec_ds.studies.systems import system_of_run
from mmspec_ds.systems.run_file import find_run_file, load_run, run_from
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.weights import WEIGHTS

CELLS = "cells"
RUN_FILE, ENGINE, RUN, RESULT = "run.yaml", "engine.json", "run", "result.json"
MEASURES_FOLDER, ABOUT, LOG = "measures", "cell.json", "log.txt"

_NO_PART = {"name", "output", "engine"}
"""Keys of a run file that are no part of what is trained; the engine's settings are, by their content."""

_NO_PART_OF = {
    "data": {"train", "validation", "cache"},  # the recipe stands for them
    "training": {"start_from", "threads", "timeout_minutes", "keep_checkpoints", "log_every"},
}

R = TypeVar("R", bound=RunSettings)


@overload
def settings_of(cell: Cell, budget: Budget) -> RunSettings: ...
@overload
def settings_of(cell: Cell, budget: Budget, kind: type[R]) -> R: ...
def settings_of(cell: Cell, budget: Budget, kind: type[RunSettings] = RunSettings) -> RunSettings:
    """The run of a cell: its base, changed by the budget, by the data recipe and by the cell itself, in this
    order. The files of the data are not in it; a language model is that of the budget.

    Args:
        cell, budget: whose run.
        kind: the settings that the caller can use.

    Raises:
        ConfigError: an unknown recipe, or settings that no run can have.
    """
    path = find_run_file(Path(cell.base))
    content = read_yaml(path)
    recipe = recipe_of(cell, budget)
    for overrides in (budget.overrides, recipe.overrides, cell.overrides):
        for key, value in overrides.items():
            _set(content, key, value, cell.base)
    content |= {"seed": cell.seed, "name": RUN}
    run = run_from(content, path, kind, f"cell of {cell.base} with {dict(cell.overrides)}")
    if budget.language is not None:
        run = cast(RunSettings, system_of_run(run).with_language(run, budget.language))
    return settled(run)


def settled(run: R) -> R:
    """The run with settings that say the same written alike: one that validates at its last step alone does so
    however much larger `validate_every` is."""
    steps = run.training.steps
    if steps is None or run.training.validate_every <= steps:
        return run
    training = run.training.model_copy(update={"validate_every": steps})
    return run.model_copy(update={"training": training})


def recipe_of(cell: Cell, budget: Budget) -> DataRecipe:
    """The data recipe of a cell.

    Raises:
        ConfigError: the budget has none of that name.
    """
    if cell.data not in budget.data:
        raise ConfigError(
            f"the {budget.name} budget has no data {cell.data!r}: known: {', '.join(budget.data)}"
        )
    return budget.data[cell.data]


def identity_of(cell: Cell, budget: Budget) -> str:
    """The hash that a cell is known by."""
    if not cell.trains:
        content = {"data": recipe_identity(recipe_of(cell, budget)), "trains": False, "seed": cell.seed}
        if cell.overrides:  # of a model that is measured as it is drawn
            content["run"] = _settings_identity(settings_of(cell, budget))
        return _hash(content)
    start = None if cell.start_from is None else identity_of(cell.start_from, budget)
    return identity_of_run(settings_of(cell, budget), recipe_of(cell, budget), start)


def identity_of_run(run: RunSettings, recipe: DataRecipe, start: str | None = None) -> str:
    """The hash of a run on the data of a recipe, which begins with the weights of the cell `start`.

    Raises:
        ConfigError: the engine's settings cannot be read.
    """
    try:
        engine = json.loads(run.engine.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run.engine}: cannot be read: {error}") from None
    content = _settings_identity(run)
    return _hash({"run": content, "engine": engine, "data": recipe_identity(recipe), "start": start})


def _settings_identity(run: RunSettings) -> dict[str, Any]:
    """What of the settings of a run decides its training, in JSON's types: what differs from the defaults, and
    for a language model its content, wherever it is."""
    language = system_of_run(run).language_of(run)
    content = _differing(settled(_at_no_place(run)))
    for key in _NO_PART:
        content.pop(key, None)
    for block, keys in _NO_PART_OF.items():
        for key in keys:
            content.get(block, {}).pop(key, None)
    return content if language is None else {**content, LANGUAGE_MODEL: language_identity(language)}


def recipe_identity(recipe: DataRecipe) -> dict[str, Any]:
    """What decides the data of a recipe, in JSON's types: what is simulated, or names and sizes of files."""
    if recipe.files:
        files = [[path.name, path.stat().st_size] for path in recipe.files]  # not the path: sets are moved
        return {"files": files, "shards": recipe.shards}
    simulated = {name: getattr(recipe, name) for name in ("molecules", "max_heavy_atoms", "seed", "shards")}
    return {**simulated, "simulation": dict(recipe.simulation)}


@dataclass(frozen=True)
class CellFolder:
    """The folder that holds one trained cell of a study: its settings, its run and what was measured."""

    path: Path

    @classmethod
    def of(cls, out: Path, cell: Cell, budget: Budget) -> "CellFolder":
        """The folder of a cell among those of `out`, whether or not it is there."""
        return cls(out / CELLS / identity_of(cell, budget))

    @property
    def run(self) -> Path:
        """The folder of the trained run."""
        return self.path / RUN

    @property
    def log(self) -> Path:
        """What training and measures printed."""
        return self.path / LOG

    def result(self) -> dict[str, Any] | None:
        """The content of `result.json`: steps, samples, seconds, FLOPs, parameters, losses, device, versions
        and commit of the training; None as long as it is not finished."""
        return read_json(self.path / RESULT)

    def measure(self, name: str, budget: Budget) -> dict[str, Any] | None:
        """The result of a measure within this budget; None where it was not made.

        Raises:
            DataError: its file is damaged.
        """
        path = self.path / MEASURES_FOLDER / f"{name}.json"
        found = read_json(path)
        if found is None or found.get("budget") != measure_budget(budget):
            return None
        values = found.get("values")
        if not isinstance(values, dict):
            raise DataError("holds no values: remove it to measure again", path=path)
        return values

    def missing_measures(self, cell: Cell, budget: Budget) -> tuple[str, ...]:
        """The measures of a cell that are not made."""
        return tuple(name for name in cell.measures if self.measure(name, budget) is None)

    def has_weights(self) -> bool:
        """Whether the trained weights are there, which a measure needs."""
        return (self.run / WEIGHTS).is_file()

    def is_finished(self, cell: Cell, budget: Budget) -> bool:
        """Whether everything of a cell is there."""
        trained = not cell.trains or self.result() is not None
        return trained and not self.missing_measures(cell, budget)

    def check(self, cell: Cell, budget: Budget) -> None:
        """Refuse a folder whose run file says something else than the cell: a default of the project has
        changed since it was trained.

        Raises:
            DataError: names the first setting that differs.
        """
        path = self.path / RUN_FILE
        if not cell.trains or not path.is_file():
            return
        stored, wanted = _decisive(load_run(path)), _decisive(settings_of(cell, budget))
        for key in sorted(stored.keys() | wanted.keys()):
            if stored.get(key) != wanted.get(key):
                raise DataError(
                    f"was trained with {key} {stored.get(key)!r}, and {wanted.get(key)!r} is asked for:"
                    " move it away to train it again",
                    path=self.path,
                )

    def fault(self, cell: Cell, budget: Budget) -> str | None:
        """Why `check` refuses the folder, in one line; None where it does not."""
        try:
            self.check(cell, budget)
        except UserError as error:
            return " ".join(str(error).split())
        return None


def described(cell: Cell) -> str:
    """A cell in a few words: what it changes, its data and its seed. Two cells may have the same words."""
    told = [f"{key}={_in_short(value)}" for key, value in cell.overrides.items()]
    shown = list(told)
    while len(shown) > 1 and len(", ".join(shown)) > 60:
        shown.pop()
    if len(shown) < len(told):
        shown.append(f"{len(told) - len(shown)} more")
    start = "" if cell.start_from is None else ", from trained weights"
    return f"{', '.join(shown) or cell.base}{start}, {cell.data}, seed {cell.seed}"


def _in_short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{len(value)} entries]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def distinct(cells: Iterable[Cell], budget: Budget) -> tuple[Cell, ...]:
    """Each training once, in order of first mention, with the measures that any of the equal cells asks for."""
    kept: dict[str, Cell] = {}
    for cell in cells:
        key = identity_of(cell, budget)
        first = kept.get(key, cell)
        kept[key] = replace(first, measures=tuple(dict.fromkeys((*first.measures, *cell.measures))))
    return tuple(kept.values())


def measure_budget(budget: Budget) -> dict[str, Any]:
    """What of a budget decides the result of a measure."""
    return {"evaluate": budget.evaluate, "beam": budget.beam}


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None without a file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {' '.join(str(error).split())}", path=path) from None
    if not isinstance(content, dict):
        raise DataError("expected a JSON object", path=path)
    return content


def _set(content: dict[str, Any], key: str, value: Any, base: str) -> None:
    """Give a dotted setting a value; the innermost section that it stands in must be one."""
    *sections, last = key.split(".")
    for section in sections:
        inner = content.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{base}: {key}: {section} is {inner!r}, not a section")
        content = inner
    content[last] = value


def _at_no_place(run: RunSettings) -> RunSettings:
    """The run with its language model, if it has one, at a place that is the same for all."""
    return cast(RunSettings, system_of_run(run).with_language(run, Path(LANGUAGE_MODEL)))


def _decisive(run: RunSettings) -> dict[str, Any]:
    """The settings that decide what is trained, by dotted key, defaults included."""
    content = settled(_at_no_place(run)).model_dump(mode="json", exclude=_NO_PART)
    for block, keys in _NO_PART_OF.items():
        for key in keys:
            content[block].pop(key, None)
    return dict(flattened(content))


def _differing(settings: BaseModel) -> dict[str, Any]:
    """The settings that differ from the defaults of their classes, in JSON's types."""
    dumped = settings.model_dump(mode="json")
    found: dict[str, Any] = {}
    for name, about in type(settings).model_fields.items():
        value = getattr(settings, name)
        default = None if about.is_required() else about.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            inner = _differing(value)
            if inner or default is None:
                found[name] = inner
        elif about.is_required() or value != default:
            found[name] = _plain(value, dumped[name])
    return found


def _plain(value: Any, dumped: Any) -> Any:
    """A value in JSON's types; of settings in a list what differs from their defaults."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, BaseModel) for one in value):
        return [_differing(one) for one in value]
    return dumped


def _hash(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
