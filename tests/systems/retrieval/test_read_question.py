"""Which entries of files are queries, library and training."""

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library.entry import Entry
from mmspec_ds.spectra.records import ElectronIonisationMS, Modality, Record
from mmspec_ds.systems.retrieval.read_question import Selection, parse_where, read_question, trained_blocks
from mmspec_ds.systems.retrieval.run_settings import RetrievalData
from tests.systems.retrieval.spectra_of_molecules import make_entries


def test_where_is_read_from_a_text() -> None:
    assert parse_where("split=val, role = query") == {"split": "val", "role": "query"}
    assert parse_where("") == {}
    with pytest.raises(DataError, match="'=b': expected NAME=VALUE"):
        parse_where("a=1,=b")


def test_what_the_files_do_not_tell_is_not_asked_for() -> None:
    entries = [Entry(one.record, one.block) for one in make_entries(4)]
    read = read_question(entries, Selection(), {}, [])
    assert (len(read.question.queries), len(read.question.library), read.training) == (12, 12, ())
    assert read.remarks == ("queries: all; library: all; training: none",)
    assert read.kind is Modality.MS


def test_molecules_of_the_training_are_not_sought() -> None:
    entries = make_entries(8)  # every fourth molecule is held back
    read = read_question(entries, Selection(queries={}), {}, ["told before"])
    assert {one.metadata["split"] for one in read.question.queries} == {"val"}
    assert "queries left out whose molecules are among those of the training spectra: 18" in read.remarks
    assert "told before" in read.remarks
    again = read_question(
        entries, Selection(queries={"split": "val"}), {"m": frozenset({entries[9].block})}, []
    )
    assert len(again.question.queries) == 3
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
