"""The block `adapt` of a run file: a trained model learns a new instrument or study with few new weights."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mmspec_ds.settings import Settings

MOST_SHARE = 0.03


class AdaptSettings(Settings):
    """Adapters of the encoder of a trained model, whose own weights do not change.

    Attributes:
        base: the folder of that model, a run or an export. The blocks tokens, model, moe and fusion of the run
            must be those of the base.
        kind: "bottleneck", a hidden layer of few units after attention and after the feed-forward network
            (Houlsby et al. 2019); or "lora", low-rank changes of the linear layers (Hu et al. 2021), by
            `peft`. The experts of a sparse layer have none.
        width: of the hidden layer, or the rank.
        alpha: the output of "lora" is multiplied by alpha / width.
        dropout: of what is added.
        scaling: of tables: that of the "base", or fitted on the new samples ("own"), as another instrument
            needs whose intensities have another scale.
        most_share: of the base's number of parameters; more are refused.
    """

    base: Path
    kind: Literal["bottleneck", "lora"] = "bottleneck"
    width: int = Field(4, ge=1)
    alpha: float = Field(8.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    scaling: Literal["base", "own"] = "base"
    most_share: float = Field(MOST_SHARE, gt=0, le=1)
