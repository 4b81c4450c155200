"""The comparison of two runs' losses that ends the demo, and what the demo calls, with stand-ins."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"
RECORDER = 'echo "$(basename "$0") $*" >>"$TOLD/calls"; case "$*" in $FAILS) echo "no luck"; exit 3;; esac'


@pytest.fixture(scope="module")
def comparison() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_losses", LAUNCH / "compare_losses.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_with(folder: Path, losses: list[float]) -> Path:
    """The folder of a run with these losses, and a line of another kind."""
    folder.mkdir()
    lines = [{"kind": "train", "step": step, "loss/train": loss} for step, loss in enumerate(losses, 1)]
    lines.append({"kind": "validation", "step": len(losses), "loss/validation": 9.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize(
    ("second", "status", "told"),
    [
        ([4.0, 2.001, 1.0], 0, "5.0e-04, at step 2 (2.000000, 2.001000)"),
        ([4.0, 2.0, 1.01], 1, "1.0e-02, at step 3"),
        ([4.0, 2.0], 1, "the runs logged 3 and 2 steps"),
        ([], 1, "the runs logged 3 and 0 steps"),
        ([4.0, float("nan"), 1.0], 1, "inf, at step 2"),
    ],
)
def test_losses_are_compared_step_by_step(
    comparison: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    second: list[float],
    status: int,
    told: str,
) -> None:
    folders = [run_with(tmp_path / "a", [4.0, 2.0, 1.0]), run_with(tmp_path / "b", second)]
    assert comparison.main([*map(str, folders), "--largest", "1e-3"]) == status
    out, err = capsys.readouterr()
    assert told in out + err


def demo(folder: Path, fails: str = "nothing") -> tuple[int, str, list[str]]:
    """Status, output and calls of the demo in a folder whose programs only say that they were called."""
    shutil.copytree(LAUNCH, folder / "launch")
    (folder / "launch" / "setup.sh").write_text("#!/usr/bin/env bash\n")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("mmspec", "deepspeed", "python"):
        (programs / name).write_text(f"#!/usr/bin/env bash\n{RECORDER}\n")
        (programs / name).chmod(0o755)
    environment = os.environ | {"TOLD": str(folder), "FAILS": fails, "STEPS": "20", "MOLECULES": "400"}
    done = subprocess.run(
        ["bash", str(folder / "launch" / "demo.sh")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stdout + done.stderr, (folder / "calls").read_text().splitlines()


def test_both_models_have_equal_steps_and_the_losses_of_ranks_are_compared(tmp_path: Path) -> None:
    status, told, calls = demo(tmp_path)
    assert status == 0, told
    assert calls[0].startswith("mmspec simulate --molecules 400 ")
    trained = [call.split() for call in calls if " train " in call]
    full = [words for words in trained if "training.steps=20" in words]
    assert len(full) == 2
    (dense,) = (words for words in full if "moe=null" in words)
    (sparse,) = (words for words in full if "moe=null" not in words)
    # Apart from what makes it dense and its name, its command is the other's.
    extra = {"name=demo_dense", "moe=null", "model.encoder_ffn_width=320"}
    assert set(dense) - set(sparse) == extra
    assert set(sparse) <= set(dense)
    one, two = (words for words in trained if "training.steps=100" in words)
    assert (one[0], two[0]) == ("mmspec", "deepspeed")
    assert {"training.ep_size=2", "training.batch_size=16"} <= set(two)
    assert "python launch/compare_losses.py runs/demo_one_rank runs/demo_two_ranks --largest 1e-3" in calls
    assert "mmspec evaluate runs/demo runs/demo_dense" in "\n".join(calls)


@pytest.mark.parametrize(
    "fails", ["*training.steps=20*moe=null*", "train*--overwrite", "*compare_losses*"], ids=str
)
def test_what_fails_ends_the_demo(tmp_path: Path, fails: str) -> None:
    status, told, calls = demo(tmp_path, fails)
    assert status == 3
    assert "no luck" in told
    assert not any("mmspec explain" in call for call in calls)
