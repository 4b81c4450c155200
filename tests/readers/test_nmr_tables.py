"""NMR lists as programs export them: decimal commas, index columns, limits, Mnova and TopSpin tables."""

from pathlib import Path

import pytest

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.decimal_commas import columns_with_decimals, joined
from mmspec_ds.readers.delimited import to_number
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.multiplicities import attached_hydrogens, carbon_type
from mmspec_ds.readers.nmr_columns import kind_of
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality

Listed = list[tuple[float, str, int, tuple[float, ...]]]


def read(folder: Path, text: str, name: str = "list.csv", modality: Modality | None = None) -> Part:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    (item,) = read_file(path, modality)
    assert isinstance(item, Part), str(item)
    return item


def refused(folder: Path, text: str, name: str = "list.csv", modality: Modality | None = None) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    (item,) = read_file(path, modality)
    assert isinstance(item, Rejected), item
    assert len(str(item).splitlines()) == 1
    return item.reason


def hydrogen(part: Part) -> Listed:
    (spectrum,) = part.spectra
    assert isinstance(spectrum, HydrogenNMR)
    return [(round(m.centroid_ppm, 4), m.category, m.hydrogens, m.j_hz) for m in spectrum.multiplets]


def carbon(part: Part) -> tuple[float, ...]:
    (spectrum,) = part.spectra
    assert isinstance(spectrum, CarbonNMR)
    return spectrum.shifts_ppm


ESTER: Listed = [(4.26, "q", 2, (7.2,)), (2.31, "s", 3, ()), (1.35, "t", 3, (7.2,))]
BOTH_COMMAS = {
    "header and four columns": "shift,mult,H,J\n4,26,q,2,7,2\n2,31,s,3,\n1,35,t,3,7,2\n",
    "integrals with decimals": "ppm,type,integral,J (Hz)\n4,26,q,2,00,7,2\n2,31,s,3,00,\n1,35,t,3,00,7,2\n",
    "another order": "mult,ppm,J,nH\nq,4,26,7,2,2\ns,2,31,,3\nt,1,35,7,2,3\n",
    "quoted numbers": 'ppm,mult,nH,J\n"4,26",q,2,"7,2"\n"2,31",s,3,\n"1,35",t,3,"7,2"\n',
    "semicolons": "ppm;mult;nH;J\n4,26;q;2;7,2\n2,31;s;3;\n1,35;t;3;7,2\n",
    "blanks": "4,26 q 2H 7,2\n2,31 s 3H\n1,35 t 3H 7,2\n",
    "index column": "No,ppm,mult,nH,J\n1,4,26,q,2,7,2\n2,2,31,s,3,\n3,1,35,t,3,7,2\n",
}


@pytest.mark.parametrize("kind", BOTH_COMMAS)
def test_decimal_commas_of_a_hydrogen_list(kind: str, tmp_path: Path) -> None:
    part = read(tmp_path, BOTH_COMMAS[kind], modality=Modality.H_NMR)
    assert hydrogen(part) == ESTER
    told = any("the comma is read as the decimal mark" in remark for remark in part.remarks)
    assert told == (
        kind in ("header and four columns", "integrals with decimals", "another order", "index column")
    )


