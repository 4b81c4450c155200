"""Adducts in the spellings of files, the polarity that they give, and charges with their signs."""

from pathlib import Path

import pytest

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.adduct import parse_adduct
from mmspec_ds.readers.mgf import read_mgf
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import TandemMS

FORMS = {
    "[M+H]+": "[M+H]+ M+H M+H+ MH+ (M+H)+ {M+H}+ [M+H]1+ [M+H]+1 [M+H+] [M+H](1+) m+h M+H1 [M+1H]+",
    "[M-H]-": "[M-H]- M-H M-H- [M-H]1- [M-H]-1 M-H1 [M-H] (M-H)- [M−H]−",
    "[M+Na]+": "M+Na M+NA MNa+ [M+Na]+ M+Na+",
    "[M+NH4]+": "M+NH4 M+NH4+ MNH4+ [M+NH4]+",
    "[M+Cl]-": "M+Cl M+Cl- [M+Cl]- M+CL",
    "[M-H2O-H]-": "M-H2O-H M-H2O-H- [M-H2O-H]- [M-H2O-H]1-",
    "[M+H-H2O]+": "M+H-H2O [M+H-H2O]+ [M+H-(H2O)]+",
    "[M+FA-H]-": "M+FA-H M+FA-H- [M+FA-H]-",
    "[M+HCOO]-": "M+HCOO M+HCOO- [M+HCOO]-",
    "[M+CHO2]-": "M+CHO2 [M+CHO2]-",
    "[M+CH3COO]-": "M+CH3COO [M+CH3COO]- M+CH3COO-",
    "[M+K-2H]-": "M+K-2H [M+K-2H]-",
    "[M+2Na-H]+": "M+2Na-H [M+2Na-H]+",
    "[M+2H]2+": "M+2H M+2H++ M+2H2+ [M+2H]2+ [M+2H]++ [M+2H]+2 [M+2H](2+)",
    "[M-2H]2-": "M-2H M-2H-- [M-2H]2- [M-2H]--",
    "[2M+Na]+": "2M+Na [2M+Na]+ 2M+Na+",
    "[M]+": "[M]+ M+",
    "[M]-": "[M]- M-",
    "[M]+*": "[M]+* [M]+. M+. [M]•+",
    "[M+ACN+H]+": "M+ACN+H [M+ACN+H]+",
    "[M+H-C6H10O5]+": "[M+H-C6H10O5]+ M+H-C6H10O5",
    "[Cat]+": "[Cat]+",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_spelling_has_one_form(form: str) -> None:
    for text in FORMS[form].split():
        assert str(parse_adduct(text)) == form, text
    assert str(parse_adduct(f"{form} (in-source)")) == form
    assert str(parse_adduct("M + H")) == "[M+H]+"


@pytest.mark.parametrize(
    "text", ["", "+", "[]", "foo", "x+y", "[M", "[M+H", "unknown adduct", "(" * 500, "M+" * 500]
)
def test_other_text_is_not_an_adduct(text: str) -> None:
    assert parse_adduct(text) is None


def test_an_adduct_without_ions_has_no_charge() -> None:
    assert [str(parse_adduct(text)) for text in ("M", "[M]", "M+H2O", "M+CO")] == [
        "[M]",
        "[M]",
        "[M+H2O]",
        "[M+CO]",
    ]


@pytest.fixture
def read(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Reads one block of these lines."""

    def read_block(*lines: str) -> Part | Rejected:
        path = tmp_path / "one.mgf"
        path.write_text("\n".join(["BEGIN IONS", "PEPMASS=300.1", "CE=20", *lines, "50.5 1", "END IONS\n"]))
        (item,) = read_mgf(path)
        return item

    return read_block


def known(item: Part | Rejected) -> tuple[object, ...]:
    assert isinstance(item, Part), str(item)
    (spectrum,) = item.spectra
    assert isinstance(spectrum, TandemMS)
    assert item.metadata.get(keys.CHARGE) == spectrum.charge
    assert spectrum.adduct is None or item.metadata[keys.ADDUCT] == spectrum.adduct
    assert item.metadata[keys.PRECURSOR_MZ] == spectrum.precursor_mz == 300.1
    assert item.metadata[keys.MEASURED_EV] == spectrum.measured_energy_ev == 20.0
    return spectrum.polarity, spectrum.charge, spectrum.adduct


@pytest.mark.parametrize("form", FORMS)
def test_the_adduct_gives_the_polarity(read, form: str) -> None:  # type: ignore[no-untyped-def]
    adduct = parse_adduct(form)
    assert adduct is not None
    polarity = "positive" if adduct.charge > 0 else "negative"
    for text in FORMS[form].split():
        alone, stated = read(f"ADDUCT={text}"), read(f"ADDUCT={text}", f"IONMODE={polarity}")
        assert known(alone) == known(stated) == (polarity, adduct.charge, form)
        assert alone.remarks == stated.remarks == ()


@pytest.mark.parametrize(
    ("lines", "expected", "remark"),
    [
        (("CHARGE=-1+",), ("negative", -1, None), "the charge -1+ has two signs, taken as negative"),
        (("CHARGE=+2-",), ("negative", -2, None), "the charge +2- has two signs, taken as negative"),
        (
            ("CHARGE=-1+", "IONMODE=positive"),
            ("positive", 1, None),
            "the sign of the charge -1+ is not that of the positive ion mode",
        ),
        (
            ("CHARGE=1", "ADDUCT=[M+2H]2+"),
            ("positive", 2, "[M+2H]2+"),
            "charge 1 stated, that of the adduct [M+2H]2+ taken",
        ),
        (
            ("ADDUCT=M-H", "IONMODE=Positive"),
            ("positive", None, None),
            "the ion mode is positive, but the adduct M-H is negative: the ion mode counts, the adduct is left"
            " out",
        ),
        (
            ("ADDUCT=[M-H]+",),
            ("positive", 1, "[M-H]+"),
            "the adduct [M-H]+ is positive, but its ions are negative",
        ),
        (("NAME=Some lipid M-H",), ("negative", -1, "[M-H]-"), "the adduct [M-H]- is read from the name"),
        (
            ("NAME=Some lipid M+Na", "CHARGE=0"),
            ("positive", 1, "[M+Na]+"),
            "the adduct [M+Na]+ is read from the name",
        ),
        (("ADDUCT=what", "CHARGE=(1-)"), ("negative", -1, None), "adduct what is not understood"),
        (("CHARGE=2+,3+",), ("positive", None, None), "several charges are stated, 2+,3+: none is used"),
        (("IONMODE=negative", "ADDUCT=[M]", "CHARGE=1"), ("negative", -1, "[M]-"), ""),
        (("IONMODE=Negative ion mode",), ("negative", None, None), ""),
    ],
)
def test_what_is_assumed_or_contradicts_is_a_remark(  # type: ignore[no-untyped-def]
    read, lines: tuple[str, ...], expected: tuple[object, ...], remark: str
) -> None:
    item = read(*lines)
    assert known(item) == expected
    assert remark in item.remarks or not remark


def test_a_stated_charge_against_the_ion_mode_rejects(read) -> None:  # type: ignore[no-untyped-def]
    rejected = read("IONMODE=negative", "ADDUCT=MH+")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "the ion mode is negative, but the adduct MH+ is positive"
