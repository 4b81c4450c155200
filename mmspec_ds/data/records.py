"""The records behind the samples of a dataset."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.data.formats import ReadOptions, rows_of_file
from mmspec_ds.errors import DataError
from mmspec_ds.spectra.records import Record


def records_of(dataset: SpectraDataset, paths: Sequence[Path], options: ReadOptions) -> Iterator[Record]:
    """The record of each sample, in their order, with the modalities of the dataset; read once more, a batch at
    a time.

    Args:
        dataset: as `read_dataset` gives it.
        paths, options: what it was read from, and how.

    Raises:
        DataError: a sample is not in the files any more.
    """
    wanted = iter(dataset.ids)
    name = next(wanted, None)
    for path in paths:
        for rows in rows_of_file(path, tuple(dataset.tokens), options):
            for record in rows.records():
                if name is None:
                    return
                if isinstance(record, Record) and record.id == name:
                    yield record
                    name = next(wanted, None)
    if name is not None:
        raise DataError(f"no record {name} in {', '.join(map(str, paths))}: have the files changed?")
