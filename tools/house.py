"""Measure the source tree: lines, functions, rooms, import cycles, and the hops from a command to the kernels.

    python tools/house.py                                # this checkout
    python tools/house.py --repo ../before --repo .      # two checkouts side by side

A room is a folder below `mmspec_ds`, or `mmspec_kernels`. Hops are the distinct
functions of our packages that are on the call stack when a training step of a tiny model enters the experts'
feed-forward network in `mmspec_kernels`: the step is run, nothing is inferred from the source. `--no-hops`
leaves that out; `--chain` prints the functions.
"""

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGES = {"mmspec_ds": "mmspec_ds", "mmspec_kernels": "kernels/mmspec_kernels"}

TINY_RUN = {
    "name": "tiny",
    "engine": "engine.json",
    "data": {"train": ["train.parquet"], "validation": ["val.parquet"]},
    "model": {"d_model": 32, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "ffn_width": 32},
    "moe": {"k": 1, "experts": [{"family": "shared", "width": 16}, {"family": "interaction", "width": 32}]},
    "training": {"steps": 1, "batch_size": 2, "threads": 1},
}

WATCHED = """
import json, sys
from pathlib import Path

def watch(frame, event, _):
    names = frame.f_globals.get("__name__", "")
    if event != "call" or not names.startswith("mmspec_kernels") or "ffn" not in frame.f_code.co_name:
        return
    sys.setprofile(None)
    chain = []
    while frame is not None:
        module, code = frame.f_globals.get("__name__", ""), frame.f_code
        function = (module, getattr(code, "co_qualname", code.co_name))
        ours = module.split(".")[0] in ("mmspec_ds", "mmspec_kernels") and not code.co_name.startswith("<")
        if ours and function not in chain:
            chain.append(function)
        frame = frame.f_back
    Path("chain.json").write_text(json.dumps(chain[::-1]))

if __name__ == "__main__":  # processes that simulate import this file
    from mmspec_ds.cli import main

    how = ["--max-heavy-atoms", "5", "--seed", "0", "--workers", "1"]
    if main(["simulate", "--molecules", "120", *how, "--out", "."]):
        sys.exit(1)
    sys.setprofile(watch)
    sys.exit(main(["train", "tiny.yaml"]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repo", type=Path, action="append", help="a checkout (default: this one)")
    parser.add_argument("--no-hops", action="store_true", help="do not run a training step")
    parser.add_argument("--chain", action="store_true", help="print the functions from command to kernel")
    options = parser.parse_args()
    repos = [repo.resolve() for repo in options.repo or [Path(__file__).parents[1]]]
    columns = []
    for repo in repos:
        found = measure(repo)
        if not options.no_hops:
            chain = hops(repo)
            found |= {"hops, functions": len(chain), "hops, files": len({module for module, _ in chain})}
            if options.chain:
                print(f"{repo}:", *(f"  {module}.{function}" for module, function in chain), sep="\n")
        columns.append(found)
    width = max(len(name) for name in columns[0])
    widths = [max(12, len(repo.name)) for repo in repos]
    print(" " * width, *(repo.name.rjust(size) for repo, size in zip(repos, widths)), sep="  ")
    for name in columns[0]:
        cells = (f"{column[name]:,}".rjust(size) for column, size in zip(columns, widths))
        print(name.ljust(width), *cells, sep="  ")
    return 0


def measure(repo: Path) -> dict[str, float]:
    """Return the figures that can be read from the source, by name."""
    modules = modules_under(repo)
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in modules.items()}
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules.items()}
    functions = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    graph = {module: set(imports(tree, modules)) - {module} for module, tree in trees.items()}
    rooms: dict[str, set[str]] = {}
    for module, imported in graph.items():
        rooms.setdefault(room_of(module), set()).update(room_of(one) for one in imported)
    single = {room for room, path in modules.items() if path.parent == repo / "mmspec_ds"}
    folders = rooms.keys() - single
    without_self = {room: (rooms[room] & folders) - {room} for room in folders}
    return {
        "lines": sum(lines.values()),
        "lines of mmspec_ds": sum(n for module, n in lines.items() if module.startswith("mmspec_ds")),
        "lines of kernels": sum(n for module, n in lines.items() if module.startswith("mmspec_kernels")),
        "modules": len(modules),
        "longest module": max(lines.values()),
        "rooms": len(folders),
        "functions": len(functions),
        "median function, lines": round(statistics.median(functions)),
        "longest function, lines": max(functions),
        "modules in import cycles": in_cycles(graph),
        "rooms in import cycles": in_cycles(without_self),
    }


def modules_under(repo: Path) -> dict[str, Path]:
    """Return the files of the packages by dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((repo / folder).rglob("*.py")):
            parts = path.relative_to(repo / folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2]) if module.startswith("mmspec_ds") else "mmspec_kernels"


def imports(tree: ast.AST, known: Mapping[str, Any]) -> Iterator[str]:
    """Yield the modules of ours that a module imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known or node.module in known:
                    yield inner if inner in known else node.module


def in_cycles(graph: Mapping[str, set[str]]) -> int:
    """Return the number of nodes from which a path leads back to themselves."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += graph.get(node, set())
        return found

    return sum(node in reached(node) for node in graph)


def hops(repo: Path) -> list[tuple[str, str]]:
    """Run one training step of a checkout; return module and name of the functions on the call stack when it
    enters the kernel, the command first."""
    paths = f"{repo}{os.pathsep}{repo / 'kernels'}"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "tiny.yaml").write_text(json.dumps(TINY_RUN | {"output": "runs"}))
        (work / "engine.json").write_text(json.dumps({"zero_optimization": {"stage": 0}}))
        (work / "watched.py").write_text(WATCHED)
        environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "watched.py"], cwd=work, env=environment, capture_output=True, text=True
        )
        if not (work / "chain.json").exists():
            raise SystemExit(f"{repo}: the kernel was not reached:\n{done.stdout}{done.stderr}")
        return [tuple(function) for function in json.loads((work / "chain.json").read_text())]


if __name__ == "__main__":
    sys.exit(main())
