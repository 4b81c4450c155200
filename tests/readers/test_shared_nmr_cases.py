"""Files as users have them: NMR and IR tables, JCAMP-DX and SD files of ../shared/cases."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared

BANDS = [(710, 0.92), (1100, 0.62), (1280, 0.82), (1451, 0.38), (1720, 1.11), (2949, 0.42)]


def parts(path: Path) -> list[Part]:
    return [item for item in read_file(path) if isinstance(item, Part)]


@pytest.mark.parametrize(
    ("folder", "count"), [("10-jcamp-decimal-comma", 5), ("11-jcamp-ir-peaktable", 2), ("19-csv-ir", 8)]
)
def test_the_same_bands_in_every_infrared_file(folder: str, count: int, shared_cases: Path) -> None:
    files = [
        path
        for path in sorted((shared_cases / folder).iterdir())
        if path.name not in ("f_c13_peaktable.jdx", "peaktable_only.jdx")
    ]
    assert len(files) == count
    for path in files:
        (part,) = parts(path)
        (spectrum,) = part.spectra
        assert isinstance(spectrum, Infrared)
        grid, values = np.linspace(400, 4000, 1800), spectrum.absorbance
        tops = np.flatnonzero(
            (values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:]) & (values[1:-1] > 0.05)
        )
        assert len(tops) == len(BANDS), path.name
        for top, (place, height) in zip(tops + 1, BANDS):
            assert grid[top] == pytest.approx(place, abs=4)
            assert values[top] == pytest.approx(height, abs=0.025)


def test_a_list_of_bands_alone_is_refused(shared_cases: Path) -> None:
    (item,) = read_file(shared_cases / "11-jcamp-ir-peaktable/peaktable_only.jdx")
    assert isinstance(item, Rejected)
    assert "12 lines of IR bands, not a curve" in item.reason


@pytest.mark.parametrize(
    ("name", "shifts"),
    [
        ("10-jcamp-decimal-comma/f_c13_peaktable.jdx", (170.21, 133.05, 130.44, 129.61, 128.33, 60.95, 14.33)),
        (
            "14-nmr-lists/topspin_peaklist_13c.txt",
            (166.6512, 132.792, 130.4921, 129.512, 128.2991, 60.9312, 14.3102),
        ),
        ("28-more/c13_commas.csv", (170.2, 133.1, 60.9, 14.3)),
        ("28-more/c13_no_index.csv", (170.2, 60.9, 14.3)),
    ],
)
def test_carbon_lists(name: str, shifts: tuple[float, ...], shared_cases: Path) -> None:
    (part,) = parts(shared_cases / name)
    assert part.spectra == (CarbonNMR(shifts),)


M, Q, T = (7.295, "m", 2), (4.12, "q", 2), (1.24, "t", 3)


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("14-nmr-lists/h1_decimal_comma.csv", [(7.28, "m", 2), Q, (2.05, "s", 3), T]),
        ("14-nmr-lists/h1_german.csv", [Q, T]),
        ("14-nmr-lists/h1_limits.tsv", [M, Q, (1.6, "m", 4), T]),
        ("14-nmr-lists/limits_headerless.txt", [M, Q, (1.6, "m", 4), T]),
        ("14-nmr-lists/h1_mnova_multiplets.csv", [(7.3, "m", 2), Q, (1.6, "m", 4), T]),
        ("14-nmr-lists/topspin_peaks.txt", [(4.1208, "q", 2), T]),
        ("28-more/h1_comma_comma.csv", [(7.28, "m", 2), Q, T]),
        ("28-more/h1_quoted_comma.csv", [(7.28, "m", 2), Q]),
        ("28-more/h1_signal_index.csv", [(7.26, "s", 1), Q]),
    ],
)
def test_hydrogen_lists(name: str, signals: list[tuple[float, str, int]], shared_cases: Path) -> None:
    (part,) = parts(shared_cases / name)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, HydrogenNMR)
    assert [(round(m.centroid_ppm, 4), m.category, m.hydrogens) for m in spectrum.multiplets] == signals


def test_limits_are_the_edges(shared_cases: Path) -> None:
    (part,) = parts(shared_cases / "14-nmr-lists/limits_headerless.txt")
    (spectrum,) = part.spectra
    assert isinstance(spectrum, HydrogenNMR)
    assert [(m.max_ppm, m.min_ppm) for m in spectrum.multiplets][2] == (1.9, 1.3)


@pytest.mark.parametrize(
    ("name", "shifts"),
    [("14-nmr-lists/h1_mnova_peaks.csv", [7.3, 4.11]), ("28-more/h1_topspin.txt", [7.26, 4.12, 1.25])],
)
def test_lists_of_single_lines(name: str, shifts: list[float], shared_cases: Path) -> None:
    (part,) = parts(shared_cases / name)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, HydrogenNMR)
    assert [m.centroid_ppm for m in spectrum.multiplets] == pytest.approx(shifts, abs=0.005)


def test_spectra_of_nmrshiftdb(shared_cases: Path) -> None:
    (part,) = parts(shared_cases / "15-nmrshiftdb-sd/withsignals.sd")
    hydrogen, carbon = part.spectra
    assert isinstance(hydrogen, HydrogenNMR)
    found = [(m.centroid_ppm, m.category, m.hydrogens) for m in hydrogen.multiplets]
    assert found == [(4.12, "q", 2), (2.04, "s", 3), (1.26, "t", 3)]
    assert carbon == CarbonNMR((171.1, 60.4, 21.0, 14.2), (0, 2, 3, 3))
    assert part.smiles == "CCOC(C)=O"
