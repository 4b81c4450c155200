"""Number of parameters of a run's model by part and rank, counted on the meta device without memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun

_EXPERTS = ".deepspeed_experts."


@dataclass(frozen=True)
class Weight:
    """One parameter. `stage`: index in `stages` of its use; `expert`: number of its expert, None for the dense
    part; `matrix`: whether weight decay applies."""

    name: str
    numel: int
    matrix: bool
    stage: int
    expert: int | None


@dataclass(frozen=True)
class ModelSizes:
    """All parameters of a model in the order of its modules, and the widths of its experts in physical order
    (none for a dense model)."""

    weights: tuple[Weight, ...]
    widths: tuple[int, ...]
    k: int

    @property
    def total(self) -> int:
        """Number of parameters of the whole model."""
        return sum(weight.numel for weight in self.weights)

    @property
    def dense(self) -> int:
        """Number of parameters outside the experts, which every rank holds."""
        return sum(weight.numel for weight in self.weights if weight.expert is None)

    @property
    def by_expert(self) -> tuple[int, ...]:
        """Number of parameters of each expert, summed over the layers."""
        return tuple(
            sum(w.numel for w in self.weights if w.expert == expert) for expert in range(len(self.widths))
        )

    @property
    def nominal(self) -> float:
        """Number of parameters outside the experts and of k experts of mean size. The active ones, by the
        experts that a router chooses, are known of a trained model alone (`elucidation.activity`)."""
        if not self.widths:
            return float(self.total)
        return self.dense + self.k * sum(self.by_expert) / len(self.widths)

    def on_rank(self, placement: Placement) -> tuple[Weight, ...]:
        """Return the parameters on a rank of an expert-parallel group."""
        local = placement.local(len(self.widths))
        return tuple(w for w in self.weights if w.expert is None or w.expert in local)

    def fullest(self, ep_size: int) -> Placement:
        """Return the rank with the largest total width of experts."""
        if not self.widths:
            return Placement(1, 0)
        ranks = [Placement(ep_size, rank) for rank in range(ep_size)]
        return max(ranks, key=lambda at: sum(self.widths[i] for i in at.local(len(self.widths))))

    def mean_width(self, placement: Placement) -> float:
        """Return the mean width of the experts of a rank; 0 for a dense model."""
        local = placement.local(len(self.widths))
        return sum(self.widths[i] for i in local) / len(local) if self.widths else 0.0


def stages(encoder_layers: int, decoder_layers: int) -> list[str]:
    """Return the stages of a pass in order: embedding, encoder layers, middle, decoder layers, head.

    The middle is the encoder's last norm and the embedding of the target; the head is the decoder's last norm,
    the logits and the loss."""
    encoder = [f"encoder layer {i}" for i in range(encoder_layers)]
    decoder = [f"decoder layer {i}" for i in range(decoder_layers)]
    return ["embedding", *encoder, "middle", *decoder, "head"]


def model_sizes(run: ElucidationRun, schemas: Mapping[Modality, TokenSchema], vocabulary: int) -> ModelSizes:
    """Return the parameters of the model of a run.

    Args:
        run: the settings.
        schemas: the fields of each modality's tokens.
        vocabulary: SMILES tokens, specials included.
    """
    with torch.device("meta"):
        model = build_elucidator(run.model, run.moe, schemas, vocabulary)
    buffers = {name for name, _ in model.named_buffers()}
    names = stages(run.model.encoder_layers, run.model.decoder_layers)
    weights = [
        Weight(name, p.numel(), p.ndim > 1, names.index(_stage_of(name)), _expert_of(name))
        for name, p in model.state_dict().items()
        if name not in buffers
    ]
    experts = physical_order(run.moe.experts) if run.moe else ()
    return ModelSizes(tuple(weights), tuple(e.width for e in experts), run.moe.k if run.moe else 0)


def _stage_of(name: str) -> str:
    """Return the stage in which a parameter's gradient is complete. The table of target tokens is used in the
    head and in the middle, which comes later in the backward pass."""
    room, *rest = name.split(".")
    if room in ("encoder", "decoder") and rest[0] == "layers":
        return f"{room} layer {rest[1]}"
    if room == "decoder" and rest[0] == "norm":
        return "head"
    return "embedding" if room == "embedding" else "middle"


def _expert_of(name: str) -> int | None:
    _, experts, rest = name.partition(_EXPERTS)
    return int(rest.partition(".")[0]) if experts else None


def numel(weights: Sequence[Weight]) -> int:
    """Return the total number of parameters."""
    return sum(weight.numel for weight in weights)
