"""Where the encoders of a trained model are on this machine: those that were fitted or trained lie in folders
of their own, and neither a run nor an export holds them."""

from collections.abc import Mapping
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.encoder import ObjectEncoder
from mmspec_ds.systems.alignment.encoders.registry import ENCODERS, make_encoder
from mmspec_ds.systems.alignment.factory import shape_of
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.objects import Kind
from mmspec_ds.systems.alignment.run_settings import EncoderChoice
from mmspec_ds.systems.trained_folder import STARTER

FOLDER = "encoders"
"""In a run or an export: for each kind a folder, or a link to one, where the encoder is not where it was."""


def find_encoder(
    choice: EncoderChoice, kind: Kind, model: Path | None, given: Mapping[Kind, Path]
) -> ObjectEncoder:
    """The encoder of a kind: from the folder that is given, else from `encoders/KIND` inside the model's
    folder, else as the settings say.

    Args:
        choice: the settings.
        kind: of objects.
        model: the folder of the run or the export; None where there is none.
        given: folders by kind.

    Raises:
        DataError: there is no such folder; says how to name it.
        UserError: the encoder cannot be made.
    """
    name, _, behind = choice.name.partition(":")
    if name not in ENCODERS:  # a class in a module has its place behind the colon, and no path
        name, behind = choice.name, ""
    inside = None if model is None else model / FOLDER / kind
    path = given.get(kind) or (inside if inside is not None and inside.exists() else None)
    if path is not None:
        if not path.exists():
            raise DataError(f"there is no such encoder of a {kind}", path=path)
        return make_encoder(name, {**choice.options, "path": str(path)})
    told = behind or str(choice.options.get("path", ""))
    if name in ENCODERS and told not in ("", STARTER) and not Path(told).exists():
        link = "" if inside is None else f", or make a link {inside} to it"
        raise DataError(
            f"there is no {told} here with its encoder of a {kind}: name it (--encoder {kind}=DIR){link}",
            path=model,
        )
    return make_encoder(choice.name, choice.options)


def check_encoder(model: AlignmentModel, kind: Kind, encoder: ObjectEncoder) -> None:
    """Refuse another encoder of a kind than that of the training.

    Raises:
        DataError: it is another one.
    """
    expected = model.encoders.get(kind)
    found = shape_of(encoder)
    if expected is None or found.checksum != expected.checksum:
        told = "none" if expected is None else f"{expected.name} with {dict(expected.identity)}"
        raise DataError(
            f"encoder {found.name} of a {kind} is not the one that the model was trained with: expected"
            f" {told[:160]}, found {str(dict(found.identity))[:160]}"
        )
