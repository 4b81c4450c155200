"""Compare the training losses of two runs, step by step: whether a run on several ranks is that on one.

    python launch/compare_losses.py runs/demo_one_rank runs/demo_two_ranks --largest 1e-3

Prints the largest relative difference and where it is; the exit status is 1 if it is above `--largest`, or if
the runs have logged other steps.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from mmspec_ds.trainer.monitor.record import read_metrics

TAG = "loss/train"


def losses_of(folder: Path) -> dict[int, float]:
    """The training loss of every logged step of a run, nats for each target token."""
    return {entry["step"]: float(entry[TAG]) for entry in read_metrics(folder) if entry["kind"] == "train"}


def compare(first: dict[int, float], second: dict[int, float]) -> tuple[float, int]:
    """The largest relative difference of the losses, and its step; infinity where one is not a number.

    Raises:
        ValueError: no steps, or not the same ones.
    """
    if not first or first.keys() != second.keys():
        raise ValueError(
            f"the runs logged {len(first)} and {len(second)} steps: expected the same, at least one"
        )
    return max((_apart(loss, second[step]), step) for step, loss in first.items())


def _apart(one: float, other: float) -> float:
    found = abs(other - one) / abs(one) if one else abs(other - one)
    return found if math.isfinite(found) else math.inf  # a maximum passes over what is not a number


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare the training losses of two runs, step by step")
    parser.add_argument("first", type=Path, help="folder of a run")
    parser.add_argument("second", type=Path, help="folder of another")
    parser.add_argument("--largest", type=float, default=1e-3, help="relative difference (default: 1e-3)")
    options = parser.parse_args(arguments)
    first, second = losses_of(options.first), losses_of(options.second)
    try:
        found, step = compare(first, second)
    except ValueError as error:
        print(f"{options.first} and {options.second}: {error}", file=sys.stderr)
        return 1
    print(
        f"losses of {len(first)} steps of {options.first} and {options.second}: the largest relative difference"
        f" is {found:.1e}, at step {step} ({first[step]:.6f}, {second[step]:.6f})"
    )
    if found <= options.largest:
        return 0
    print(f"expected at most {options.largest:g}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
