"""What a run tells: a progress bar or plain lines, TensorBoard scalars, `metrics.jsonl`."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from mmspec_ds.files import replacing
from mmspec_ds.moe.statistics import RoutingReport
from mmspec_ds.spectra.records import Modality

SECONDS_BETWEEN_LINES = 15.0
METRICS = "metrics.jsonl"


class Monitor:
    """The voice of rank 0; the other ranks' monitors are silent.

    Args:
        folder: the run's folder.
        name: of the run, shown in front.
        active: whether this is rank 0.
        resume_at: a resumed run's step: what an interrupted run wrote beyond it is superseded.
    """

    def __init__(self, folder: Path, name: str, *, active: bool, resume_at: int = 0) -> None:
        self.active, self.name = active, name
        if not active:
            return
        self.console = Console()
        tensorboard = folder / "tensorboard"
        # TensorBoard drops what it holds from the given step on; that of the checkpoint itself stays.
        self.writer = SummaryWriter(tensorboard, purge_step=resume_at + 1 if resume_at else None)
        if resume_at:
            forget_beyond(folder / METRICS, resume_at)
        self.file = (folder / METRICS).open("a", encoding="utf-8")
        self.last_line = time.monotonic()
        self.progress: Progress | None = None
        self.task = TaskID(0)
        if self.console.is_terminal:
            self.progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[status]}"),
                console=self.console,
            )
            self.task = self.progress.add_task(name, total=1.0, status="")
            self.progress.start()

    def say(self, line: str) -> None:
        """A line of its own."""
        if self.active:
            self.console.print(line, highlight=False, soft_wrap=True)

    def step(self, step: int, done: float, eta_seconds: float, values: Mapping[str, float]) -> None:
        """The scalars of a step; `done` is the fraction of the budget, `values` go to TensorBoard by tag."""
        if not self.active:
            return
        self._record("train", step, values)
        status = (
            f"step {step}  loss {values['loss/train']:.3f}  "
            f"{values['throughput/tokens_per_second']:,.0f} tokens/s"
        )
        if self.progress is not None:
            self.progress.update(self.task, completed=done, status=status)
        elif time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = time.monotonic()
            self.say(f"{self.name}  {100 * done:3.0f} %  {status}  ETA {_clock(eta_seconds)}")

    def validation(self, step: int, loss: float, best: bool) -> None:
        """The result of a validation."""
        if self.active:
            self._record("validation", step, {"loss/validation": loss})
            self.say(f"{self.name}  step {step}  validation loss {loss:.4f}{'  (best)' if best else ''}")

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        """Write out what is left."""
        if self.active:
            if self.progress is not None:
                self.progress.stop()
            self.writer.close()
            self.file.close()

    def _record(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, step)
        self.file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self.file.flush()


def forget_beyond(path: Path, step: int) -> None:
    """Remove the lines of later steps, and one that a crash cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:
            continue
    with replacing(path) as partial:
        partial.write_text("".join(kept), encoding="utf-8")


def routing_scalars(reports: Sequence[RoutingReport]) -> dict[str, float]:
    """Expert load per modality (fractions, averaged over layers), and the fraction that capacity dropped."""
    if not reports:
        return {}
    load_ME = sum(r.load_ME for r in reports)
    dropped_M = sum(r.dropped_M for r in reports)
    scalars = {}
    for modality in Modality:
        pairs = float(load_ME[modality].sum())  # type: ignore[index]
        if not pairs:
            continue
        name = modality.name.lower()
        for number, load in enumerate(load_ME[modality].tolist()):  # type: ignore[index]
            scalars[f"load_{name}/expert_{number}"] = load / pairs
        scalars[f"dropped/{name}"] = float(dropped_M[modality]) / pairs  # type: ignore[index]
    return scalars


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
