"""The elucidation task: spectra in, SMILES out, with routers that are watched and balanced."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.data.augmentation import AugmentSettings, augmented, respelled
from mmspec_ds.data.batch import Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.data.dataset import Samples
from mmspec_ds.data.reading import TrainingData, read_training
from mmspec_ds.data.sampler import BucketSampler, Sampler, Selection, TokenBudgetSampler
from mmspec_ds.data.vocabularies import VOCABULARY, Vocabularies
from mmspec_ds.errors import ConfigError
from mmspec_ds.moe.expert_names import ExpertSharding
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.moe.routing_tables import RoutingTable, RoutingTally, routing_scalars
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.nn.flops import (
    BatchSize,
    computed_rows,
    flops_of_rows,
    pass_flops,
)
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.elucidation.activity import (
    Activity,
    count_routers,
    dense_activity,
    sparse_activity,
)
from mmspec_ds.systems.elucidation.dimensions import dimensions_in_training
from mmspec_ds.systems.elucidation.encoder_from import load_encoder
from mmspec_ds.systems.elucidation.factory import TARGET, build_elucidator, structure_margin
from mmspec_ds.systems.elucidation.layout import elucidation_layout
from mmspec_ds.systems.elucidation.masking import make_masking
from mmspec_ds.systems.elucidation.modality_gradients.blending import BlendingObjective
from mmspec_ds.systems.elucidation.modality_gradients.cost import flops_alone
from mmspec_ds.systems.elucidation.modality_gradients.ogm_ge import OgmGeObjective
from mmspec_ds.systems.elucidation.modality_gradients.pcgrad import PCGradObjective
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.objective import ElucidationLoss, Objective
from mmspec_ds.systems.elucidation.observer import Observer, evenly
from mmspec_ds.systems.elucidation.run_settings import ElucidationRun
from mmspec_ds.systems.elucidation.trained import add_temperature
from mmspec_ds.systems.sparse_runs import MODALITIES
from mmspec_ds.trainer.monitor.monitor import Monitor
from mmspec_ds.trainer.task import (
    REPLICATED,
    Sharding,
    System,
    Task,
    TaskContext,
    Validation,
    count_parameters,
)
from mmspec_ds.verification.calibration import CALIBRATION


class ElucidationTask(Task[Batch, ElucidationLoss]):
    """A run that learns to write the SMILES of the molecule whose spectra it reads.

    Args:
        run: the settings.
        context: where it runs.
        data: what to learn from; without, what the run file names.
    """

    model: Elucidator
    module: nn.Module

    def __init__(self, run: ElucidationRun, context: TaskContext, data: TrainingData | None = None) -> None:
        if data is None:
            source = context.weights_from
            vocabularies = None if source is None else Vocabularies.load(source / VOCABULARY)
            part = (context.rank, context.world)
            spellings = run.training.randomise_smiles > 0
            data = read_training(run.data, context.progress, vocabularies, part=part, any_spelling=spellings)
        self.run, self.context, self.data = run, context, data
        # DeepSpeed's default layout: consecutive ranks share the experts.
        placement = Placement(run.training.ep_size, context.rank % run.training.ep_size)
        self.sharding = sharding_of(run, placement)
        self.objective = make_objective(run, data, placement)
        self.module, self.model = self.objective, self.objective.model
        if run.training.encoder_from is not None and context.weights_from is None:
            load_encoder(self.model, run, self.sharding)
        self.sampler, self.validation_sampler = make_samplers(run, data, context.rank, context.world)
        self.batches_per_epoch = len(self.sampler)
        self._epoch = lru_cache(maxsize=1)(self.sampler.epoch)
        self.dimensions = dimensions_in_training(run, data.encoding.schemas, len(data.vocabularies.target))
        self.activity: Activity | None = None
        both = (flops_of_rows(self.dimensions, decoder=decoder) for decoder in (False, True))
        self._row_flops = [flops_E.to(context.device) for flops_E in both]
        target = data.vocabularies.target
        self.observer = Observer(run, self.model, data.validation, target, context.device, dist.group.WORLD)
        self.layout = elucidation_layout(
            run.data.chosen_modalities(),
            sparse=run.moe is not None,
            decoder=bool(run.moe and run.moe.decoder),
            conflict=run.compares_gradients,
            further_losses=run.objective.alignment > 0 or run.training.modality_gradients != "none",
        )
        train, validation = len(data.train), len(data.validation)
        self.summary = f"{train:,} molecules to learn from, {validation:,} to validate on"
        molecules = {"train": train, "validation": validation}
        self.about = {"molecules": molecules, "data": fingerprint_of_data(data.train)}
        self.remarks = tuple(f"{remark}: {count}" for remark, count in data.train.remarks.items())
        self.identity = {"vocabulary": fingerprint(data.vocabularies)}

    def batch(self, number: int) -> Batch:
        """Micro-batch `number` of the run, see `Task`."""
        epoch, place = divmod(number, self.batches_per_epoch)
        return self.batch_of(self._epoch(epoch)[place], number)

    def batch_of(self, selection: Selection, number: int) -> Batch:
        """The batch of some samples, as micro-batch `number` of the run."""
        dropout, train = self.run.data.modality_dropout, self.data.train
        rng = None
        if dropout:
            rng = np.random.default_rng((self.run.seed, number))
            # Skip the draws of the ranks before this one: which modalities are left out does not depend on how
            # a batch is shared.
            rng.random((self.context.rank * len(selection.indices), len(train.schemas)))
        samples, indices = self._augmented(selection, number)
        return collate(samples, indices, selection.weights, modality_dropout=dropout, rng=rng)

    def _augmented(self, selection: Selection, number: int) -> tuple[Samples, IntArray]:
        """Where the samples of a batch are, with the noise and the spellings that a run wants, and their places
        there."""
        run, chosen, seeds = self.run, np.asarray(selection.indices), (self.run.seed, number)
        augment, randomise = run.training.augment, run.training.randomise_smiles
        if augment == AugmentSettings() and not randomise:
            return self.data.train, chosen
        dataset, places = self.data.train.fetch(chosen)
        dataset = dataset.subset(places)
        if augment != AugmentSettings():
            dataset = augmented(dataset, chosen, seeds, augment, run.data.compression)
        if randomise:
            target, most = self.data.vocabularies.target, run.data.max_target_tokens
            dataset = respelled(dataset, chosen, seeds, randomise, target, most)
        return dataset, np.arange(len(chosen))

    def validation_batches(self) -> list[Batch]:
        """The held-back samples of this rank, see `Task`."""
        return [collate(self.data.validation, *selection) for selection in self.validation_sampler.epoch(0)]

    def validate(self) -> Validation:
        """The mean cross entropy of a target token, in nats, and what the routers did."""
        tally, of_decoder = RoutingTally(), RoutingTally()

        def see(loss: ElucidationLoss) -> None:
            tally.add(loss.reports)
            of_decoder.add(loss.decoder_reports)

        score = self.mean_loss(see)
        table = tally.table()
        self.activity = self._activity(table, of_decoder.table())
        record = {} if table is None else {"routing": table.to_json()}
        return Validation(score, self.activity.scalars(), record, detail=table)

    def _activity(self, table: RoutingTable | None, of_decoder: RoutingTable | None) -> Activity:
        parameters, length = count_parameters(self), float(self.data.validation.lengths.mean())
        if table is None:
            encoders = len(self.data.train.schemas) if self.dimensions.late else 1
            return dense_activity(self.dimensions, parameters, length, encoders)
        routers = count_routers(self.model)
        chosen_YE = np.concatenate([one.chosen_YE for one in (table, of_decoder) if one is not None])
        return sparse_activity(self.dimensions, parameters, routers, chosen_YE, length)

    def after_update(self, loss: ElucidationLoss) -> None:
        """Move the routers' selection biases, where they are in use, and estimate the weights of blended losses
        anew, where that is due."""
        self.objective.rebalance(loss)
        if isinstance(self.objective, BlendingObjective) and self.objective.is_due():
            count, device = self.run.training.blending.batches, self.context.device
            epoch = self.validation_sampler.epoch(0)
            held_back = [collate(self.data.validation, *epoch[at]) for at in evenly(len(epoch), count)]
            seen = [self.batch(number) for number in range(count)]
            self.objective.estimate((one.to(device) for one in seen), (one.to(device) for one in held_back))

    def state(self) -> dict[str, Any]:
        """The weights of blended losses, and what they are estimated from."""
        return self.objective.state() if isinstance(self.objective, BlendingObjective) else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state` gave when the checkpoint was made; called on every rank."""
        if isinstance(self.objective, BlendingObjective):
            self.objective.load_state(state)

    def scalars(self, loss: ElucidationLoss, progress: float) -> dict[str, float]:
        """The schedule, and load, importance, entropy and drops of the routers."""
        if not loss.reports:
            return {}
        schedule = curriculum_at(progress, self.run.objective)
        values = {"schedule/lambda": schedule.balance, "schedule/tau": schedule.temperature}
        return (
            values
            | routing_scalars(loss.reports, MODALITIES)
            | routing_scalars(loss.decoder_reports, (TARGET,))
        )

    def flops(self, batch: Batch, loss: ElucidationLoss) -> float | Tensor:
        """See `Task`; of the experts' rows, which are those of all ranks, this one counts an even share."""
        size, moe = BatchSize.of(batch, late=self.dimensions.late), self.run.moe
        flops: float | Tensor = pass_flops(self.dimensions, size, [], []).total
        flops += flops_alone(self.run, self.dimensions, batch).total
        encoder, decoder = (*loss.reports, *loss.masked_reports), loss.decoder_reports
        for reports, row_flops_E in zip((encoder, decoder), self._row_flops):
            if moe is not None and reports:
                rows_YE = torch.stack([computed_rows(report, moe) for report in reports])
                flops = flops + rows_YE.double().sum(0) @ row_flops_E / self.context.world
        return flops

    def final_figures(self) -> dict[str, float]:
        """The active parameters of the last validation."""
        return {} if self.activity is None else {"active_parameters": self.activity.active}

    def observe(self, step: int, validation: Validation, monitor: Monitor) -> None:
        """Draw routing, gradient conflict and proposed structures."""
        self.observer.observe(step, validation.detail, monitor)

    def save_files(self, folder: Path) -> None:
        """Write the vocabularies."""
        self.data.vocabularies.save(folder / VOCABULARY)


