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
from mmspec_ds.library.layout import DTYPES, ENDS, FURTHER, INTENSITY, KEYS, MZ, length_of
from mmspec_ds.library.metadata import SCHEMA, place_of_peaks, table_of
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
        self._peaks = length_of(manifest, MZ) // np.dtype(DTYPES[Path(MZ).suffix]).itemsize
        self._files: dict[str, dict[str, Any]] = {}
        self._further: list[dict[str, Any]] = []
        self._rows: list[pa.Table] = []
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
        self._name = f"entries-{self._number:04d}.parquet"
        partial = self._closing.enter_context(replacing(self._folder / self._name))
        self._table = pq.ParquetWriter(partial, SCHEMA, compression="zstd")
        self._closing.callback(self._table.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write_rows()
                self._spans = {name: array.span() for name, array in self._arrays.items()}
        finally:
            self._closing.__exit__(kind, error, trace)

    def write(self, entries: Sequence[Entry], keys: Sequence[int]) -> None:
        """Append entries, with the hash of each, and their vectors."""
        mass, further = list[Any](), list[tuple[int, Record]]()
        for at, entry in enumerate(entries):
            place = place_of_peaks(entry.record)
            spectra = entry.record.spectra
            mass.append(None if place is None else spectra[place])
            others = [one for number, one in enumerate(spectra) if number != place]
            further += [(self._row + at, Record(entry.record.id, (one,))) for one in others]
        for name, field in ((MZ, "mz"), (INTENSITY, "intensity")):
            values = [getattr(one, field) for one in mass if one is not None]
            self._arrays[name].write(np.concatenate([np.empty(0), *values]))
        counts = [0 if one is None else len(one.mz) for one in mass]
        ends = self._peaks + np.cumsum(counts, dtype=np.int64)
        self._arrays[ENDS].write(ends)
        self._arrays[KEYS].write(np.array(keys, dtype=np.uint64))
        self._rows.append(table_of(entries))
        if sum(map(len, self._rows)) >= _ROW_GROUP:
            self._write_rows()
        self._write_further(further)
        self._write_vectors([entry.record for entry in entries])
        self._peaks = int(ends[-1]) if len(ends) else self._peaks
        self._row += len(entries)
        self.entries += len(entries)

    def _write_rows(self) -> None:
        if self._rows:
            self._table.write_table(pa.concat_tables(self._rows), row_group_size=_ROW_GROUP)
            self._rows.clear()

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
        self._files[self._name] = entry_of(self._folder / self._name)
        manifest["files"] = manifest["files"] | self._files
        manifest["arrays"] = {name: [*spans, self._spans[name]] for name, spans in manifest["arrays"].items()}
        manifest["entries"] += self.entries
        part = {"entries": self.entries, "file": self._name, "further": self._further}
        manifest["parts"] = [*manifest["parts"], part]
        return manifest
