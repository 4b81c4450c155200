"""Simulated NMR: numbers of lines, multiplicities and hydrogens that a textbook gives."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rdkit import Chem

from mmspec_ds.simulator.couplings import (
    LINE_PPM,
    SPECTROMETER_MHZ,
    merge_couplings,
    multiplet_name,
    vicinal_hz,
)
from mmspec_ds.simulator.environments import surroundings
from mmspec_ds.simulator.nmr import carbon_nmr, exchangeable_singles, hydrogen_nmr
from mmspec_ds.simulator.shifts import table_shifts
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Modality, Multiplet
from tools.spectrum_comparison import carbon_errors, hydrogen_errors, paired_multiplets

NMR = (Modality.C_NMR, Modality.H_NMR)


def multiplets(smiles: str) -> tuple[Multiplet, ...]:
    mol = Chem.MolFromSmiles(smiles)
    return hydrogen_nmr(mol, table_shifts(mol, surroundings(mol)).hydrogen.ppm).multiplets


def pattern(smiles: str) -> list[tuple[str, int]]:
    """(category, hydrogens) without order."""
    return sorted((m.category, m.hydrogens) for m in multiplets(smiles))


def lines(smiles: str) -> tuple[float, ...]:
    mol = Chem.MolFromSmiles(smiles)
    return carbon_nmr(mol, table_shifts(mol, surroundings(mol)).carbon.ppm).shifts_ppm


@pytest.mark.parametrize(
    ("smiles", "count"),
    [("CCO", 2), ("CCOC(C)=O", 4), ("Cc1ccccc1", 5), ("CC(C)(C)O", 2), ("c1ccccc1", 1), ("CC(=O)C", 2)],
)
def test_one_13c_line_for_each_set_of_equivalent_carbons(smiles: str, count: int) -> None:
    assert len(lines(smiles)) == count
    assert list(lines(smiles)) == sorted(lines(smiles), reverse=True)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", [("p", 2), ("t", 1), ("t", 3)]),
        ("CCOC(C)=O", [("q", 2), ("s", 3), ("t", 3)]),
        ("CC(C)O", [("d", 6), ("heptd", 1), ("d", 1)]),
        ("CC(C)(C)O", [("s", 1), ("s", 9)]),
        ("CCCCl", [("h", 2), ("t", 2), ("t", 3)]),
        ("ClCCCl", [("s", 4)]),
        ("CCOCC", [("q", 4), ("t", 6)]),
        ("CC=O", [("d", 3), ("q", 1)]),
        ("CCF", [("dq", 2), ("dt", 3)]),
        ("C=CC#N", [("dd", 1), ("dd", 1), ("dd", 1)]),
        ("CC#C", [("d", 3), ("q", 1)]),
        ("COc1ccc(C#N)cc1", [("d", 2), ("d", 2), ("s", 3)]),
        ("c1ccccc1", [("s", 6)]),
        ("CNC", [("hept", 1), ("d", 6)]),
        ("CC(=O)O", [("s", 3)]),
        ("CC(=O)NC", [("d", 3), ("q", 1), ("s", 3)]),
        ("ClCc1ccc(C#N)cc1", [("d", 2), ("dt", 2), ("t", 2)]),
    ],
)
def test_multiplicities_and_hydrogens(smiles: str, expected: list[tuple[str, int]]) -> None:
    assert pattern(smiles) == sorted(expected)


def test_toluene() -> None:
    # The ring's five hydrogens are 2 + 2 + 1, the methyl's three.
    found = multiplets("Cc1ccccc1")
    assert sorted(m.hydrogens for m in found) == [1, 2, 2, 3]
    assert found[-1].category == "s"
    assert 2.0 < found[-1].centroid_ppm < 2.7
    assert all(6.9 < m.centroid_ppm < 7.6 for m in found[:-1])


@pytest.mark.parametrize(
    "smiles", ["CCO", "C=CC(=O)NC", "FCC#CC1CC1", "c1cc[nH]c1", "CC(C)CN", "C=C", "C=C(C)C"]
)
def test_all_hydrogens_are_counted_once(smiles: str) -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    hydrogens = sum(atom.GetAtomicNum() == 1 for atom in mol.GetAtoms())
    assert sum(m.hydrogens for m in multiplets(smiles)) == hydrogens


def test_edges_follow_the_couplings_at_500_mhz() -> None:
    quartet = next(m for m in multiplets("CCOC") if m.category == "q")
    assert quartet.j_hz == (6.4,)
    assert quartet.max_ppm - quartet.min_ppm == pytest.approx(LINE_PPM + 3 * 6.4 / 500.0)
    assert (quartet.max_ppm + quartet.min_ppm) / 2 == pytest.approx(quartet.centroid_ppm)
    shifts = [m.centroid_ppm for m in multiplets("CCO")]
    assert shifts == sorted(shifts, reverse=True)


def test_names_of_coupling_patterns() -> None:
    assert multiplet_name([]) == ("s", (), 0.0)
    assert multiplet_name([(7.0, 3), (7.0, 2)]) == ("h", (7.0,), 35.0)
    assert multiplet_name([(1.5, 1), (10.5, 1), (17.0, 1)]) == ("ddd", (1.5, 10.5, 17.0), 29.0)
    assert multiplet_name([(6.5, 3), (15.0, 1)]) == ("dq", (6.5, 15.0), 34.5)
    assert multiplet_name([(7.0, 7)]) == ("m", (), 49.0)
    assert multiplet_name([(1.0, 1), (4.0, 1), (8.0, 1), (12.0, 1)]) == ("m", (), 25.0)
    assert merge_couplings([(7.0, 3), (6.5, 1), (2.0, 1)]) == [(6.9, 4), (2.0, 1)]


@pytest.mark.parametrize(
    ("smiles", "bond", "hertz"),
    [
        ("CC", 0, 6.6),
        ("c1ccccc1", 0, 8.0),
        ("c1ccoc1", 0, 3.4),
        ("C1=CCCC1", 0, 5.5),
        ("CC=CC", 1, 15.0),
        ("CC=O", 0, 5.4),
    ],
)
def test_vicinal_couplings(smiles: str, bond: int, hertz: float) -> None:
    mol = Chem.MolFromSmiles(smiles)
    assert vicinal_hz(mol, mol.GetBondWithIdx(bond)) == hertz


def test_hydrogens_that_are_not_seen_split_nothing() -> None:
    mol = Chem.MolFromSmiles("CNC(C)=O")
    shifts = table_shifts(mol, surroundings(mol)).hydrogen.ppm
    assert exchangeable_singles(mol) == [1]
    shown = hydrogen_nmr(mol, shifts, frozenset([1])).multiplets
    assert [(m.category, m.hydrogens) for m in shown] == [("s", 3), ("s", 3)]


def test_published_shifts_are_met(shared_data: Path) -> None:
    """The bars: 2.0 ppm and 0.30 ppm, of molecules that the table was not fitted on."""
    carbon, as_many, hydrogen = [], [], []
    for record in read_records(shared_data / "alberts" / "example_data_1.parquet", modalities=NMR):
        mol = Chem.MolFromSmiles(record.smiles)
        Chem.RemoveStereochemistry(mol)
        shifts = table_shifts(mol, surroundings(mol))
        made = carbon_nmr(mol, shifts.carbon.ppm)
        (lines,) = (s for s in record.of(Modality.C_NMR) if isinstance(s, CarbonNMR))
        (peaks,) = (s for s in record.of(Modality.H_NMR) if isinstance(s, HydrogenNMR))
        carbon.append(carbon_errors(made, lines))
        hydrogen.append(hydrogen_errors(hydrogen_nmr(mol, shifts.hydrogen.ppm), peaks))
        if len(made.shifts_ppm) == len(lines.shifts_ppm):
            as_many.append(carbon[-1])
    assert np.median(np.concatenate(carbon)) <= 2.0  # measured 1.30
    assert np.median(np.concatenate(as_many)) <= 2.0  # measured 1.5
    assert len(as_many) >= 65  # measured 74 of 100
    assert np.median(np.concatenate(hydrogen)) <= 0.30  # measured 0.09


def test_published_couplings_and_curves_agree_at_500_mhz(shared_data: Path) -> None:
    """Distance of the outer lines of doublets, triplets and quartets on the curve (ppm) against n J of the list
    (Hz)."""
    columns = ["h_nmr_peaks", "h_nmr_spectra"]
    hertz = ppm = 0.0
    for row in pq.read_table(shared_data / "alberts" / "example_data_1.parquet", columns=columns).to_pylist():
        curve = np.array(row["h_nmr_spectra"])
        axis = np.linspace(10.0, -2.0, len(curve))
        for peak in row["h_nmr_peaks"]:
            lines = {"d": 2, "t": 3, "q": 4}.get(peak["category"])
            if lines is None or float(peak["j_values"].strip("_")) < 4.0:
                continue
            inside = np.flatnonzero((axis <= peak["rangeMax"]) & (axis >= peak["rangeMin"]))
            high = curve > 0.1 * curve[inside].max(initial=0.0)
            tops = [i for i in inside[1:-1] if high[i] and curve[i - 1] < curve[i] >= curve[i + 1]]
            if len(tops) == lines:
                hertz += (lines - 1) * float(peak["j_values"].strip("_"))
                ppm += axis[tops[0]] - axis[tops[-1]]
    assert hertz / ppm == pytest.approx(SPECTROMETER_MHZ, rel=0.01)  # measured 501


def test_multiplets_are_paired_so_that_their_distances_are_least() -> None:
    one, two, three = (Multiplet(shift, shift, shift, "s", 1) for shift in (1.0, 3.0, 7.0))
    near_one, near_three = (Multiplet(shift, shift, shift, "s", 1) for shift in (1.4, 6.0))
    pairs = paired_multiplets(HydrogenNMR((three, two, one)), HydrogenNMR((near_three, near_one)))
    assert pairs == [(three, near_three), (one, near_one)]


def test_errors_pair_lines_so_that_their_sum_is_least() -> None:
    assert carbon_errors(CarbonNMR((100.0, 10.0)), CarbonNMR((11.0, 99.5, 50.0))).tolist() == [0.5, 1.0]
    one = HydrogenNMR((Multiplet(1.0, 1.1, 0.9, "t", 3), Multiplet(4.0, 4.1, 3.9, "q", 2)))
    other = HydrogenNMR((Multiplet(4.2, 4.3, 4.1, "q", 2), Multiplet(1.1, 1.2, 1.0, "t", 3)))
    assert sorted(hydrogen_errors(one, other).round(6)) == [0.1, 0.1, 0.1, 0.2, 0.2]
