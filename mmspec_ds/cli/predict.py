"""`mmspec predict`."""

import argparse
import json
import os
from pathlib import Path

from mmspec_ds.cli.common import Commands, Counter, add_command, check_writable, positive
from mmspec_ds.errors import DataError


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _predict,
        "propose structures for the records of files, one JSON line each",
        "mmspec predict runs/demo unknown.parquet --top 10 --out proposals.jsonl",
    )
    command.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained run")
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="parquet files; no SMILES needed")
    command.add_argument("--top", type=positive, default=10, help="candidates for each record (default: 10)")
    command.add_argument("--beam", type=positive, help="beam width (default: as --top)")
    command.add_argument("--out", type=Path, metavar="JSONL", help="write there instead of printing")


def _predict(options: argparse.Namespace) -> int:
    from mmspec_ds.evaluation.predict_files import predict_files
    from mmspec_ds.evaluation.trained import load_model

    check_writable(options.out)
    trained = load_model(options.model)
    beam = max(options.beam or options.top, options.top)
    lines = predict_files(trained, options.files, beam=beam, n_best=options.top)
    if options.out is None:
        for line in lines:
            print(json.dumps(line), flush=True)
        return 0
    partial = options.out.with_name(f".{options.out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file, Counter("predicting") as counter:
            for number, line in enumerate(lines, 1):
                file.write(json.dumps(line) + "\n")
                counter.at(number)
        os.replace(partial, options.out)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=options.out) from None
    finally:
        partial.unlink(missing_ok=True)
    return 0
