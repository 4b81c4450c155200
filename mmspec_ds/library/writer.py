"""Write the entries of one addition to the files of a library. They are valid once the manifest is."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mmspec_ds.errors import DataError
from mmspec_ds.files import entry_of, replacing
from mmspec_ds.library.entry import Embedder, Entry
from mmspec_ds.library.layout import DTYPES, ENDS, FURTHER, INTENSITY, KEYS, MZ, SECOND, length_of, number_of
from mmspec_ds.library.metadata import SCHEMA, SPECTRA, parted, table_of, table_of_spectra
from mmspec_ds.spectra.parquet_writer import write_records
from mmspec_ds.spectra.records import Record

_ROW_GROUP = 1 << 15  # of the metadata: small groups take four times as long to read


class _GrowingArray:
    """The end of a flat file, from the length that is valid on."""

    def __init__(self, path: Path, length: int) -> None:
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(length)
        self._file.seek(length)
        self._dtype, self._digest, self.bytes = np.dtype(DTYPES[path.suffix]), hashlib.sha256(), 0

    def write(self, values: npt.NDArray[Any]) -> None:
        data = np.ascontiguousarray(values, dtype=self._dtype).tobytes()
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    def span(self) -> dict[str, Any]:
        """What the manifest says of the new bytes, which are on disk then."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"bytes": self.bytes, "sha256": self._digest.hexdigest()}

    def close(self) -> None:
        self._file.close()


class _Table:
    """A parquet file that grows by rows; it appears when its stack is closed, and only if there are rows."""

    def __init__(self, path: Path, schema: pa.Schema, closing: ExitStack) -> None:
        self.path, self.rows = path, 0
        self._schema, self._closing = schema, closing
        self._waiting: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self.rows += len(rows)
        if sum(map(len, self._waiting)) >= _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        rows = pa.concat_tables(self._waiting) if self._waiting else None
        self._waiting.clear()
        if rows is None or not len(rows):
            return
        if self._writer is None:
            partial = self._closing.enter_context(replacing(self.path))
            self._writer = pq.ParquetWriter(partial, self._schema, compression="zstd")
            self._closing.callback(self._writer.close)
        self._writer.write_table(rows, row_group_size=_ROW_GROUP)


class PartWriter:
    """Appends chunks of entries to the files of a library; a context manager.

    Args:
        folder: of the library; it is locked and holds no debris.
        manifest: what is valid so far.
        embedders: those of the manifest, in its order.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], embedders: Sequence[Embedder]) -> None:
        self._folder, self._manifest, self._embedders = folder, manifest, embedders
        self._number, self._row = len(manifest["parts"]), manifest["entries"]
        self._peaks, self._spectra = number_of(manifest, MZ), number_of(manifest, ENDS)
        self._files: dict[str, dict[str, Any]] = {}
        self._further: list[dict[str, Any]] = []
        self.entries = 0
        self.blank = [0] * len(embedders)

    def __enter__(self) -> Self:
        self._closing = ExitStack()
        self._arrays = {
            name: _GrowingArray(self._folder / name, length_of(self._manifest, name))
            for name in self._manifest["arrays"]
        }
        for array in self._arrays.values():
            self._closing.callback(array.close)
        self._rows, self._second = (
            _Table(self._folder / f"{name}-{self._number:04d}.parquet", schema, self._closing)
            for name, schema in (("entries", SCHEMA), ("second", SPECTRA))
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._rows.flush()
                self._second.flush()
                self._spans = {name: array.span() for name, array in self._arrays.items()}
        finally:
            self._closing.__exit__(kind, error, trace)

    def write(self, entries: Sequence[Entry], keys: Sequence[int]) -> None:
        """Append entries, with the hash of each, and their vectors.

        Raises:
            ValueError: an entry holds what the files cannot.
            DataError: a model gives vectors of another shape than its width, or such that are not finite.
        """
        of_entries = [parted(entry.record) for entry in entries]
        mass = [spectra or [None] for spectra, _ in of_entries]
        further = [
            (self._row + at, Record(entry.record.id, (one,)))
            for at, (entry, (_, others)) in enumerate(zip(entries, of_entries))
            for one in others
        ]
        self._write_peaks([one for spectra in mass for one in spectra])
        is_second = np.array([at > 0 for spectra in mass for at in range(len(spectra))], dtype=bool)
        self._arrays[SECOND].write(self._spectra + np.flatnonzero(is_second))
        self._second.add(table_of_spectra([one for spectra in mass for one in spectra[1:]]))
        self._arrays[KEYS].write(np.array(keys, dtype=np.uint64))
        self._rows.add(table_of(entries))
        self._write_further(further)
        self._write_vectors([entry.record for entry in entries])
        self._spectra += len(is_second)
        self._row += len(entries)
        self.entries += len(entries)

    def _write_peaks(self, spectra: Sequence[Any]) -> None:
        """The peaks of mass spectra, and where those of each end; None is one without peaks."""
        for name, field in ((MZ, "mz"), (INTENSITY, "intensity")):
            values = [getattr(one, field) for one in spectra if one is not None]
            self._arrays[name].write(np.concatenate([np.empty(0), *values]))
        counts = [0 if one is None else len(one.mz) for one in spectra]
        ends = self._peaks + np.cumsum(counts, dtype=np.int64)
        self._arrays[ENDS].write(ends)
        self._peaks = int(ends[-1]) if len(ends) else self._peaks

    def _write_further(self, further: Sequence[tuple[int, Record]]) -> None:
        if not further:
            return
        name = f"further-{self._number:04d}-{len(self._further):04d}.parquet"
        write_records(self._folder / name, (record for _, record in further))
        self._files[name] = entry_of(self._folder / name)
        self._further.append({"file": name, "spectra": len(further)})
        self._arrays[FURTHER].write(np.array([row for row, _ in further], dtype=np.int64))

    def _write_vectors(self, records: Sequence[Record]) -> None:
        for at, (embedder, about) in enumerate(zip(self._embedders, self._manifest["embedders"])):
            vectors = np.asarray(embedder.embed(records), dtype=np.float32)
            if vectors.shape != (len(records), embedder.width) or not np.isfinite(vectors).all():
                raise DataError(
                    f"the model {embedder.name!r} gave vectors of shape {vectors.shape} or values that are not"
                    f" finite, expected {(len(records), embedder.width)}"
                )
            self.blank[at] += int(np.count_nonzero(~vectors.any(axis=1)))
            self._arrays[about["file"]].write(vectors)

    def finish(self) -> dict[str, Any]:
        """The manifest with what was written, all of which is on disk. `with` must have ended."""
        manifest = dict(self._manifest)
        tables = [one for one in (self._rows, self._second) if one.rows]
        of_tables = {one.path.name: entry_of(one.path) for one in tables}
        manifest["files"] = manifest["files"] | self._files | of_tables
        manifest["arrays"] = {name: [*spans, self._spans[name]] for name, spans in manifest["arrays"].items()}
        manifest["entries"] += self.entries
        part = {"entries": self.entries, "file": self._rows.path.name, "further": self._further}
        if self._second.rows:
            part["second"] = self._second.path.name
        manifest["parts"] = [*manifest["parts"], part]
        return manifest
