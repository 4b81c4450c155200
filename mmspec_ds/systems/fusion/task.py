"""The fusion task: spectra or tables in, classes or functional groups out, with what each modality
contributes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.moe.expert_names import ExpertSharding
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.routing_tables import routing_scalars
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.fusion.batch import FusionBatch
from mmspec_ds.systems.fusion.beginning import begin, check_adaptable, make_objective
from mmspec_ds.systems.fusion.blending import Blending
from mmspec_ds.systems.fusion.cohort.reading import read_cohort
from mmspec_ds.systems.fusion.cohort.run_settings import load_cohort_run
from mmspec_ds.systems.fusion.data import FusionData, FusionSets, make_batch
from mmspec_ds.systems.fusion.distillation.teacher import remarks_on_split
from mmspec_ds.systems.fusion.domain_adapters import base_parameters
from mmspec_ds.systems.fusion.domain_adapters_files import (
    ADAPTER,
    ADAPTER_NAME,
    AdapterFacts,
    AdapterWeights,
)
from mmspec_ds.systems.fusion.layout import fusion_layout
from mmspec_ds.systems.fusion.model import FusionModel
from mmspec_ds.systems.fusion.objective import FusionLoss
from mmspec_ds.systems.fusion.outcome import PARTS, Outcome, head_correlations, macro_auc, tell
from mmspec_ds.systems.fusion.reading import read_spectra
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import SCHEMA, Schema, load_schema
from mmspec_ds.systems.fusion.tables import of_classes, sets_of_cohort
from mmspec_ds.trainer.task import REPLICATED, System, Task, TaskContext, Validation
from mmspec_ds.trainer.weights import WEIGHTS, read_weights

_VALIDATION = 7
"""Marks the draws of a validation, which are the same at each."""


class FusionTask(Task[FusionBatch, FusionLoss]):
    """A run that learns to tell classes or functional groups, or to fill in hidden intensities.

    Args:
        run: the settings.
        context: where it runs.
        sets: what to learn from; without, what the run file names.

    Attributes:
        network: the whole model. `model`, what is saved, is this, or its adapters alone.

    Raises:
        ConfigError: a batch is more than the samples that there are; or as `begin` and `read_sets`.
        DataError: as `begin`, `read_sets` and `load_encoder`.
    """

    network: FusionModel

    def __init__(self, run: FusionRun, context: TaskContext, sets: FusionSets | None = None) -> None:
        self.run, self.context = run, context
        self.beginning = begin(run, context)
        self.sets = read_sets(run, context, self.beginning.schema) if sets is None else sets
        self.schema, train, held_back = self.sets.schema, self.sets.train, self.sets.validation
        # DeepSpeed's default layout: consecutive ranks share the experts.
        placement = Placement(run.training.ep_size, context.rank % run.training.ep_size)
        if run.moe is not None and run.adapt is None:
            widths = tuple(one.width for one in physical_order(run.moe.experts))
            self.sharding = ExpertSharding(placement, widths)
        else:
            self.sharding = REPLICATED
        self.objective = make_objective(run, self.sets, placement, self.beginning)
        self.module, self.network = self.objective, self.objective.model
        self.model = self.network
        if self.beginning.base is not None and run.adapt is not None:
            check_adaptable(self.beginning.base, run, self.schema, "data")
            new_head = run.adapt.head == "new"
            self.model = AdapterWeights(self.network, ADAPTER_NAME, new_head=new_head)
        if run.training.encoder_from is not None and context.weights_from is None:
            load_encoder(self.network, run.training.encoder_from, self.sharding)
        self.blending: Blending | None = None
        if run.balance.kind == "blending":
            self.blending = Blending(self.objective, run.balance, len(self.schema.modalities))
        self.size = run.training.batch_size * context.world
        if len(train) < self.size:
            raise ConfigError(
                f"a batch of {self.size} samples is more than the {len(train)} that there are:"
                " expected a smaller training.batch_size"
            )
        self.batches_per_epoch = len(train) // self.size
        self._epoch = lru_cache(maxsize=1)(self._order)
        self.masked = run.objective.kind == "masked"
        self.score_tag = "loss/validation" if self.masked else "auc/validation"
        self.higher_is_better = not self.masked
        self.layout = fusion_layout(self.schema.modalities, self.schema.kind, sparse=run.moe is not None)
        told = {"classes": f", {len(self.schema.names)} classes", "none": ""}
        self.summary = (
            f"{len(train):,} samples to learn from, {len(held_back):,} to validate on;"
            f" {', '.join(self.schema.modalities)}"
            f"{told.get(self.schema.kind, f', {len(self.schema.names)} functional groups')}"
        )
        self.about = {
            "samples": {"train": len(train), "validation": len(held_back)},
            "data": fingerprint(train),
        }
        self.remarks = train.remarks
        self.identity = {"schema": schema_fingerprint(self.schema)}
        if self.beginning.teacher is not None:
            self.remarks += remarks_on_split(run, self.beginning.teacher)
            self.identity |= {"teacher": self.beginning.teacher.identity}
        if self.beginning.base is not None:
            self.identity |= {"base": self.beginning.base.identity}

    def _order(self, epoch: int) -> IntArray:
        order: IntArray = np.random.default_rng((self.run.seed, 1, epoch)).permutation(len(self.sets.train))
        return order[: self.batches_per_epoch * self.size].reshape(-1, self.size)

    def batch(self, number: int) -> FusionBatch:
        """Micro-batch `number` of the run, see `Task`."""
        run, (epoch, place) = self.run, divmod(number, self.batches_per_epoch)
        start = self.context.rank * run.training.batch_size
        rows_B = self._epoch(epoch)[place][start : start + run.training.batch_size]
        return make_batch(
            self.sets.train,
            rows_B,
            corruption=run.training.corruption,
            seeds_B=[(run.seed, number, row) for row in rows_B.tolist()],
            dropout=run.training.modality_dropout,
            hidden=run.objective.masked if self.masked else 0.0,
        )

    def validation_batches(self) -> Iterator[FusionBatch]:
        """The held-back samples of this rank, see `Task`."""
        return batches_of(
            self.sets.validation,
            self.run.training.predict_batch,
            (self.context.rank, self.context.world),
            hidden=self.run.objective.masked if self.masked else 0.0,
        )

    def validate(self) -> Validation:
        """The AUC of the held-back samples, 0.5 where they do not differ, their loss, and what each modality
        contributes to the truth in the mean; in pretraining the loss alone."""
        loss = self.mean_loss()
        if self.masked:
            return Validation(loss)
        outcome, held_back = self.outcome(), self.sets.validation
        scalars = {"loss/validation": loss}
        for at, name in enumerate(self.schema.modalities):
            there_N = outcome.present_NM[:, at]
            if there_N.any():
                scalars[f"weight/{name}"] = float(outcome.weight_NM[there_N, at].mean())
                scalars[f"contribution/{name}"] = float(outcome.of_truth_NM[there_N, at].mean())
        if self.network.has_head:
            scalars |= {f"head/{name}": value for name, value in head_correlations(outcome).items()}
        auc = macro_auc(outcome.probability_NC, held_back.target_NC)
        return Validation(0.5 if np.isnan(auc) else auc, scalars)

    def outcome(self) -> Outcome:
        """What the model tells of the N held-back samples, in their order. Each rank reads a part; every rank
        calls this, and every rank has the whole."""
        held_back, world = self.sets.validation, self.context.world
        own = tell(self.network, self.validation_batches(), self.context.device)
        if world == 1:
            return own
        places, weights = share_of(len(held_back), self.context.rank, world)
        found: dict[str, Any] = {}
        for name in PARTS:
            part = np.asarray(getattr(own, name), dtype=np.float32)
            whole = torch.zeros(len(held_back), part.shape[1])
            whole[places[weights > 0]] = torch.from_numpy(part[weights > 0])
            sent = whole.to(self.context.device)
            dist.all_reduce(sent)
            found[name] = sent.cpu().numpy()
        return Outcome(**found | {"present_NM": found["present_NM"] > 0})

    def after_update(self, loss: FusionLoss) -> None:
        """Move the routers' selection biases, where they are in use, and weigh the losses anew where gradients
        are blended."""
        if self.beginning.base is None:
            self.network.encoder.rebalance(loss.reports)
        if self.blending is not None and self.blending.is_due():
            count, device = self.run.balance.batches, self.context.device
            seen = (self.batch(number).to(device) for number in range(count))
            held_back = (one.to(device) for one in islice(self.validation_batches(), count))
            self.blending.estimate(seen, held_back)

    def state(self) -> dict[str, Any]:
        """The weights of blended losses; none where gradients are not blended."""
        return {} if self.blending is None else self.blending.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state` gave when the checkpoint was made; called on every rank."""
        if self.blending is not None:
            self.blending.load_state(state)

    def scalars(self, loss: FusionLoss, progress: float) -> dict[str, float]:
        """The schedule, and load, importance, entropy and drops of the routers."""
        if not loss.reports:
            return {}
        schedule = curriculum_at(progress, self.run.routing)
        values = {"schedule/lambda": schedule.balance, "schedule/tau": schedule.temperature}
        return values | routing_scalars(loss.reports, self.schema.modalities)

    def flops(self, batch: FusionBatch, loss: FusionLoss) -> float | Tensor:
        """See `Task`; a teacher's forward pass is counted."""
        return self.objective.flops(batch, loss)

    def save_files(self, folder: Path) -> None:
        """Write the schema, and what is known of adapters."""
        self.schema.save(folder)
        base, adapt = self.beginning.base, self.run.adapt
        if base is not None and adapt is not None:
            own = sum(one.numel() for one in self.model.parameters())
            of_base = sum(one.numel() for one in base_parameters(base.model).values())
            settings = adapt.model_dump(mode="json", exclude={"base", "most_share"})
            AdapterFacts(base.identity, base.run.name, own, of_base, settings).save(folder)


