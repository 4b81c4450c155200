"""Which entries of files are queries, library and training."""

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library.entry import Entry
from mmspec_ds.spectra.records import ElectronIonisationMS, Modality, Record
from mmspec_ds.systems.retrieval import read_question as read_question_module
from mmspec_ds.systems.retrieval.read_question import (
    ReadQuestion,
    Selection,
    blocks_of,
    parse_where,
    read_question,
    trained_blocks,
)
from mmspec_ds.systems.retrieval.run_settings import RetrievalData
from tests.systems.retrieval.spectra_of_molecules import make_entries


def test_where_is_read_from_a_text() -> None:
    assert parse_where("split=val, role = query") == {"split": "val", "role": "query"}
    assert parse_where("") == {}
    with pytest.raises(DataError, match="'=b': expected NAME=VALUE"):
        parse_where("a=1,=b")


def test_what_the_files_do_not_tell_is_not_asked_for() -> None:
    """All are queries, so that none is left to learn from beside them."""
    entries = [Entry(one.record, one.block) for one in make_entries(4)]
    read = read_question(entries, Selection(), {}, [])
    assert (len(read.question.queries), len(read.question.library), read.training) == (12, 12, ())
    assert read.remarks == ("queries: all; library: all; training: none",)
    assert read.kind is Modality.MS


def judged(read: ReadQuestion) -> tuple[Entry, ...]:
    return read.question.queries[: read.question.judged]


def test_a_fusion_learns_from_other_entries_of_molecules_that_no_model_has_seen() -> None:
    """Of eight molecules with three spectra each the last of both fours is sought; one molecule has one row."""
    entries = make_entries(8)
    entries = [*entries[:12], *entries[14:]]  # one spectrum of the fifth molecule is left
    queries = {"split": "val"}
    read = read_question(entries, Selection(queries), {"m": blocks_of(entries[:3])}, [])
    learned = read.question.queries[read.question.judged :]
    assert [one.record.id for one in learned] == [
        f"{number}:{turn}" for number in (1, 2, 5, 6) for turn in range(3)
    ]
    assert "entries from which the fusion learns beside the queries: 12" in read.remarks
    none = read_question(entries, Selection(queries, learned={}), {}, [])
    assert none.question.learned == 0
    some = read_question(entries, Selection(queries, learned={"split": "nobody"}), {}, [])
    assert some.question.learned == 0
    assert judged(none) == judged(some) == judged(read)


def test_few_of_many_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_question_module, "MOST_LEARNED", 5)
    found = [read_question(make_entries(8), Selection({"split": "val"}), {}, []).question for _ in range(2)]
    ids = [[one.record.id for one in question.queries[question.judged :]] for question in found]
    assert len(ids[0]) == 5
    assert ids[0] == ids[1]
    assert ids[0] == sorted(ids[0])


def test_molecules_of_the_training_are_not_sought() -> None:
    entries = make_entries(8)  # every fourth molecule is held back
    read = read_question(entries, Selection(queries={}), {}, ["told before"])
    assert {one.metadata["split"] for one in judged(read)} == {"val"}
    assert "queries left out whose molecules are among those of the training spectra: 18" in read.remarks
    assert "told before" in read.remarks
    again = read_question(
        entries, Selection(queries={"split": "val"}), {"m": frozenset({entries[9].block})}, []
    )
    assert len(judged(again)) == 3
    assert "queries left out whose molecules are among those of m: 3" in again.remarks


def test_molecules_that_a_run_held_back_are_not_its_own() -> None:
    entries = make_entries(8)
    data = RetrievalData(train_where={"split": "train"}, validation_where={"split": "val"})
    expected = {one.block for one in entries if one.metadata["split"] == "train"}
    assert trained_blocks(data, entries) == expected


def test_records_without_a_structure_are_left_out() -> None:
    entries = make_entries(4)
    read = read_question([*entries, Entry(Record("nameless"))], Selection(queries={}, training={}), {}, [])
    assert "1 record without a structure left out" in read.remarks
    assert len(read.question.library) == 12


def test_two_kinds_of_spectra_are_one_line() -> None:
    entries = make_entries(4)
    spectrum = ElectronIonisationMS(entries[0].record.spectra[0].mz, entries[0].record.spectra[0].intensity)
    mixed = [*entries, Entry(Record("ei", (spectrum,), "CCO"), entries[0].block, {"role": "library"})]
    with pytest.raises(DataError, match="both MS/MS and EI"):
        read_question(mixed, Selection(queries={}, training={}), {}, [])
    read = read_question(mixed, Selection(queries={"split": "val"}, training={}), {}, [])
    assert all(one.record.id != "ei" for one in read.question.library)
    assert any(one.startswith("1 row of the library left out") for one in read.remarks)
