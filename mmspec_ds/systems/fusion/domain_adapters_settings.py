"""The block `adapt` of a run file: a trained model learns a new instrument or study with few new weights."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mmspec_ds.settings import Settings

MOST_SHARE = 0.03


class AdaptSettings(Settings):
    """Adapters of the encoder of a trained model, whose own weights do not change.

    Attributes:
        base: the folder of that model, a run or an export. The blocks tokens, model, moe and fusion of the run
            must be those of the base.
        kind: "bottleneck", a hidden layer of few units after attention and after the feed-forward network
            (Houlsby et al. 2019); "lora", low-rank changes of the linear layers (Hu et al. 2021), by `peft`;
            or "none", a new head alone. The experts of a sparse layer have none.
        head: what tells: that of the "base", whose classes or groups stay, or a "new" one for those of the new
            data, whose kinds of spectra or tables may be others too. Its parameters count as those of
            adapters.
        width: of the hidden layer, or the rank.
        alpha: the output of "lora" is multiplied by alpha / width.
        dropout: of what is added.
        scaling: of tables: that of the "base", or fitted on the new samples ("own"), as another instrument
            needs whose intensities have another scale.
        most_share: of the base's number of parameters; more are refused.
    """

    base: Path
    kind: Literal["bottleneck", "lora", "none"] = "bottleneck"
    head: Literal["base", "new"] = "base"
    width: int = Field(4, ge=1)
    alpha: float = Field(8.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    scaling: Literal["base", "own"] = "base"
    most_share: float = Field(MOST_SHARE, gt=0, le=1)

    @model_validator(mode="after")
    def _something_is_learnt(self) -> Self:
        if self.kind == "none" and self.head == "base":
            raise ValueError(
                "adapt.kind is 'none' and adapt.head 'base', which learns nothing: expected one new"
            )
        return self