SYSTEM = System(FusionTask, files=(SCHEMA,), extras=(ADAPTER,))


def read_sets(run: FusionRun, context: TaskContext, schema: Schema | None) -> FusionSets:
    """What the run file names.

    Raises:
        ConfigError: it names nothing.
        DataError: it cannot be read.
    """
    if run.data.cohort is None:
        return read_spectra(run, schema, context.progress)
    cohort = read_cohort(load_cohort_run(run.data.cohort), context.progress)
    return sets_of_cohort(of_classes(cohort, run.data.classes), run, schema)


def share_of(samples: int, rank: int, world: int) -> tuple[IntArray, Any]:
    """Places of the samples of a rank, as many on each, int64; and their weights, float32: 0 for those that
    only fill up. Both are [ceil(samples / world)]."""
    count = -(-samples // world)
    places = rank + world * np.arange(count, dtype=np.int64)
    weights = (places < samples).astype(np.float32)
    return np.minimum(places, samples - 1), weights


def batches_of(
    data: FusionData, size: int, part: tuple[int, int] = (0, 1), hidden: float = 0.0
) -> Iterator[FusionBatch]:
    """All samples in batches, or the part of one rank among several.

    Args:
        data: the samples.
        size: of a batch.
        part: the rank, and how many there are.
        hidden: see `make_batch`; which tokens are hidden depends on the sample alone.
    """
    places, weights = share_of(len(data), *part)
    for start in range(0, len(places), size):
        rows_B, weight_B = places[start : start + size], weights[start : start + size]
        seeds_B = [(_VALIDATION, row) for row in rows_B.tolist()] if hidden else ()
        yield make_batch(data, rows_B, weight_B=weight_B, seeds_B=seeds_B, hidden=hidden)


def load_encoder(model: FusionModel, folder: Path, sharding: Any) -> None:
    """Give a model the encoder of a trained one.

    A dense encoder has no weight that depends on the modalities, so that one of other modalities will do.

    Raises:
        DataError: one of the two is sparse and they read other modalities, or the sizes differ.
    """
    theirs = load_schema(folder)
    if model.encoder.is_sparse and theirs.modalities != model.schema.modalities:
        raise DataError(
            f"reads {', '.join(theirs.modalities)}, this run {', '.join(model.schema.modalities)}:"
            " expected the same modalities for training.encoder_from",
            path=folder,
        )
    stored, _ = read_weights(folder / WEIGHTS)
    state = model.state_dict()
    for name in (one for one in state if one.startswith("encoder.")):
        other = sharding.global_name(name)
        if other not in stored or stored[other].shape != state[name].shape:
            raise DataError(f"does not fit training.encoder_from: {other} differs", path=folder / WEIGHTS)
        state[name].copy_(stored[other])


def fingerprint(data: FusionData) -> str:
    """A short checksum by which two runs see that they learn from the same samples."""
    content = "\n".join([str(len(data)), *data.groups])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def schema_fingerprint(schema: Schema) -> str:
    """A checksum of a schema."""
    return hashlib.sha256(json.dumps(schema.to_json(), sort_keys=True).encode()).hexdigest()
