"""Peak lists in the layouts and with the decimal marks that programs write; energies; isolation windows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import TandemMS

PEAKS = {69.0447: 12.5, 110.0713: 45.25, 138.0662: 100.0, 195.0877: 60.75}


def only(tmp_path: Path, name: str, text: str) -> Part | Rejected:
    path = tmp_path / name
    path.write_text(text)
    (item,) = read_file(path)
    return item


def spectrum_of(item: Part | Rejected) -> TandemMS:
    assert isinstance(item, Part), str(item)
    (spectrum,) = item.spectra
    assert isinstance(spectrum, TandemMS)
    return spectrum


def peaks_of(item: Part | Rejected) -> dict[float, float]:
    spectrum = spectrum_of(item)
    return dict(zip(spectrum.mz.tolist(), spectrum.intensity.round(9).tolist()))


def msp(rows: str, count: int = 4, *more: str) -> str:
    return "\n".join(["Name: a", "PrecursorMZ: 195.0877", *more, f"Num Peaks: {count}", rows, ""])


def mgf(rows: str) -> str:
    return f"BEGIN IONS\nPEPMASS=195.0877\n{rows}\nEND IONS\n"


def massbank(rows: str, count: int = 4) -> str:
    indented = "\n".join(f"  {row}" for row in rows.splitlines())
    return f"ACCESSION: a\nPK$NUM_PEAK: {count}\nPK$PEAK: m/z int. rel.int.\n{indented}\n//\n"


def rows(pair: str, between: str = "\n", points: bool = True) -> str:
    text = between.join(pair.format(mz, intensity) for mz, intensity in PEAKS.items())
    return text if points else text.replace(".", ",")


LAYOUTS = {
    "one pair a line": rows("{} {}"),
    "tabs": rows("{}\t{}"),
    "annotations in quotes": rows('{} {} "C4H3 0.5 ppm; b, c"'),
    "annotations without": rows("{} {} C4H3+ 0.5"),
    "pairs parted by blanks": rows("{} {}", " "),
    "pairs parted by tabs": rows("{}\t{}", "\t"),
    "pairs parted by commas": rows("{} {}", ", ") + ",",
    "pairs parted by semicolons": rows("{} {}", "; ") + ";",
    "commas and blanks inside, semicolons between": rows("{}, {}", "; "),
    "a comma in each pair": rows("{},{}", " "),
    "a comma in each pair, one a line": rows("{},{}"),
    "colons": rows("{}:{}", " "),
    "parentheses": rows("({} {})", " "),
    "parentheses and commas": rows("({},{})", " "),
    "two pairs a line, annotated": rows('{} {} "x"', " ").replace("138", "\n138"),
    "an empty line within": rows("{} {}").replace("\n138", "\n\n138"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_msp(tmp_path: Path, layout: str) -> None:
    item = only(tmp_path, "a.msp", msp(LAYOUTS[layout]))
    assert peaks_of(item) == PEAKS
    assert not any("comma" in remark for remark in item.remarks)  # type: ignore[union-attr]


DECIMAL = {
    "a.msp: tab": msp(rows("{}\t{}", points=False)),
    "a.msp: blank": msp(rows("{} {}", points=False)),
    "a.msp: semicolons": msp(rows("{} {}", "; ", points=False)),
    "a.msp: pairs on one line": msp(rows("{} {}", " ", points=False)),
    "a.msp: parentheses": msp(rows("({} {})", " ", points=False)),
    "a.msp: the precursor too": msp(rows("{}\t{}", points=False)).replace("195.0877\nNum", "195,0877\nNum"),
    "a.mgf: tab": mgf(rows("{}\t{}", points=False)),
    "a.mgf: blank": mgf(rows("{} {}", points=False)),
    "a.mgf: a charge at the end": mgf(rows("{} {} 1+", points=False)),
    "a.mgf: the precursor too": mgf(rows("{} {}", points=False)).replace(
        "PEPMASS=195.0877", "PEPMASS=195,0877 12"
    ),
    "a.txt: blank": massbank(rows("{} {} 999", points=False)),
}


@pytest.mark.parametrize("name", DECIMAL)
def test_decimal_commas_are_read_with_a_remark(tmp_path: Path, name: str) -> None:
    item = only(tmp_path, name.partition(":")[0], DECIMAL[name])
    assert peaks_of(item) == PEAKS
    assert "decimal commas read as decimal points" in item.remarks  # type: ignore[union-attr]
    if "precursor" in name:
        assert spectrum_of(item).precursor_mz == 195.0877
        assert "precursor m/z 195,0877 read as 195.0877: a decimal comma" in item.remarks  # type: ignore[union-attr]


REJECTED = {
    "a.mgf: commas between and inside": (
        mgf("69,0447,12,5"),
        "'69,0447,12,5' is not m/z and intensity (a decimal",
    ),
    "a.mgf: one word": (mgf("69,0447"), "a decimal comma?"),
    "a.mgf: both marks": (mgf("69,0447 12.5"), "numbers with decimal commas and others with points"),
    "a.mgf: thousands": (mgf("69.0447 1,250\n70.1 999"), "numbers with decimal commas and others with points"),
    "a.mgf: thousands of integers": (mgf("69 1,250\n70 999"), "numbers with decimal commas and others"),
    "a.mgf: four numbers": (mgf("50.1 1 60.2 2"), "peak '50.1 1 60.2 2' has more than 2 numbers in a row"),
    "a.mgf: a third number": (mgf("50.1 1 0.5"), "has more than 2 numbers in a row"),
    "a.mgf: relative intensities": (mgf("50.1 1.5 100\n60.1 15 999"), "has more than 2 numbers in a row"),
    "a.mgf: a column of numbers": (mgf("1 50.1 10\n2 60.2 20\n3 70.3 5"), "a column that counts the rows"),
    "a.mgf: an ambiguous precursor": (mgf("50.1 1").replace("195.0877", "1,195"), "a decimal comma?"),
    "a.msp: more peaks than declared": (msp(rows("{} {}"), 3), "3 peaks declared, 4 found: more than declared"),
    "a.msp: three numbers": (msp("50.1 1 999", 1), "3 numbers in a row, expected pairs of m/z and intensity"),
    "a.msp: five numbers": (msp("50.1 1 60.2 2 7", 2), "5 numbers in a row"),
    "a.msp: decimal commas and another count": (
        msp(rows("{} {}", points=False), 5),
        "5 peaks declared, 8 found: more than declared, perhaps for decimal commas",
    ),
    "a.msp: commas everywhere": (
        msp("69,0447,12,5", 1),
        "1 peaks declared, 2 found: more than declared, perhaps for",
    ),
    "a.txt: four numbers": (massbank("50.1 1 999 4", 1), "has more than 3 numbers in a row"),
    "a.tsv: decimal commas": (
        "mzs\tintensities\n69,0447,110,0713\t12,5,45,25\n",
        "mzs are out of order and have no decimal points: decimal commas?",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_has_no_certain_reading_is_rejected(tmp_path: Path, name: str) -> None:
    content, words = REJECTED[name]
    item = only(tmp_path, name.partition(":")[0], content)
    assert isinstance(item, Rejected)
    assert item.fault
    assert words in item.reason


MESSY = """\
Name: after
PEPMASS: (201.1234, None)
Num Peaks: 2
PRECURSORMZ: 201.1234
ADDUCT: [M+H]+
58.5 12
112.5 100
Splash: none