@pytest.mark.parametrize(
    "text",
    [
        "168,4\n131,9\n62,1\n13,8\n",
        "ppm\n168,4\n131,9\n62,1\n13,8\n",
        "shift,intensity\n168,4,20\n131,9,80\n62,1,50\n13,8,60\n",
        "168,4 20\n131,9 80\n62,1 50\n13,8 60\n",
        "168,4;20\n131,9;80\n62,1;50\n13,8;60\n",
        "168,4\t20\n131,9\t80\n62,1\t50\n13,8\t60\n",
        "168,40,20,0\n131,90,80,0\n62,10,50,0\n13,80,60,0\n",
    ],
)
def test_decimal_commas_of_a_carbon_list(text: str, tmp_path: Path) -> None:
    assert carbon(read(tmp_path, text, modality=Modality.C_NMR)) == (168.4, 131.9, 62.1, 13.8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7,28,m,2H\n4,12,q,2H\n", "the comma is the decimal mark and the separator"),
        ("ppm,mult,a,J\n4,26,q,2,7,2\n1,35,t,3,7,2\n", "the columns cannot be told apart"),
        ("168,4\n131\n62,1\n", "the columns cannot be told apart"),
        ("ppm,mult\n4.26,q,2\n1.35,t,3\n", "3 values, but the header names 2"),
        ("ppm;mult\n4,26;q\n1,35;t;3\n", "3 values, but the header names 2"),
        ("ppm,mult,nH\n4,26,q,2\n1,35,t,3\n2,1,5,s,3\n", "the columns cannot be told apart"),
    ],
)
def test_more_values_than_columns_are_noticed(text: str, words: str, tmp_path: Path) -> None:
    assert words in refused(tmp_path, text, modality=Modality.H_NMR)


def test_the_columns_with_decimals_are_the_only_choice() -> None:
    """By hand: 7 cells on 3 columns can only be 2 + 1 + 2 and so on."""
    rows = [("4", "26", "q", "7", "2"), ("2", "31", "s", "")]
    assert columns_with_decimals(rows, [False] * 3, 1) == (3, (0, 2))
    assert joined(rows[0], 3, (0, 2)) == ("4,26", "q", "7,2")
    assert joined(rows[1], 3, (0, 2)) == ("2,31", "s", "")
    assert joined(("4", "26", "q", "7"), 3, (0, 2)) is None
    assert columns_with_decimals([("4.26", "q"), ("2.31", "s")], [False], 1) == (0, ())
    assert columns_with_decimals([("3999", "64", "95", "41"), ("3997", "71", "95", "40")], None, 2) == (
        2,
        (0, 1),
    )
    assert columns_with_decimals([("3999", "64", "95"), ("3997", "71", "95")], None, 2) == (1, None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3,999.64", 3999.64),
        ("3.999,64", 3999.64),
        ("1,234,567.5", 1234567.5),
        ("1,234", 1.234),
        ("−4,2", -4.2),
    ],
)
def test_numbers_with_marks_of_thousands(text: str, number: float) -> None:
    assert to_number(text) == number


INDEXED = {
    "Signal": "Signal;Shift;Mult;Int;J\n1;4,26;q;2;7,2\n2;2,31;s;3;\n3;1,35;t;3;7,2\n",
    "No.": "No.,ppm,mult,nH,J\n1,4.26,q,2,7.2\n2,2.31,s,3,\n3,1.35,t,3,7.2\n",
    "#": "#,ppm,mult,nH,J\n1,4.26,q,2,7.2\n2,2.31,s,3,\n3,1.35,t,3,7.2\n",
    "Peak": "Peak\tδ [ppm]\tMultiplicity\tH\tJ\n1\t4.26\tq\t2\t7.2\n2\t2.31\ts\t3\t\n3\t1.35\tt\t3\t7.2\n",
    "no name": ",ppm,mult,nH,J\n0,4.26,q,2,7.2\n1,2.31,s,3,\n2,1.35,t,3,7.2\n",
    "no header": "1 4.26 q 2H 7.2\n2 2.31 s 3H\n3 1.35 t 3H 7.2\n",
}


@pytest.mark.parametrize("kind", INDEXED)
def test_columns_that_count_the_rows(kind: str, tmp_path: Path) -> None:
    part = read(tmp_path, INDEXED[kind])
    assert hydrogen(part) == ESTER
    assert (kind == "no header") == any("the first column counts the rows" in remark for remark in part.remarks)


def test_a_column_of_peaks_is_the_shift_where_no_other_is(tmp_path: Path) -> None:
    assert carbon(read(tmp_path, "Peak,Intensity\n168.4,20\n62.1,50\n")) == (168.4, 62.1)
    assert carbon(read(tmp_path, "Peak,ppm,Intensity\n1,168.4,20\n2,62.1,50\n")) == (168.4, 62.1)


