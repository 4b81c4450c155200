"""NMR from Bruker folders, NMReDATA and tables: files made by nmrglue or by hand."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.multiplicities import multiplicity
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality

LISTED = [("q", 2, 4.12, (7.14,)), ("s", 3, 2.04, ()), ("t", 3, 1.26, (7.14,))]


def one(path: Path, modality: Modality | None = None) -> Part:
    (item,) = read_file(path, modality)
    assert isinstance(item, Part), str(item)
    return item


def listed(part: Part) -> list[tuple[str, int, float, tuple[float, ...]]]:
    spectrum = next(spectrum for spectrum in part.spectra if isinstance(spectrum, HydrogenNMR))
    return [(m.category, m.hydrogens, m.centroid_ppm, m.j_hz) for m in spectrum.multiplets]


@pytest.mark.parametrize("where", [".", "10", "10/pdata/1", "10/pdata/1/1r"])
def test_a_bruker_folder_at_every_level(sound_files: Path, where: str) -> None:
    part = one(sound_files / "bruker" / where)
    found = listed(part)
    assert [(category, hydrogens) for category, hydrogens, *_ in found] == [("q", 2), ("s", 3), ("t", 3)]
    assert [shift for _, _, shift, _ in found] == pytest.approx([4.12, 2.04, 1.26], abs=3e-4)
    assert part.metadata[keys.NAME] == "Ethyl acetate"
    assert part.metadata[keys.SOLVENT] == "CDCl3"


@pytest.mark.parametrize(("big", "is_float"), [(False, False), (True, False), (False, True)])
def test_what_nmrglue_writes(tmp_path: Path, big: bool, is_float: bool) -> None:
    """Both byte orders, whole numbers and floats; the curve is nmrglue's own, scaled by 2^NC_proc."""
    import nmrglue

    points, mhz = 8192, 100.0
    ppm = np.linspace(200.0, 0.0, points, endpoint=False)
    values = sum(1e6 / (1 + ((ppm - place) / 0.02) ** 2) for place in (170.0, 60.0, 21.0))
    procs = {"_coreheader": ["##TITLE= a"], "_comments": [], "SI": points, "XDIM": points, "AXNUC": "13C"}
    procs |= {"SF": mhz, "SW_p": 200.0 * mhz, "OFFSET": 200.0, "PPARMOD": 0, "NC_proc": -4}
    procs |= {"BYTORDP": int(big), "DTYPP": 2 if is_float else 0}
    folder = tmp_path / "7"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nmrglue.bruker.write_pdata(
            str(folder), {"procs": procs}, values, write_procs=True, pdata_folder=1, big=big, isfloat=is_float
        )
        _, theirs = nmrglue.bruker.read_pdata(str(folder / "pdata/1"))
    part = one(folder)
    assert isinstance(part.spectra[0], CarbonNMR)
    assert part.spectra[0].shifts_ppm == pytest.approx((170.0, 60.0, 21.0), abs=0.002)
    assert part.trace is not None
    np.testing.assert_allclose(part.trace.values[::-1], theirs, rtol=1e-12)


def test_experiments_of_a_folder_by_their_numbers(sound_files: Path, tmp_path: Path) -> None:
    """1 before 2 before 10; one without a spectrum is no fault if it was never processed to one dimension."""
    import shutil

    for number in (10, 2, 1):
        shutil.copytree(sound_files / "bruker/10", tmp_path / str(number))
    (tmp_path / "2/pdata/1/1r").rename(tmp_path / "2/pdata/1/2rr")
    first, second, third = read_file(tmp_path)
    assert isinstance(first, Part)
    assert first.metadata["folder"] == "1/pdata/1"
    assert isinstance(second, Rejected)
    assert not second.fault
    assert second.reason == "2/pdata/1: no 1r beside procs (2rr)"
    assert isinstance(third, Part)
    assert third.id == f"{tmp_path.name}:2"


def test_a_folder_without_a_spectrum_is_none(tmp_path: Path) -> None:
    (tmp_path / "10").mkdir()
    with pytest.raises(DataError, match="a folder of no known format"):
        find_format(tmp_path)


def test_nmredata_of_two_records(sound_files: Path) -> None:
    """Version 1.1 with backslashes and an entry over two lines; version 1.0 without, hydrogens by E."""
    first, second = read_file(sound_files / "nmredata.sdf")
    assert isinstance(first, Part)
    assert isinstance(second, Part)
    found = [(category, hydrogens, round(shift, 4), j) for category, hydrogens, shift, j in listed(first)]
    assert found == [("q", 2, 4.12, (7.14,)), ("s", 3, 2.04, ()), ("t", 3, 1.25, (7.14,))]
    assert first.spectra[1] == CarbonNMR((171.36, 60.49, 21.04, 14.19))
    assert (first.smiles, first.formula) == ("CCOC(C)=O", "C4H8O2")
    assert first.metadata[keys.SOLVENT] == "CDCl3"
    assert first.metadata["level"] == "0"
    assert listed(second) == [("s", 1, 7.26, ())]
    assert second.smiles == "ClC(Cl)Cl"


def test_nmredata_of_one_nucleus(sound_files: Path) -> None:
    first, second = read_file(sound_files / "nmredata.sdf", Modality.C_NMR)
    assert isinstance(first, Part)
    assert first.modalities == (Modality.C_NMR,)
    assert isinstance(second, Rejected)
    assert not second.fault


