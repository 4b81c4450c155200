"""A library on disk, opened for reading: its entries, their peaks and their vectors, memory-mapped."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.errors import DataError
from mmspec_ds.library.entry import Embedder, Entry, FloatMatrix
from mmspec_ds.library.identity import check_embedders
from mmspec_ds.library.index import VectorIndex, open_index
from mmspec_ds.library.layout import (
    ENDS,
    FURTHER,
    INTENSITY,
    MZ,
    SECOND,
    all_faults,
    check_used,
    load_manifest,
    number_of,
    open_array,
    quick_faults,
)
from mmspec_ds.library.metadata import MORE, SPECTRA, entry_of, rows_taken, spectrum_of, taken, values_of
from mmspec_ds.library.peaks import Peaks
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.spectra.parquet import available_modalities, read_records
from mmspec_ds.spectra.records import FloatArray, Record, Spectrum
from mmspec_ds.spectra.registry import REGISTRY

_CHUNK = 2048  # entries that are in memory at a time when all are read


@dataclass(frozen=True)
class Library:
    """An open library of N entries, which have R mass spectra; one without any counts as one without peaks. It
    stays what it was when others add to it; open it again to see more.

    Files of at most 64 MB are compared with their checksums before they are first used (`layout.check_used`),
    so that any property or method that reads one raises DataError where it is damaged.

    Attributes:
        path: its folder.
        manifest: what is valid of its files; see `layout`.
        offsets: where the peaks of each mass spectrum start and the last ones end, int64 [R + 1].
        first: the number of each entry's first mass spectrum, int64 [N], rising.
    """

    path: Path
    manifest: Mapping[str, Any]
    offsets: IntArray
    first: IntArray

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a library. The manifest is checked against its own checksum, and the size of every file against
        the manifest; `faults` reads the files as well.

        Raises:
            DataError: there is no library, a file is missing or has another size, or what says which peaks are
                whose is damaged.
        """
        manifest = load_manifest(path)
        for line in quick_faults(path, manifest):
            raise DataError(line)
        ends, second = (open_array(path, manifest, name) for name in (ENDS, SECOND))
        offsets = np.concatenate([[0], ends]).astype(np.int64)
        if (np.diff(offsets) < 0).any() or offsets[-1] != number_of(manifest, MZ):
            raise DataError("damaged, see `mmspec library info --check`", path=path / ENDS)
        is_first = np.ones(len(ends), dtype=bool)
        if len(second) and not (second.min() > 0 and second.max() < len(ends)):
            raise DataError("damaged, see `mmspec library info --check`", path=path / SECOND)
        is_first[second] = False
        first = np.flatnonzero(is_first)
        if len(first) != manifest["entries"]:
            raise DataError("damaged, see `mmspec library info --check`", path=path / SECOND)
        return cls(path, manifest, offsets, first)

    def faults(self) -> list[str]:
        """A line for each file that is not what was written; every byte of the library is read."""
        return all_faults(self.path, self.manifest)

    def __len__(self) -> int:
        return int(self.manifest["entries"])

    @cached_property
    def mz(self) -> FloatArray:
        """The m/z of all peaks, mass spectrum after mass spectrum, float64 [T], memory-mapped."""
        return open_array(self.path, self.manifest, MZ)

    @cached_property
    def intensity(self) -> FloatArray:
        """Their intensities on the scale of the files, float64 [T], memory-mapped."""
        return open_array(self.path, self.manifest, INTENSITY)

    @cached_property
    def entry_of(self) -> IntArray:
        """The entry of each mass spectrum, int64 [R]."""
        return np.repeat(np.arange(len(self)), np.diff(self.first, append=len(self.offsets) - 1))

    @cached_property
    def metadata(self) -> pa.Table:
        """The metadata of the entries as a table of N rows; see `metadata` for its columns.

        Raises:
            DataError: a file of it cannot be read.
        """
        return pa.concat_tables(self._table(part["file"]) for part in self.manifest["parts"])

    @cached_property
    def spectra(self) -> pa.Table:
        """The kind of each mass spectrum and how it was measured, a table of R rows: "kind", CONDITIONS and
        "more" of `metadata`; "more" is null for the first of an entry.

        Raises:
            DataError: a file of it cannot be read.
        """
        names = [name for name in SPECTRA.names if name != MORE]
        found = self.metadata.select(names).append_column(MORE, pa.nulls(len(self), pa.string()))
        second = [part["second"] for part in self.manifest["parts"] if "second" in part]
        if not second:
            return found
        at = np.concatenate([self.first, open_array(self.path, self.manifest, SECOND)])
        return taken(pa.concat_tables([found, *map(self._table, second)]), np.argsort(at))

    def _table(self, name: str) -> pa.Table:
        """A parquet file of the library."""
        check_used(self.path, self.manifest, name)
        try:
            with pq.ParquetFile(self.path / name) as file:  # `read_table` would import pandas, too
                return file.read()
        except (pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())
            told = f"damaged, see `mmspec library info --check`: {text}"
            raise DataError(told, path=self.path / name) from None

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of the metadata as an array [N]: numbers with NaN where unknown, texts as objects.

        Raises:
            DataError: a file of it cannot be read.
        """
        return values_of(self.metadata[name])

    @cached_property
    def precursor_mz(self) -> FloatArray:
        """The precursor m/z of each entry's first mass spectrum, [N], NaN where unknown."""
        return self.column("precursor_mz").astype(np.float64)

    @cached_property
    def by_precursor(self) -> tuple[IntArray, FloatArray]:
        """The rows whose precursor is known by rising m/z, and these m/z, both [M]: a window is two binary
        searches."""
        order = np.argsort(self.precursor_mz, kind="stable")
        order = order[: np.count_nonzero(~np.isnan(self.precursor_mz))]
        return order, self.precursor_mz[order]

    @cached_property
    def kinds(self) -> npt.NDArray[Any]:
        """The kind of each mass spectrum, "ms" or "ei", "" for an entry that has none, [R]."""
        return values_of(self.spectra["kind"])

    @cached_property
    def polarity(self) -> npt.NDArray[np.int8]:
        """1 for positive, -1 for negative, 0 where unknown, of each mass spectrum [R]."""
        texts = values_of(self.spectra["polarity"])
        return ((texts == "positive").astype(np.int8) - (texts == "negative")).astype(np.int8)

    @cached_property
    def all_peaks(self) -> Peaks:
        """The peaks of all R mass spectra, memory-mapped, as the comparisons of `similarity` take them."""
        return Peaks(self.mz, self.intensity, self.offsets)

    def peaks(self, row: int) -> tuple[FloatArray, FloatArray]:
        """m/z and intensity of an entry's first mass spectrum, empty where it has none."""
        return self.all_peaks.spectrum(int(self.first[row]))

    def entries(self, rows: Iterable[int]) -> list[Entry]:
        """Entries as they were added: the mass spectra first, then the others, both in their order; infrared
        absorbances are rounded to float32."""
        chosen = [int(row) for row in rows]
        table = rows_taken(self.metadata, np.array(chosen, dtype=np.int64))
        return [self._entry(row, known) for row, known in zip(chosen, table)]

    def _entry(self, row: int, known: Mapping[str, Any]) -> Entry:
        entry = entry_of(known, *map(np.array, self.peaks(row)))
        end = self.first[row + 1] if row + 1 < len(self) else len(self.offsets) - 1
        second = range(int(self.first[row]) + 1, int(end))
        others = [self._mass_spectrum(number) for number in second] + self._further(row)
        if not others:
            return entry
        record = entry.record
        whole = Record(record.id, (*record.spectra, *others), record.smiles, record.formula)
        return Entry(whole, entry.block, entry.metadata)

    def _mass_spectrum(self, number: int) -> Spectrum:
        """A mass spectrum that is not the first of its entry."""
        (known,) = self.spectra.slice(number, 1).to_pylist()
        return spectrum_of(known, *map(np.array, self.all_peaks.spectrum(number)))

    def all_entries(self) -> Iterator[Entry]:
        """Every entry in turn, for a library made of this one."""
        for start in range(0, len(self), _CHUNK):
            yield from self.entries(range(start, min(start + _CHUNK, len(self))))

    def record(self, row: int) -> Record:
        """The record of one entry."""
        return self.entries([row])[0].record

    def _further(self, row: int) -> list[Spectrum]:
        return [self._stored(file)[at] for file, at in self._places.get(row, ())]

    @cached_property
    def _places(self) -> dict[int, list[tuple[str, int]]]:
        """For each entry with spectra that are stored apart: the file of each, and its place there."""
        files = [one for part in self.manifest["parts"] for one in part["further"]]
        places = ((one["file"], at) for one in files for at in range(one["spectra"]))
        found: dict[int, list[tuple[str, int]]] = {}
        for row, place in zip(open_array(self.path, self.manifest, FURTHER).tolist(), places):
            found.setdefault(row, []).append(place)
        return found

    @cached_property
    def _open_file(self) -> dict[str, list[Spectrum]]:
        return {}

    def _stored(self, name: str) -> list[Spectrum]:
        """The spectra of a file of them; the last one that was asked for is kept in memory."""
        if name not in self._open_file:
            path = self.path / name
            check_used(self.path, self.manifest, name)
            asked = [one for one in available_modalities(path) if REGISTRY[one].is_instrument]
            records = read_records(path, modalities=asked, require_smiles=False)
            self._open_file.clear()
            self._open_file[name] = [record.spectra[0] for record in records]
        return self._open_file[name]

    @property
    def embedders(self) -> dict[str, str]:
        """The identity of each model whose vectors are stored, by its name."""
        return {one["name"]: one["identity"] for one in self.manifest["embedders"]}

    def check_embedders(self, embedders: Sequence[Embedder]) -> None:
        """Refuse a model that is not the one whose vectors are stored.

        Raises:
            DataError: one line; names both.
        """
        check_embedders(self.path, self.manifest, embedders)

    def vectors(self, name: str) -> FloatMatrix:
        """The vectors of a model, memory-mapped, float32 [N, width], of length 1 or, where the model cannot
        read an entry, 0.

        Raises:
            DataError: the library has none of that model.
        """
        if name in self._vectors:
            return self._vectors[name]
        for one in self.manifest["embedders"]:
            if one["name"] == name:
                found = open_array(self.path, self.manifest, one["file"], one["width"])
                return self._vectors.setdefault(name, found)
        known = ", ".join(f"{one!r}" for one in self.embedders) or "none"
        raise DataError(f"has no vectors of the model {name!r}, its models: {known}", path=self.path)

    @cached_property
    def _vectors(self) -> dict[str, FloatMatrix]:
        return {}

    @cached_property
    def _indexes(self) -> dict[str, VectorIndex]:
        return {}

    def index(self, name: str) -> VectorIndex:
        """What searches the vectors of a model; opened once."""
        if name not in self._indexes:
            self._indexes[name] = open_index(self.path, self.manifest, name, self.vectors(name))
        return self._indexes[name]

    def search_vectors(self, name: str, queries: FloatMatrix, k: int) -> tuple[FloatMatrix, IntArray]:
        """The nearest entries of each query by the dot product of unit vectors.

        Args:
            name: of the model.
            queries: float32 [Q, width].
            k: entries to find.

        Returns:
            Scores float32 [Q, k'] and rows int64 [Q, k'], best first, k' the smaller of `k` and N. Equal scores
            are in the order of rows. Where the index finds fewer than k', the row is -1 and the score -inf.

        Raises:
            DataError: the library has no vectors of that model, or the queries have another width.
        """
        return self.index(name).search(np.ascontiguousarray(queries, dtype=np.float32), k)
