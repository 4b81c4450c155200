"""The figures of the source tree, for a tree of a few lines."""

from pathlib import Path

from tools.house import measure

FILES = {
    "mmspec_ds/__init__.py": "",
    "mmspec_ds/errors.py": "def one():\n    pass\n",
    "mmspec_ds/data/__init__.py": "",
    "mmspec_ds/data/batch.py": "from mmspec_ds.nn import layer\nclass A:\n    def f(self):\n        return 1\n",
    "mmspec_ds/nn/__init__.py": "",
    "mmspec_ds/nn/layer.py": "def f():\n    from mmspec_ds.nn.other import g\n    return g\n",
    "mmspec_ds/nn/other.py": "import mmspec_ds.nn.layer\nfrom mmspec_kernels import route\ndef g(): return 2\n",
    "mmspec_ds/moe/__init__.py": "from mmspec_ds.data import batch\n",
    "kernels/mmspec_kernels/__init__.py": "route = 1\n",
}


def test_figures_by_hand(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert measure(tmp_path) == {
        "lines": 14,
        "lines of mmspec_ds": 13,
        "lines of kernels": 1,
        "modules": 9,
        "longest module": 4,
        "rooms": 4,  # data, nn, moe, mmspec_kernels
        "functions": 4,
        "median function, lines": 2,
        "longest function, lines": 3,
        "modules in import cycles": 2,  # nn.layer and nn.other
        "rooms in import cycles": 0,
    }