LIMITS = {
    "blanks": "7.44 7.31 m 5H\n4.31 4.21 q 2H J 7.2\n1.90 1.30 m 4H\n",
    "tabs": "7.44\t7.31\tm\t5H\n4.31\t4.21\tq\t2H\t7.2\n1.90\t1.30\tm\t4H\n",
    "semicolons and commas": "7,44;7,31;m;5H\n4,31;4,21;q;2H;7,2\n1,90;1,30;m;4H\n",
    "rising": "7.31,7.44,m,5H\n4.21,4.31,q,2H,7.2\n1.30,1.90,m,4H\n",
    "centre first": "7.375 7.44 7.31 m 5H\n4.26 4.31 4.21 q 2H 7.2\n1.60 1.90 1.30 m 4H\n",
    "one cell": "7.44-7.31,m,5H\n4.31-4.21,q,2H,7.2\n1.90-1.30,m,4H\n",
    "Mnova's dots": "range,mult,nH,J\n7.44 .. 7.31,m,5,\n4.31 .. 4.21,q,2,7.2\n1.90 .. 1.30,m,4,\n",
    "named": "from,to,mult,nH,J\n7.44,7.31,m,5,\n4.31,4.21,q,2,7.2\n1.90,1.30,m,4,\n",
    "index": "1 7.44 7.31 m 5H\n2 4.31 4.21 q 2H 7.2\n3 1.90 1.30 m 4H\n",
}


@pytest.mark.parametrize("kind", LIMITS)
def test_lists_with_limits(kind: str, tmp_path: Path) -> None:
    part = read(tmp_path, LIMITS[kind], "limits.tsv")
    assert find_format(tmp_path / "limits.tsv").name == "nmr-table"
    assert hydrogen(part) == [(7.375, "m", 5, ()), (4.26, "q", 2, (7.2,)), (1.6, "m", 4, ())]
    (spectrum,) = part.spectra
    assert isinstance(spectrum, HydrogenNMR)
    assert [(m.max_ppm, m.min_ppm) for m in spectrum.multiplets] == [(7.44, 7.31), (4.31, 4.21), (1.9, 1.3)]
    assert (kind in ("one cell", "Mnova's dots", "named")) != any("limits" in one for one in part.remarks)


def test_limits_alone(tmp_path: Path) -> None:
    """Two columns near each other are limits; whole numbers after the shift are hydrogens."""
    part = read(tmp_path, "7.44,7.31\n4.31,4.21\n", modality=Modality.H_NMR)
    assert [shift for shift, *_ in hydrogen(part)] == [7.375, 4.26]
    part = read(tmp_path, "3.55,3\n2.15,1\n", modality=Modality.H_NMR)
    assert [(shift, count) for shift, _, count, _ in hydrogen(part)] == [(3.55, 3), (2.15, 1)]


def test_an_integral_before_the_multiplicity_is_no_limit(tmp_path: Path) -> None:
    """The second number lies above one shift and below another: not the limits of a range."""
    part = read(tmp_path, "4.26 2 q 7.2\n2.31 3 s\n1.35 3 t 7.2\n")
    assert hydrogen(part) == ESTER


MNOVA = "Name,Shift,Range,H's,Integral,Class,J's,Method\n"


def test_multiplets_of_mnova(tmp_path: Path) -> None:
    rows = [
        "A (m),7.38,7.44 .. 7.31,5,4.87,m,,Sum",
        'B (dd),5.63,5.70 .. 5.55,1,1.02,dd,"17.20, 10.40",Sum',
        "C (t),1.35,1.39 .. 1.31,3,3.11,t,7.20,Sum",
    ]
    part = read(tmp_path, MNOVA + "\n".join(rows) + "\n")
    assert hydrogen(part) == [(7.38, "m", 5, ()), (5.63, "dd", 1, (10.4, 17.2)), (1.35, "t", 3, (7.2,))]
    assert keys.NAME not in part.metadata
    tabs = MNOVA.replace(",", "\t") + "\n".join(
        [
            "A (m)\t7.38\t7.44 .. 7.31\t5\t4.87\tm\t\tSum",
            "C (t)\t1.35\t1.39 .. 1.31\t3\t3.11\tt\t7.20, 7.20\tSum",
        ]
    )
    assert hydrogen(read(tmp_path, tabs)) == [(7.38, "m", 5, ()), (1.35, "t", 3, (7.2, 7.2))]


