"""Files of single cells: h5ad (AnnData), and NPZ with the parts of a sparse matrix.

An NPZ file holds `data`, `indices`, `indptr` and `shape` of a csr matrix of cells by genes, `genes`, and
perhaps `cells` (their names) and `obs_NAME` (a column of them). Nothing in a file is run: no pickles are read.
"""

import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mmspec_ds.errors import DataError, UserError
from mmspec_ds.readers.cell_table import CellTable, is_ensembl, make_table
from mmspec_ds.readers.part import one_line

LARGEST = 4 << 30
"""Bytes that the arrays of a file may take."""
MOST_CELLS = 2_000_000
MOST_GENES = 200_000

_HDF5 = b"\x89HDF\r\n\x1a\n"
_SYMBOLS = (
    "gene_symbols",
    "gene_symbol",
    "feature_name",
    "gene_name",
    "gene_names",
    "gene_short_name",
    "symbol",
)
_INSTALL = "h5ad files need anndata: expected `pip install 'mmspec-ds[cells]'`"


def read_cells(path: Path) -> CellTable:
    """Return the cells of an h5ad or NPZ file, as logarithms of their expression; see `CellTable`.

    Raises:
        DataError: it is no such file, is damaged, is too large, or its values are neither counts nor
        logarithms. UserError: the library that reads h5ad is not installed.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=path) from None
    if start == _HDF5:
        return _read_h5ad(path)
    if start.startswith(b"PK\x03\x04"):
        return _read_npz(path)
    raise DataError("is neither h5ad nor NPZ: expected a file of single cells", path=path)


def anndata() -> Any:
    """The library of h5ad files, which is an extra of the installation.

    Raises:
        UserError: it is not installed.
    """
    try:
        import anndata
    except ImportError:
        raise UserError(_INSTALL) from None
    return anndata


def check_h5ad(path: Path) -> None:
    """Refuse a file that is no h5ad, that refers to other files, or whose arrays are too large to be read.

    Raises:
        DataError: says what is wrong.
        UserError: the library is not installed.
    """
    anndata()
    import h5py

    with _told(path, "h5ad"), h5py.File(path, "r") as file:
        total = 0
        for name, item in _items(file, path):
            if isinstance(item, h5py.Dataset):
                if item.is_virtual or item.external:
                    raise DataError(f"{name} is kept in another file: expected all in one", path=path)
                total += item.size * item.dtype.itemsize if item.size else 0
        if total > LARGEST:
            raise DataError(
                f"its arrays take {total / 2**30:,.1f} GiB: expected at most {LARGEST >> 30}; a part of the"
                " cells, or counts as a sparse matrix",
                path=path,
            )
        missing = next((name for name in ("X", "obs", "var") if name not in file), None)
        if missing is not None:
            raise DataError(f"has no {missing}: expected an AnnData object (h5ad)", path=path)


def _items(group: Any, path: Path, before: str = "") -> Iterator[tuple[str, Any]]:
    """All groups and arrays; a link that leads out of the file, or back to where it came from, is refused."""
    import h5py

    for key in group:
        name = f"{before}{key}"
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise DataError(f"{one_line(name, 60)} is a link: expected arrays and groups alone", path=path)
        if name.count("/") > 12:
            raise DataError("its groups are nested too deeply: expected an AnnData object (h5ad)", path=path)
        item = group[key]
        yield name, item
        if isinstance(item, h5py.Group):
            yield from _items(item, path, f"{name}/")


def _read_h5ad(path: Path) -> CellTable:
    check_h5ad(path)
    with _told(path, "h5ad"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old layouts, which are read all the same
        data = anndata().read_h5ad(path)
        values, var, remark = _expression(data)
        _check_size(path, len(data.obs_names), len(var))
        genes, remarks = _symbols(var)
        columns = {str(name): _texts(data.obs[name]) for name in data.obs.columns}
        names = [str(name) for name in data.obs_names]
    return _table(path, values, genes, names, columns, [remark, *remarks])


def _expression(data: Any) -> tuple[Any, Any, str]:
    """The values with their table of genes: those of `X`; where these are negative, of the layer `counts` or of
    `raw`, which are not."""
    candidates = [("X", data.X, data.var)]
    if "counts" in data.layers:
        candidates.append(("layers/counts", data.layers["counts"], data.var))
    if data.raw is not None:
        candidates.append(("raw/X", data.raw.X, data.raw.var))
    present = [one for one in candidates if one[1] is not None]
    for name, values, var in present:
        found = values.data if sparse.issparse(values) else np.asarray(values)
        if found.dtype.kind in "iufb" and not (found.size and np.nanmin(found) < 0):
            before = "" if name == "X" else "X holds negative values or none: "
            return values, var, f"{before}values are those of {name}"
    raise ValueError("X, layers/counts and raw/X hold no values without negative ones: expected counts")


def _symbols(var: Any) -> tuple[list[str], list[str]]:
    """The names of genes: the index, or where that has Ensembl ids the first column of symbols."""
    names = [str(name) for name in var.index]
    if 2 * sum(map(is_ensembl, names)) <= len(names):
        return names, []
    for column in _SYMBOLS:
        if column in var.columns:
            given = zip(names, _texts(var[column]))
            return [symbol or name for name, symbol in given], [f"gene symbols are those of var/{column}"]
    return names, []


def _texts(column: Any) -> tuple[str, ...]:
    """A column as text, empty where nothing is known."""
    unknown = column.isna().to_numpy()
    return tuple("" if missing else str(value) for value, missing in zip(column.tolist(), unknown))


def _read_npz(path: Path) -> CellTable:
    with _told(path, "NPZ"):
        with zipfile.ZipFile(path) as archive:
            total = sum(one.file_size for one in archive.infolist())
        if total > LARGEST:
            raise DataError(f"unfolds to {total / 2**30:,.1f} GiB: expected at most {LARGEST >> 30}", path=path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        values = _sparse(arrays)
        cells, genes = values.shape
        _check_size(path, cells, genes)
        names = _named(arrays.get("cells"), cells, "cells") or [str(at) for at in range(cells)]
        given = {key.removeprefix("obs_"): one for key, one in arrays.items() if key.startswith("obs_")}
        columns = {key: tuple(_named(one, cells, f"obs_{key}")) for key, one in given.items()}
        symbols = _named(arrays["genes"], genes, "genes")
    return _table(path, values, symbols, names, columns, [])


def _sparse(arrays: Mapping[str, npt.NDArray[Any]]) -> sparse.csr_matrix:
    """The matrix of its parts.

    Raises:
        ValueError: a part is missing, or they do not fit together.
    """
    missing = [name for name in ("data", "indices", "indptr", "shape", "genes") if name not in arrays]
    if missing:
        raise ValueError(
            f"has no {missing[0]}: expected data, indices, indptr, shape and genes of a sparse matrix"
        )
    data, indices, indptr, shape = (arrays[name] for name in ("data", "indices", "indptr", "shape"))
    if data.dtype.kind not in "iuf" or any(one.dtype.kind not in "iu" for one in (indices, indptr, shape)):
        raise ValueError("has parts of a sparse matrix that are no numbers")
    if shape.shape != (2,) or (shape < 0).any() or indptr.shape != (int(shape[0]) + 1,):
        raise ValueError("has an indptr that does not fit its shape")
    lengths = np.diff(indptr.astype(np.int64))
    whole = data.shape == indices.shape == (int(indptr[-1]),) and indptr[0] == 0
    if (
        not whole
        or (lengths < 0).any()
        or (indices.size and not 0 <= indices.min() <= indices.max() < shape[1])
    ):
        raise ValueError("has parts of a sparse matrix that do not fit together")
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(int(one) for one in shape))


def _named(names: npt.NDArray[Any] | None, count: int, what: str) -> list[str]:
    if names is None:
        return []
    if names.shape != (count,):
        raise ValueError(f"has {what} of shape {names.shape}: expected {count} of them")
    return [str(name) for name in names.tolist()]


def _table(
    path: Path,
    values: Any,
    genes: Sequence[str],
    names: Sequence[str],
    columns: Mapping[str, tuple[str, ...]],
    remarks: Sequence[str],
) -> CellTable:
    try:
        return make_table(values, genes, names, columns, remarks)
    except ValueError as error:
        raise DataError(one_line(error), path=path) from None


def _check_size(path: Path, cells: int, genes: int) -> None:
    if cells > MOST_CELLS or genes > MOST_GENES:
        raise DataError(
            f"has {cells:,} cells and {genes:,} genes: expected at most {MOST_CELLS:,} and {MOST_GENES:,}",
            path=path,
        )


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Faults of a library as an error of one line."""
    try:
        yield
    except (DataError, UserError):
        raise
    except MemoryError:
        raise DataError("its arrays do not fit into memory: expected a part of the cells", path=path) from None
    except Exception as error:  # the libraries raise many kinds for damaged files
        told = one_line(error) or type(error).__name__
        if "pickle" in told:
            told = "an array of it is a pickle, which may run code"
        raise DataError(f"cannot be read as {what}: {told}", path=path) from None
