"""The mass spectra of ../shared/cases: files in shapes that people really have, each read as a person would."""

from pathlib import Path

import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import ElectronIonisationMS, TandemMS

PEAKS = {69.0447: 12.5, 110.0713: 45.25, 138.0662: 100.0, 195.0877: 60.75}


def spectrum_of(item: Part | Rejected) -> TandemMS:
    assert isinstance(item, Part), str(item)
    (spectrum,) = item.spectra
    assert isinstance(spectrum, TandemMS)
    return spectrum


CASES = {
    "01-decimal-comma/b_tab.msp": [(195.0, "[M+H]+", "positive", 20.0)],
    "01-decimal-comma/a_pepmass.mgf": [(195.0877, None, "positive", None), (180.0655, None, "positive", None)],
    "01-decimal-comma/c_precursor.msp": [(195.0877, "[M+H]+", "positive", 20.0)],
    "01-decimal-comma/d_noprecursor.msp": [(None, "[M+H]+", "positive", 20.0)],
    "03-stepped-nce/mona_step.msp": [(146.1176, "[M]+", "positive", 30 * 146.1176 / 500)],
    "04-negative-charge/openms_gnpsexport.mgf": [(179.0561, None, "negative", None)],
    "05-adduct-forms/gnps_neg_M-H_positive_default.mgf": [(311.2, "[M-H]-", "negative", None)],
    "06-mzml-precursor/selected_outside_window.mzML": [
        (345.043945, None, "negative", 20.0),
        (98.0599, None, "positive", 45.0),
    ],
    "06-mzml-precursor/selected_zero.mzML": [(345.043945, None, "negative", 20.0)],
    "06-mzml-precursor/no_selected.mzML": [
        (345.043945, None, "negative", 20.0),
        (None, None, "negative", None),
    ],
    "09-msp-layouts/golm_amdis.msp": [(290.1, None, "positive", None), (None, None, "positive", None)],
    "09-msp-layouts/matchms_old_export.msp": [
        (201.1234, "[M+H]+", "positive", 20.0),
        (180.0655, None, "positive", 40.0),
    ],
    "09-msp-layouts/matchms_rt_ccs.msp": [(224.0, "[M+H]+", "positive", None)],
    "09-msp-layouts/nist_semicolons.msp": [
        (150.5, None, "positive", 20.0),
        (150.5, None, "negative", 10.0),
        (150.5, None, "positive", 40.0),
    ],
    "28-more/plus_minus.mgf": [(179.0561, None, "negative", None)],
}


@pytest.mark.parametrize("name", CASES)
def test_files_that_people_have(shared_cases: Path, name: str) -> None:
    spectra = [spectrum_of(item) for item in read_file(shared_cases / name)]
    found = [(one.precursor_mz, one.adduct, one.polarity, one.measured_energy_ev) for one in spectra]
    assert found == [(*known, pytest.approx(energy)) for *known, energy in CASES[name]]
    if name.startswith("01") and name.endswith(".msp"):  # three of them lack 110.0713
        peaks = dict(zip(spectra[0].mz.tolist(), spectra[0].intensity.round(9).tolist()))
        assert peaks.items() <= PEAKS.items()
        assert len(peaks) == (4 if "b_tab" in name else 3)
    counts = {"golm_amdis.msp": [8, 5], "matchms_old_export.msp": [3, 2], "nist_semicolons.msp": [5, 6, 4]}
    short = name.partition("/")[2]
    assert [len(one.mz) for one in spectra] == counts.get(short, [len(one.mz) for one in spectra])


def test_adducts_that_people_write(shared_cases: Path) -> None:
    for item in read_file(shared_cases / "05-adduct-forms/forms.mgf"):
        assert isinstance(item, Part)
        written, _, expected = str(item.metadata["name"]).partition(" expect ")
        assert spectrum_of(item).polarity == expected, written
        assert item.remarks == ()


IONISED = {
    "02-ei-ms1/massbank_ei.txt": [({51: 15.0, 105: 100.0}, 5, 70.0)],
    "02-ei-ms1/nist_ei.msp": [({51.0229: 15.0, 105.0335: 100.0}, 5, None)],
    "02-ei-ms1/riken_ei.msp": [({51: 15.0, 105: 100.0}, 4, 70.0)],
    "28-more/spectype_ms.msp": [({77: 10.1, 105: 100.0}, 2, None)],
    "28-more/gnps_ei.mgf": [({77: 10.1, 105: 100.0}, 2, None)] * 2,
}


@pytest.mark.parametrize("name", IONISED)
def test_ei_spectra_that_people_have(shared_cases: Path, name: str) -> None:
    found = []
    for item in read_file(shared_cases / name):
        assert isinstance(item, Part)
        (spectrum,) = item.spectra
        assert isinstance(spectrum, ElectronIonisationMS)
        peaks = dict(zip(spectrum.mz.tolist(), spectrum.intensity.round(1).tolist()))
        found.append((peaks, len(spectrum.mz), spectrum.energy_ev))
    for (peaks, count, energy), (some, *rest) in zip(found, IONISED[name], strict=True):
        assert [count, energy] == rest
        assert some.items() <= peaks.items()


def test_a_carboxylate_of_potassium(shared_cases: Path) -> None:
    items = list(read_file(shared_cases / "16-smiles/kcarboxylate.parquet"))
    assert all(isinstance(item, Part) for item in items)
    assert items[0].smiles == "O=C([O-][K+])c1ccccc1"  # type: ignore[union-attr]
    assert len(items) == 200
