"""Entries of a library from files."""

from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.library.entries import EntryReport, block_of, matches, read_entries
from mmspec_ds.library.entry import Entry
from mmspec_ds.readers.part import Rejected
from mmspec_ds.spectra.records import CarbonNMR, ElectronIonisationMS, TandemMS

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


SPECTRUM = "BEGIN IONS\nPEPMASS=195.0877\nCHARGE=1+\n{energy}{peak} 100\nEND IONS\n"
CARBON = "ppm\n27.9\n155.4\n"


def tandem(energy: float | None, peak: float) -> str:
    return SPECTRUM.format(energy="" if energy is None else f"COLLISION_ENERGY={energy:g}\n", peak=peak)


def entries_of(path: Path) -> tuple[list[Entry], list[Rejected]]:
    found = list(read_entries([path]))
    return [one for one in found if isinstance(one, Entry)], [one for one in found if isinstance(one, Rejected)]


def test_a_folder_in_a_folder_is_one_entry_of_all_its_files(tmp_path: Path) -> None:
    """Every mass spectrum stays as it was measured; a model of three energies would have two of them merged."""
    inside = tmp_path / "plate" / "caffeine"
    inside.mkdir(parents=True)
    (inside / "low.mgf").write_text(tandem(9.0, 138.066))
    (inside / "more.mgf").write_text(tandem(11.0, 110.071) + tandem(None, 69.045))
    (inside / "c_nmr.csv").write_text(CARBON)
    (inside / "notes.docx").write_bytes(b"\x00\x01")
    (tmp_path / "plate" / "some.msp").write_text(MSP)
    (whole, *others), rejected = entries_of(tmp_path / "plate")
    assert whole.record.id == "caffeine"
    carbon, *mass = whole.record.spectra
    assert isinstance(carbon, CarbonNMR)
    assert [(one.mz[0], one.collision_energy_ev) for one in mass if isinstance(one, TandemMS)] == [
        (138.066, 9.0),
        (110.071, 11.0),
        (69.045, None),
    ]
    assert "collision_energy" not in whole.metadata  # on which the files do not agree
    assert whole.metadata["precursor_mz"] == 195.0877
    assert [one.record.id for one in others] == ["some.msp:0", "some.msp:2", "some.msp:4"]
    assert len(rejected) == 2


def test_a_manifest_says_which_files_are_one_entry(tmp_path: Path) -> None:
    (tmp_path / "low.mgf").write_text(tandem(10.0, 138.066))
    (tmp_path / "high.mgf").write_text(tandem(40.0, 110.071))
    (tmp_path / "carbon.csv").write_text(CARBON)
    rows = ["id,c_nmr,msms,smiles", f"A1,carbon.csv,low.mgf;high.mgf,{CAFFEINE}", "A2,missing.csv,,", "A3,,,"]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(rows))
    for path in (manifest, tmp_path):
        (entry,), rejected = entries_of(path)
        assert (entry.record.id, entry.record.smiles, entry.block) == ("A1", CAFFEINE, BLOCK)
        assert [type(one).__name__ for one in entry.record.spectra] == ["CarbonNMR", "TandemMS", "TandemMS"]
        assert [str(one) for one in rejected] == [
            f"{manifest}, record 1: {tmp_path}/missing.csv: there is no such file",
            f"{manifest}, record 2: names no file",
        ]


def test_what_of_a_folder_gives_no_entry_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder is empty"):
        list(read_entries([tmp_path]))
    for name in ("empty", "two carbons", "library"):
        (tmp_path / name).mkdir()
    (tmp_path / "library" / "manifest.json").write_text("{}")
    for name in ("a.csv", "b.csv"):
        (tmp_path / "two carbons" / name).write_text(CARBON)
    entries, rejected = entries_of(tmp_path)
    assert entries == []
    assert [(one.path.name, one.reason, one.fault) for one in rejected] == [
        ("empty", "no file with spectra", True),
        ("library", "a library in a folder, expected to be named itself", False),
        ("two carbons", "b.csv:0 and a.csv:0 both give a 13C NMR spectrum, a record has one", True),
    ]


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
