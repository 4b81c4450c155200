"""The retrieval task: records in, vectors out, so that spectra of one molecule lie close."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.library.entry import FloatMatrix
from mmspec_ds.library.fusion import FUSION
from mmspec_ds.moe.expert_names import ExpertSharding
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.experts import physical_order
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.moe.routing_tables import routing_scalars
from mmspec_ds.moe.schedule import curriculum_at
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.retrieval.batch import Arrangement, RetrievalBatch
from mmspec_ds.systems.retrieval.contrastive import contrastive_loss, contrastive_targets
from mmspec_ds.systems.retrieval.data import MoleculeSpectra, RetrievalSets, read_sets
from mmspec_ds.systems.retrieval.factory import make_encoding, make_model
from mmspec_ds.systems.retrieval.held_back import first_hits
from mmspec_ds.systems.retrieval.language_model import LanguageModel
from mmspec_ds.systems.retrieval.layout import retrieval_layout
from mmspec_ds.systems.retrieval.mining import Schedule, nearest_molecules
from mmspec_ds.systems.retrieval.mntp import MaskedObjective
from mmspec_ds.systems.retrieval.model import Noise, RetrievalModel, embed_rows
from mmspec_ds.systems.retrieval.objective import ContrastiveObjective, RetrievalLoss
from mmspec_ds.systems.retrieval.run_settings import RetrievalRun
from mmspec_ds.systems.retrieval.sampler import Chosen, MoleculeSampler, PairSampler
from mmspec_ds.systems.sparse_runs import MODALITIES
from mmspec_ds.trainer.task import REPLICATED, System, Task, TaskContext, Validation


class RetrievalTask(Task[RetrievalBatch, RetrievalLoss]):
    """A run that learns to give the spectra of a molecule vectors that lie close.

    Args:
        run: the settings.
        context: where it runs.
        sets: what to learn from; without, what the run file names.

    Raises:
        DataError: no held-back molecule has two records, or a file cannot be used.
    """

    score_tag = "recall_at_1/validation"
    higher_is_better = True
    model: RetrievalModel[Any]

    def __init__(self, run: RetrievalRun, context: TaskContext, sets: RetrievalSets | None = None) -> None:
        self.run, self.context, self.encoding = run, context, make_encoding(run)
        self.sets = read_sets(run.data, self.encoding, context.progress) if sets is None else sets
        train, held_back = self.sets.train, self.sets.validation
        # DeepSpeed's default layout: consecutive ranks share the experts.
        placement = Placement(run.training.ep_size, context.rank % run.training.ep_size)
        if run.moe is not None:
            widths = tuple(one.width for one in physical_order(run.moe.experts))
            self.sharding = ExpertSharding(placement, widths)
        else:
            self.sharding = REPLICATED
        self.objective = make_objective(run, placement)
        self.module, self.model = self.objective, self.objective.model
        self.sampler = make_sampler(run, train, context.world)
        self.batches_per_epoch = len(self.sampler)
        self._round = lru_cache(maxsize=1)(self._make_round)
        self.schedule = Schedule(run.objective.mine_every)
        if not len(first_hits(np.zeros((len(held_back), 1), np.float32), held_back.molecule_N)):
            raise DataError(
                "no held-back molecule has two records: expected some, to search for one with the other"
            )
        self.layout = retrieval_layout(run.data.chosen_modalities(), sparse=run.moe is not None)
        self.summary = (
            f"{len(train):,} records of {len(train.blocks):,} molecules to learn from, {len(held_back):,} of"
            f" {len(held_back.blocks):,} to validate on"
        )
        molecules = {"train": len(train.blocks), "validation": len(held_back.blocks)}
        self.about = {"molecules": molecules, "data": fingerprint_of_data(train)}
        self.remarks = tuple(f"{what}: {count}" for what, count in train.remarks.items())

    def batch(self, number: int) -> RetrievalBatch:
        """Micro-batch `number` of the run, see `Task`."""
        start = self.schedule.at(number).start
        turn, place = divmod(number - start, self.batches_per_epoch)
        return self.batch_of(self._round(start, turn)[place], number)

    def batch_of(self, chosen: Chosen, number: int) -> RetrievalBatch:
        """This rank's batch of the records that all ranks have chosen, as micro-batch `number` of the run,
        which decides their noise."""
        run, train = self.run, self.sets.train
        rank, world = self.context.rank, self.context.world
        rows = Arrangement.of(*chosen, train.rows.lengths, rank, world)
        parts = tuple(
            self.encoding.inputs(train.rows, rows.rows_G[piece], Noise(rows.keys_G[piece], run.seed, number))
            for piece in rows.pieces(run.training.gradient_cache)
        )
        fingerprint_GX = train.fingerprint_MX[train.molecule_N[rows.rows_G]]
        molecule_G = torch.from_numpy(rows.molecule_G)
        tokens = int(train.rows.lengths[rows.rows_G].sum())
        bits_GX = torch.from_numpy(fingerprint_GX)
        return RetrievalBatch(parts, molecule_G, bits_GX, rows.first, rows.count, tokens)

    def _make_round(self, start: int, turn: int) -> list[Chosen]:
        return self.sampler.round((start, turn), self.schedule.at(start).neighbours_MH)

    def validation_batches(self) -> Iterator[RetrievalBatch]:
        """The held-back records of this rank, see `Task`."""
        held_back = self.sets.validation
        own, size = self._share(len(held_back)), self.run.training.embed_batch
        for start in range(0, len(own), size):
            chosen = own[start : start + size]
            molecule_B = held_back.molecule_N[chosen]
            yield RetrievalBatch(
                (self.encoding.inputs(held_back.rows, chosen),),
                torch.from_numpy(molecule_B),
                torch.from_numpy(held_back.fingerprint_MX[molecule_B]),
                first=0,
                rows=len(chosen),
                tokens=int(held_back.rows.lengths[chosen].sum()),
            )

    def validate(self) -> Validation:
        """R@1 among the held-back records: how often the nearest of all others is of the same molecule, of
        those whose molecule has another one; and the contrastive loss of batches of them."""
        held_back = self.sets.validation
        vectors_NW = self.embed(held_back)
        score = float(first_hits(vectors_NW, held_back.molecule_N).mean())
        return Validation(score, {"loss/validation": self._loss_of(vectors_NW)})

    def embed(self, data: MoleculeSpectra) -> FloatMatrix:
        """The vectors [N, W] of all records, each rank embedding a part. Every rank calls this."""
        own = self._share(len(data))
        size, device, world = self.run.training.embed_batch, self.context.device, self.context.world
        found = embed_rows(self.model, self.encoding, data.rows, own, batch=size, device=device)
        if world == 1:
            return found
        sent = torch.from_numpy(found).to(device)
        parts = [torch.empty_like(sent) for _ in range(world)]
        dist.all_gather(parts, sent)
        vectors_NW = np.zeros((len(data), self.model.width), dtype=np.float32)
        for rank, part in enumerate(parts):
            vectors_NW[self._share(len(data), rank)] = part.cpu().numpy()
        return vectors_NW

    def _share(self, records: int, rank: int | None = None) -> IntArray:
        """Places of a rank's records, by default this one's: as many on every rank, some of them on two where
        the number is uneven."""
        world, rank = self.context.world, self.context.rank if rank is None else rank
        count = -(-records // world)
        start = min(rank * count, records - count)
        return np.arange(start, start + count, dtype=np.int64)

    def _loss_of(self, vectors_NW: FloatMatrix) -> float:
        """The mean contrastive loss of batches of held-back records, of the size of a global training batch or
        of all that there are."""
        run, held_back = self.run, self.sets.validation
        most = MoleculeSampler(held_back.molecule_N, 1, run.training.spectra_per_molecule, run.seed)
        size = min(run.training.batch_size * self.context.world, len(most))
        losses = []
        for rows, molecule_G in MoleculeSampler(
            held_back.molecule_N, size, run.training.spectra_per_molecule, run.seed
        ).round((0,)):
            targets = contrastive_targets(
                torch.from_numpy(molecule_G),
                torch.from_numpy(held_back.fingerprint_MX[molecule_G]),
                run.objective.soft_weight,
                run.objective.sharpness,
            )
            loss = contrastive_loss(torch.from_numpy(vectors_NW[rows]), *targets, run.objective.scale)
            losses.append(float(loss))
        return float(np.mean(losses))

    def after_update(self, loss: RetrievalLoss) -> None:
        """Move the routers' selection biases, where they are in use, and seek hard negatives, where that is
        due."""
        self.model.rebalance(loss.reports)
        if self.schedule.advance(self.run.training.gradient_accumulation):
            train = self.sets.train
            count = self.run.objective.mine_neighbours
            self.schedule.add(nearest_molecules(self.embed(train), train.molecule_N, count))
            self.module.train()

    def state(self) -> dict[str, Any]:
        """The hard negatives that are in use, and the position of the run; none where they are not sought."""
        return self.schedule.to_json(self.batches_per_epoch) if self.schedule.every else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state` gave when the checkpoint was made; called on every rank."""
        if self.schedule.every and state:
            self.schedule.load(state, self.batches_per_epoch)
            self._round.cache_clear()

    def scalars(self, loss: RetrievalLoss, progress: float) -> dict[str, float]:
        """The schedule, and load, importance, entropy and drops of the routers."""
        if not loss.reports:
            return {}
        schedule = curriculum_at(progress, self.run.routing)
        values = {"schedule/lambda": schedule.balance, "schedule/tau": schedule.temperature}
        return values | routing_scalars(loss.reports, MODALITIES)

    def flops(self, batch: RetrievalBatch, loss: RetrievalLoss) -> float | Tensor:
        """See `Task`; of the experts' rows, which are those of all ranks, this one counts an even share."""
        again = self.run.training.gradient_cache is not None
        flops: float | Tensor = sum(self.model.flops(part, again=again) for part in batch.parts)
        flops += 6.0 * batch.rows * len(batch.molecule_G) * self.model.width  # cosines
        if loss.reports:
            flops = flops + self.model.flops_of_experts(loss.reports, again=again) / self.context.world
        return flops