@pytest.mark.parametrize(
    ("types", "note"),
    [(("Solvent", "Compound"), ""), (("Impurity", "Compound"), ""), (("", ""), "CDCl3"), (("", ""), "solvent")],
)
def test_peaks_of_mnova_without_solvent_and_impurities(
    types: tuple[str, str], note: str, tmp_path: Path
) -> None:
    """A triplet of 7.2 Hz at 500 MHz beside the line of the solvent."""
    lines = [(7.26, 900.0), (1.3644, 250.0), (1.35, 500.0), (1.3356, 250.0)]
    rows = [
        f"{ppm:.4f},{height},1.0,{height},{types[bool(place)]},None,{note if not place else ''},"
        for place, (ppm, height) in enumerate(lines)
    ]
    text = "ppm,Intensity,Width,Area,Type,Flags,Impurity/Compound,Annotation\n" + "\n".join(rows) + "\n"
    part = read(tmp_path, text)
    ((shift, letters, _, couplings),) = hydrogen(part)
    assert (shift, letters, couplings) == (1.35, "t", (7.2,))
    assert "1 line of solvent or impurities left out (7.26 ppm)" in part.remarks


TOPSPIN = """DU=C:/data, USER=a, NAME=b, EXPNO=10, PROCNO=1
F1=12.000ppm, F2=-0.500ppm, MI=0.50cm, MAXI=10000.00cm, PC=1.400

  #     ADDRESS     FREQUENCY              INTENSITY
                [Hz]         [PPM]

"""


def test_a_peak_list_of_topspin_with_addresses_and_hz(tmp_path: Path) -> None:
    """A triplet of 7.2 Hz at 300 MHz: the frequency is that of Hz by ppm."""
    lines = [(412.2, 1.374, 250.0), (405.0, 1.35, 500.0), (397.8, 1.326, 250.0)]
    rows = "".join(f"  {n}  {9000 + n}.5  {hz}  {ppm:.4f}  {i}\n" for n, (hz, ppm, i) in enumerate(lines, 1))
    part = read(tmp_path, TOPSPIN + rows, "peaks.txt")
    ((shift, letters, _, couplings),) = hydrogen(part)
    assert (shift, letters) == (1.35, "t")
    assert couplings == pytest.approx((7.2,), abs=0.01)
    assert not any("MHz taken" in remark for remark in part.remarks)


@pytest.mark.parametrize("column", ["δ(F1) [ppm]", "ν(F1) [ppm]", "F1 [ppm]", "Chemical shift [ppm]"])
def test_a_peak_table_of_topspin(column: str, tmp_path: Path) -> None:
    rows = ["1\t168.4012\t10332.1\t", "2\t77.1600\t99999.0\tCDCl3", "3\t62.1033\t44123.3\t"]
    text = f"Peak\t{column}\tIntensity [abs]\tAnnotation\n" + "\n".join(rows) + "\n"
    part = read(tmp_path, text, "peaks.txt")
    assert carbon(part) == (168.4012, 62.1033)
    assert part.remarks == ("1 line of solvent or impurities left out (77.16 ppm)",)


