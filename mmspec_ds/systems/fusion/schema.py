"""What a fusion model reads and tells: its modalities, its classes, and the scaling of its tables.

A run keeps it beside the weights, which mean nothing without it.

Axes: M modalities, C classes or groups, N samples, F features of a table.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mmspec_ds.errors import DataError

SCHEMA = "schema.json"
"""The file in a run's folder."""
Kind = Literal["classes", "groups", "none"]
"""One of several classes, any number of groups, or nothing: a model that is pretrained alone."""


@dataclass(frozen=True)
class TableScaling:
    """The features of a table and how their values become intensities, fitted on the samples that are learnt
    from.

    Attributes:
        features: their names, F.
        positions: of each, in the unit of `axis`; the number of the feature where it has none.
        axis: the name of a `tokens.Axis`.
        log: whether logarithms are taken first; what is not above `floor` counts as that.
        total: whether the values of a sample are divided by their sum first.
        floor, centre, scale: of each feature: half of its smallest positive value, mean, and standard
            deviation.
    """

    features: tuple[str, ...]
    positions: tuple[float, ...]
    axis: str
    log: bool
    total: bool
    floor: tuple[float, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class Schema:
    """What a model reads and tells.

    Attributes:
        modalities: names in the order of their numbers, M.
        kind: what is told.
        names: of the classes or the groups, C.
        tables: the scaling of each modality that is a table.
    """

    modalities: tuple[str, ...]
    kind: Kind
    names: tuple[str, ...]
    tables: Mapping[str, TableScaling]

    def to_json(self) -> dict[str, Any]:
        """The schema in JSON's types."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    def save(self, folder: Path) -> None:
        """Write it into a run's folder."""
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False)
        (folder / SCHEMA).write_text(text + "\n", encoding="utf-8")


def load_schema(folder: Path) -> Schema:
    """The schema of a trained run or an export.

    Raises:
        DataError: there is none, or it cannot be understood.
    """
    path = folder / SCHEMA
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        tables = {name: TableScaling(**_tuples(one)) for name, one in content["tables"].items()}
        return Schema(tuple(content["modalities"]), content["kind"], tuple(content["names"]), tables)
    except OSError:
        raise DataError(f"holds no {SCHEMA}: expected the folder of a fusion model", path=folder) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"cannot be read as the schema of a fusion model: {error}", path=path) from None


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
