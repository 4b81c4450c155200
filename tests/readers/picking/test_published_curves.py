"""The published sample's simulated 1H curves, picked and held against its own lists of multiplets."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from rdkit import Chem

from mmspec_ds.readers.picking.curve import NMRCurve
from mmspec_ds.readers.picking.nmr import pick_hydrogen
from mmspec_ds.readers.picking.pick_settings import ExclusionSettings, NMRProcessingSettings

MHZ = 500.0
METHYLS = {
    hydrogens: Chem.MolFromSmarts(group)
    for hydrogens, group in (
        (3, "[CH3][!C,c,$(C=*),$(C([#6])([#6])[#6])]"),
        (6, "[CH3][C,N][CH3]"),
        (9, "[CH3]C([CH3])[CH3]"),
    )
}
"""Groups whose hydrogens give one singlet, by their number."""
NOTHING = Chem.MolFromSmarts("[#0]")
SETTINGS = NMRProcessingSettings(exclusion=ExclusionSettings(reference_ppm=0))


def test_curves_give_the_lists_that_came_with_them(shared_data: Path) -> None:
    """100 molecules with 911 multiplets, points 0.6 Hz apart. Found within 0.03 ppm about 883, with the same
    count of hydrogens 820, with the same name and J 360, these J within 0.015 Hz in the median.

    The lists round integrals down: they give the singlets of some methyl groups 2 H and of tert-butyl groups
    8 H, where the curve has 2.9 to 3.1 and 8.6 to 9.4. The structure decides there: 25 signals."""
    table = pq.read_table(
        shared_data / "alberts/example_data_1.parquet", columns=["h_nmr_spectra", "h_nmr_peaks", "smiles"]
    )
    ppm = np.linspace(-2.0, 10.0, 10_000)
    found = counted = total = named = 0
    errors: list[float] = []
    for row in table.to_pylist():
        molecule = Chem.MolFromSmiles(row["smiles"])
        values = np.array(row["h_nmr_spectra"], dtype=np.float64)[::-1]
        picked = list(pick_hydrogen(NMRCurve(ppm, values, "1H", MHZ), SETTINGS).spectrum.multiplets)
        for listed in row["h_nmr_peaks"]:
            total += 1
            nearest = min(picked, key=lambda one: abs(one.centroid_ppm - listed["centroid"]), default=None)
            if nearest is None or abs(nearest.centroid_ppm - listed["centroid"]) > 0.03:
                continue
            picked.remove(nearest)
            found += 1
            counted += nearest.hydrogens == listed["nH"] or (
                listed["category"] == "s"
                and nearest.hydrogens == listed["nH"] + 1
                and molecule.HasSubstructMatch(METHYLS.get(nearest.hydrogens, NOTHING))
            )
            if nearest.category == listed["category"] and nearest.j_hz:
                named += 1
                known = sorted(float(text) for text in listed["j_values"].removesuffix("_").split("_"))
                errors += [abs(one - other) for one, other in zip(nearest.j_hz, known)]
    assert total == 911
    assert found >= 880
    assert counted >= 810
    assert named >= 340
    assert np.median(errors) < 0.02
    assert np.quantile(errors, 0.9) < 0.2
