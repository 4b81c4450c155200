"""A second system in one file: it restores hidden intensities of MS/MS spectra, without SMILES or a router. As
a script it is `mmspec`: `deepspeed ... denoiser_task.py train RUN.yaml`. Axes: B samples, P peaks."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmspec_ds.cli import main
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.run_file import SYSTEMS
from mmspec_ds.trainer.run_settings import RunSettings
from mmspec_ds.trainer.task import StepLoss, System, Task, TaskContext, Validation

PEAKS = "peaks.txt"


class Run(RunSettings):
    """The run file: the spectra, every fifth of which is held back, how many peaks of each, and the width."""

    bound_keys: ClassVar[tuple[str, ...]] = (*RunSettings.bound_keys, "width", "peaks")

    system: Literal["denoiser"]
    data: Path
    peaks: int = 12
    width: int = 16


@dataclass(frozen=True)
class Batch:
    """m/z and intensity of the strongest peaks, intensity 0 where there is none; and which are hidden."""

    mz_BP: Tensor
    intensity_BP: Tensor
    hidden_BP: Tensor

    @property
    def samples(self) -> float:
        return len(self.mz_BP)

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def pinned(self) -> "Batch":
        return Batch(*(getattr(self, name).pin_memory() for name in self.__dataclass_fields__))


class Denoiser(nn.Module):
    """The intensities [B, P] of all peaks, given those that are not hidden."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("updates", torch.zeros(()))
        self.embed, self.rate = nn.Linear(3, width), nn.Linear(width, 1)
        self.layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)

    def forward(self, batch: Batch) -> Tensor:
        shown_BP = batch.intensity_BP.masked_fill(batch.hidden_BP, 0.0)
        token_BP3 = torch.stack([batch.mz_BP / 100, shown_BP, batch.hidden_BP.float()], dim=2)
        return self.rate(self.layer(self.embed(token_BP3.to(self.embed.weight.dtype)))).squeeze(2)


class SquaredError(nn.Module):
    """The mean squared error of the hidden intensities over all ranks."""

    def __init__(self, model: Denoiser) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, progress: float) -> StepLoss:
        error_BP = (self.model(batch).float() - batch.intensity_BP).square() * batch.hidden_BP
        local = torch.stack([error_BP.sum(), batch.hidden_BP.sum().float()])
        everywhere = local.detach().clone()
        dist.all_reduce(everywhere)
        error = everywhere[0] + dist.get_world_size() * (local[0] - local[0].detach())
        loss, peaks = error / everywhere[1], torch.tensor(float(batch.mz_BP.numel() * dist.get_world_size()))
        return StepLoss(loss, {"task": loss.detach()}, weight=everywhere[1], tokens=peaks)


class DenoiserTask(Task[Batch, StepLoss]):
    """Batches of spectra, each number with its own hidden peaks."""

    score_tag = "error/validation"
    layout: ClassVar[dict[str, Any]] = {"losses": {"squared error": ["Multiline", ["error/"]]}}

    def __init__(self, run: Run, context: TaskContext) -> None:
        self.run, self.context = run, context
        records = read_records(run.data, modalities=(Modality.MS,))
        rows = [peaks_of(record.spectra[0], run.peaks) for record in records]
        spectra_N2P = torch.tensor(np.array(rows), dtype=torch.float32)
        held_back = torch.arange(len(rows)) % 5 == 0
        self.train, self.held_back = spectra_N2P[~held_back], spectra_N2P[held_back]
        self.batches_per_epoch = len(self.train) // (run.training.batch_size * context.world)
        torch.manual_seed(run.seed)
        self.model = Denoiser(run.width)
        self.module = SquaredError(self.model)
        self.summary = f"{len(self.train)} spectra to learn from"
        self.identity = {PEAKS: run.peaks}

    def batch(self, number: int) -> Batch:
        epoch, place = divmod(number, self.batches_per_epoch)
        size = self.run.training.batch_size * self.context.world
        order = np.random.default_rng((self.run.seed, epoch)).permutation(len(self.train))
        chosen = order[place * size : (place + 1) * size]
        return self._share(self.train[chosen], np.random.default_rng((self.run.seed, number, 1)))

    def validation_batches(self) -> Iterator[Batch]:
        even = len(self.held_back) // 4 * 4  # the same samples for 1, 2 and 4 ranks
        yield self._share(self.held_back[:even], np.random.default_rng(0))

    def validate(self) -> Validation:
        return Validation(self.mean_loss(), scalars={"error/updates": float(self.model.updates)})

    def after_update(self, loss: StepLoss) -> None:
        self.model.updates += 1

    def save_files(self, folder: Path) -> None:
        (folder / PEAKS).write_text(f"{self.run.peaks}\n")

    def _share(self, spectra_B2P: Tensor, rng: np.random.Generator) -> Batch:
        """This rank's part of a global batch, a quarter of whose peaks are hidden."""
        hidden_BP = torch.from_numpy(rng.random((len(spectra_B2P), self.run.peaks)) < 0.25)
        parts = (spectra_B2P[:, 0], spectra_B2P[:, 1], hidden_BP & (spectra_B2P[:, 1] > 0))
        return Batch(*(part.chunk(self.context.world)[self.context.rank] for part in parts))


def peaks_of(spectrum: Any, count: int) -> list[list[float]]:
    """m/z and intensity of the strongest peaks, the largest 1, filled up with zeros."""
    strongest = sorted(zip(spectrum.intensity, spectrum.mz), reverse=True)[:count]
    strongest += [(0.0, 0.0)] * (count - len(strongest))
    largest = max(1.0, strongest[0][0])
    return [[float(mz) for _, mz in strongest], [float(height) / largest for height, _ in strongest]]


SYSTEM = System(DenoiserTask, files=(PEAKS,))
SYSTEMS["denoiser"] = ("denoiser_task", "denoiser_task")

if __name__ == "__main__":
    sys.exit(main())
