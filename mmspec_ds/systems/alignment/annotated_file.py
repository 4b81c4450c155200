"""A file of cells with columns added, for scanpy: a copy of an h5ad file, or a new one from an NPZ."""

import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing_output
from mmspec_ds.readers.cell_table import CellTable
from mmspec_ds.readers.cells import anndata, check_h5ad
from mmspec_ds.readers.part import one_line

HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Added:
    """What is added to a file of N cells.

    Attributes:
        labels: columns of names by their own, with all names that are possible; stored as categories.
        numbers: columns of numbers, float32 [N].
        arrays: several numbers a cell, for `obsm`: float32 [N, C].
        about: for `uns`: texts, and lists of texts.
    """

    labels: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    numbers: Mapping[str, npt.NDArray[np.float32]]
    arrays: Mapping[str, npt.NDArray[np.float32]]
    about: Mapping[str, Mapping[str, str | Sequence[str]]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are written, in their order."""
        return (*self.labels, *self.numbers)


def check_annotated(
    source: Path, out: Path, table: CellTable, names: Mapping[str, Sequence[str]], *, replace: bool = False
) -> None:
    """Refuse, before the work starts, what `write_annotated` would refuse.

    Args:
        source, out, table, replace: see there.
        names: what is to be added to "obs", "obsm" and "uns".

    Raises:
        DataError: `out` is the source, or the source has something of these names.
        UserError: the library that writes h5ad is not installed.
    """
    if out.exists() and os.path.samefile(source, out):
        raise DataError("is the file of the cells itself: expected another name", path=out)
    anndata()
    known: dict[str, set[str]] = {"obs": set(table.columns)}
    if _is_h5ad(source):
        check_h5ad(source)
        known = {room: _members(source, room) for room in names}
    for room, wanted in names.items():
        taken = next((name for name in wanted if name in known.get(room, ())), None)
        if taken is not None and not replace:
            raise DataError(f"has {room}/{taken} already: expected another --key, or --replace", path=source)


def write_annotated(source: Path, out: Path, table: CellTable, added: Added, *, replace: bool = False) -> None:
    """Write an h5ad file with all that the source has and what is added. The source is left as it is; the file
    appears whole or not at all.

    Args:
        source: h5ad, of which everything is kept byte for byte; or NPZ, of which the new file holds the cells
            as they were read: logarithms of 1 + counts per 10,000.
        out: the new file, an older one is replaced.
        table: the cells of the source.
        added: its rows are those of the table.
        replace: put what is added in the place of what has the same name; otherwise that is refused.

    Raises:
        DataError: `out` is the source or cannot be written, or has columns of these names.
        UserError: the library that writes h5ad is not installed.
    """
    names = {"obs": added.columns, "obsm": tuple(added.arrays), "uns": tuple(added.about)}
    check_annotated(source, out, table, names, replace=replace)
    with replacing_output(out) as partial:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if _is_h5ad(source):
                    _copy(source, partial, added)
                else:
                    _new(partial, table, added)
        except OSError:
            raise
        except Exception as error:  # h5py and anndata raise many kinds
            raise DataError(f"cannot be written: {one_line(error)}", path=out) from None


def _is_h5ad(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(len(HDF5)) == HDF5


def _members(source: Path, room: str) -> set[str]:
    """What a part of an h5ad file holds."""
    import h5py

    with h5py.File(source, "r") as file:
        part = file.get(room, {})  # in files of anndata before 0.7 a table of named fields
        return set(part.dtype.names or ()) if isinstance(part, h5py.Dataset) else set(part)


def _copy(source: Path, partial: Path, added: Added) -> None:
    """A copy of the file, in which only what is added is written."""
    import h5py

    with h5py.File(source, "r") as file:
        is_current = isinstance(file["obs"], h5py.Group) and "column-order" in file["obs"].attrs
        is_current &= all(isinstance(file.get(name), h5py.Group | None) for name in ("obsm", "uns"))
    if not is_current:  # files of anndata before 0.7 keep obs as one table: all of it is written anew
        data = anndata().read_h5ad(source)
        _fill(data, added)
        data.write_h5ad(partial)
        return
    shutil.copyfile(source, partial)
    write = anndata().io.write_elem
    with h5py.File(partial, "r+") as file:
        obs = file["obs"]
        order = [name for name in _texts(obs.attrs["column-order"]) if name not in added.columns]
        for name, values in _columns(added).items():
            write(obs, name, values)
        obs.attrs["column-order"] = np.array([*order, *added.columns], dtype=h5py.string_dtype())
        for room, content in (("obsm", added.arrays), ("uns", added.about)):
            if content and room not in file:
                write(file, room, {})
            for name, values in content.items():
                write(file[room], name, _plain(values))


def _new(partial: Path, table: CellTable, added: Added) -> None:
    import pandas as pd

    obs = pd.DataFrame({name: list(values) for name, values in table.columns.items()}, index=list(table.names))
    data = anndata().AnnData(X=table.values, obs=obs, var=pd.DataFrame(index=list(table.genes)))
    data.obs_names_make_unique()
    _fill(data, added)
    data.write_h5ad(partial)


def _fill(data: Any, added: Added) -> None:
    for name, values in _columns(added).items():
        data.obs[name] = values
    for name, array in added.arrays.items():
        data.obsm[name] = array
    for name, content in added.about.items():
        data.uns[name] = _plain(content)


def _columns(added: Added) -> dict[str, Any]:
    import pandas as pd

    labels = {name: pd.Categorical(list(values), list(known)) for name, (values, known) in added.labels.items()}
    return {**labels, **{name: np.asarray(one, dtype=np.float32) for name, one in added.numbers.items()}}


def _plain(value: Any) -> Any:
    """Lists of texts as arrays, which h5ad knows."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return np.array(value, dtype=object)
    return value


def _texts(names: Any) -> list[str]:
    return [one.decode() if isinstance(one, bytes) else str(one) for one in np.asarray(names).tolist()]
