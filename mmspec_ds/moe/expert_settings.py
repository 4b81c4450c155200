"""Settings of the sparse layer and of its objective."""

from collections.abc import Sequence
from typing import Literal

from mmspec_kernels import GateFunction
from pydantic import Field, model_validator

from mmspec_ds.settings import Settings

Family = Literal["shared", "modality", "interaction"]


class ExpertSettings(Settings):
    """One expert: its family, the modalities it serves (modality experts only), its hidden width kappa_e."""

    family: Family
    width: int = Field(gt=0, multiple_of=16)
    modalities: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _modalities_belong_to_modality_experts(self) -> "ExpertSettings":
        if (self.family == "modality") != bool(self.modalities):
            raise ValueError(
                "an expert must name modalities if its family is 'modality', and must not otherwise"
            )
        return self


def paper_experts(heavy: int = 2048, light: int = 512) -> tuple[ExpertSettings, ...]:
    """The eight experts of table 9: a heavy and a light one each for shared, NMR, IR/MS and interaction."""
    kinds: Sequence[tuple[Family, tuple[str, ...]]] = (
        ("shared", ()),
        ("modality", ("h_nmr", "c_nmr")),
        ("modality", ("ir", "ms")),
        ("interaction", ()),
    )
    return tuple(
        ExpertSettings(family=family, width=width, modalities=modalities)
        for family, modalities in kinds
        for width in (heavy, light)
    )


