"""Several adapters on one base that is read once, and switched between."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmspec_ds.systems.fusion.domain_adapters import use_adapter
from mmspec_ds.systems.fusion.domain_adapters_files import load_adapter
from mmspec_ds.systems.fusion.schema import load_schema
from mmspec_ds.systems.fusion.trained import TrainedFusion, load_fusion


@dataclass(frozen=True)
class AdaptedFusion:
    """A base and what it becomes with each of its adapters. All share the weights of the base.

    Attributes:
        base: without adapters.
        adapted: by the name of the adapter.
    """

    base: TrainedFusion
    adapted: Mapping[str, TrainedFusion]

    def use(self, name: str | None = None) -> TrainedFusion:
        """The model with an adapter, or the bare base; it is right until `use` is called again.

        Raises:
            ValueError: there is no such adapter.
        """
        use_adapter(self.base.model, name)
        return self.base if name is None else self.adapted[name]


def load_adapted(base: str | Path, adapters: Mapping[str, str | Path]) -> AdaptedFusion:
    """Read a base and adapters that were trained on it, by names of letters, digits, - and _.

    Raises:
        DataError: a folder cannot be read, or holds adapters of another base.
        ConfigError: settings that this version cannot read.
    """
    bare = load_fusion(base)
    found = {}
    for name, folder in adapters.items():
        identity = load_adapter(bare.model, Path(folder), bare.identity, name)
        found[name] = replace(bare, schema=load_schema(Path(folder)), identity=identity)
    bare.model.eval()
    use_adapter(bare.model, None)
    return AdaptedFusion(bare, found)
