"""Entries of a library from files."""

from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library.entries import EntryReport, block_of, matches, read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.readers.part import Rejected
from mmspec_ds.spectra.records import ElectronIonisationMS, TandemMS

FILES = Path(__file__).parents[1] / "readers" / "files"
CAFFEINE, BLOCK = "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "RYYVLZVUVIJVGH"
"""The key of caffeine is RYYVLZVUVIJVGH-UHFFFAOYSA-N (PubChem)."""

MSP = """Name: caffeine
PrecursorMZ: 195.0877
Precursor_type: [M+H]+
Collision_energy: 35 eV
SMILES: Cn1c(=O)c2c(ncn2C)n(C)c1=O
Contributor: LCSB
License: CC BY
Role: library
Num Peaks: 2
138.066 100
195.0877 60

Name: caffeine
Spectrum_type: MS1
Num Peaks: 1
195.0877 60

Name: caffeine
PrecursorMZ: 195.0877
Precursor_type: [M+H]+
InChIKey: RYYVLZVUVIJVGH-UHFFFAOYSA-N
Role: query
Num Peaks: 1
138.066 100

Name: broken
Num Peaks: 3
138.066 100

Name: ethyl benzoate
Ionization: EI
SMILES: CCOC(=O)c1ccccc1
Role: library
Num Peaks: 2
77 44
105 100
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "some.msp").write_text(MSP)
    return tmp_path / "some.msp"


def test_every_record_is_an_entry_with_its_molecule(path: Path) -> None:
    report = EntryReport()
    first, survey, second, broken, ionised = read_entries([path], report=report)
    assert isinstance(first, Entry)
    assert isinstance(second, Entry)
    assert isinstance(ionised, Entry)
    assert (first.record.id, first.record.smiles, first.block) == ("some.msp:0", CAFFEINE, BLOCK)
    (spectrum,) = first.record.spectra
    assert isinstance(spectrum, TandemMS)
    assert (spectrum.collision_energy_ev, spectrum.measured_energy_ev) == (35.0, 35.0)  # not the model's 40
    names = ("name", "institute", "licence", "role")
    assert [first.metadata[name] for name in names] == ["caffeine", "LCSB", "CC BY", "library"]
    assert (second.record.smiles, second.block) == (None, BLOCK)  # by the InChIKey of the file
    (spectrum,) = second.record.spectra
    assert isinstance(spectrum, TandemMS)
    assert spectrum.collision_energy_ev is None  # nothing is assumed
    assert "assumed_ev" not in second.metadata
    assert isinstance(ionised.record.spectra[0], ElectronIonisationMS)
    assert ionised.block == "MTZQAGJQAFMTAQ"
    assert [isinstance(one, Rejected) and one.fault for one in (survey, broken)] == [False, True]
    assert (report.entries, report.unwanted) == (3, 0)
    assert report.passed_over == {"a spectrum of MS level 1; MS/MS is level 2": 1}
    assert report.rejected == {"3 peaks declared, 1 found: truncated or damaged": 1}


def test_only_what_is_asked_for(path: Path) -> None:
    report = EntryReport()
    found = [one for one in read_entries([path], {"role": "library"}, report=report) if isinstance(one, Entry)]
    assert [one.record.id for one in found] == ["some.msp:0", "some.msp:4"]
    assert (report.entries, report.unwanted) == (2, 1)
    assert not [one for one in read_entries([path], {"role": "x"}) if isinstance(one, Entry)]
    assert matches({"charge": 2}, {"charge": "2"})
    assert not matches({}, {"split": "train"})


def test_a_folder_stands_for_its_files(path: Path) -> None:
    (path.parent / "notes.docx").write_bytes(b"\x00\x01")
    (path.parent / ".hidden").write_text("x")
    report = EntryReport()
    found = list(read_entries([path.parent, path], report=report))
    assert report.entries == 6
    assert report.passed_over["of no known format"] == 1
    assert [one.path.name for one in found if isinstance(one, Rejected) and one.reason == "of no known format"]


def test_other_kinds_of_spectra() -> None:
    entry = next(one for one in read_entries([FILES / "pyarrow.parquet"]) if isinstance(one, Entry))
    assert {type(one).__name__ for one in entry.record.spectra} >= {"HydrogenNMR", "CarbonNMR", "Infrared"}
    assert len(entry.block) == 14


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.msp: there is no such file"):
        list(read_entries([tmp_path / "none.msp"]))
    (tmp_path / "odd.xyz").write_bytes(b"\x00\x01\x02")
    with pytest.raises(DataError, match=r"odd\.xyz: is of no known format"):
        list(read_entries([tmp_path / "odd.xyz"]))


def test_blocks_of_molecules() -> None:
    assert block_of(CAFFEINE) == BLOCK
    assert block_of("C[C@H](N)C(=O)O") == block_of("C[C@@H](N)C(=O)O") == "QNAYBMKLOCPYGJ"  # alanine
    assert block_of("not a molecule", "RYYVLZVUVIJVGH") == BLOCK
    assert block_of(None, "InChIKey=odd") == ""
    assert block_of(None) == ""


def test_reasons_are_counted_by_kind() -> None:
    report = EntryReport()
    for number in range(5):
        report.count(Rejected(Path("x"), number, f"m/z {number}.5 is odd"))
    for letter in range(300):
        report.count(Rejected(Path("x"), 0, f"reason {'a' * letter}", fault=False))
    assert report.rejected == {"m/z 0.5 is odd": 5}
    assert sum(report.passed_over.values()) == 300
    assert len(report.passed_over) == 100