SYSTEM = System(RetrievalTask, extras=(FUSION,))


def make_sampler(run: RetrievalRun, train: MoleculeSpectra, world: int) -> MoleculeSampler | PairSampler:
    """The sampler of the global batches of a run.

    Raises:
        ConfigError: a batch is larger than what there is.
    """
    size = run.training.batch_size * world
    try:
        if run.objective.kind == "dropout_pairs":
            return PairSampler(len(train), size, run.seed)
        most, repeats = run.training.spectra_per_molecule, run.training.repeat_records
        share = run.objective.mine_share
        return MoleculeSampler(train.molecule_N, size, most, run.seed, repeats, share)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def make_objective(run: RetrievalRun, placement: Placement) -> ContrastiveObjective | MaskedObjective:
    """The model with its objective, from the run's seed; expert-parallel where there are experts."""
    from mmspec_ds.moe.deepspeed_layer import DeepSpeedSparseFeedForward

    torch.manual_seed(run.seed)
    model = make_model(run, placement=placement, sparse_class=DeepSpeedSparseFeedForward, in_training=True)
    if run.objective.kind == "mntp":
        assert isinstance(model, LanguageModel)  # the settings say so
        return MaskedObjective(model, dist.group.WORLD)
    return ContrastiveObjective(
        model,
        run.objective,
        run.routing,
        relative_costs(run.moe) if run.moe else None,
        dist.group.WORLD,
        cached=run.training.gradient_cache is not None,
    )


def fingerprint_of_data(train: MoleculeSpectra) -> str:
    """A short checksum by which two runs see that they learn from the same molecules."""
    content = "\n".join([str(len(train)), *train.blocks])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
