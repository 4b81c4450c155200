"""Types of cells by the scores of answers, and the files that they are written to, read back by anndata."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import sha256_of
from mmspec_ds.readers.cell_table import CellTable, make_table
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.systems.alignment.annotated_file import Added, write_annotated
from mmspec_ds.systems.alignment.annotation import annotate
from mmspec_ds.systems.alignment.questions.cell_types import CellType
from tests.systems.alignment.speaking import Speaking

TYPES = (
    CellType("B cell", markers=("CD79A", "MS4A1", "CD19", "BANK1", "X")),
    CellType("alpha cell", markers=("GCG",)),
)


def table(cells: int = 3) -> CellTable:
    values = sparse.csr_matrix(np.arange(2 * cells).reshape(cells, 2))
    return make_table(values, ("CD3D", "GCG"), [f"c{n}" for n in range(cells)], {"donor": ("x",) * cells})


def added(cells: int = 3) -> Added:
    names = ["B cell", "alpha cell", "B cell"][:cells]
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], dtype=np.float32)[:cells]
    return Added(
        labels={"kind": (names, ["B cell", "alpha cell", "unassigned"])},
        numbers={"kind_score": scores.max(axis=1)},
        arrays={"kind": scores},
        about={"kind": {"types": ["B cell", "alpha cell"], "model": "m"}},
    )


def test_scores_are_shares_of_what_the_model_finds_likely() -> None:
    model = Speaking()
    done: list[int] = []
    found = annotate(model, table(70), TYPES, progress=done.append)
    share = 1 / (1 + np.exp(2.0))  # none against two letters "a"
    np.testing.assert_allclose(found.scores, [[share, 1 - share]] * 70, rtol=1e-6)
    assert found.names() == ["alpha cell"] * 70
    assert found.names(0.9, "unassigned") == ["unassigned"] * 70
    assert done == [64, 70]
    assert found.prompt == (
        "Which type fits the cell [CELL]? The types with their marker genes: B cell (CD79A, MS4A1, CD19,"
        " BANK1); alpha cell (GCG)."
    )
    np.testing.assert_allclose(model.asked[0].objects[0].values, [0.0, np.log1p(10_000)], rtol=1e-6)  # type: ignore[union-attr]


def test_types_alone_in_several_orders() -> None:
    model = Speaking()
    annotate(model, table(2), TYPES, markers=False, orders=8, seed=1)
    asked = [one.turns[0].text for one in model.asked[::2]]
    assert asked[0] == "What type of cell is the cell [CELL]? One of: B cell, alpha cell."
    assert len(asked) == 8
    assert {one.split("One of: ")[1] for one in asked} == {"B cell, alpha cell.", "alpha cell, B cell."}


def test_types_that_cannot_be_chosen_from() -> None:
    for types, told in (
        (TYPES[:1], "1 types of cells"),
        ((*TYPES, TYPES[0]), "'B cell' is there twice"),
        ((*TYPES, CellType("beta cell")), "'beta cell' has no marker genes"),
    ):
        with pytest.raises(ConfigError, match=told):
            annotate(Speaking(), table(), types)


def h5ad(path: Path) -> Path:
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    obs = pandas.DataFrame(
        {"donor": pandas.Categorical(["x", "y", "x"]), "depth": [1.5, 2.5, 3.5]}, index=list("abc")
    )
    data = anndata.AnnData(
        X=sparse.csr_matrix(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]], dtype=np.float32)),
        obs=obs,
        var=pandas.DataFrame(index=["CD3D", "GCG"]),
        obsm={"X_pca": np.eye(3)},
        layers={"counts": np.ones((3, 2))},
        uns={"note": "kept"},
    )
    data.write_h5ad(path)
    return path


def test_a_copy_of_an_h5ad_keeps_all_and_gains_columns(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    source, out = h5ad(tmp_path / "in.h5ad"), tmp_path / "out.h5ad"
    before = sha256_of(source)
    write_annotated(source, out, read_cells(source), added())
    assert sha256_of(source) == before
    old, new = anndata.read_h5ad(source), anndata.read_h5ad(out)
    assert list(new.obs.columns) == ["donor", "depth", "kind", "kind_score"]
    assert list(new.obs["kind"]) == ["B cell", "alpha cell", "B cell"]
    assert list(new.obs["kind"].cat.categories) == ["B cell", "alpha cell", "unassigned"]
    np.testing.assert_allclose(new.obs["kind_score"], [0.9, 0.8, 0.6], rtol=1e-6)
    np.testing.assert_allclose(new.obsm["kind"], added().arrays["kind"])
    assert list(new.uns["kind"]["types"]) == ["B cell", "alpha cell"]
    assert (new.uns["kind"]["model"], new.uns["note"]) == ("m", "kept")
    assert new.obs[["donor", "depth"]].equals(old.obs)
    assert (new.X != old.X).nnz == 0
    np.testing.assert_array_equal(new.obsm["X_pca"], old.obsm["X_pca"])
    np.testing.assert_array_equal(new.layers["counts"], old.layers["counts"])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_names_that_are_taken(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    source, once, twice = h5ad(tmp_path / "in.h5ad"), tmp_path / "1.h5ad", tmp_path / "2.h5ad"
    write_annotated(source, once, read_cells(source), added())
    with pytest.raises(DataError, match="has obs/kind already: expected another --key, or --replace"):
        write_annotated(once, twice, read_cells(once), added())
    assert not twice.exists()
    write_annotated(once, twice, read_cells(once), added(), replace=True)
    assert list(anndata.read_h5ad(twice).obs.columns) == ["donor", "depth", "kind", "kind_score"]
    with pytest.raises(DataError, match="is the file of the cells itself"):
        write_annotated(source, source, read_cells(source), added())


def test_an_npz_becomes_an_h5ad(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    np.savez(
        tmp_path / "c.npz",
        data=np.array([1, 3, 2]),
        indices=np.array([0, 1, 1]),
        indptr=np.array([0, 2, 2, 3]),
        shape=np.array([3, 2]),
        genes=np.array(["CD3D", "MS4A1"]),
        obs_donor=np.array(["x", "y", "z"]),
    )
    write_annotated(tmp_path / "c.npz", tmp_path / "out.h5ad", read_cells(tmp_path / "c.npz"), added())
    new = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert (list(new.var_names), list(new.obs["donor"])) == (["CD3D", "MS4A1"], ["x", "y", "z"])
    assert list(new.obs["kind"]) == ["B cell", "alpha cell", "B cell"]
    np.testing.assert_allclose(new.X.toarray()[0], np.log1p([2500.0, 7500.0]), rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_file_of_an_old_layout(shared_data: Path, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    source, out = shared_data / "cells/10x_pbmc68k_reduced.h5ad", tmp_path / "out.h5ad"
    cells = read_cells(source)
    names = ["a", "b"] * 350
    what = Added({"kind": (names, ["a", "b"])}, {"kind_score": np.ones(700, dtype=np.float32)}, {}, {})
    write_annotated(source, out, cells, what)
    new, old = anndata.read_h5ad(out), anndata.read_h5ad(source)
    assert list(new.obs["kind"]) == names
    assert list(new.obs.columns) == [*old.obs.columns, "kind", "kind_score"]
    np.testing.assert_array_equal(new.X, old.X)
