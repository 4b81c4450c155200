"""Settings of the ways to balance modalities."""

from pydantic import Field

from mmspec_ds.settings import Settings


class OgmGeSettings(Settings):
    """Settings of OGM-GE.

    Attributes:
        alpha: how strongly the gradient of a modality that is ahead is reduced.
        noise: factor of the noise that is added to the gradient; 0 is OGM without GE.
    """

    alpha: float = Field(0.5, ge=0)
    noise: float = Field(1.0, ge=0)


class BlendingSettings(Settings):
    """Settings of gradient blending.

    Attributes:
        every: updates between two estimates of the weights.
        batches: of the training set and of the held-back molecules that each estimate reads.
        least_overfitting: the least overfitting that is told from none, nats of a target token.
    """

    every: int = Field(200, ge=1)
    batches: int = Field(4, ge=1)
    least_overfitting: float = Field(0.02, gt=0)
