"""The arrows of the house: which room may import which, and a few habits that a reader relies on.

Read from the source by `ast`, so that imports inside functions count as well.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from setuptools import find_namespace_packages

ROOT = Path(__file__).parents[1]
LONGEST = 350

SHARED = ("errors", "files", "processes", "progress", "settings")
ANYBODYS = {"mmspec_ds", *(f"mmspec_ds.{name}" for name in SHARED)}  # what all rooms may import

ARROWS: dict[str, set[str]] = {
    "mmspec_kernels": set(),
    **{f"mmspec_ds.{name}": set() for name in SHARED},
    "mmspec_ds.molecules": set(),
    "mmspec_ds.figures": {"mmspec_ds.molecules"},
    "mmspec_ds.spectra": {"mmspec_ds.molecules"},
    "mmspec_ds.readers": {"mmspec_ds.molecules", "mmspec_ds.spectra"},
    "mmspec_ds.simulator": {"mmspec_ds.molecules", "mmspec_ds.spectra"},
    "mmspec_ds.verification": {"mmspec_ds.molecules", "mmspec_ds.spectra", "mmspec_ds.simulator"},
    "mmspec_ds.data": {"mmspec_ds.molecules", "mmspec_ds.spectra", "mmspec_ds.readers"},
    "mmspec_ds.moe": {"mmspec_kernels"},
    "mmspec_ds.nn": {
        "mmspec_ds.moe",
        "mmspec_ds.spectra",
        "mmspec_ds.data.batch",
        "mmspec_ds.molecules.atoms",
        "mmspec_ds.molecules.grammar",
        "mmspec_ds.molecules.smiles_automaton",
        "mmspec_ds.molecules.vocabulary",
    },
    "mmspec_ds.language": set(),
    "mmspec_ds.trainer": set(),
    "mmspec_ds.library": {"mmspec_ds.molecules", "mmspec_ds.spectra", "mmspec_ds.readers"},
    "mmspec_ds.evaluation": {"mmspec_ds.molecules", "mmspec_ds.spectra"},
    "mmspec_ds.systems": {
        "mmspec_ds.data",
        "mmspec_ds.evaluation",
        "mmspec_ds.figures",
        "mmspec_ds.language",
        "mmspec_ds.library",
        "mmspec_ds.moe",
        "mmspec_ds.molecules",
        "mmspec_ds.nn",
        "mmspec_ds.readers",
        "mmspec_ds.spectra",
        "mmspec_ds.trainer",
        "mmspec_ds.verification",
    },
    "mmspec_ds.profiling": {
        f"mmspec_ds.{name}"
        for name in ("data", "evaluation", "moe", "molecules", "nn", "spectra", "systems", "trainer")
    },
    "mmspec_ds.reporting": {
        f"mmspec_ds.{n}"
        for n in ("evaluation", "figures", "moe", "molecules", "spectra", "systems", "trainer", "verification")
    },
    "mmspec_ds.studies": {
        *(f"mmspec_ds.{n}" for n in ("data", "evaluation", "figures", "moe", "molecules", "nn", "profiling")),
        *(f"mmspec_ds.{n}" for n in ("language", "library", "readers", "reporting", "simulator", "spectra")),
        *(f"mmspec_ds.{n}" for n in ("systems", "trainer", "verification")),
    },
    "mmspec_ds.api": {f"mmspec_ds.{n}" for n in ("readers", "reporting", "spectra", "systems", "verification")},
    "mmspec_ds.cli": {
        "mmspec_ds.api",
        "mmspec_ds.data",
        "mmspec_ds.evaluation",
        "mmspec_ds.language",
        "mmspec_ds.library",
        "mmspec_ds.molecules.splits",
        "mmspec_ds.profiling",
        "mmspec_ds.readers",
        "mmspec_ds.reporting",
        "mmspec_ds.simulator",
        "mmspec_ds.spectra",
        "mmspec_ds.studies",
        "mmspec_ds.systems",
        "mmspec_ds.trainer",
        "mmspec_ds.verification",
    },
    "mmspec_ds.__main__": {"mmspec_ds.cli"},
}
"""Room, or module with rules of its own: what it may import beside itself. The longest name counts."""

SYSTEMS = "mmspec_ds.systems."
"""Each package in it is a system, which imports no other one."""

ONLY_IN = {
    "deepspeed": {"mmspec_ds.moe.deepspeed_layer", "mmspec_ds.trainer.engine"},
    "rdkit": {
        "mmspec_ds.molecules",
        "mmspec_ds.readers",
        "mmspec_ds.simulator",
        "mmspec_ds.spectra",
        "mmspec_ds.evaluation",
        "mmspec_ds.verification",
    },
    "triton": {"mmspec_kernels"},
    "tensorboard": {"mmspec_ds.trainer"},
    "tools": set(),
}
"""Libraries that some rooms must do without."""

PRIVATE_NAMES_OF_DEEPSPEED = {"mmspec_ds.moe.deepspeed_layer", "mmspec_ds.trainer.engine_state"}
READS_NO_ENVIRONMENT = ("environ", "getenv", "putenv")


def modules_under(root: Path) -> dict[str, Path]:
    """Every module of the packages, by its dotted name."""
    found = {}
    for package, folder in (
        ("mmspec_ds", root / "mmspec_ds"),
        ("mmspec_kernels", root / "kernels/mmspec_kernels"),
    ):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


def imports_of(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Every module that a file imports; `from package import module` is the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def room_of(module: str) -> str:
    """The entry of ARROWS that a module falls under."""
    rooms = [room for room in ARROWS if within(module, room)]
    return max(rooms, key=len) if rooms else ""


def is_other_system(module: str, imported: str, known: dict[str, Path]) -> bool:
    """Whether a module of the systems imports another system. What two of them share is in a room below, or
    beside their folders, in modules that import none."""
    if not (module.startswith(SYSTEMS) and imported.startswith(SYSTEMS)):
        return False
    system = SYSTEMS + imported.removeprefix(SYSTEMS).partition(".")[0]
    is_folder = system not in known or known[system].name == "__init__.py"
    return is_folder and not within(module, system)


def wrong_arrows(root: Path) -> list[str]:
    """Imports that the house does not allow, as `importer -> imported`."""
    known = modules_under(root)
    wrong = []
    for module, path in known.items():
        if module == "mmspec_ds":
            continue
        room = room_of(module)
        if not room:
            wrong.append(f"{module} is in no room")
            continue
        for imported in imports_of(path, known):
            library = imported.partition(".")[0]
            if library in ("mmspec_ds", "mmspec_kernels"):
                common = ANYBODYS if room != "mmspec_kernels" else set()
                allowed = imported in common or within(imported, room)
                if allowed and is_other_system(module, imported, known):
                    wrong.append(f"{module} -> {imported}")
                if not allowed and not any(within(imported, target) for target in ARROWS[room]):
                    wrong.append(f"{module} -> {imported}")
            elif library in ONLY_IN and not any(within(module, one) for one in ONLY_IN[library]):
                wrong.append(f"{module} -> {library}")
    return wrong


def cycles(root: Path) -> list[str]:
    """Modules that import themselves through others."""
    known = modules_under(root)
    graph = {module: {i for i in imports_of(path, known) if i in known} for module, path in known.items()}
    found, done = [], set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        if module in trail:
            found.append(" -> ".join([*trail[trail.index(module) :], module]))
        elif module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())
    return found


def environment_readers(root: Path) -> list[str]:
    """Places that touch the environment, as `module: code`."""
    found = []
    for module, path in modules_under(root).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Attribute | ast.ImportFrom):
                continue
            touches = isinstance(node, ast.Attribute) and node.attr in READS_NO_ENVIRONMENT
            imports = (
                isinstance(node, ast.ImportFrom)
                and node.module == "os"
                and any(alias.name in READS_NO_ENVIRONMENT for alias in node.names)
            )
            if touches or imports:
                lines = path.read_text(encoding="utf-8").splitlines()
                found.append(f"{module}: {lines[node.lineno - 1].partition('#')[0].strip()}")
    return found


def private_names_of_deepspeed(root: Path) -> list[str]:
    """Attributes with an underscore of what was imported from DeepSpeed, outside the two files for them."""
    found = []
    for module, path in modules_under(root).items():
        if module in PRIVATE_NAMES_OF_DEEPSPEED:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        theirs = {"deepspeed"}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "deepspeed":
                theirs |= {alias.asname or alias.name for alias in node.names}
                found += [f"{module}: {a.name}" for a in node.names if a.name.startswith("_")]
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                root_name = node.value
                while isinstance(root_name, ast.Attribute):
                    root_name = root_name.value
                if isinstance(root_name, ast.Name) and root_name.id in theirs | {"engine"}:
                    found.append(f"{module}: {ast.unparse(node)}")
    return found


def test_every_arrow_goes_the_right_way() -> None:
    assert wrong_arrows(ROOT) == []


def test_no_import_cycle() -> None:
    assert cycles(ROOT) == []


def test_the_environment_is_left_alone() -> None:
    # What a launcher has set, and what DeepSpeed insists on, in the one file that joins the processes of a run.
    assert {line.partition(": ")[0] for line in environment_readers(ROOT)} == {"mmspec_ds.trainer.distributed"}
    assert len(environment_readers(ROOT)) == 3


def test_private_names_of_deepspeed_are_in_two_files() -> None:
    assert private_names_of_deepspeed(ROOT) == []


def test_files_are_short() -> None:
    files = [*modules_under(ROOT).values(), *(ROOT / "tests").rglob("*.py")]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST} == {}


def test_every_room_is_packaged() -> None:
    packages = {".".join(m.split(".")[:-1]) for m in modules_under(ROOT) if "." in m} | {"mmspec_kernels"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    find = project["tool"]["setuptools"]["packages"]["find"]
    found = [find_namespace_packages(str(ROOT / where), include=find["include"]) for where in find["where"]]
    assert packages - set().union(*found) == set()