def test_a_peak_table_with_hz_beside_ppm(tmp_path: Path) -> None:
    text = (
        "Peak\tν(F1) [Hz]\tν(F1) [ppm]\tIntensity\n1\t412.2\t1.374\t1\n2\t405.0\t1.35\t2\n3\t397.8\t1.326\t1\n"
    )
    ((shift, letters, _, couplings),) = hydrogen(read(tmp_path, text, "peaks.txt"))
    assert (shift, letters) == (1.35, "t")
    assert couplings == pytest.approx((7.2,), abs=0.01)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Chemical Shift (ppm)", "shift"),
        ("δ / ppm", "shift"),
        ("Position [ppm]", "shift"),
        ("Shift (Hz)", "hz"),
        ("J / Hz", "coupling"),
        ("Verschiebung (ppm)", "shift"),
        ("Multiplizität", "multiplicity"),
        ("H's", "hydrogens"),
        ("Peak", "weak shift"),
        ("Impurity/Compound", "note"),
        ("DEPT-135", "dept"),
        ("Width (Hz)", None),
        ("Width (ppm)", None),
    ],
)
def test_names_of_columns(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


ATTACHED = {
    "CH types": "ppm,DEPT\n168.4,C\n62.1,CH2\n29.7,CH\n13.8,CH3\n",
    "subscripts": "ppm;Type\n168.4;Cq\n62.1;CH₂\n29.7;CH\n13.8;CH₃\n",
    "off-resonance": "ppm,mult\n168.4,s\n62.1,t\n29.7,d\n13.8,q\n",
    "capitals": "ppm,mult\n168.4,S\n62.1,T\n29.7,D\n13.8,Q\n",
    "counts": "ppm,attached hydrogens\n168.4,0\n62.1,2\n29.7,1\n13.8,3\n",
    "no header": "168.4 C\n62.1 CH2\n29.7 CH\n13.8 CH3\n",
    "unsorted": "ppm,DEPT\n13.8,CH3\n62.1,CH2\n168.4,C\n29.7,CH\n",
}


@pytest.mark.parametrize("kind", ATTACHED)
def test_hydrogens_on_the_carbons_of_a_list(kind: str, tmp_path: Path) -> None:
    part = read(tmp_path, ATTACHED[kind])
    assert part.spectra == (CarbonNMR((168.4, 62.1, 29.7, 13.8), (0, 2, 1, 3)),)
    said = "multiplicities s, d, t, q of 13C lines read as C, CH, CH2, CH3"
    assert (said in part.remarks) == (kind in ("off-resonance", "capitals"))


def test_the_sign_of_a_dept_135_tells_ch2(tmp_path: Path) -> None:
    part = read(tmp_path, "ppm,dept135\n62.1,-\n29.7,+\n13.8,+\n")
    assert part.spectra == (CarbonNMR((62.1, 29.7, 13.8), (2, None, None)),)


def test_a_decoupled_spectrum_tells_nothing_of_hydrogens(tmp_path: Path) -> None:
    """Every line is a singlet, or split by fluorine."""
    part = read(tmp_path, "ppm,mult\n168.4,s\n62.1,s\n")
    assert part.spectra == (CarbonNMR((168.4, 62.1)),)
    assert any("all 13C lines are singlets" in remark for remark in part.remarks)
    part = read(tmp_path, "ppm,mult,J\n162.4,d,245\n62.1,s,\n")
    assert part.spectra == (CarbonNMR((162.4, 62.1)),)


def test_two_atoms_of_one_line_must_agree(tmp_path: Path) -> None:
    part = read(tmp_path, "ppm,DEPT\n128.4,CH\n128.4,CH\n62.1,CH2\n62.1,CH\n13.8,CH3\n13.8,\n")
    assert part.spectra == (CarbonNMR((128.4, 62.1, 13.8), (1, None, 3)),)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("CH3", 3),
        ("ch2", 2),
        ("C-H", None),
        ("CH", 1),
        ("C", 0),
        ("Cq", 0),
        ("quat", 0),
        ("C4", None),
        ("q", None),
    ],
)
def test_types_of_carbon(text: str, count: int | None) -> None:
    assert carbon_type(text) == count


def test_a_q_beside_types_is_quaternary() -> None:
    assert attached_hydrogens(["q", "CH2", "CH3"])[0] == (0, 2, 3)
    assert attached_hydrogens(["q", "t", "s"])[0] == (3, 2, 0)
    assert attached_hydrogens(["", "what"]) == ((), "")