SYSTEM = System(ElucidationTask, files=(VOCABULARY,), extras=(CALIBRATION,), upgrade=add_temperature)


def make_samplers(
    run: ElucidationRun, data: TrainingData, rank: int, world: int
) -> tuple[Sampler, BucketSampler]:
    """The samplers of a rank, for training and validation.

    Raises:
        ConfigError: a record is longer than `training.tokens_per_batch`.
    """
    settings, lengths, tokens = run.training, data.train.lengths, run.training.tokens_per_batch
    bucketed = partial(BucketSampler, batch_size=settings.batch_size, world_size=world, rank=rank)
    validation = bucketed(data.validation.lengths, shuffle=False)
    if tokens is None:
        return bucketed(lengths, seed=run.seed), validation
    if lengths.max() > tokens:
        raise ConfigError(
            f"training.tokens_per_batch is {tokens}, but the longest record has {lengths.max()} tokens:"
            " expected at least as many"
        )
    return TokenBudgetSampler(lengths, tokens, world_size=world, rank=rank, seed=run.seed), validation


def make_objective(run: ElucidationRun, data: TrainingData, placement: Placement) -> Objective:
    """The model with its objective, from the run's seed; expert-parallel where there are experts."""
    from mmspec_ds.moe.deepspeed_layer import DeepSpeedSparseFeedForward

    torch.manual_seed(run.seed)
    model = build_elucidator(
        run.model,
        run.moe,
        data.encoding.schemas,
        len(data.vocabularies.target),
        structure_margin=structure_margin(run.objective),
        placement=placement,
        sparse_class=DeepSpeedSparseFeedForward,
        activation_checkpointing=run.training.activation_checkpointing,
    )
    costs = relative_costs(run.moe) if run.moe else None
    settings = (model, run.objective, costs, dist.group.WORLD, make_masking(run))
    match run.training.modality_gradients:
        case "ogm_ge":
            return OgmGeObjective(*settings, balance=run.training.ogm_ge)
        case "pcgrad":
            return PCGradObjective(*settings, sharding=sharding_of(run, placement))
        case "blending":
            return BlendingObjective(*settings, balance=run.training.blending)
        case _:
            return Objective(*settings)


def sharding_of(run: ElucidationRun, placement: Placement) -> Sharding:
    """Which parameters differ between ranks: those of experts."""
    if run.moe is None:
        return REPLICATED
    return ExpertSharding(placement, tuple(one.width for one in physical_order(run.moe.experts)))


def fingerprint_of_data(samples: Samples) -> str:
    """A short checksum by which two runs see that they learn from the same molecules: of their number, and of
    64 of them that are evenly spread."""
    places = evenly(len(samples), 64)
    dataset, found = samples.fetch(places)
    content = json.dumps([len(samples), *(dataset.smiles[at] for at in found)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def fingerprint(vocabularies: Vocabularies) -> str:
    """A checksum of the vocabularies."""
    return hashlib.sha256(json.dumps(vocabularies.to_dict(), sort_keys=True).encode()).hexdigest()
