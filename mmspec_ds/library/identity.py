"""Whether a model is the one whose vectors a library holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.library.entry import Embedder


def check_embedders(folder: Path, manifest: Mapping[str, Any], embedders: Sequence[Embedder]) -> None:
    """Refuse a model that is not the one whose vectors are in a library.

    Raises:
        DataError: one line, which says which models the library has, or names both identities.
    """
    stored = {one["name"]: one["identity"] for one in manifest["embedders"]}
    for one in embedders:
        if one.name not in stored:
            known = ", ".join(f"{name!r}" for name in stored) or "none"
            raise DataError(f"has no vectors of the model {one.name!r}, its models: {known}", path=folder)
        if stored[one.name] != one.identity:
            raise DataError(
                f"was built with another model {one.name!r} ({stored[one.name][:12]}, this one is"
                f" {one.identity[:12]}): expected that model, or build the library anew",
                path=folder,
            )


def matching_embedders(
    folder: Path, manifest: Mapping[str, Any], embedders: Sequence[Embedder]
) -> list[Embedder]:
    """The models of a library, in its order.

    Raises:
        DataError: a model is not the library's, or one of the library's is missing.
    """
    check_embedders(folder, manifest, embedders)
    given = {one.name: one for one in embedders}
    names = [one["name"] for one in manifest["embedders"]]
    for name in names:
        if name not in given:
            raise DataError(
                f"has vectors of the model {name!r}: expected that model (--model) too, so that all have them",
                path=folder,
            )
    return [given[name] for name in names]
