"""Started once by test_ranks.py: every check on two ranks and then on four, each a fork of one process that has
imported everything.

`python ranks.py FOLDER` leaves in FOLDER/WORLD.RANK a line for each check that held, and what the first that
did not had to say.
"""

import multiprocessing
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import exchange_checks
import layer_checks
import torch
import torch.distributed as dist
from torch.utils.checkpoint import checkpoint

CHECKS = exchange_checks.CHECKS | layer_checks.CHECKS
WORLDS = (2, 4)


def run(rank: int, world: int, folder: Path) -> None:
    """All checks, on this rank."""
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / f"store.{world}"), world)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timedelta(seconds=60))
    with (folder / f"{world}.{rank}").open("w") as log:
        try:
            for name, check in CHECKS.items():
                check()
                print(f"held: {name}", file=log, flush=True)
        except BaseException:
            traceback.print_exc(file=log)
            log.flush()
            raise
    dist.barrier()
    dist.destroy_process_group()


def import_what_is_imported_late() -> None:
    """Once here instead of in every fork: comparing tensors and checkpointing import a second's worth."""
    torch.testing.assert_close(torch.ones(1), torch.ones(1))
    checkpoint(torch.sin, torch.ones(1), use_reentrant=False)


def main(folder: Path) -> None:
    """Two ranks, then four."""
    import_what_is_imported_late()
    context = multiprocessing.get_context("fork")
    for world in WORLDS:
        ranks = [context.Process(target=run, args=(rank, world, folder)) for rank in range(world)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
