"""An alignment model from the settings of a run, and what its folder says of the encoders."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.encoder import ObjectEncoder
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.model import AlignmentModel, EncoderShape
from mmspec_ds.systems.alignment.objects import KINDS, Kind
from mmspec_ds.systems.alignment.prompt import PromptWriter
from mmspec_ds.systems.alignment.run_settings import AlignmentRun

ENCODERS = "encoders.json"
"""The file of a run that says what its encoders are."""


def shape_of(encoder: ObjectEncoder) -> EncoderShape:
    """What a model knows of an encoder."""
    identity = json.loads(json.dumps(dict(encoder.identity)))
    return EncoderShape(encoder.name, encoder.vectors, encoder.width, identity)


def shapes_to_json(shapes: Mapping[Kind, EncoderShape]) -> dict[str, Any]:
    """In JSON's types, for `read_shapes`."""
    return {
        kind: {"name": one.name, "vectors": one.vectors, "width": one.width, "identity": dict(one.identity)}
        for kind, one in shapes.items()
    }


def read_shapes(folder: Path) -> dict[Kind, EncoderShape]:
    """What the folder of a run or an export says of its encoders.

    Raises:
        DataError: it does not say so.
    """
    path = folder / ENCODERS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = {
            kind: EncoderShape(
                str(content[kind]["name"]),
                int(content[kind]["vectors"]),
                int(content[kind]["width"]),
                dict(content[kind]["identity"]),
            )
            for kind in KINDS
            if kind in content
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot be read: {error!r}: expected the encoders of a model", path=path) from None
    if not found or any(
        not 1 <= one.vectors <= 4096 or not 1 <= one.width <= 1 << 20 for one in found.values()
    ):
        raise DataError("names no encoder, or one of an impossible size", path=path)
    return found


def make_model(
    run: AlignmentRun, language: FrozenLanguage, shapes: Mapping[Kind, EncoderShape]
) -> AlignmentModel:
    """The model of a run, its weights from torch's generator."""
    return AlignmentModel(
        language,
        shapes,
        run.projection,
        contrast=run.objective.contrastive > 0,
        lora=run.language.lora,
    )


def make_writer(run: AlignmentRun, language: FrozenLanguage, soft_tokens: Mapping[Kind, int]) -> PromptWriter:
    """What writes the prompts of a run as tokens."""
    return PromptWriter(
        language.tokenizer,
        soft_tokens,
        chat=run.language.format,
        system=run.language.system,
        first=language.first,
        end=language.end,
        longest=min(run.language.longest, language.longest),
    )
