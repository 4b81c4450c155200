"""The settings that all run files share."""

from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from pydantic import Field

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.settings import Settings, flattened
from mmspec_ds.trainer.training_settings import TrainingSettings

CONFIG = "config.yaml"
"""The settings of a run in its folder."""


class RunSettings(Settings):
    """The keys that all run files share. A system's own class adds its blocks, and `system` with its name.

    Attributes:
        system: what is trained, the name of a folder of `mmspec_ds/systems`.
        name: the run's folder is `output/name`.
        seed: of weights, order of samples and dropout.
        engine: DeepSpeed's settings, a JSON file; a relative path starts at the run file.
        output: the folder of runs.
        bound_keys: keys, or blocks of them, that must have the values of the checkpoint when a run is resumed.
        free_keys: keys of these blocks that may change nevertheless.
    """

    bound_keys: ClassVar[tuple[str, ...]] = ("system", "training.optimizer")
    free_keys: ClassVar[tuple[str, ...]] = ()

    system: str
    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    seed: int = Field(0, ge=0)
    engine: Path
    output: Path = Path("runs")
    training: TrainingSettings

    @property
    def folder(self) -> Path:
        """The folder that the run writes to."""
        return self.output / self.name

    def to_yaml(self) -> str:
        """The run as YAML, with defaults, for `load_run` to read back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def without_paths(self) -> Self:
        """The same without the paths of this machine, as an export has it."""
        fields = type(self).model_fields
        training = self.training.model_copy(update={"start_from": None})
        return self.model_copy(
            update={"engine": Path("engine.json"), "output": fields["output"].default, "training": training}
        )

    def hyperparameters(self) -> dict[str, str | int | float | bool]:
        """The settings that TensorBoard shows, by dotted key: all but names and paths."""
        return scalars_of(self.model_dump(mode="json", exclude={"system", "name", "engine", "output"}))

    def check_resumable(self, earlier: dict[str, Any], source: Path) -> None:
        """Refuse to go on with another model than that of a checkpoint.

        Args:
            earlier: the settings that the checkpoint was written with, in JSON's types. Keys that this version
                has added since count as their defaults.
            source: the checkpoint, for the message.

        Raises:
            ConfigError: names the first key that differs.
        """
        try:
            earlier = type(self).model_validate(earlier).model_dump(mode="json")
        except ValueError:  # of a version that knew other keys: they are compared as they stand
            earlier = {"system": self.system, **earlier}
        now, then = dict(flattened(self.model_dump(mode="json"))), dict(flattened(earlier))
        for key in sorted(now.keys() | then.keys()):
            bound = any(key == one or key.startswith(f"{one}.") for one in self.bound_keys)
            if bound and key not in self.free_keys and now.get(key) != then.get(key):
                raise ConfigError(
                    f"{key} is {now.get(key)!r}, but {source} was trained with {then.get(key)!r}:"
                    " expected the same, or another name for another run"
                )


def scalars_of(content: dict[str, Any]) -> dict[str, str | int | float | bool]:
    """Nested settings by their dotted keys; lists as text, None left out."""
    return {
        key: value if isinstance(value, str | int | float | bool) else str(value)
        for key, value in flattened(content)
        if value is not None
    }


def check_run_folder(folder: Path, files: tuple[str, ...] = (CONFIG,), instead: str = "") -> None:
    """Refuse a folder that lacks one of these files.

    Args:
        folder: of a run or an export.
        files: their names.
        instead: what else might have been named, the end of the message where there is no such folder.

    Raises:
        DataError: there is no such folder, or a file is missing: names the first one.
    """
    if not folder.is_dir():
        told = "is a file: expected the folder" if folder.exists() else "there is no such folder: expected that"
        raise DataError(f"{told} of a trained run{instead}", path=folder)
    for name in files:
        if not (folder / name).is_file():
            raise DataError(f"holds no {name}: expected the folder of a trained run", path=folder)
