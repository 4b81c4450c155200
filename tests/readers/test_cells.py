"""Files of single cells: what their values are taken to be, and damaged or hostile ones."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from mmspec_ds.errors import DataError
from mmspec_ds.readers import cells as module
from mmspec_ds.readers.cell_table import make_table
from mmspec_ds.readers.cells import read_cells

SHARED = Path(__file__).parents[3] / "shared/data/cells"
COUNTS = np.array([[3, 0, 1], [0, 2, 2], [5, 5, 0]])
LOGS = np.log1p(COUNTS / COUNTS.sum(1, keepdims=True) * 10_000)
GENES = ["CD3E", "MS4A1", "LYZ"]


def write_npz(path: Path, **changes: Any) -> Path:
    """An NPZ file of `COUNTS` with some parts changed; None leaves one out."""
    matrix = sparse.csr_matrix(COUNTS)
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "genes": np.array(GENES)}
    parts |= {"shape": np.array(matrix.shape), "obs_type": np.array(["T", "B", "?"]), **changes}
    with path.open("wb") as file:
        np.savez(file, **{name: part for name, part in parts.items() if part is not None})
    return path


def write_h5ad(path: Path, values: Any, genes: list[str] | None = None, **parts: Any) -> Path:
    """An h5ad file; `parts` are further ones of AnnData."""
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    var = pandas.DataFrame(index=genes or GENES)
    for name, column in parts.pop("var", {}).items():
        var[name] = column
    obs = pandas.DataFrame({"type": ["T", "B", None]}, index=["a", "b", "c"])
    data = anndata.AnnData(values, obs=obs, var=var, layers=parts.get("layers"))
    if "raw" in parts:
        data.raw = anndata.AnnData(parts["raw"], obs=obs, var=var)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write_h5ad(path)
    return path


def test_counts_of_an_npz_file(tmp_path: Path) -> None:
    table = read_cells(write_npz(tmp_path / "a.npz"))
    assert table.values.toarray() == pytest.approx(LOGS, rel=1e-6)
    assert (table.genes, table.names) == (tuple(GENES), ("0", "1", "2"))
    assert table.columns == {"type": ("T", "B", "?")}
    assert table.form == "counts"
    named = read_cells(write_npz(tmp_path / "b.npz", cells=np.array(["x", "y", "z"])))
    assert named.names == ("x", "y", "z")


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_counts_of_an_h5ad_file(tmp_path: Path, make: Any) -> None:
    table = read_cells(write_h5ad(tmp_path / "a.h5ad", make(COUNTS.astype(np.float32))))
    assert table.values.toarray() == pytest.approx(LOGS, rel=1e-6)
    assert (table.genes, table.names) == (tuple(GENES), ("a", "b", "c"))
    assert table.columns == {"type": ("T", "B", "")}


def test_centred_values_give_way_to_counts_or_raw(tmp_path: Path) -> None:
    centred = COUNTS - COUNTS.mean(0)
    table = read_cells(write_h5ad(tmp_path / "a.h5ad", centred, layers={"counts": COUNTS}))
    assert table.values.toarray() == pytest.approx(LOGS, rel=1e-6)
    assert "values are those of layers/counts" in table.remarks[0]
    table = read_cells(write_h5ad(tmp_path / "b.h5ad", centred, raw=LOGS.astype(np.float32)))
    assert table.values.toarray() == pytest.approx(LOGS, rel=1e-5)
    assert (table.form, table.remarks[0][-5:]) == ("logarithms", "raw/X")
    with pytest.raises(DataError, match="X, layers/counts and raw/X hold no values without negative ones"):
        read_cells(write_h5ad(tmp_path / "c.h5ad", centred))


@pytest.mark.parametrize(
    ("values", "form", "told"),
    [
        (LOGS, "logarithms", "natural logarithms of 1 + x, per 10,000"),
        (np.log1p(np.expm1(LOGS) * 100), "logarithms", "natural logarithms of 1 + x, per 1,000,000"),
        (np.log2(1 + np.expm1(LOGS)), "logarithms", "base 2 logarithms of 1 + x, per 10,000"),
        (COUNTS * 7.5, "linear", "read as linear"),
    ],
)
def test_scales_are_found_out(values: Any, form: str, told: str) -> None:
    table = make_table(values, GENES, "abc", {})
    assert table.values.toarray() == pytest.approx(LOGS, rel=1e-5)
    assert table.form == form
    assert told in table.remarks[0]


def test_scales_of_a_part_of_the_genes() -> None:
    part = make_table(LOGS[:, :2] / 2, GENES[:2], "abc", {})  # their sums are unequal
    assert part.values.toarray() == pytest.approx(LOGS[:, :2] / 2)
    assert part.remarks[0].endswith("natural logarithms of 1 + x, taken to be per 10,000")
    linear = np.array([[200_000.0, 5], [30_000, 9]])
    million = make_table(np.log2(1 + linear), "AB", "xy", {})
    assert million.values.toarray() == pytest.approx(np.log1p(linear / 100), rel=1e-5)
    assert million.remarks[0].endswith("base 2 logarithms of 1 + x, taken to be per 1,000,000")


def test_genes_named_twice_are_added_and_ids_told() -> None:
    table = make_table(COUNTS, ["A", "B", "A"], "abc", {})
    assert table.genes == ("A", "B")
    shares = np.array([[4, 0], [2, 2], [5, 5]]) / COUNTS.sum(1, keepdims=True)
    assert table.values.toarray() == pytest.approx(np.log1p(shares * 10_000), rel=1e-6)
    assert "1 columns repeat the name of a gene, such as A" in table.remarks[1]
    ids = make_table(COUNTS, ["ENSG00000141510", "ENSG00000141511.2", "MT-CO1"], "abc", {})
    assert "Ensembl ids" in ids.remarks[-1]
    empty = make_table(np.array([[0, 0], [1, 1]]), "AB", "xy", {})
    assert empty.remarks[-1] == "1 of 2 cells have no expression at all"


def test_ids_behind_symbols_are_left_out() -> None:
    names = ["CD79A_ENSG00000105369", "ENSG00000141510", "A_B"]
    table = make_table(COUNTS, names, "abc", {})
    assert table.genes == ("CD79A", "ENSG00000141510", "A_B")
    assert table.remarks[1].startswith("1 names are a symbol and an Ensembl id, such as CD79A_ENSG")
    twice = make_table(COUNTS, ["HLA-A|ENSG00000206503.1", "HLA-A", "LYZ"], "abc", {})
    assert twice.genes == ("HLA-A", "LYZ")
    assert np.expm1(twice.values.toarray())[:, 0] == pytest.approx(np.expm1(LOGS)[:, :2].sum(1), rel=1e-5)


def test_symbols_stand_in_for_ensembl_ids(tmp_path: Path) -> None:
    ids = [f"ENSG0000000000{at}" for at in range(3)]
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, ids, var={"feature_name": ["CD3E", None, "LYZ"]})
    table = read_cells(path)
    assert table.genes == ("CD3E", ids[1], "LYZ")
    assert "gene symbols are those of var/feature_name" in table.remarks


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": None}, "has no data: expected data, indices"),
        ({"indices": np.array([0, 2, 1, 2, 0, 9])}, "parts of a sparse matrix that do not fit together"),
        ({"indptr": np.array([0, 4, 2, 6])}, "do not fit together"),
        ({"indptr": np.array([0, 2])}, "an indptr that does not fit its shape"),
        ({"data": np.array(["a"] * 6)}, "no numbers"),
        ({"data": np.array([1.0, 1, 1, 1, 1, np.nan])}, "not finite"),
        ({"data": np.array([1.0, 1, 1, 1, 1, -1])}, "negative values, down to -1"),
        ({"genes": np.array(["A"])}, r"genes of shape \(1,\): expected 3"),
        ({"genes": np.array(["A", {}, 1], dtype=object)}, "is a pickle, which may run code"),
        ({"obs_type": np.array(["A"])}, "obs_type of shape"),
    ],
)
def test_hostile_npz_files_are_told_in_one_line(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = write_npz(tmp_path / "a.npz", **changes)
    with pytest.raises(DataError, match=told) as caught:
        read_cells(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_and_other_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_npz(tmp_path / "a.npz").read_bytes()
    for name, content in {
        "cut": good[:200],
        "text": b"gene,cell\n",
        "hdf": b"\x89HDF\r\n\x1a\n" + bytes(99),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name) as caught:
            read_cells(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="No such file"):
        read_cells(tmp_path / "none")
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(DataError, match=r"unfolds to 0\.0 GiB"):
        read_cells(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"its arrays take 0\.0 GiB: expected at most"):
        read_cells(write_h5ad(tmp_path / "a.h5ad", COUNTS))


def test_h5ad_files_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS)
    with h5py.File(path, "a") as file:
        file["obs/secret"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(DataError, match="obs/secret is a link: expected arrays and groups alone"):
        read_cells(path)
    with h5py.File(tmp_path / "b.h5ad", "w") as file:
        file["X"] = np.zeros((2, 2))
    with pytest.raises(DataError, match="has no obs: expected an AnnData object"):
        read_cells(tmp_path / "b.h5ad")


def test_h5ad_indices_beyond_the_genes_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = write_h5ad(tmp_path / "a.h5ad", sparse.csr_matrix(COUNTS))
    with h5py.File(path, "a") as file:
        file["X/indices"][0] = 1_000_000_000
    with pytest.raises(DataError, match=r"a\.h5ad: .*ind"):
        read_cells(path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize(
    ("name", "shape", "form"),
    [
        ("10x_pbmc68k_reduced.h5ad", (700, 765), "logarithms"),
        ("garnett.npz", (800, 12252), "counts"),
        ("panc_xin.npz", (674, 980), "logarithms"),
    ],
)
def test_published_files(name: str, shape: tuple[int, int], form: str) -> None:
    table = read_cells(SHARED / name)
    assert (table.values.shape, table.form) == (shape, form)
    sums = np.expm1(table.values.toarray().astype(np.float64)).sum(1)
    assert 100 < sums.min() <= sums.max() < 10_100
