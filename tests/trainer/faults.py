"""What clusters do to a run, done to one process of it on purpose, before its training starts.

Each function arms a fault in this process: at the given point the process kills itself, stalls, finds the disk
full or computes nonsense.
"""

import math
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any


def kill_in_step(step: int) -> None:
    """Die between the backward pass and the update of a step, counted from 1."""
    from mmspec_ds.trainer import loop

    loop.update = at_call(step, loop.update, lambda *_: die())


def stall_in_step(step: int) -> None:
    """Stop answering there."""
    from mmspec_ds.trainer import loop

    loop.update = at_call(step, loop.update, lambda *_: time.sleep(3600))


def kill_while_writing(save: int) -> None:
    """Die in the n-th save with half a file written."""
    from mmspec_ds.trainer import checkpoints

    def half(path: Path, pieces: Any) -> None:
        write_pieces(path, pieces)
        os.truncate(path, path.stat().st_size // 2)
        die()

    write_pieces = checkpoints.write_pieces
    checkpoints.write_pieces = at_call(save, write_pieces, half)


def kill_before_publishing(save: int) -> None:
    """Die in the n-th save when all is written and nothing is renamed."""
    from mmspec_ds.trainer import checkpoints

    checkpoints.write_manifest = at_call(save, checkpoints.write_manifest, lambda *_, **__: die())


def fill_disk_in_save(save: int, largest: int) -> None:
    """From the n-th save on the system refuses files above a size, as a full disk refuses them."""
    from mmspec_ds.trainer import checkpoints

    def limited(path: Path, pieces: Any) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        write_pieces(path, pieces)

    write_pieces = checkpoints.write_pieces
    checkpoints.write_pieces = at_call(save, write_pieces, limited)


def spoil_gradient(step: int) -> None:
    """The gradient of a step is not a number, though its loss is."""
    from mmspec_ds.systems.elucidation.objective import Objective

    def spoilt(self: Objective, *arguments: Any) -> Any:
        loss = forward(self, *arguments)
        if not loss.total.requires_grad:  # a validation
            return loss
        loss.total.register_hook(lambda gradient: gradient * math.nan)
        return replace(loss, total=loss.total)

    forward = Objective.forward
    Objective.forward = at_call(step, forward, spoilt)  # type: ignore[method-assign]


def terminate_in_step(step: int) -> None:
    """Be asked to stop, as a scheduler asks, in a step."""
    from mmspec_ds.trainer import loop

    def asked(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return update(*arguments)

    update = loop.update
    loop.update = at_call(step, update, asked)


def at_call(number: int, usual: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
    """`usual`, but `instead` at the n-th call."""
    calls = 0

    def counted(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        return (instead if calls == number else usual)(*arguments, **keywords)

    return counted


def die() -> None:
    """As the kernel kills a process when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
