"""Projections of earlier runs as the beginning of a new one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.factory import ENCODERS, read_shapes
from mmspec_ds.systems.alignment.model import LANGUAGE_IDENTITY, AlignmentModel
from mmspec_ds.systems.alignment.projection import QUESTION_PARTS
from mmspec_ds.trainer.run_settings import check_run_folder
from mmspec_ds.trainer.weights import WEIGHTS, read_weights

ADAPTERS = "adapter."
"""What the names of the weights of adapters begin with."""
COMPARISON = "comparison."
"""What those begin with that compare objects."""


def load_projections(model: AlignmentModel, folders: Sequence[Path]) -> frozenset[str]:
    """Give a model the projections of trained runs or exports, such as of stage 1, each of those kinds that
    both have; these kinds. What reads the question or compares objects stays new where a folder has none of it.

    Raises:
        DataError: a folder is no such model, has another language model or adapters of it, another encoder or
            other sizes, no kind that the model has, or one that another folder gave.
    """
    given, compared = dict[str, Path](), list[Path]()
    for folder in folders:
        check_run_folder(folder, (WEIGHTS, ENCODERS))
        shapes = read_shapes(folder)
        tensors, _ = read_weights(folder / WEIGHTS)
        own = model.state_dict()
        stored = tensors.get(LANGUAGE_IDENTITY)
        if stored is None or stored.tolist() != own[LANGUAGE_IDENTITY].tolist():
            raise DataError("was trained with another language model: expected the same", path=folder)
        if any(name.startswith(ADAPTERS) for name in tensors):
            raise DataError(
                "was trained with adapters of the language model, without which its projections mean something"
                " else: expected a run without language.lora, or training.start_from",
                path=folder,
            )
        kinds = [kind for kind in shapes if kind in model.encoders]
        if not kinds:
            raise DataError(
                f"has projections of a {' and a '.join(shapes)}: expected a {' or a '.join(model.encoders)}",
                path=folder,
            )
        for kind in kinds:
            if kind in given:
                raise DataError(
                    f"has a projection of a {kind}, as {given[kind]} has: expected one", path=folder
                )
            if shapes[kind].checksum != model.encoders[kind].checksum:
                raise DataError(f"was trained with another encoder of a {kind}: expected the same", path=folder)
            given[kind] = folder
            prefixes = (f"projections.{kind}.", f"heads.{kind}.")
            new = (f"heads.{kind}.", *(f"projections.{kind}.{part}" for part in QUESTION_PARTS))
            names = [
                name
                for name in own
                if name.startswith(prefixes) and (name in tensors or not name.startswith(new))
            ]
            reads = [name for name in tensors if name.startswith(new[1:]) and name not in own]
            if reads:
                raise DataError(
                    f"its projection of a {kind} reads the question: expected projection.question=true",
                    path=folder,
                )
            for name in names:
                if name not in tensors or tensors[name].shape != own[name].shape:
                    raise DataError(
                        f"its projection of a {kind} has other sizes: expected the same", path=folder
                    )
                own[name].copy_(tensors[name])
        if any(name.startswith(COMPARISON) for name in tensors):
            compared.append(folder)
            _take_comparison(own, tensors, folder)
    if len(compared) > 1:
        raise DataError(f"compares objects, as {compared[0]} does: expected one that does", path=compared[1])
    return frozenset(given)


def _take_comparison(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], folder: Path) -> None:
    names = [name for name in own if name.startswith(COMPARISON)]
    if not names:
        raise DataError("its projections compare objects: expected projection.compare=true", path=folder)
    for name in names:
        if name not in tensors or tensors[name].shape != own[name].shape:
            raise DataError("its comparison of objects has other sizes: expected the same", path=folder)
        own[name].copy_(tensors[name])