def test_a_table_with_a_header(sound_files: Path) -> None:
    part = one(sound_files / "h_nmr.csv")
    assert listed(part) == [("s", 1, 7.01, ()), ("ddt", 1, 6.55, (6.2, 10.4, 17.1)), *LISTED]
    assert part.metadata[keys.SOLVENT] == "CDCl3"
    assert one(sound_files / "c_nmr.csv").spectra == (CarbonNMR((171.36, 60.49, 21.04, 14.19)),)


TABLES = {
    "comma": "shift,multiplicity,integral,J\n4.12,q,2,7.14\n2.04,s,3,\n1.26,t,3,7.14\n",
    "semicolon and decimal comma": "δ;Mult.;nH;J (Hz)\n4,12;q;2;7,14\n2,04;s;3;\n1,26;t;3;7,14\n",
    "tab": "Chemical Shift (ppm)\tCategory\tIntegration\tCoupling constants\n"
    "4.12\tquartet\t2H\t7.14 Hz\n2.04\tsinglet\t3 H\t\n1.26\ttriplet\t3H\tJ = 7.14\n",
    "other order, capitals": "INTEGRAL,PPM,TYPE,J1\n2,4.12,Q,7.14\n3,2.04,S,\n3,1.26,T,7.14\n",
    "no header": "4.12,q,2H,7.14\n2.04,s,3H\n1.26,t,3H,7.14\n",
    "no header, blanks": "4.12 q 2 7.14\n2.04 s 3\n1.26 t 3 7.14\n",
    "unsorted": "shift,mult,h,j\n1.26,t,3,7.14\n4.12,q,2,7.14\n2.04,s,3,\n",
    "raw integrals": "shift,mult,integral,j\n4.12,q,20.1,7.14\n2.04,s,29.8,\n1.26,t,30.3,7.14\n",
    "benchmark's own names": "centroid,rangeMax,rangeMin,category,nH,j_values\n"
    "4.12,4.15,4.09,q,2,7.14_\n2.04,2.06,2.02,s,3,None\n1.26,1.29,1.23,t,3,7.14_\n",
    "words before": "exported by a program\n# solvent: CDCl3\n\nshift,mult,int,J\n4.12,q,2,7.14\n2.04,s,3,\n"
    "1.26,t,3,7.14\n",
    "repeated row": "shift,mult,h,j\n4.12,q,2,7.14\n4.12,q,2,7.14\n2.04,s,3,\n1.26,t,3,7.14\n",
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_of_hydrogen(kind: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(("\ufeff" + TABLES[kind].replace("\n", end)).encode())
    assert listed(one(path, Modality.H_NMR)) == LISTED
    assert find_format(path).name == "nmr-table"


def test_ranges_are_edges_and_middles(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("shift,mult,int\n7.35-7.25,m,5H\n3.7 – 3.6,s,3H\n")
    part = one(path, Modality.H_NMR)
    assert isinstance(part.spectra[0], HydrogenNMR)
    edges = [(m.max_ppm, m.min_ppm, round(m.centroid_ppm, 6)) for m in part.spectra[0].multiplets]
    assert edges == [(7.35, 7.25, 7.3), (3.7, 3.6, 3.65)]


def test_edges_that_are_missing_are_reckoned(tmp_path: Path) -> None:
    """0.034 ppm, and at 500 MHz 2 times 7 Hz of a triplet: 0.062 ppm."""
    path = tmp_path / "a.csv"
    path.write_text("shift,mult,int,J\n1.2,t,3,7.0\n")
    spectrum = one(path, Modality.H_NMR).spectra[0]
    assert isinstance(spectrum, HydrogenNMR)
    (found,) = spectrum.multiplets
    assert found.max_ppm - found.min_ppm == pytest.approx(0.034 + 14.0 / 500)


@pytest.mark.parametrize(
    ("name", "text", "nucleus"),
    [
        ("a.csv", "shift\n171.3\n60.1\n", Modality.C_NMR),
        ("a.csv", "shift,multiplicity\n7.1,s\n2.0,s\n", Modality.H_NMR),
        ("x_13C.csv", "shift\n14.1\n18.2\n", Modality.C_NMR),
        ("x_1H.csv", "shift\n7.1\n2.2\n", Modality.H_NMR),
        ("a.csv", "# nucleus: 13C\nshift\n14.1\n18.2\n", Modality.C_NMR),
    ],
)
def test_the_nucleus_is_found(name: str, text: str, nucleus: Modality, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert one(path).modalities == (nucleus,)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("s", "s"),
        ("S", "s"),
        ("br s", "s"),
        ("bs", "s"),
        ("br. s.", "s"),
        ("s (br)", "s"),
        ("broad singlet", "s"),
        ("app t", "t"),
        ("quint", "p"),
        ("quintet", "p"),
        ("sext", "h"),
        ("sept", "hept"),
        ("hept", "hept"),
        ("heptd", "heptd"),
        ("dd", "dd"),
        ("ddt", "ddt"),
        ("doublet of doublets", "dd"),
        ("doublet of triplets", "dt"),
        ("dq", "dq"),
        ("m", "m"),
        ("multiplet", "m"),
        ("dm", "m"),
        ("xyz", None),
        ("", None),
        ("7", None),
    ],
)
def test_multiplicities_as_reports_write_them(text: str, letters: str | None) -> None:
    assert multiplicity(text) == letters
