"""What a run begins with: a model with its objective, and the trained models that it learns from or adapts.

Axes: C classes or groups.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.moe.expert_parallel import Placement
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.systems.fusion.data import FusionData, FusionSets
from mmspec_ds.systems.fusion.distillation.objective import DistillingObjective
from mmspec_ds.systems.fusion.distillation.teacher import Teacher, load_teacher
from mmspec_ds.systems.fusion.distillation.transfer import make_transfer
from mmspec_ds.systems.fusion.domain_adapters import add_adapter, with_new_head
from mmspec_ds.systems.fusion.domain_adapters_files import ADAPTER_NAME
from mmspec_ds.systems.fusion.factory import make_model
from mmspec_ds.systems.fusion.masked import MaskedObjective
from mmspec_ds.systems.fusion.objective import FusionObjectiveModule
from mmspec_ds.systems.fusion.run_settings import FusionRun
from mmspec_ds.systems.fusion.schema import Schema, load_schema
from mmspec_ds.systems.fusion.stored import StoredFusion, load_classifier
from mmspec_ds.trainer.task import TaskContext

OF_BASE = ("tokens", "model", "moe", "fusion")
"""Blocks of a run file that adapters leave as those of the base; the last one is that of the head."""


@dataclass(frozen=True)
class Beginning:
    """Trained models that a run needs: `teacher`, from whom it learns, or `base`, which it adapts; and
    `schema`, that which the run must keep to, None where its data decide."""

    teacher: Teacher | None = None
    base: StoredFusion | None = None
    schema: Schema | None = None


def begin(run: FusionRun, context: TaskContext) -> Beginning:
    """Read the trained models that a run names.

    Raises:
        DataError: one cannot be read.
        ConfigError: it does not fit the run.
    """
    resumed = None if context.weights_from is None else load_schema(context.weights_from)
    if run.distillation is not None:
        teacher = load_teacher(run, context.device)
        return Beginning(teacher=teacher, schema=teacher.schema)
    if run.adapt is not None:
        base = load_base(run)
        own = run.adapt.head == "new" or (run.adapt.scaling == "own" and base.schema.tables)
        return Beginning(base=base, schema=resumed if own else base.schema)
    return Beginning(schema=resumed)


def load_base(run: FusionRun) -> StoredFusion:
    """The model that a run adapts.

    Raises:
        DataError: it cannot be read.
        ConfigError: it has other sizes than the run, tells nothing, or has adapters itself.
    """
    assert run.adapt is not None
    folder = run.adapt.base
    new_head = run.adapt.head == "new"
    stored = load_classifier(folder, "adapt.base", pretrained=new_head)
    if stored.run.adapt is not None:
        raise ConfigError(f"adapt.base: {folder} has adapters itself: expected the run that they adapt")
    for block in OF_BASE[:-1] if new_head else OF_BASE:
        ours, theirs = (_without_dropout(getattr(one, block)) for one in (run, stored.run))
        if ours != theirs:
            raise ConfigError(
                f"{block}: not that of adapt.base, {folder}: expected the block {block} of its config.yaml"
            )
    return stored


def check_adaptable(base: StoredFusion, run: FusionRun, found: Schema, what: str) -> None:
    """Refuse samples that the base of adapters cannot read, or tell where they have its head. With a new head a
    dense base reads everything.

    Raises:
        DataError: names what differs; begins with `what`.
    """
    assert run.adapt is not None
    pairs = {"modalities": (found.modalities, base.schema.modalities)}
    if run.adapt.head == "base":
        pairs["classes"] = (found.names, base.schema.names)
        for name in found.tables.keys() & base.schema.tables.keys():
            pairs[f"features of {name}"] = found.tables[name].features, base.schema.tables[name].features
    elif base.run.moe is None:
        return
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            told = ", ".join(theirs[:5]) + (", ..." if len(theirs) > 5 else "")
            raise DataError(f"{what}: other {name} than adapt.base: expected {told}")


def make_objective(
    run: FusionRun, sets: FusionSets, placement: Placement, beginning: Beginning
) -> FusionObjectiveModule:
    """The model with its objective, from the run's seed; expert-parallel where there are experts, but for a
    base that is adapted.

    Args:
        run: the settings.
        sets: what is learnt from: the prior is that of the training side.
        placement: which experts this process has.
        beginning: the trained models that the run needs.
    """
    from mmspec_ds.moe.deepspeed_layer import DeepSpeedSparseFeedForward

    torch.manual_seed(run.seed)
    costs = relative_costs(run.moe) if run.moe else None
    if beginning.base is not None:
        assert run.adapt is not None
        model = beginning.base.model
        of_base = sum(one.numel() for one in model.parameters())
        if run.adapt.head == "new":
            model = with_new_head(model, run, sets.schema)
            model.prior_C.copy_(prior(sets.train, sets.schema))
        add_adapter(model, ADAPTER_NAME, run.adapt, of_base)
    else:
        sparse = DeepSpeedSparseFeedForward
        model = make_model(run, sets.schema, placement=placement, sparse_class=sparse, in_training=True)
        model.prior_C.copy_(prior(sets.train, sets.schema))
    settings = (model, run.objective, run.balance, run.routing, costs, dist.group.WORLD)
    teacher = beginning.teacher
    if teacher is not None:
        assert run.distillation is not None
        modalities = len(sets.schema.modalities)
        model.transfer = make_transfer(run.distillation, run.model.d_model, teacher.width, modalities)
        return DistillingObjective(teacher, run.distillation, *settings)
    if run.objective.kind == "masked":
        return MaskedObjective(*settings)
    return FusionObjectiveModule(*settings, keep_routers=beginning.base is not None)


def prior(data: FusionData, schema: Schema) -> torch.Tensor:
    """The logits [C] of the classes or groups by how many samples have them, each counted once more with half
    of a sample, so that none is impossible."""
    count_C = torch.from_numpy(data.target_NC.sum(0)) + 0.5
    total = len(data) + (1.0 if schema.kind == "groups" else 0.5 * len(count_C))
    share_C = count_C / total
    return torch.logit(share_C) if schema.kind == "groups" else share_C.log()


def _without_dropout(block: Any) -> dict[str, Any] | None:
    return None if block is None else block.model_dump(exclude={"dropout"})
