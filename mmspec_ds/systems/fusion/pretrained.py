"""The encoder of a trained fusion model, for runs of other systems that begin with it; see
`systems.pretrained_encoders`."""

from pathlib import Path

from torch import Tensor

from mmspec_ds.errors import ConfigError
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import SCHEMA, load_schema
from mmspec_ds.systems.pretrained_encoders import EncoderSizes, PretrainedEncoder
from mmspec_ds.systems.run_file import load_whole_run_of
from mmspec_ds.trainer.weights import WEIGHTS, read_weights


def read_encoder(folder: Path) -> PretrainedEncoder:
    """The encoder of a run or an export, whatever it was trained for.

    Raises:
        DataError: a file of the folder is missing, was altered or cannot be read.
        ConfigError: settings that this version cannot read; or the folder holds adapters alone.
    """
    run = load_whole_run_of(folder, FusionRun, (WEIGHTS, SCHEMA))
    if run.adapt is not None:
        raise ConfigError(f"{folder}: holds adapters alone: expected the run that they adapt")
    weights, _ = read_weights(folder / WEIGHTS)

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}

    model = run.model
    return PretrainedEncoder(
        EncoderSizes(
            model.d_model,
            model.heads,
            model.encoder_layers,
            model.ffn_width,
            model.sinusoid_features,
            run.tokens.patch,
        ),
        run.moe,
        load_schema(folder).modalities,
        embedding=part("encoder.embedding."),
        layers=part("encoder.encoder."),
    )
