"""The checks of `test_layering` find what they are for, in small made houses."""

from pathlib import Path

import pytest

from tests.test_layering import cycles, environment_readers, private_names_of_deepspeed, wrong_arrows

EVALUATE = "mmspec_ds.systems.elucidation.evaluate"

GOOD = {
    "mmspec_ds/__init__.py": "",
    "mmspec_ds/errors.py": "",
    "mmspec_ds/cli.py": "def main():\n    from mmspec_ds.trainer.loop import train\n",
    "mmspec_ds/moe/layer.py": "from mmspec_kernels import route\nfrom mmspec_ds.errors import A\n",
    "mmspec_ds/nn/encoder.py": "from mmspec_ds.moe import layer\nfrom mmspec_ds.data.batch import Batch\n",
    "mmspec_ds/data/batch.py": "import numpy\n",
    "mmspec_ds/data/reading.py": "from mmspec_ds.data import batch\n",
    "mmspec_ds/trainer/loop.py": "import deepspeed_like\nfrom mmspec_ds.trainer.training_settings import S\n",
    "mmspec_ds/trainer/training_settings.py": "from mmspec_ds.settings import Settings\n",
    "mmspec_ds/settings.py": "",
    "mmspec_ds/systems/elucidation/evaluate.py": "from mmspec_ds.nn import encoder\n",
    "mmspec_ds/systems/elucidation/task.py": (
        "from mmspec_ds.systems import run_file\nfrom mmspec_ds.systems.elucidation import evaluate\n"
    ),
    "mmspec_ds/systems/run_file.py": "",
    "kernels/mmspec_kernels/__init__.py": "from mmspec_kernels.route import route\n",
    "kernels/mmspec_kernels/route.py": "import triton\n",
}


def build(root: Path, changes: dict[str, str]) -> Path:
    """A small house, with some of its files written otherwise."""
    for name, text in {**GOOD, **changes}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_checker_accepts_a_house_in_order(tmp_path: Path) -> None:
    root = build(tmp_path, {})
    found = (wrong_arrows(root), cycles(root), environment_readers(root), private_names_of_deepspeed(root))
    assert found == ([], [], [], [])


@pytest.mark.parametrize(
    ("module", "line", "imported"),
    [
        ("mmspec_ds/moe/layer", "import mmspec_ds.nn.encoder", "mmspec_ds.nn.encoder"),
        ("mmspec_ds/systems/retrieval/task", "from mmspec_ds.systems.elucidation import evaluate", EVALUATE),
        ("mmspec_ds/systems/run_file", "def f():\n    import mmspec_ds.systems.elucidation.evaluate", EVALUATE),
        ("mmspec_ds/moe/layer", "from mmspec_ds.data import batch", "mmspec_ds.data.batch"),
        ("mmspec_ds/moe/layer", "import deepspeed", "deepspeed"),
        ("mmspec_ds/moe/layer", "import triton.language as tl", "triton"),
        ("mmspec_ds/nn/encoder", "from mmspec_ds.data import reading", "mmspec_ds.data.reading"),
        ("mmspec_ds/nn/encoder", "from rdkit import Chem", "rdkit"),
        ("mmspec_ds/trainer/loop", "def f():\n    from mmspec_ds.systems import x", "mmspec_ds.systems"),
        ("mmspec_ds/trainer/loop", "import mmspec_ds.moe.layer", "mmspec_ds.moe.layer"),
        ("mmspec_ds/trainer/loop", "from mmspec_ds.cli import main", "mmspec_ds.cli"),
        ("mmspec_ds/errors", "import mmspec_ds.cli", "mmspec_ds.cli"),
        ("kernels/mmspec_kernels/route", "import mmspec_ds.errors", "mmspec_ds.errors"),
        ("kernels/mmspec_kernels/route", "import deepspeed", "deepspeed"),
    ],
)
def test_the_checker_finds_a_wrong_arrow(tmp_path: Path, module: str, line: str, imported: str) -> None:
    root = build(tmp_path, {f"{module}.py": GOOD.get(f"{module}.py", "") + line + "\n"})
    name = module.removeprefix("kernels/").replace("/", ".")
    assert wrong_arrows(root) == [f"{name} -> {imported}"]


def test_the_checker_finds_a_module_without_a_room(tmp_path: Path) -> None:
    root = build(tmp_path, {"mmspec_ds/attic/old.py": "import os\n"})
    assert wrong_arrows(root) == ["mmspec_ds.attic.old is in no room"]


def test_the_checker_finds_a_cycle(tmp_path: Path) -> None:
    root = build(tmp_path, {"mmspec_ds/data/batch.py": "import mmspec_ds.data.reading\n"})
    assert cycles(root) == ["mmspec_ds.data.batch -> mmspec_ds.data.reading -> mmspec_ds.data.batch"]


@pytest.mark.parametrize(
    "line", ["import os; os.environ.get('A')", "import os; os.getenv('A')", "from os import environ"]
)
def test_the_checker_finds_who_reads_the_environment(tmp_path: Path, line: str) -> None:
    root = build(tmp_path, {"mmspec_ds/data/batch.py": line + "\n"})
    assert environment_readers(root) == [f"mmspec_ds.data.batch: {line}"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from deepspeed.utils import groups; groups._get_group('a')", "groups._get_group"),
        ("from deepspeed.moe.layer import _private", "_private"),
        ("def f(engine):\n    engine._config", "engine._config"),
    ],
)
def test_the_checker_finds_private_names_of_deepspeed(tmp_path: Path, line: str, told: str) -> None:
    root = build(tmp_path, {"mmspec_ds/trainer/engine.py": line + "\n"})
    assert private_names_of_deepspeed(root) == [f"mmspec_ds.trainer.engine: {told}"]
