"""The temperature of the router is saved with the weights; whatever decodes or measures reads it there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mmspec_ds.data.batch import Batch
from mmspec_ds.data.collate import collate
from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.moe.expert_settings import ExpertSettings, MoESettings, ObjectiveSettings
from mmspec_ds.moe.layer import relative_costs
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema
from mmspec_ds.systems.elucidation.conflict import modality_conflict
from mmspec_ds.systems.elucidation.evaluate import evaluate_model
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator
from mmspec_ds.systems.elucidation.objective import Objective
from mmspec_ds.systems.elucidation.predict import predict_dataset
from mmspec_ds.systems.elucidation.proposals import propose
from mmspec_ds.systems.elucidation.trained import TrainedModel, load_weights
from mmspec_ds.trainer.weights import checksum, write_weights

SCHEMAS = {Modality.C_NMR: TokenSchema(discrete=(DiscreteField("shift", 50, ordinal=True),))}
VOCABULARY = Vocabulary.build([["C", "O"]])
SIZES = ModelSettings(
    d_model=32, heads=2, encoder_layers=2, decoder_layers=1, ffn_width=32, max_target_tokens=8, dropout=0.0
)
MOE = MoESettings(k=1, experts=[ExpertSettings(family="shared", width=16)] * 2)
SETTINGS = ObjectiveSettings(temperature=2.0, temperature_min=0.5, temperature_decay=0.5)
SAVED = 2.0 * float(np.exp(-0.3 / 0.5))
"""tau at 0.3 of the training, equation 23."""


@pytest.fixture
def model() -> Elucidator:
    torch.manual_seed(0)
    return build_elucidator(SIZES, MOE, SCHEMAS, len(VOCABULARY))


@pytest.fixture
def seen(model: Elucidator) -> Iterator[list[float]]:
    """The temperature of each call of a sparse layer."""
    found: list[float] = []
    handles = [
        layer.feedforward.register_forward_hook(lambda _, inputs, __: found.append(inputs[2]))
        for layer in model.encoder.layers
    ]
    yield found
    for handle in handles:
        handle.remove()


def samples() -> SpectraDataset:
    shifts = np.array([[3], [40], [7], [9]], dtype=np.int16)
    packed = PackedTokens(shifts, np.empty((4, 0), np.float32), offsets_of([3, 1]))
    dataset = SpectraDataset(("a", "b"), ("CO", "OCC"), {Modality.C_NMR: packed}, SCHEMAS)
    return dataset.with_targets(VOCABULARY)


def batch() -> Batch:
    return collate(samples(), [0, 1])


def trained(model: Elucidator) -> Objective:
    """The objective after a training step at 0.3 of the budget."""
    objective = Objective(model, SETTINGS, relative_costs(MOE))
    objective.train()
    objective(batch(), 0.3)
    return objective


def test_training_follows_the_schedule_and_keeps_it(model: Elucidator, seen: list[float]) -> None:
    trained(model)
    assert seen == pytest.approx([SAVED, SAVED], rel=1e-12)
    assert model.state_dict()["router_temperature"].item() == pytest.approx(SAVED, rel=1e-6)
    assert not any("expert" in name for name in dict(model.named_buffers()) if "temperature" in name)


def test_all_that_measures_and_decodes_reads_the_saved_one(
    model: Elucidator, seen: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmspec_ds.systems.elucidation.predict.packed", lambda model: model)
    objective = trained(model).eval()
    saved = model.temperature
    answer = TrainedModel(None, model, VOCABULARY, None)  # type: ignore[arg-type]
    uses = {
        "validation": lambda: objective(batch(), 0.9),
        "pictures": lambda: propose(model, batch().spectra, [("a", "CO"), ("b", "OCC")], VOCABULARY),
        "conflict": lambda: modality_conflict(model, batch()),
        "evaluate": lambda: evaluate_model(answer, samples(), beam=2),
        "predict": lambda: predict_dataset(model, samples(), VOCABULARY, beam=2, n_best=2, max_tokens=4),
    }
    for name, use in uses.items():
        seen.clear()
        use()
        assert len(seen) >= 2, name
        assert set(seen) == {saved}, name
    assert saved == pytest.approx(SAVED, rel=1e-6)


def test_it_survives_the_file(model: Elucidator, tmp_path: Path) -> None:
    trained(model)
    write_weights(model.state_dict(), tmp_path / "model.safetensors")
    other = build_elucidator(SIZES, MOE, SCHEMAS, len(VOCABULARY))
    load_weights(other, tmp_path / "model.safetensors")
    assert other.temperature == model.temperature != 1.0


@pytest.mark.parametrize("moe", [MOE, None], ids=["sparse", "dense"])
def test_older_files_hold_it_beside_the_weights(tmp_path: Path, moe: MoESettings | None) -> None:
    path = tmp_path / "model.safetensors"
    older = build_elucidator(SIZES, moe, SCHEMAS, len(VOCABULARY)).state_dict()
    older.pop("router_temperature", None)
    about = f'{{"temperature": 1.25, "sha256": "{checksum(older)}"}}'
    save_file(older, path, metadata={"mmspec": about})
    model = build_elucidator(SIZES, moe, SCHEMAS, len(VOCABULARY))
    load_weights(model, path)
    assert model.temperature == (1.25 if moe else 1.0)
