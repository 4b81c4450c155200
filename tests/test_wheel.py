"""A wheel of this checkout, in a folder of its own, runs the commands from an empty folder: tables, templates,
run files and engine files are in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmspec_ds.systems.run_file import find_run_file

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "mmspec_ds", "kernels", "ds_configs")
SMALL = (
    "training.steps=2",
    "training.minutes=null",
    "training.ep_size=1",
    "training.threads=1",
    "training.batch_size=4",
    "training.log_every=1",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
)
COMMANDS = (
    "simulate --molecules 80 --max-heavy-atoms 5 --seed 0 --out starter",
    "inspect starter/test.parquet",
    "prepare starter/train.parquet --out shards",
    f"train demo {' '.join(SMALL)}",
    "evaluate runs/demo --data starter/test.parquet --beam 2",
    "predict runs/demo starter/test.parquet --top 2",
    "predict starter starter/test.parquet --top 2 --beam 2",  # the model that comes with the package
    "report runs/demo",
    "export runs/demo exported",
)

RUN_ALL = """
import sys
import mmspec_ds
from mmspec_ds.cli import main
print("from", mmspec_ds.__file__)
for command in sys.argv[1:]:
    print("command", command, flush=True)
    try:
        status = main(command.split())
    except SystemExit as end:
        status = end.code
    if status:
        sys.exit(f"{command}: status {status}")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "target"))
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(
                ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(ROOT / part, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True, timeout=300)
    return target


def run(installed: Path, folder: Path, *commands: str) -> str:
    """What the commands print, one after the other in one process that sees the installed package alone."""
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, *commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"from {installed}" in done.stdout
    return done.stdout


def test_every_command_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    out = run(installed, tmp_path, *COMMANDS)
    assert out.count("command ") == len(COMMANDS)
    assert {path.name for path in tmp_path.iterdir()} == {"starter", "shards", "runs", "exported"}
    assert (tmp_path / "runs" / "demo" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "exported" / "model.safetensors").exists()


def test_run_files_of_the_project_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = ROOT / "ds_configs" / "runs" / "demo.yaml"
    assert find_run_file(Path("demo")) == find_run_file(Path("ds_configs/runs/demo.yaml")) == shipped
    for path in ("runs/demo.yaml", "demo.yaml", "no-such-run", "other/ds_configs/runs/demo.yaml"):
        assert find_run_file(Path(path)) == Path(path)
    Path("demo").mkdir()
    assert find_run_file(Path("demo")) == shipped, "a folder is no run file"
    Path("demo").rmdir()
    Path("demo").touch()
    assert find_run_file(Path("demo")) == Path("demo"), "a file of the user comes first"


def test_every_command_tells_its_use(installed: Path, tmp_path: Path) -> None:
    from mmspec_ds.cli import make_parser

    names = next(a.choices for a in make_parser()._actions if a.choices)
    out = run(installed, tmp_path, "--help", *(f"{name} --help" for name in names))
    assert out.count("example:") == len(names)
    assert list(tmp_path.iterdir()) == []


def test_the_data_of_the_checkout_are_in_it(installed: Path) -> None:
    tracked = [
        path.relative_to(ROOT / top)
        for top in (".", "kernels")
        for part in ("mmspec_ds", "mmspec_kernels", "ds_configs")
        for path in (ROOT / top / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    ]
    assert len(tracked) > 100
    missing = [str(path) for path in tracked if not (installed / path).exists()]
    assert missing == []
