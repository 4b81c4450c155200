"""A compiled model tells what the same model tells without, of samples of any number and length."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config as inductor_config

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.records import CarbonNMR, Record, TandemMS
from mmspec_ds.systems.fusion import model as of_model
from mmspec_ds.systems.fusion.outcome import PARTS, Outcome
from mmspec_ds.systems.fusion.reading import data_of_records
from mmspec_ds.systems.fusion.trained import TrainedFusion, load_fusion
from mmspec_ds.trainer.weights import write_weights
from tests.systems.fusion.conftest import EXPERTS, make_task

NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are made as ever, and are run without kernels of their own: seconds instead of minutes."""
    monkeypatch.setattr(of_model.torch, "compile", partial(torch.compile, backend="eager"))


def saved(folder: Path, **blocks: Any) -> Path:
    """A run's folder with random weights."""
    task = make_task(**blocks)
    with torch.no_grad():
        for one in task.model.parameters():
            one.add_(torch.randn_like(one) * 0.05)
    folder.mkdir()
    (folder / "config.yaml").write_text(task.run.to_yaml())
    write_weights(task.model.state_dict(), folder / "model.safetensors")
    task.save_files(folder)
    return folder


def molecules(count: int) -> list[Record]:
    """Records with one modality or two, of 1 to 12 signals each; the first is the shortest there can be."""
    rng, found = np.random.default_rng(0), [Record("r0", (CarbonNMR((20.0,)),))]
    for number in range(1, count):
        lines, peaks = rng.integers(1, 12, 2)
        mz = np.sort(rng.uniform(30, 300, peaks))
        spectra = (CarbonNMR(tuple(rng.uniform(10, 200, lines))), TandemMS(mz, rng.uniform(1, 10, peaks)))
        kept = (spectra, spectra[1:], spectra[:1])[number % 3]
        found.append(Record(f"r{number}", kept))
    return found


def assert_same(found: Outcome, expected: Outcome) -> None:
    """All that is told is equal within the rounding of float32."""
    for name in PARTS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5, atol=2e-6)


def tell_each(trained: TrainedFusion, plain: TrainedFusion, records: list[Record]) -> int:
    """Tell of each record alone, compare, and count the graphs that were made."""
    before = counters["stats"]["unique_graphs"]
    for record in records:
        assert_same(trained.predict([record]), plain.predict([record]))
    return counters["stats"]["unique_graphs"] - before


@NEEDS_COMPILER
@pytest.mark.usefixtures("traced_only")
@pytest.mark.parametrize("kind", ["contribution", "gated"])
def test_other_molecules_need_no_other_graphs(tmp_path: Path, kind: str) -> None:
    torch.compiler.reset()
    folder = saved(tmp_path / "run", fusion={"kind": kind})
    plain, trained = load_fusion(folder), load_fusion(folder, compiled=True)
    records = molecules(60)
    first = tell_each(trained, plain, records[:6])
    assert 0 < first <= 6, "an encoder for one piece and for more; a fuser for one sample and for more"
    assert tell_each(trained, plain, records[6:]) == 0
    assert_same(trained.predict(records), plain.predict(records))


@NEEDS_COMPILER
@pytest.mark.usefixtures("traced_only")
def test_tokens_with_two_coordinates_and_sparse_layers_are_told_alike(tmp_path: Path) -> None:
    torch.compiler.reset()
    for name, moe in (("dense", None), ("sparse", {"k": 2, "experts": EXPERTS})):
        folder = saved(tmp_path / name, moe=moe)
        plain, trained = load_fusion(folder), load_fusion(folder, compiled=True)
        assert ("pooled" in vars(trained.model.encoder)) is (moe is None)
        tell_each(trained, plain, molecules(3))
        data = data_of_records(molecules(9), plain.schema, plain.run.tokens)
        lines = data.pieces[0]
        second_T = np.where(np.arange(len(lines.position_T)) % 2, lines.position_T, np.nan)
        crossed = replace(data, pieces=(replace(lines, second_T=second_T), *data.pieces[1:]))
        assert_same(trained.outcome(crossed), plain.outcome(crossed))


@NEEDS_COMPILER
@pytest.mark.usefixtures("traced_only")
def test_more_graphs_than_are_allowed_change_no_result(tmp_path: Path) -> None:
    torch.compiler.reset()
    folder = saved(tmp_path / "run")
    with torch._dynamo.config.patch(recompile_limit=1):
        made = tell_each(load_fusion(folder, compiled=True), load_fusion(folder), molecules(9))
    assert made == 2, "one of each function"


@pytest.mark.slow
@NEEDS_COMPILER
def test_kernels_compute_the_same(tmp_path: Path) -> None:
    torch.compiler.reset()
    folder = saved(tmp_path / "run")
    plain, trained = load_fusion(folder), load_fusion(folder, compiled=True)
    assert tell_each(trained, plain, molecules(9)) > 0
    assert trained.identity == plain.identity


@inductor_config.patch({"cpp.cxx": (None, "no_such_compiler")})
def test_a_missing_compiler_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"compiled is true, but there is no C\+\+ compiler: expected g\+\+"):
        load_fusion(saved(tmp_path / "run"), compiled=True)
