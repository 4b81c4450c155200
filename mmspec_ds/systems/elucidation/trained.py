"""A trained model from its folder: a run, an export, or anything that holds the same three files."""

from dataclasses import dataclass
from pathlib import Path

from mmspec_ds.config import RunConfig, load_run
from mmspec_ds.data.encoding import InputEncoding
from mmspec_ds.data.vocabularies import Vocabularies
from mmspec_ds.errors import DataError
from mmspec_ds.files import MANIFEST, faults, read_manifest
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.weights import WEIGHTS, load_weights
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator


@dataclass(frozen=True)
class TrainedModel:
    """A model in evaluation mode with what its numbers mean."""

    run: RunConfig
    model: Elucidator
    vocabulary: Vocabulary
    encoding: InputEncoding


def load_model(folder: Path) -> TrainedModel:
    """Read `config.yaml`, `vocabulary.json` and `model.safetensors`; no DeepSpeed is needed. Where there is a
    manifest, as in an export, they must be what it vouches for.

    Raises:
        DataError: no such folder, or a file of it is missing, was altered or does not fit.
        ConfigError: a configuration that this version cannot read.
    """
    for name in ("config.yaml", "vocabulary.json", WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(f"holds no {name}: expected the folder of a trained run", path=folder)
    if (folder / MANIFEST).is_file():
        wrong = faults(folder, read_manifest(folder))
        if wrong:
            raise DataError("; ".join(wrong))
    run = load_run(folder / "config.yaml")
    vocabularies = Vocabularies.load(folder / "vocabulary.json")
    try:
        encoding = InputEncoding.from_settings(run.data, vocabularies.source)
    except ValueError as error:
        raise DataError(f"does not fit config.yaml: {error}", path=folder / "vocabulary.json") from None
    model = build_elucidator(run.model, run.moe, encoding.schemas, len(vocabularies.target))
    load_weights(model, folder / WEIGHTS)
    return TrainedModel(run, model.eval(), vocabularies.target, encoding)
