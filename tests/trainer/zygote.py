"""Starts trainings without paying for the import of torch and DeepSpeed each time: imports once, then forks.

Reads requests, one JSON object a line: `arguments` of the command line, or a script and its own, `ranks`,
`folder` to work in, `log` to write to, `port`, `patience` with who outlives a failed rank, and `faults`, a list
of (rank, function of faults.py, its arguments); with `many`, the arguments are those of matrix.py. Answers each
by a line of process ids and, at the end, a line of exit statuses.
"""

import json
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import denoiser_task  # noqa: F401, registers its system; beside this file, as the next
import faults
import matrix

LONGEST = 600.0  # seconds for one launch: over ten times what the longest takes on two cores


def become(rank: int, request: dict[str, Any], main: Callable[[list[str]], int]) -> NoReturn:
    """Be one process of a launch, in a child of the zygote."""
    log = os.open(f"{request['log']}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["folder"])
    if request["ranks"] > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(request["ranks"]),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(request["port"]),
        }
    status = 1
    try:
        for of_rank, fault, arguments in request["faults"]:
            if of_rank == rank:
                getattr(faults, fault)(*arguments)
        if request["arguments"][0].endswith(".py"):
            status = run_script(*request["arguments"])
        else:
            status = (matrix.main if request["many"] else main)(request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run_script(path: str, *arguments: str) -> int:
    """What `python path arguments` does; an exception is raised here."""
    sys.argv = [path, *arguments]
    sys.path.insert(0, str(Path(path).parent))
    runpy.run_path(path, run_name="__main__")
    return 0


def statuses_of(pids: list[int], patience: float) -> list[int]:
    """Exit statuses of all; those that outlive a failed one by so many seconds are killed, as a launcher does,
    and all that hang."""
    statuses: dict[int, int] = {}
    deadline = time.monotonic() + LONGEST
    while len(statuses) < len(pids):
        for pid in pids:
            if pid in statuses:
                continue
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                statuses[pid] = os.waitstatus_to_exitcode(status)
                if statuses[pid]:
                    deadline = min(deadline, time.monotonic() + patience)
            elif time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return [statuses[pid] for pid in pids]


def serve() -> None:
    """One request after the other, until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # DeepSpeed talks while it is imported
    import deepspeed  # noqa: F401, this is what takes the time
    import torch
    import torch._dynamo
    import torch._inductor.compile_fx  # with the next, ten seconds for a process that makes a ZeRO optimizer
    from deepspeed.runtime.zero.muon import original_muon  # noqa: F401

    from mmspec_ds.cli import main
    from mmspec_ds.trainer import loop  # noqa: F401

    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        pids = []
        for rank in range(request["ranks"]):
            pid = os.fork()
            if pid == 0:
                become(rank, request, main)
            pids.append(pid)
        print(json.dumps(pids), file=answers, flush=True)
        print(json.dumps(statuses_of(pids, request["patience"])), file=answers, flush=True)


if __name__ == "__main__":
    serve()