def fine_grained(experts: Sequence[ExpertSettings], factor: int) -> tuple[ExpertSettings, ...]:
    """Every expert as `factor` narrower ones of its family (DeepSeekMoE, Dai et al. 2024: fine-grained expert
    segmentation). With k * factor experts for each token the FLOPs and the parameters stay what they were, but
    for biases, and there are more combinations to choose from.

    Raises:
        ValueError: a width that is not `factor` times a multiple of 16.
    """
    for expert in experts:
        if factor < 1 or expert.width % (16 * factor):
            raise ValueError(
                f"an expert of width {expert.width} in {factor} parts: expected parts that are multiples of 16"
            )
    narrow = (expert.model_copy(update={"width": expert.width // factor}) for expert in experts)
    return tuple(part for part in narrow for _ in range(factor))


class MoESettings(Settings):
    """The sparse layer of the encoder (MM-Spectrum, sections 3.3 to 3.5).

    Attributes:
        experts: any number of any widths; the default is the paper's eight for d_model 512.
        k: experts for each token.
        mode: "dropless", or "capacity": an expert takes at most capacity_factor * k * tokens / experts of the
            global batch's pairs, first choices before second ones, and the rest is dropped.
        tag_routing, router_aware: whether the router sees the modality's tag e_m and bias b_m (table 4).
        dynamic_share: an expert after the first is skipped when its probability is below this share of the
            first one's (table 5); 0 keeps all.
        gate: "softmax", or "sigmoid": an expert's affinity does not depend on the others' (DeepSeek-V3, 2024).
        renormalise: divide the weights of a token's experts by their sum; the paper does not. With k 1 every
            weight is then 1, and a router learns from the auxiliary losses alone.
        choice: "token", or "expert": each expert chooses ceil(k n / E) of a sample's n tokens (Zhou et al.
            2022); see `mmspec_kernels.expert_choice`.
        always_on: width of a network that every token takes beside its k experts (DeepSeekMoE, Dai et al.
            2024); 0 is none. It is no expert: it is not routed to, and every rank holds it.
        selection_bias_rate: step of the bias that evens out the load without a loss (Wang et al. 2024); 0 is
            off.
        selection_bias_by: "all", or "modality": a bias for each modality, which evens its load over the experts
            that serve it. The others keep a bias of 0: an even load over all experts would undo what modality
            experts are for.
        decoder: experts in the decoder's feed-forward networks too. A target token's router sees its content
            alone and has the temperature 1; tokens choose there, because an expert that chose among the tokens
            of a target would look ahead.
        exchange_chunks: parts in which rows are sent between ranks that share the experts, so that one part is
            sent while another is computed. It does not change the result. Each part adds two collectives to a
            layer's forward pass and two to its backward pass.
    """

    experts: tuple[ExpertSettings, ...] = Field(default_factory=paper_experts, min_length=1)
    k: int = Field(default=2, ge=1)
    mode: Literal["dropless", "capacity"] = "dropless"
    capacity_factor: float = Field(default=1.25, gt=0)
    tag_routing: bool = True
    router_aware: bool = True
    dynamic_share: float = Field(default=0.0, ge=0, le=1)
    gate: GateFunction = "softmax"
    renormalise: bool = False
    choice: Literal["token", "expert"] = "token"
    always_on: int = Field(default=0, ge=0, multiple_of=16)
    selection_bias_rate: float = Field(default=0.0, ge=0)
    selection_bias_by: Literal["all", "modality"] = "all"
    decoder: bool = False
    exchange_chunks: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _k_is_at_most_the_number_of_experts(self) -> "MoESettings":
        if self.k > len(self.experts):
            raise ValueError(f"k is {self.k}, but there are {len(self.experts)} experts")
        return self

    def for_decoder(self) -> "MoESettings":
        """The settings of a decoder's sparse layers: experts of the same widths in the same order, all of which
        serve the one kind of token that there is."""
        experts = tuple(ExpertSettings(family="shared", width=expert.width) for expert in self.experts)
        alone = {"choice": "token", "tag_routing": False, "router_aware": False, "selection_bias_by": "all"}
        return self.model_copy(update={"experts": experts, **alone})

    @model_validator(mode="after")
    def _a_bias_of_each_modality_has_a_rate(self) -> "MoESettings":
        by_modality = self.choice == "token" and self.selection_bias_by == "modality"
        if by_modality and not self.selection_bias_rate:
            raise ValueError(
                "selection_bias_by is 'modality', but selection_bias_rate is 0: there is no selection bias,"
                " expected a positive rate, such as 0.001"
            )
        return self

    @model_validator(mode="after")
    def _a_share_of_the_first_needs_a_second(self) -> "MoESettings":
        if self.k == 1 and self.dynamic_share:
            raise ValueError(
                f"dynamic_share is {self.dynamic_share}, but k is 1: there is no second expert to leave out,"
                " expected 0, or k of 2 and more"
            )
        return self

    @model_validator(mode="after")
    def _a_decoder_has_no_capacity(self) -> "MoESettings":
        if self.decoder and self.mode == "capacity":
            raise ValueError(
                "decoder is true, but mode is 'capacity': what is written of a molecule would depend on the"
                " others in the batch, expected mode 'dropless'"
            )
        return self

    @model_validator(mode="after")
    def _experts_that_choose_need_no_help(self) -> "MoESettings":
        if self.choice == "expert":
            idle = {
                "mode": self.mode != "dropless",
                "selection_bias_rate": self.selection_bias_rate > 0,
                "selection_bias_by": self.selection_bias_by != "all",
                "dynamic_share": self.dynamic_share > 0,
            }
            for name in (name for name, used in idle.items() if used):
                raise ValueError(
                    f"choice is 'expert', but {name} is {getattr(self, name)!r}: experts that choose their"
                    f" tokens have an even load and no more than it, expected the default of {name}"
                )
        return self


class RouterObjective(Settings):
    """Weights of the auxiliary losses of routers and their schedules (equations 8, 22, 23).

    Times are fractions of the training budget.

    Attributes:
        balance: lambda_0, the weight of balance and entropy at the start.
        balance_until: T_lambda, the fraction of training at which that weight has fallen to zero.
        temperature, temperature_min, temperature_decay: tau_0, tau_min and T_tau.
        cost: lambda_cost, on the expected width of the chosen experts.
        structure: lambda_pid, on agreement of shared and separation of modality experts.
        margin: gamma of the separation, a distance between pooled outputs.
        z: weight of the squared log-partition of the router's logits (ST-MoE, Zoph et al. 2022), before they
            are divided by the temperature, and with sigmoid gates too.
    """

    balance: float = Field(default=0.01, ge=0)
    balance_until: float = Field(default=0.5, gt=0)
    temperature: float = Field(default=2.0, gt=0)
    temperature_min: float = Field(default=1.0, gt=0)
    temperature_decay: float = Field(default=0.5, gt=0)
    cost: float = Field(default=0.001, ge=0)
    structure: float = Field(default=0.001, ge=0)
    margin: float = Field(default=1.0, gt=0)
    z: float = Field(default=0.0, ge=0)


class ObjectiveSettings(RouterObjective):
    """The same with what the objective of an elucidation model has beside it.

    Attributes:
        interactions: weight of the supervision of experts by masked modalities (I2MoE, Xin et al. 2025), see
            `moe.interactions`; it costs a second pass of the encoder.
        label_smoothing: of the task loss in training.
        alignment: weight of the contrastive alignment of the modalities' pooled states, in training.
        alignment_temperature: divides its cosines.
    """

    interactions: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    alignment: float = Field(default=0.0, ge=0)
    alignment_temperature: float = Field(default=0.07, gt=0)

    @model_validator(mode="after")
    def _a_temperature_has_cosines_to_divide(self) -> "ObjectiveSettings":
        default = type(self).model_fields["alignment_temperature"].default
        if not self.alignment and self.alignment_temperature != default:
            raise ValueError(
                f"alignment_temperature is {self.alignment_temperature}, but alignment is 0: there is no such"
                " loss, expected a positive alignment, or no alignment_temperature"
            )
        return self
