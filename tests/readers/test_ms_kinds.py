"""Spectra that are not MS/MS are passed over with a line that says what they are; MS/MS spectra are read."""

from pathlib import Path

import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import ElectronIonisationMS, Modality

MS1, IN_SOURCE = "a spectrum of MS level 1", "an in-source spectrum"


def msp(*lines: str) -> str:
    return "\n".join(["Name: benzoate", *lines, "Num Peaks: 2", "77 10", "105 99", ""])


def mgf(*lines: str) -> str:
    return "\n".join(["BEGIN IONS", "PEPMASS=150.0675", *lines, "77 10", "105 99", "END IONS", ""])


def massbank(*lines: str, title: str = "benzoate; LC-ESI-QTOF; MS2") -> str:
    head = ["ACCESSION: X1", f"RECORD_TITLE: {title}", *lines]
    return "\n".join(
        [*head, "PK$NUM_PEAK: 2", "PK$PEAK: m/z int. rel.int.", "  77 10 100", "  105 99 999", "//"]
    )


def gym(instrument: str) -> str:
    return f"identifier\tmzs\tintensities\tinstrument_type\na\t77,105\t10,99\t{instrument}\n"


def mzxml(level: str, precursor: str = "") -> str:
    peaks = "QpoAAEEgAABC0gAAQsYAAA=="  # 77, 10, 105, 99
    scan = f'<scan num="1" {level} peaksCount="2">{precursor}<peaks precision="32">{peaks}</peaks></scan>'
    return f"<mzXML><msRun>{scan}</msRun></mzXML>"


