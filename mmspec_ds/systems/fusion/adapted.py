"""Several adapters on one base that is read once, and switched between."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmspec_ds.systems.fusion.domain_adapters import adapter_names, use_adapter
from mmspec_ds.systems.fusion.domain_adapters_files import load_adapter, read_facts
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import SCHEMA, load_schema
from mmspec_ds.systems.fusion.stored import adapted_model
from mmspec_ds.systems.fusion.trained import TrainedFusion, load_fusion
from mmspec_ds.systems.run_file import load_whole_run_of
from mmspec_ds.trainer.weights import WEIGHTS


@dataclass(frozen=True)
class AdaptedFusion:
    """A base and what it becomes with each of its adapters. All share the weights of the base's encoder, and
    its head where they have none of their own.

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
        if name is not None and name not in self.adapted:
            raise ValueError(f"no adapter {name!r}: expected one of {', '.join(self.adapted) or 'none'}")
        use_adapter(self.base.model, name if name in adapter_names(self.base.model) else None)
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
        run = load_whole_run_of(Path(folder), FusionRun, (WEIGHTS, SCHEMA))
        read_facts(Path(folder))  # says which files are missing where it holds no adapters
        schema = load_schema(Path(folder))
        model = adapted_model(bare.model, run, schema)
        identity = load_adapter(model, Path(folder), bare.identity, name)
        found[name] = replace(bare, run=run, schema=schema, model=model.eval(), identity=identity)
    bare.model.eval()
    use_adapter(bare.model, None)
    return AdaptedFusion(bare, found)
