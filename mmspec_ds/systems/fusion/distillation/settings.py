"""The block `distillation` of a run file: a small model learns from a trained one as well."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mmspec_ds.settings import Settings


class DistillationSettings(Settings):
    """What a student learns from its teacher, beside the truth.

    Attributes:
        teacher: the folder of a trained fusion run, or an export. Its weights do not change.
        kind: "logit", the teacher's probabilities (Hinton et al. 2015, arXiv:1503.02531); "feature", its
            modality vectors by mean squared error after a projection (FitNets, arXiv:1412.6550); or "flow",
            its modality vectors by flow matching (FM-KT, arXiv:2402.02012), and the student's own answer
            learns the mean of what the steps predict, so that use is one pass.
        temperature: divides logits before they are compared.
        soft: weight of the comparison with the teacher's probabilities, or with those of the mean of the steps.
        align: weight of the squared distance of vectors, the mean over their components and over the steps.
        judged: weight of the loss of what the teacher's fuser tells of the vectors that the steps predict.
        steps: of the flow.
        width: of the hidden layer of the flow's velocity.
    """

    teacher: Path
    kind: Literal["flow", "logit", "feature"] = "flow"
    temperature: float = Field(2.0, gt=0)
    soft: float = Field(1.0, ge=0)
    align: float = Field(1.0, ge=0)
    judged: float = Field(1.0, ge=0)
    steps: int = Field(8, ge=1)
    width: int = Field(256, ge=1)
