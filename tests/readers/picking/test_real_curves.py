"""Curves of instruments whose compounds are known; the values are those of the pure compounds."""

from pathlib import Path

import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Multiplet


def read(folder: Path, name: str) -> Part:
    (part,) = [one for one in read_file(folder / "real-curves" / name) if isinstance(one, Part)]
    return part


def multiplets(part: Part) -> list[Multiplet]:
    (spectrum,) = part.spectra
    assert isinstance(spectrum, HydrogenNMR)
    return list(spectrum.multiplets)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ethanol-1h-300.jdx", [(3.72, "q", 2), (1.81, "s", 1), (1.24, "t", 3)]),
        ("2-chloroethanol-1h-400.dx", [(3.87, "t", 2), (3.67, "t", 2), (2.54, "s", 1)]),
        ("o-dichlorobenzene-1h-200.jdx", [(7.53, "m", 2), (7.33, "m", 2)]),
        (
            "aspirin-1h.dx",
            [
                (8.25, "s", 1),
                (8.04, "dd", 1),
                (7.52, "td", 1),
                (7.28, "td", 1),
                (7.07, "dd", 1),
                (2.29, "s", 3),
            ],
        ),
    ],
)
def test_signals_of_known_compounds(
    shared_cases: Path, name: str, expected: list[tuple[float, str, int]]
) -> None:
    part = read(shared_cases, name)
    found = multiplets(part)
    assert [(one.category, one.hydrogens) for one in found] == [
        (category, count) for _, category, count in expected
    ]
    assert [one.centroid_ppm for one in found] == pytest.approx([ppm for ppm, *_ in expected], abs=0.02)
    assert any("scale of the integrals" in remark for remark in part.remarks)


def test_couplings_of_ethanol_agree(shared_cases: Path) -> None:
    quartet, _, triplet = multiplets(read(shared_cases, "ethanol-1h-300.jdx"))
    assert quartet.j_hz == pytest.approx((7.0,), abs=0.1)
    assert triplet.j_hz == pytest.approx(quartet.j_hz, abs=0.1)


def test_rutin_has_at_most_its_hydrogens_and_no_water(shared_cases: Path) -> None:
    """C27H30O16 in DMSO: five hydrogens of the rings from 6 to 8 ppm, the methyl of rhamnose at 1 ppm."""
    part = read(shared_cases, "rutin-1h-400.jdx")
    found = multiplets(part)
    assert 20 <= sum(one.hydrogens for one in found) <= 30
    assert sum(one.hydrogens for one in found if 6 < one.centroid_ppm < 8) == 5
    assert [one.hydrogens for one in found if one.centroid_ppm < 2] == [3]
    assert any("left out as water" in remark and "3.30" in remark for remark in part.remarks)


def test_rutin_has_27_carbons(shared_cases: Path) -> None:
    part = read(shared_cases, "rutin-13c-100.jdx")
    (spectrum,) = part.spectra
    assert isinstance(spectrum, CarbonNMR)
    assert len(spectrum.shifts_ppm) == 27
    assert any("7 lines left out as solvent" in remark for remark in part.remarks)