AC = "AC$MASS_SPECTROMETRY: "
OTHERS = {
    "massbank.txt: MS_TYPE MS": (massbank(f"{AC}MS_TYPE MS", title="x"), MS1),
    "massbank.txt: title alone": (massbank(title="benzoate; LC-ESI-QTOF; MS"), MS1),
    "nist.msp: in-source": (msp("Spectrum_type: in-source", "Ionization: ESI"), IN_SOURCE),
    "nist.msp: Spectrum_type MS": (msp("PrecursorMZ: 200.1", "Spectrum_type: MS", "Ionization: ESI"), MS1),
    "nist.msp: Spectrum_type MS1": (msp("Spectrum_type: MS1"), MS1),
    "nist.msp: MS1 in words": (msp("Spectrum_type: MS1 (full scan)"), MS1),
    "nist.msp: level 0": (msp("MS_level: 0"), "a spectrum of MS level 0"),
    "nist.msp: GC-MS": (msp("Instrument_type: GC Orbitrap"), "a spectrum of a GC-MS without a precursor"),
    "gnps.mgf: GC-MS": (
        mgf("SOURCE_INSTRUMENT=GC-TOF").replace("PEPMASS=150.0675", "PEPMASS=0.0"),
        "a spectrum of a GC-MS without a precursor",
    ),
    "gnps.mgf: level 1": (mgf("MSLEVEL=1"), MS1),
    "matchms.mgf: ms_level": (mgf("MS_LEVEL=MS1"), MS1),
    "one.mzXML: level 1": (mzxml('msLevel="1"'), MS1),
    "one.mzXML: nothing stated": (mzxml(""), "a scan without MS level and precursor"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_spectra_are_passed_over(tmp_path: Path, name: str) -> None:
    content, words = OTHERS[name]
    path = tmp_path / name.partition(":")[0]
    path.write_text(content)
    (item,) = read_file(path)
    assert isinstance(item, Rejected)
    assert not item.fault
    assert item.reason.startswith(words)


IONISED = {
    "massbank.txt: ionization EI": massbank(f"{AC}MS_TYPE MS", f"{AC}IONIZATION EI"),
    "massbank.txt: instrument type EI-B": massbank("AC$INSTRUMENT_TYPE: EI-B", title="benzoate"),
    "massbank.txt: instrument type GC-EI-TOF": massbank(
        "AC$INSTRUMENT_TYPE: GC-EI-TOF", f"{AC}MS_TYPE MS", title="x"
    ),
    "nist.msp: ionization EI": msp("Instrument_type: GC Orbitrap", "Ionization: EI"),
    "riken.msp: title": msp("COLLISIONENERGY: 70eV").replace("benzoate", "BENZOATE; EI-B; MS"),
    "mona.msp: instrument type": msp("Instrument_type: GC-EI-QTOF", 'Comments: "a=b"'),
    "mona.msp: electron impact": msp('Comments: "ionization=Electron Impact"'),
    "gnps.mgf: ion source": mgf("ION_SOURCE=EI", "IONMODE=Positive"),
    "gnps.mgf: source instrument": mgf("SOURCE_INSTRUMENT=GC-EI-TOF"),
    "gym.tsv: instrument type": gym("EI-EBEB"),
}


@pytest.mark.parametrize("name", IONISED)
def test_ei_spectra_are_read_as_what_they_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.partition(":")[0]
    path.write_text(IONISED[name])
    (item,) = read_file(path)
    assert isinstance(item, Part)
    (spectrum,) = item.spectra
    assert isinstance(spectrum, ElectronIonisationMS)
    assert (spectrum.mz.tolist(), spectrum.intensity[-1]) == ([77.0, 105.0], 100.0)
    assert spectrum.energy_ev == (70.0 if "70eV" in IONISED[name] else None)
    assert not {"precursor_mz", "adduct", "collision_energy"} & item.metadata.keys()
    (other,) = read_file(path, Modality.MS)
    assert isinstance(other, Rejected)
    assert (other.fault, other.reason) == (False, "an EI spectrum (electron ionisation), not MS/MS")
    (same,) = read_file(path, Modality.EI)
    assert isinstance(same, Part)


TANDEM = {
    "massbank.txt: MS2": massbank(f"{AC}MS_TYPE MS2", "AC$INSTRUMENT_TYPE: LC-ESI-QTOF"),
    "massbank.txt: MS2 of an ion made by EI": massbank(f"{AC}MS_TYPE MS2", "AC$INSTRUMENT_TYPE: GC-EI-QQ"),
    "nist.msp: centroid": msp("Spectrum_type: Centroid", "Instrument_type: Q-TOF"),
    "nist.msp: ESI": msp("Spectrum_type: MS2", "Ionization: ESI", "Instrument: Leica Eiger"),
    "gnps.mgf: GC-APCI": mgf("SOURCE_INSTRUMENT=GC-APCI-QTOF"),
    "gnps.mgf: LC-ESI": mgf("MSLEVEL=2", "ION_SOURCE=LC-ESI", "NAME=Neisosine A; M+H"),
    "one.mzXML: a precursor": mzxml("", "<precursorMz>150.1</precursorMz>"),
}


@pytest.mark.parametrize("name", TANDEM)
def test_tandem_spectra_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.partition(":")[0]
    path.write_text(TANDEM[name])
    (item,) = read_file(path)
    assert isinstance(item, Part)
    assert item.spectra[0].mz.tolist() == [77.0, 105.0]  # type: ignore[union-attr]
    if path.suffix == ".msp":
        (other,) = read_file(path, Modality.EI)
        assert isinstance(other, Rejected)
        assert (other.fault, other.reason) == (False, "an MS/MS spectrum, not EI")


def test_a_spectrum_that_may_be_ei_is_read_with_a_remark(tmp_path: Path) -> None:
    path = tmp_path / "golm.msp"
    path.write_text(msp("RI: 1586.2"))
    (part,) = read_file(path)
    assert isinstance(part, Part)
    assert part.remarks[0] == "no precursor m/z, but a retention index: perhaps an EI spectrum"
    path.write_text(msp("COLLISIONENERGY: 70eV"))
    (part,) = read_file(path)
    assert isinstance(part, Part)
    assert part.remarks[0] == "no precursor m/z, and 70 eV: perhaps an EI spectrum"
