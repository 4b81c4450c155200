"""A trace of a few steps by torch's profiler, on request."""

from pathlib import Path

from torch.profiler import ProfilerActivity, profile, supported_activities

WARM_UP = 5
"""Updates before the first traced one: the first ones build buffers and are not like the others."""


class StepTrace:
    """Traces `steps` updates after the first few of this part of the run; nothing for 0.

    Each rank writes `trace_step_<first>_rank_<rank>.pt.trace.json.gz` into the folder: the name under which
    TensorBoard's profile plugin looks for traces, and a file that ui.perfetto.dev opens.

    Args:
        folder: where the run's TensorBoard files are.
        steps: how many.
        rank: of this process.
    """

    def __init__(self, folder: Path, steps: int, rank: int) -> None:
        self.folder, self.steps, self.rank = folder, steps, rank
        self._seen = 0
        self._first = 0
        self._profile: profile | None = None

    def after(self, step: int) -> None:
        """Call this after each update; starts and ends the trace."""
        if not self.steps:
            return
        self._seen += 1
        if self._seen == WARM_UP:
            wanted = {ProfilerActivity.CPU, ProfilerActivity.CUDA} & supported_activities()
            self._first = step + 1
            self._profile = profile(activities=sorted(wanted, key=str))
            self._profile.start()
        elif self._seen == WARM_UP + self.steps:
            self.close()

    def close(self) -> None:
        """Write the trace, also where the run ends before all steps are traced."""
        if self._profile is None:
            return
        traced, self._profile = self._profile, None
        traced.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"trace_step_{self._first:08d}_rank_{self.rank:05d}.pt.trace.json.gz"
        traced.export_chrome_trace(str(self.folder / name))
