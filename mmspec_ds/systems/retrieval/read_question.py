"""The entries of an evaluation of retrieval, from files: queries, library, and what was trained on."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.library.entries import matches, read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.readers.part import Rejected, counted
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.retrieval.run_settings import RetrievalData
from mmspec_ds.systems.retrieval.search_question import SearchQuestion

Where = Mapping[str, str]

QUERIES: Where = {"split": "val", "role": "query"}
LIBRARY: Where = {"role": "library"}
TRAINING: Where = {"split": "train"}
"""What is asked for where nothing else is said, and where the files tell `split` and `role` at all."""

MOST_LEARNED = 2000
"""Entries beside the queries of which a fusion learns, drawn from all that it may: few weights need no more."""

MASS_SPECTRA = (Modality.MS, Modality.EI)

_REPORT_EVERY = 1000


@dataclass(frozen=True)
class Selection:
    """Which entries are queries, which the library, and which were there to learn from: values of their
    metadata. None stands for the values above, as far as the files tell them. `learned` are those from which a
    fusion learns beside the queries; None for all."""

    queries: Where | None = None
    library: Where | None = None
    training: Where | None = None
    limit: int | None = None
    precursor_ppm: float = 10.0
    learned: Where | None = None


@dataclass(frozen=True)
class ReadQuestion:
    """A question with what belongs to it.

    Attributes:
        question: queries and library; no query has a molecule of the training.
        training: entries to learn from.
        kind: of the mass spectra of the queries; None where they have none.
        remarks: what was chosen and left out, a sentence each.
    """

    question: SearchQuestion
    training: tuple[Entry, ...]
    kind: Modality | None
    remarks: tuple[str, ...]


def read_question(
    entries: Sequence[Entry],
    selection: Selection,
    trained: Mapping[str, frozenset[str]],
    remarks: Sequence[str],
) -> ReadQuestion:
    """The queries and the library of a selection of entries.

    Args:
        entries: of all files; those without a structure are left out.
        selection: which of them are what.
        trained: by model the molecules that it was trained on; none of them is a query.
        remarks: what was told of the files.

    Raises:
        DataError: no query or no row is left, or the queries have two kinds of mass spectra.
    """
    known = [one for one in entries if one.block and one.record.smiles]
    keys = {key for one in known for key in one.metadata}
    chosen = {
        name: _where(asked, usual, keys)
        for name, asked, usual in (
            ("queries", selection.queries, QUERIES),
            ("library", selection.library, LIBRARY),
            ("training", selection.training, TRAINING),
        )
    }
    told = [*remarks]
    if len(entries) > len(known):
        told.append(f"{counted(len(entries) - len(known), 'record')} without a structure left out")
    queries = [one for one in known if matches(one.metadata, chosen["queries"])]
    library = tuple(one for one in known if matches(one.metadata, chosen["library"]))
    training = tuple(one for one in known if chosen["training"] and matches(one.metadata, chosen["training"]))
    for model, blocks in {"the training spectra": blocks_of(training), **trained}.items():
        unseen = [one for one in queries if one.block not in blocks]
        if len(unseen) < len(queries):
            told.append(
                f"queries left out whose molecules are among those of {model}: {len(queries) - len(unseen)}"
            )
        queries = unseen
    queries = queries[: selection.limit]
    told.insert(
        0,
        f"queries: {_written(chosen['queries'])}; library: {_written(chosen['library'])}; training:"
        f" {_written(chosen['training'], 'none')}",
    )
    kind = _kind_of(queries)
    comparable = _comparable(library, kind)
    if len(comparable) < len(library):
        what = counted(len(library) - len(comparable), "row")
        told.append(f"{what} of the library left out, with mass spectra of another kind than the queries have")
    learned = _learned(_comparable(tuple(known), kind), selection.learned, (queries, comparable), trained)
    if learned:
        told.append(f"entries from which the fusion learns beside the queries: {len(learned):,}")
    question = SearchQuestion((*queries, *learned), comparable, selection.precursor_ppm, len(learned))
    return ReadQuestion(question, training, kind, tuple(told))


def _learned(
    entries: Sequence[Entry],
    where: Where | None,
    question: tuple[Sequence[Entry], Sequence[Entry]],
    trained: Mapping[str, frozenset[str]],
) -> list[Entry]:
    """The entries from which a fusion learns beside the queries: of molecules that no model was trained on, and
    that have another row in the library; MOST_LEARNED at most.

    `question` has the queries and the library. A `where` that asks for nothing stands for no entry.
    """
    if where is not None and not where:
        return []
    queries, library = question
    seen = frozenset[str]().union(*trained.values())
    sought, inside = {id(one) for one in queries}, {id(one) for one in library}
    rows = Counter(one.block for one in library)
    found = [
        one
        for one in entries
        if id(one) not in sought
        and one.block not in seen
        and rows[one.block] > (id(one) in inside)
        and matches(one.metadata, where or {})
    ]
    drawn = np.random.default_rng(0).permutation(len(found))[:MOST_LEARNED]
    return [found[at] for at in np.sort(drawn)]


def read_files(
    paths: Sequence[Path], progress: Callable[[int], None] | None = None
) -> tuple[list[Entry], list[str]]:
    """All entries of some files, and what was left out, a sentence each.

    Raises:
        DataError: a file cannot be read.
    """
    entries: list[Entry] = []
    left_out: Counter[str] = Counter()
    for item in read_entries(paths):
        if isinstance(item, Rejected):
            left_out[item.reason] += 1
            continue
        entries.append(item)
        if progress is not None and len(entries) % _REPORT_EVERY == 0:
            progress(len(entries))
    return entries, [f"{counted(count, 'record')} left out: {reason}" for reason, count in left_out.items()]


def trained_blocks(data: RetrievalData, entries: Iterable[Entry]) -> frozenset[str]:
    """The molecules that a run learned from, among the entries of its training files."""
    return frozenset(one.block for one in entries if one.block and data.is_held_back(one) is False)


def blocks_of(entries: Iterable[Entry]) -> frozenset[str]:
    """The molecules of some entries."""
    return frozenset(one.block for one in entries)


def parse_where(text: str) -> dict[str, str]:
    """Values of metadata from a text such as "split=val,role=query"; "" asks for nothing.

    Raises:
        DataError: a part that is not NAME=VALUE.
    """
    found = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, value = (one.strip() for one in part.partition("="))
        if not equals or not name:
            raise DataError(f"{part!r}: expected NAME=VALUE, such as split=val,role=query")
        found[name] = value
    return found


def _where(asked: Where | None, usual: Where, keys: set[str]) -> Where:
    return {name: value for name, value in usual.items() if name in keys} if asked is None else asked


def _written(where: Where, nothing: str = "all") -> str:
    return " and ".join(f"{name}={value}" for name, value in where.items()) or nothing


def _comparable(library: tuple[Entry, ...], kind: Modality | None) -> tuple[Entry, ...]:
    """The rows without mass spectra of another kind, whose peaks would be compared with those of the
    queries."""
    other = {one for one in MASS_SPECTRA if kind is not None and one is not kind}
    return tuple(one for one in library if other.isdisjoint(found.modality for found in one.record.spectra))


def _kind_of(queries: Sequence[Entry]) -> Modality | None:
    kinds = {one.modality for entry in queries for one in entry.record.spectra} & set(MASS_SPECTRA)
    if len(kinds) > 1:
        raise DataError("the queries have both MS/MS and EI spectra: expected one kind, by --queries")
    return next(iter(kinds), None)
