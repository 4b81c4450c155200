"""Many trainings one after the other in the same processes, which saves the start of each."""

import json
from pathlib import Path

from mmspec_ds.systems.run_file import load_run, system_of
from mmspec_ds.trainer.distributed import process_group, stop_requested
from mmspec_ds.trainer.engine_file import read_engine
from mmspec_ds.trainer.loop import run_steps
from mmspec_ds.trainer.session import prepare


def main(arguments: list[str]) -> int:
    """Train the run file once for each list of overrides.

    Args:
        arguments: the run file, and lists of overrides in JSON.
    """
    file, *lists = arguments
    with process_group(2), stop_requested() as stop:
        for overrides in lists:
            run = load_run(Path(file), json.loads(overrides))
            engine = read_engine(run.engine)
            session, state = prepare(run, system_of(run), engine, resume=False, overwrite=False)
            with session.monitor:
                run_steps(session, state, stop)
    return 0
