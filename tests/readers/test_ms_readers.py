"""Each reader of mass spectra on a file that an independent library or a hand has written, number by number."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import TandemMS


def parts_of(path: Path) -> list[Part]:
    return [item for item in read_file(path) if isinstance(item, Part)]


def rejected_of(path: Path) -> list[Rejected]:
    return [item for item in read_file(path) if isinstance(item, Rejected)]


def spectrum_of(part: Part) -> TandemMS:
    (spectrum,) = part.spectra
    assert isinstance(spectrum, TandemMS)
    return spectrum


def slot(part: Part) -> tuple[str, float | None]:
    spectrum = spectrum_of(part)
    return spectrum.polarity, spectrum.collision_energy_ev


def assert_peaks(part: Part, mz: list[float], intensity: list[float]) -> None:
    """Equal m/z, and intensities in per cent of the strongest."""
    spectrum = spectrum_of(part)
    assert spectrum.mz.tolist() == mz
    np.testing.assert_allclose(spectrum.intensity, np.array(intensity) / max(intensity) * 100, rtol=1e-12)


def test_mgf(sound_files: Path) -> None:
    caffeine, benzoate, peptide = parts_of(sound_files / "gnps.mgf")
    assert_peaks(
        caffeine, [42.0338, 69.0447, 83.0604, 110.0713, 138.0662, 195.0877], [1.5, 4.2, 3.1, 21, 100, 64]
    )
    assert caffeine.id == "gnps.mgf:0"
    assert (caffeine.smiles, caffeine.formula) == ("CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "C8H10N4O2")
    assert dict(caffeine.metadata) == {
        keys.NAME: "caffeine 20 eV",
        keys.PRECURSOR_MZ: 195.0877,
        keys.CHARGE: 1,
        keys.ADDUCT: "[M+H]+",
        keys.COLLISION_ENERGY: "20",
        keys.MEASURED_EV: 20.0,
        keys.INCHIKEY: "RYYVLZVUVIJVGH-UHFFFAOYSA-N",
        "accession": "HAND0001",
    }
    assert slot(caffeine) == ("positive", 20.0)
    assert slot(benzoate) == ("negative", 10.0)
    assert benzoate.metadata[keys.CHARGE] == -1  # the third word of PEPMASS, not the 1+ of the file's head
    assert_peaks(benzoate, [77.0397, 121.0295], [812, 400])
    assert peptide.metadata[keys.CHARGE] == 2
    assert peptide.metadata[keys.PRECURSOR_MZ] == 523.285
    assert slot(peptide) == ("positive", 20.0)
    assert "no collision energy, taken as 20 eV" in peptide.remarks


def test_mgf_against_pyteomics(sound_files: Path) -> None:
    mgf = pytest.importorskip("pyteomics.mgf")
    theirs = list(mgf.read(str(sound_files / "gnps.mgf"), use_index=False))
    ours = parts_of(sound_files / "gnps.mgf")
    assert len(theirs) == len(ours) == 3
    for mine, other in zip(ours, theirs):
        assert mine.metadata[keys.PRECURSOR_MZ] == other["params"]["pepmass"][0]
        assert_peaks(mine, other["m/z array"].tolist(), other["intensity array"].tolist())


def test_mgf_that_pyteomics_wrote(tmp_path: Path) -> None:
    mgf = pytest.importorskip("pyteomics.mgf")
    spectrum: dict[str, Any] = {
        "m/z array": np.array([50.25, 75.5, 120.125]),
        "intensity array": np.array([3.0, 12.0, 6.0]),
        "params": {"title": "one", "pepmass": (150.5, 99.0), "charge": "2-"},
    }
    path = tmp_path / "theirs.mgf"
    mgf.write([spectrum], output=str(path))
    (part,) = parts_of(path)
    assert_peaks(part, [50.25, 75.5, 120.125], [3, 12, 6])
    assert (part.metadata[keys.PRECURSOR_MZ], part.metadata[keys.CHARGE]) == (150.5, -2)
    assert slot(part)[0] == "negative"


def test_msp_of_nist(sound_files: Path) -> None:
    caffeine, benzoate, glycine = parts_of(sound_files / "nist.msp")
    assert_peaks(caffeine, [69.0447, 83.0604, 110.0713, 138.0662, 195.0877], [42, 31, 210, 999, 640])
    assert caffeine.metadata[keys.MEASURED_EV] == 14.0  # of "NCE=35% 14eV"
    assert (caffeine.metadata["origin"], caffeine.metadata["purity"]) == ("hand-written", "99 %")
    assert slot(caffeine) == ("positive", 10.0)
    assert_peaks(benzoate, [77.0397, 121.0295], [999, 480])
    assert slot(benzoate) == ("negative", 10.0)
    assert_peaks(glycine, [30.0, 48.0, 76.0], [999, 12, 350])
    assert glycine.remarks[0] == "no precursor m/z"


def test_msp_of_mona(sound_files: Path) -> None:
    (part,) = parts_of(sound_files / "mona.msp")
    assert_peaks(part, [42.0338, 67.0291, 110.0713, 138.0662], [33.10, 54.75, 45.01, 100])
    assert part.smiles == "CN1C=NC2=C1C(=O)NC(=O)N2C"  # inside the comments
    assert part.metadata["accession"] == "HAND0002"
    assert slot(part) == ("positive", 40.0)
    assert part.remarks == ()


def test_massbank_record(sound_files: Path) -> None:
    (part,) = parts_of(sound_files / "massbank.txt")
    assert_peaks(part, [65.0385, 93.0335, 110.06, 152.0706], [120340.5, 80120, 2654321, 1300000])
    assert part.metadata["accession"] == "MSBNK-Hand-XX000001"
    assert part.metadata[keys.INCHIKEY] == "RZVAJINKPMORJF-UHFFFAOYSA-N"
    assert part.metadata[keys.PRECURSOR_MZ] == 152.0706
    assert part.metadata[keys.MEASURED_EV] == pytest.approx(45 * 152.0706 / 500)
    assert slot(part) == ("positive", 10.0)
    assert (part.smiles, part.formula) == ("CC(=O)Nc1ccc(O)cc1", "C8H9NO2")


def test_massspecgym(sound_files: Path) -> None:
    paracetamol, theobromine = parts_of(sound_files / "massspecgym.tsv")
    assert_peaks(paracetamol, [65.0385, 93.0335, 110.06, 152.0706], [0.045, 0.03, 1, 0.489])
    assert paracetamol.metadata["accession"] == "MassSpecGymID9000001"
    assert paracetamol.metadata["split"] == "train"
    assert slot(paracetamol) == ("positive", 40.0)  # 30 eV is nearer to 40 than to 20 as a ratio
    assert paracetamol.metadata[keys.MEASURED_EV] == 30.0
    assert slot(theobromine) == ("positive", 20.0)
    assert theobromine.metadata[keys.ADDUCT] == "[M+Na]+"


def test_mzml_that_psims_wrote(sound_files: Path) -> None:
    path = sound_files / "psims.mzML"
    parts = parts_of(path)
    assert [part.id for part in parts] == [f"psims.mzML:{number}" for number in (1, 2, 3, 4)]
    assert [slot(part) for part in parts] == [
        ("positive", 20.0),
        ("positive", 10.0),
        ("positive", 40.0),
        ("negative", 20.0),  # 60 NCE at m/z 121: 14.5 eV
    ]
    for part in parts[:3]:
        assert part.metadata[keys.PRECURSOR_MZ] == 195.0877
        spectrum = spectrum_of(part)
        assert spectrum.mz.tolist() == [69.0447, 83.0604, 110.0713, 138.0662, 195.0877]
        np.testing.assert_allclose(spectrum.intensity, np.array([42, 31, 210, 999, 640]) / 9.99, rtol=1e-6)
    levels = [(one.number, one.fault) for one in rejected_of(path)]
    assert levels == [(0, False), (5, False)]  # the survey scan and the MS3 spectrum are no faults


def test_mzml_against_pyteomics(sound_files: Path) -> None:
    mzml = pytest.importorskip("pyteomics.mzml")
    pytest.importorskip("lxml")
    with mzml.MzML(str(sound_files / "psims.mzML")) as reader:
        theirs = [one for one in reader if one["ms level"] == 2]
    ours = parts_of(sound_files / "psims.mzML")
    assert len(theirs) == len(ours) == 4
    for mine, other in zip(ours, theirs):
        ion = other["precursorList"]["precursor"][0]["selectedIonList"]["selectedIon"][0]
        assert mine.metadata[keys.PRECURSOR_MZ] == ion["selected ion m/z"]
        assert mine.metadata[keys.NAME] == other["id"]
        assert_peaks(mine, other["m/z array"].tolist(), other["intensity array"].astype(float).tolist())


def test_mzxml(sound_files: Path) -> None:
    path = sound_files / "nested.mzXML"
    first, second = parts_of(path)
    assert_peaks(first, [69.0447, 110.0713, 138.0662, 195.0877], [42, 210, 999, 640])
    assert first.metadata[keys.PRECURSOR_MZ] == 195.0877
    assert (slot(first), slot(second)) == (("positive", 20.0), ("negative", 10.0))
    np.testing.assert_allclose(spectrum_of(second).mz, [77.0397, 121.0295], rtol=1e-7)  # 32 bits
    survey, empty = rejected_of(path)
    assert (survey.fault, empty.fault, empty.reason) == (False, True, "no peaks")


def test_mzxml_against_pyteomics(sound_files: Path) -> None:
    mzxml = pytest.importorskip("pyteomics.mzxml")
    pytest.importorskip("lxml")
    with mzxml.MzXML(str(sound_files / "nested.mzXML")) as reader:
        theirs = {one["num"]: one for one in reader}
    for mine in parts_of(sound_files / "nested.mzXML"):
        other = theirs[str(mine.metadata[keys.NAME]).removeprefix("scan ")]
        assert mine.metadata[keys.PRECURSOR_MZ] == other["precursorMz"][0]["precursorMz"]
        assert_peaks(
            mine, other["m/z array"].astype(float).tolist(), other["intensity array"].astype(float).tolist()
        )


NAMES = {
    "gnps.mgf": "mgf",
    "massbank.txt": "massbank",
    "massspecgym.tsv": "massspecgym",
    "mona.msp": "msp",
    "nested.mzXML": "mzxml",
    "nist.msp": "msp",
    "psims.mzML": "mzml",
    "pyarrow.parquet": "parquet",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_without_its_suffix_is_known_by_its_content(
    sound_files: Path, tmp_path: Path, name: str
) -> None:
    bare = tmp_path / "spectra"
    bare.write_bytes((sound_files / name).read_bytes())
    assert find_format(bare).name == find_format(sound_files / name).name == NAMES[name]


TEXTS = ("gnps.mgf", "nist.msp", "mona.msp", "massbank.txt", "massspecgym.tsv")
DRESSES = {
    "crlf": lambda content: content.replace(b"\n", b"\r\n"),
    "cr": lambda content: content.replace(b"\n", b"\r"),
    "byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "utf-16": lambda content: content.decode().encode("utf-16"),
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "no line end": lambda content: content.rstrip(b"\n"),
    "blank lines": lambda content: b"\n\n" + content + b"\n\n\n",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("dress", DRESSES)
def test_the_dress_of_a_text_file_does_not_matter(
    sound_files: Path, tmp_path: Path, name: str, dress: str
) -> None:
    if name == "massspecgym.tsv" and dress == "blank lines":
        pytest.skip("a table begins with its columns")
    dressed = tmp_path / (f"{name}.gz" if dress == "gzip" else name)
    dressed.write_bytes(DRESSES[dress]((sound_files / name).read_bytes()))
    plain, found = parts_of(sound_files / name), parts_of(dressed)
    assert len(plain) == len(found) > 0
    for one, other in zip(plain, found):
        assert (one.smiles, one.formula, one.metadata) == (other.smiles, other.formula, other.metadata)
        assert spectrum_of(one).mz.tolist() == spectrum_of(other).mz.tolist()
        assert spectrum_of(one).intensity.tolist() == spectrum_of(other).intensity.tolist()


@pytest.mark.parametrize("name", ["psims.mzML", "nested.mzXML"])
def test_xml_may_be_packed(sound_files: Path, tmp_path: Path, name: str) -> None:
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((sound_files / name).read_bytes()))
    assert [part.metadata for part in parts_of(packed)] == [
        part.metadata for part in parts_of(sound_files / name)
    ]


def test_latin_1_names_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "latin.mgf"
    path.write_bytes(
        "BEGIN IONS\nTITLE=β-Säure é\nPEPMASS=100\n50 1\nEND IONS\n".replace("β", "b").encode("latin-1")
    )
    (part,) = parts_of(path)
    assert part.metadata[keys.NAME] == "b-Säure é"


def test_a_symlink_is_followed(sound_files: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.mgf"
    link.symlink_to(sound_files / "gnps.mgf")
    assert [part.id for part in parts_of(link)] == ["link.mgf:0", "link.mgf:1", "link.mgf:2"]
