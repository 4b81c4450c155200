"""HSQC peak lists: tables, JCAMP-DX, TopSpin's XML, NMReDATA."""

import shutil
from pathlib import Path

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HSQCPeak, HydrogenNMR, Modality

ESTER = [(62.1, 4.26), (20.9, 2.31), (13.8, 1.35)]
UNNAMED = "taken for an HSQC: the file does not name the experiment"


def read(path: Path, modality: Modality | None = None) -> tuple[HSQC, Part]:
    (item,) = read_file(path, modality)
    assert isinstance(item, Part), str(item)
    spectrum = item.spectra[-1]
    assert isinstance(spectrum, HSQC)
    return spectrum, item


def refused(path: Path, modality: Modality | None = None) -> Rejected:
    (item,) = read_file(path, modality)
    assert isinstance(item, Rejected), item
    assert len(str(item).splitlines()) == 1
    return item


def shifts(spectrum: HSQC) -> list[tuple[float, float]]:
    return [(peak.carbon_ppm, peak.hydrogen_ppm) for peak in spectrum.peaks]


TABLES = {
    "named": "13C,1H\n62.1,4.26\n20.9,2.31\n13.8,1.35\n",
    "hydrogen first": "1H (ppm),13C (ppm)\n4.26,62.1\n2.31,20.9\n1.35,13.8\n",
    "words": "carbon_ppm;hydrogen_ppm\n62,1;4,26\n20,9;2,31\n13,8;1,35\n",
    "deltas": "δC\tδH\n62.1\t4.26\n20.9\t2.31\n13.8\t1.35\n",
    "Mnova": "f2 (ppm),f1 (ppm)\n4.26,62.1\n2.31,20.9\n1.35,13.8\n",
    "TopSpin": "Peak\tν(F2) [ppm]\tν(F1) [ppm]\n1\t4.26\t62.1\n2\t2.31\t20.9\n3\t1.35\t13.8\n",
    "TopSpin, blanks": "#  F1[ppm]  F2[ppm]\n1 62.1 4.26\n2 20.9 2.31\n3 13.8 1.35\n",
    "decimal commas": "13C,1H\n62,1,4,26\n20,9,2,31\n13,8,1,35\n",
    "any order, repeated": "13C,1H\n13.8,1.35\n62.1,4.26\n20.9,2.31\n62.1,4.26\n",
    "a carbon without hydrogen": "13C,1H\n168.4,\n62.1,4.26\n20.9,2.31\n13.8,1.35\n",
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("name", ["list.csv", "list.txt", "hsqc.csv"])
def test_tables_of_cross_peaks(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(TABLES[kind], encoding="utf-8")
    assert find_format(path).name == "hsqc-table"
    spectrum, part = read(path)
    assert shifts(spectrum) == ESTER
    assert (UNNAMED in part.remarks) == (name != "hsqc.csv")
    assert (kind == "any order, repeated") == ("1 repeated cross peak left out" in part.remarks)
    assert (kind == "a carbon without hydrogen") == (
        "1 row without one of the two shifts left out" in part.remarks
    )


@pytest.mark.parametrize(
    ("header", "row", "peak"),
    [
        ("13C,1H,nH,intensity", "62.1,4.26,2,-17.5", HSQCPeak(62.1, 4.26, 2, -17.5)),
        ("13C,1H,type,volume", "62.1,4.26,CH2,17.5", HSQCPeak(62.1, 4.26, 2, 17.5)),
        ("13C,1H,DEPT", "62.1,4.26,CH3", HSQCPeak(62.1, 4.26, 3)),
        (
            "f2 (ppm),f1 (ppm),Intensity,Width f2,Volume,Type",
            "4.26,62.1,5,9,17.5,Compound",
            HSQCPeak(62.1, 4.26, None, 17.5),
        ),
        ("13C,1H,H", "62.1,4.26,2H", HSQCPeak(62.1, 4.26, 2)),
    ],
)
def test_hydrogens_and_intensities(header: str, row: str, peak: HSQCPeak, tmp_path: Path) -> None:
    path = tmp_path / "hsqc.csv"
    path.write_text(f"{header}\n{row}\n")
    assert read(path)[0].peaks == (peak,)


def test_pairs_without_a_header_are_told_by_name_or_option(tmp_path: Path) -> None:
    for name, text in (("a_hsqc.csv", "62.1,4.26,5\n20.9,2.31,6\n"), ("b.csv", "1 4.26 62.1\n2 2.31 20.9\n")):
        path = tmp_path / name
        path.write_text(text)
        spectrum, _ = read(path, Modality.HSQC)
        assert shifts(spectrum) == [(62.1, 4.26), (20.9, 2.31)]
    assert find_format(tmp_path / "a_hsqc.csv").name == "hsqc-table"
    assert find_format(tmp_path / "b.csv").name != "hsqc-table"


def test_a_table_of_both_nuclei_is_a_carbon_list_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLES["named"])
    (item,) = read_file(path, Modality.C_NMR)
    assert isinstance(item, Part)
    assert item.spectra == (CarbonNMR((62.1, 20.9, 13.8)),)


@pytest.mark.parametrize(
    ("name", "text", "words", "fault"),
    [
        ("hmbc.csv", TABLES["named"], "cross peaks of HMBC, expected HSQC", False),
        ("a.csv", "F1,F2\n4.26,4.26\n2.31,1.35\n", "no shift is over 20 ppm on either axis", False),
        ("a.csv", "F1,F2\n62.1,128.4\n20.9,31.1\n", "both axes go beyond 20 ppm", False),
        ("a.csv", "13C,1H\n62.1,4.26\nabc,2.31\n", "'abc and 2.31' are not numbers", True),
        ("a.csv", "13C,1H\n62.1,462\n", "a 1H shift of 462 ppm", True),
        ("a.csv", "13C,1H\n62.1,4.26,7,9\n", "4 values, but the header names 2", True),
    ],
)
def test_lists_that_are_refused(name: str, text: str, words: str, fault: bool, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    rejected = refused(path)
    assert words in rejected.reason
    assert rejected.fault == fault


JCAMP = """##TITLE= {title}
##JCAMP-DX= 6.0
##DATA TYPE= nD NMR PEAK TABLE
##DATA CLASS= NTUPLES
##NUM DIM= 2
{nuclei}##NTUPLES= nD NMR PEAK TABLE
##VAR_NAME= FREQUENCY1, FREQUENCY2, INTENSITY
##SYMBOL= {symbols}
##UNITS= PPM, PPM, ARBITRARY UNITS
##PAGE= N=1
##DATA TABLE= {form}, PEAKS
{peaks}
##END NTUPLES= nD NMR PEAK TABLE
##END=
"""
TRIPLES = "62.1, 4.26, 10\n20.9, 2.31, 14\n13.8, 1.35, 15"


@pytest.mark.parametrize(
    ("form", "symbols", "nuclei", "peaks"),
    [
        ("(F1F2I..F1F2I)", "F1, F2, I", "##.NUCLEUS= 13C, 1H\n", TRIPLES),
        ("(F1F2I..F1F2I)", "F1, F2, I", "", TRIPLES),
        ("(F2F1I..F2F1I)", "F2, F1, I", "", "4.26, 62.1, 10\n2.31, 20.9, 14; 1.35, 13.8, 15"),
        ("(XYZ..XYZ)", "X, Y, Z", "", TRIPLES),
        ("(XYZ..XYZ)", "X, Y, Z", "", "62,1 4,26 10\n20,9 2,31 14\n13,8 1,35 15"),
        ("(F1F2..F1F2)", "F1, F2, I", "", "62.1, 4.26\n20.9, 2.31\n13.8, 1.35"),
    ],
)
def test_jcamp_tables_of_cross_peaks(form: str, symbols: str, nuclei: str, peaks: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jdx"
    path.write_text(JCAMP.format(title="HSQC", form=form, symbols=symbols, nuclei=nuclei, peaks=peaks))
    spectrum, part = read(path)
    assert shifts(spectrum) == ESTER
    assert UNNAMED not in part.remarks
    sized = form != "(F1F2..F1F2)"
    assert [peak.intensity for peak in spectrum.peaks] == ([10, 14, 15] if sized else [None] * 3)
    assert read(path, Modality.HSQC)[0] == spectrum


def test_a_jcamp_peak_table_of_two_dimensions_without_ntuples(tmp_path: Path) -> None:
    path = tmp_path / "a.jdx"
    labels = (
        "##TITLE= a\n##JCAMP-DX= 5.01\n##DATA TYPE= NMR PEAK TABLE\n##NUM DIM= 2\n##NPOINTS= 3\n##XUNITS= PPM\n"
    )
    path.write_text(f"{labels}##PEAK TABLE= (XYZ..XYZ)\n{TRIPLES}\n##END=\n")
    spectrum, part = read(path)
    assert shifts(spectrum) == ESTER
    assert UNNAMED in part.remarks


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": "HMBC of a"}, "cross peaks of HMBC"),
        ({"form": "(QRS..QRS)"}, "cross peaks of form '(QRS..QRS), PEAKS', expected (F1F2I..F1F2I)"),
        ({"peaks": "62.1, 4.26"}, "is not a list of 3 numbers each"),
        ({"peaks": "62.1, abc, 3"}, "'abc' is not a number"),
        ({"form": "(F2++(Y..Y))"}, "an NMR spectrum of more than one dimension"),
    ],
)
def test_jcamp_cross_peaks_that_are_refused(changes: dict[str, str], words: str, tmp_path: Path) -> None:
    given = {"title": "HSQC", "form": "(F1F2I..F1F2I)", "symbols": "F1, F2, I", "nuclei": "", "peaks": TRIPLES}
    path = tmp_path / "a.jdx"
    path.write_text(JCAMP.format(**(given | changes)))
    assert words in refused(path).reason


XML = """<?xml version="1.0" encoding="UTF-8"?>
<PeakList modified="2020-01-01T00:00:00">
  <PeakList{n}D>
    <PeakList{n}DHeader expNo="3" name="a" owner="b" procNo="1"><PeakPickDetails>F1=150ppm</PeakPickDetails>
    </PeakList{n}DHeader>
{peaks}
  </PeakList{n}D>
</PeakList>
"""


def xml(peaks: list[tuple[float, ...]], annotation: str = "") -> str:
    def peak(values: tuple[float, ...]) -> str:
        *places, size = values
        axes = " ".join(f'F{n}="{value}"' for n, value in enumerate(places, 1))
        return f'    <Peak{len(places)}D {axes} annotation="{annotation}" intensity="{size}" type="0"/>'

    return XML.format(n=len(peaks[0]) - 1, peaks="\n".join(map(peak, peaks)))


CROSS = [(62.1, 4.26, 10.0), (20.9, 2.31, 14.0), (13.8, 1.35, 15.0)]


def experiment(folder: Path, content: str, program: str, nucleus: str = "1H") -> Path:
    """EXPNO 3 of a two-dimensional experiment with its list of peaks."""
    processed = folder / "3/pdata/1"
    processed.mkdir(parents=True)
    (folder / "3/acqus").write_text(
        f"##TITLE= a\n##$PULPROG= <{program}>\n##$SOLVENT= <CDCl3>\n##$NUC1= <{nucleus}>\n"
        "##$SFO1= 300.0\n##END=\n"
    )
    (processed / "procs").write_text("##TITLE= a\n##$SI= 1024\n##END=\n")
    (processed / "2rr").write_bytes(b"\0" * 16)
    (processed / "peaklist.xml").write_text(content)
    return processed / "peaklist.xml"


@pytest.mark.parametrize("where", ["3", "3/pdata/1", "3/pdata/1/peaklist.xml", "."])
def test_a_peak_list_of_topspin(where: str, tmp_path: Path) -> None:
    experiment(tmp_path, xml(CROSS), "hsqcedetgpsisp2.3")
    spectrum, part = read(tmp_path / where)
    assert shifts(spectrum) == ESTER
    assert [peak.intensity for peak in spectrum.peaks] == [10, 14, 15]
    assert part.metadata[keys.SOLVENT] == "CDCl3"
    assert part.remarks == ()


def test_a_peak_list_alone(tmp_path: Path) -> None:
    path = tmp_path / "peaklist.xml"
    path.write_text(xml([(h, c, size) for c, h, size in CROSS]))
    spectrum, part = read(path)
    assert shifts(spectrum) == ESTER
    assert part.remarks == (UNNAMED,)


def test_other_experiments_are_no_fault(tmp_path: Path) -> None:
    for program, words in (("hmbcgplpndqf", "HMBC"), ("cosygpppqf", "COSY")):
        folder = tmp_path / program
        experiment(folder, xml(CROSS), program)
        rejected = refused(folder)
        assert words in rejected.reason
        assert not rejected.fault


def test_lines_of_one_dimension(tmp_path: Path) -> None:
    """13C; and a triplet of 7.2 Hz at the 300 MHz of acqus."""
    path = tmp_path / "peaklist.xml"
    path.write_text(xml([(168.4, 5.0), (62.1, 9.0)]))
    (item,) = read_file(path)
    assert isinstance(item, Part)
    assert item.spectra == (CarbonNMR((168.4, 62.1)),)
    assert item.remarks == ("taken for 13C by its shifts: there is no acqus",)
    path = experiment(tmp_path, xml([(1.374, 1.0), (1.35, 2.0), (1.326, 1.0)]), "zg30")
    (item,) = read_file(path)
    assert isinstance(item, Part)
    assert isinstance(item.spectra[0], HydrogenNMR)
    (found,) = item.spectra[0].multiplets
    assert (found.category, found.centroid_ppm) == ("t", pytest.approx(1.35))
    assert found.j_hz == pytest.approx((7.2,), abs=0.01)


def test_annotated_solvents_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "peaklist.xml"
    text = xml([(168.4, 5.0), (77.16, 99.0)])
    path.write_text(text.replace('F1="77.16" annotation=""', 'F1="77.16" annotation="CDCl3"'))
    (item,) = read_file(path)
    assert isinstance(item, Part)
    assert item.spectra == (CarbonNMR((168.4,)),)
    assert "1 peak of solvent or impurities left out" in item.remarks


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('F1="62.1"', 'F1="abc"', "F1 of a peak is 'abc', expected a shift in ppm"),
        ('F2="4.26"', 'F2="nan"', "a 1H shift of nan ppm"),
        ('F2="4.26" ', "", "F2 of a peak is ''"),
    ],
)
def test_malformed_peak_lists(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "peaklist.xml"
    path.write_text(xml(CROSS).replace(old, new))
    assert words in refused(path).reason


@pytest.mark.parametrize("damage", ["cut", "entities"])
def test_xml_that_cannot_be_read(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "peaklist.xml"
    text = xml(CROSS)
    bomb = "<!DOCTYPE a [<!ENTITY b 'c'>]>\n<PeakList "
    path.write_text(text[: len(text) // 2] if damage == "cut" else text.replace("<PeakList ", bomb, 1))
    with pytest.raises(DataError, match=r"peaklist\.xml"):
        list(read_file(path))


def test_a_folder_with_an_hsqc_is_one_record(tmp_path: Path) -> None:
    """The list of a two-dimensional experiment beside a CSV of carbons."""
    from mmspec_ds.readers.batches import read_requests

    sample = tmp_path / "batch/sample"
    sample.mkdir(parents=True)
    experiment(sample / "nmr", xml(CROSS), "hsqcetgp")
    (sample / "carbon_13C.csv").write_text("ppm\n168.4\n62.1\n20.9\n13.8\n")
    shutil.move(sample / "nmr/3", sample / "3")
    (sample / "nmr").rmdir()
    (request,) = read_requests([tmp_path / "batch"])
    assert request.record is not None, request.error
    assert [spectrum.modality for spectrum in request.record.spectra] == [Modality.C_NMR, Modality.HSQC]
