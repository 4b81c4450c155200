"""The optional dependencies: what is imported is declared, and what a message tells to install is there."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PACKAGE_OF = {
    "PIL": "pillow",
    "faiss": "faiss-cpu",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""The package of a module, where its name is another."""
TOLD = re.compile(r"mmspec-ds\[([a-z,]+)\]")
OURS = {"mmspec_ds", "mmspec_kernels", "ds_configs"}
BESIDE = {"csp5"}
"""Modules that a user brings along: a page of the documentation says how."""
BROUGHT_BY = {"markupsafe": "jinja2", "tokenizers": "transformers", "h5py": "anndata", "pandas": "anndata"}
"""Packages that another one cannot do without."""


def packages(requirements: list[str]) -> set[str]:
    """The names of packages in a list of requirements, those of other extras of the project included."""
    found = set()
    for one in requirements:
        told = TOLD.match(one)
        for name in told[1].split(",") if told else ():
            found |= packages(EXTRAS[name])
        if told is None:
            found.add(re.split(r"[<>=!;\s]", one)[0].lower().replace("_", "-"))
    return found


def imported(folder: Path) -> dict[str, str]:
    """The packages that modules of a folder import at any place, each with a file that does."""
    found = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                module = name.partition(".")[0]
                if module not in sys.stdlib_module_names | OURS | BESIDE:
                    found[PACKAGE_OF.get(module, module).replace("_", "-")] = str(path.relative_to(ROOT))
    return found


def test_what_is_imported_is_declared() -> None:
    declared = packages(PROJECT["dependencies"]) | packages(["mmspec-ds[search,llm,baselines,cells,cohorts]"])
    found = imported(ROOT / "mmspec_ds")
    assert {"torch", "faiss-cpu"} <= found.keys()
    assert {name: where for name, where in found.items() if BROUGHT_BY.get(name, name) not in declared} == {}


def test_development_has_every_extra() -> None:
    for name in EXTRAS:
        assert packages(EXTRAS[name]) <= packages(EXTRAS["dev"]), name


def test_what_messages_and_pages_tell_to_install_is_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    files = [*(ROOT / "mmspec_ds").rglob("*.py"), *pages]
    told = {name for path in files for group in TOLD.findall(path.read_text()) for name in group.split(",")}
    assert {"search", "llm", "baselines", "cells", "cohorts"} <= told <= EXTRAS.keys()
