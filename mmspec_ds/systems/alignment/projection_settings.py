"""The sizes of a projection."""

from typing import Self

from pydantic import Field, model_validator

from mmspec_ds.settings import Settings


class ProjectionSettings(Settings):
    """From the vectors of an object to soft tokens.

    Attributes:
        layers: linear layers.
        hidden: width between them.
        dropout: after each hidden layer.
        input_dropout: of the components that come in.
        input_limit: standard deviations from the mean of the training set at which a component is cut off.
        soft_tokens: places that an object takes in a prompt.
        question: let what goes out depend on the words of the question, and on which of its objects this one
            is (after InstructBLIP, arXiv:2305.06500); without, an object is the same in every prompt.
        compare: let it depend on the other objects of the question too, see `comparison`; wants `question`.
    """

    layers: int = Field(3, ge=1, le=8)
    hidden: int = Field(1024, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    input_dropout: float = Field(0.0, ge=0, lt=1)
    input_limit: float = Field(10.0, gt=0)
    soft_tokens: int = Field(4, ge=1, le=8)
    question: bool = False
    compare: bool = False

    @model_validator(mode="after")
    def _a_comparison_reads_the_question(self) -> Self:
        if self.compare and not self.question:
            raise ValueError("projection.compare is true, but projection.question is false: expected both true")
        return self
