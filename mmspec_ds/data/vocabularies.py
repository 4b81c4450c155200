"""The vocabularies of a trained model in one file, `vocabulary.json`: without it the model's numbers mean
nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import replacing
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import REGISTRY, modality_by_name

VOCABULARY = "vocabulary.json"


@dataclass(frozen=True)
class Vocabularies:
    """`target` for SMILES; `source` per modality for a model that reads text, else None."""

    target: Vocabulary
    source: Mapping[Modality, Vocabulary] | None = None

    def save(self, path: Path) -> None:
        """Write as JSON; the file appears whole or not at all."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """The vocabularies as a JSON object."""
        source = None
        if self.source is not None:
            source = {REGISTRY[modality].name: one.to_dict() for modality, one in self.source.items()}
        return {"target": self.target.to_dict(), "source": source}

    @classmethod
    def load(cls, path: Path) -> "Vocabularies":
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, cannot be read or holds something else.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"the vocabularies cannot be read: {error.strerror}", path=path) from error
        except ValueError as error:  # bad UTF-8 and bad JSON
            raise DataError(f"the vocabularies are not valid JSON: {error}", path=path) from error
        if not isinstance(content, dict) or not isinstance(content.get("target"), dict):
            raise DataError("expected a JSON object with the keys target and source", path=path)
        try:
            target, source = Vocabulary.from_dict(content["target"]), content.get("source")
            if source is None:
                return cls(target)
            return cls(
                target, {modality_by_name(name): Vocabulary.from_dict(one) for name, one in source.items()}
            )
        except (ValueError, AttributeError, ConfigError) as error:
            raise DataError(f"not the vocabularies of a model: {error}", path=path) from error