Name: bad count
Num Peaks: many

50 1
60 2

Name: bad peak
Num Peaks: 3
50 1
60 x

70 3

Name: cut

PrecursorMZ: 100.5
Num Peaks: 2
50 1

Name: good
PrecursorMZ: 200.5
Num Peaks: 1
50.5 1
PrecursorMZ: 300.5
Num Peaks: 1
60.5 1
"""


def test_one_spectrum_gives_one_item(tmp_path: Path) -> None:
    path = tmp_path / "messy.msp"
    path.write_text(MESSY)
    after, count, peak, cut, good, unnamed = read_file(path)
    assert spectrum_of(after).precursor_mz == 201.1234  # type: ignore[arg-type]
    assert spectrum_of(after).adduct == "[M+H]+"  # type: ignore[arg-type]
    reasons = [item.reason for item in (count, peak, cut) if isinstance(item, Rejected)]
    assert reasons == [
        "Num Peaks is 'many', expected a count",
        "peak '60 x' is not m/z and intensity",
        "2 peaks declared, 1 found: truncated or damaged",
    ]
    assert spectrum_of(good).mz.tolist() == [50.5]  # type: ignore[arg-type]
    assert spectrum_of(unnamed).precursor_mz == 300.5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "energy",
    [
        "HCD (NCE 20-30-40%)",
        "HCD [NCE: 20/30/40]",
        "stepped NCE 20,30,40",
        "20 % , 30 % and 40 %",
        "30 % (nominal)",
    ],
)
def test_steps_of_normalised_energy(tmp_path: Path, energy: str) -> None:
    """The mean, 30, at m/z 146.1176: 30 x 146.1176 / 500 = 8.767 eV."""
    text = msp("60.5 1", 1, f"Collision_energy: {energy}").replace("195.0877", "146.1176")
    item = only(tmp_path, "a.msp", text)
    spectrum = spectrum_of(item)
    assert spectrum.measured_energy_ev == pytest.approx(30 * 146.1176 / 500, rel=1e-12)
    assert spectrum.collision_energy_ev == 10.0
    assert isinstance(item, Part)
    assert any(f"{energy} understood as 8.8 eV" in remark for remark in item.remarks)


def test_a_field_of_normalised_energy(tmp_path: Path) -> None:
    item = only(tmp_path, "a.mgf", mgf("50.5 1").replace("PEPMASS=195.0877", "PEPMASS=250\nNCE=40"))
    assert spectrum_of(item).measured_energy_ev == 20.0


def mzml(window: dict[str, object], ion: dict[str, object] | None) -> str:
    def terms(values: dict[str, object]) -> str:
        return "".join(f'<cvParam accession="MS:{name}" value="{value}"/>' for name, value in values.items())

    ions = "" if ion is None else f"<selectedIonList><selectedIon>{terms(ion)}</selectedIon></selectedIonList>"
    arrays = "".join(
        f'<binaryDataArray><cvParam accession="MS:1000576"/><cvParam accession="MS:1000523"/><cvParam'
        f' accession="MS:{name}"/><binary>AAAAAABASUA=</binary></binaryDataArray>'
        for name in ("1000514", "1000515")
    )
    return (
        '<mzML><run><spectrumList><spectrum id="a" defaultArrayLength="1"><cvParam accession="MS:1000511"'
        f' value="2"/><precursorList><precursor><isolationWindow>{terms(window)}</isolationWindow>{ions}'
        f"</precursor></precursorList><binaryDataArrayList>{arrays}</binaryDataArrayList></spectrum></spectrumList></run></mzML>"
    )


TARGET, LOWER, UPPER, SELECTED = "1000827", "1000828", "1000829", "1000744"
WINDOW: dict[str, object] = {TARGET: 345.0439, LOWER: 0.5, UPPER: 0.6}


@pytest.mark.parametrize(
    ("window", "ion", "precursor", "remark"),
    [
        (WINDOW, {SELECTED: 345.1}, 345.1, ""),
        (WINDOW, {SELECTED: 345.64}, 345.64, ""),
        ({}, {SELECTED: 345.1}, 345.1, ""),
        (WINDOW, None, 345.0439, "no m/z of a selected ion, that of the isolation window taken: 345.0439"),
        (WINDOW, {}, 345.0439, "no m/z of a selected ion"),
        (WINDOW, {SELECTED: 0}, 345.0439, "no m/z of a selected ion"),
        (WINDOW, {SELECTED: "0.0"}, 345.0439, "no m/z of a selected ion"),
        (WINDOW, {SELECTED: 344.0399}, 345.0439, "the selected ion 344.0399 lies outside the isolation window"),
        ({TARGET: 345.0439}, {SELECTED: 345.4}, 345.4, ""),
        ({TARGET: 345.0439}, {SELECTED: 346.0}, 345.0439, "the selected ion 346.0000 lies outside"),
        ({TARGET: 0}, None, None, "no precursor m/z"),
    ],
)
def test_the_precursor_from_the_isolation_window(
    tmp_path: Path, window: dict[str, object], ion: Any, precursor: float | None, remark: str
) -> None:
    item = only(tmp_path, "a.mzML", mzml(window, ion))
    assert spectrum_of(item).precursor_mz == precursor
    assert isinstance(item, Part)
    told = [one for one in item.remarks if "selected ion" in one or "precursor" in one]
    assert len(told) == bool(remark)
    assert not remark or told[0].startswith(remark)


@pytest.mark.parametrize("value", ["x", "nan", "-5", "1e9"])
def test_a_window_that_is_not_one_costs_its_spectrum(tmp_path: Path, value: str) -> None:
    item = only(tmp_path, "a.mzML", mzml({TARGET: value}, None))
    assert isinstance(item, Rejected)
    assert item.reason == "the isolation window is not three numbers from 0 on"


def test_intensities_of_the_layouts_are_relative(tmp_path: Path) -> None:
    item = only(tmp_path, "a.msp", msp("40 147, 41 57, 42 13,\n43 52"))
    np.testing.assert_allclose(spectrum_of(item).intensity, np.array([147, 57, 13, 52]) / 1.47, rtol=1e-12)
