"""The name of a model: a folder, or the one that comes with the package."""

from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.systems import trained_folder
from mmspec_ds.systems.trained_folder import resolve_model


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation's folder of models, and an empty folder to work in."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(trained_folder, "SHIPPED", tmp_path / "models")
    return tmp_path / "models"


def test_a_path_is_a_path(shipped: Path) -> None:
    assert resolve_model("runs/demo") == resolve_model(Path("runs/demo")) == Path("runs/demo")


def test_the_shipped_model(shipped: Path) -> None:
    with pytest.raises(DataError, match="starter"):
        resolve_model("starter")
    (shipped / "starter").mkdir(parents=True)
    (shipped / "starter" / "config.yaml").touch()
    assert resolve_model("starter") == resolve_model(Path("starter")) == shipped / "starter"


def test_a_run_of_that_name_comes_first(shipped: Path) -> None:
    Path("starter").mkdir()  # such as the molecules that `mmspec simulate --out starter` wrote
    with pytest.raises(DataError, match="did not come"):
        resolve_model("starter")
    Path("starter/config.yaml").touch()
    assert resolve_model("starter") == Path("starter")
