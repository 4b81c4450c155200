"""Simulated cohorts: what is in the tables follows from concentrations that are known."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from mmspec_ds.errors import ConfigError
from mmspec_ds.simulator.metabolites import serum_metabolites
from mmspec_ds.simulator.mixture_files import write_cohort
from mmspec_ds.simulator.mixtures import (
    HALF_WIDTH_PPM,
    HUMPS,
    MixtureSettings,
    bin_edges,
    binned,
    response_factors,
    seen_by,
    simulate_mixtures,
)

SILENT = {
    **dict.fromkeys(("biology", "within", "dilution", "shift_ppm", "nmr_noise", "baseline", "lipids"), 0.0),
    **dict.fromkeys(("batch_effect", "response", "ms_noise", "measured_twice", "effect"), 0.0),
}


def settings(**changes: float) -> MixtureSettings:
    return MixtureSettings.model_validate({"patients": 20, **changes})


def test_bins_are_integrals_of_lorentzians() -> None:
    edges = np.array([1.05, 1.01, 1.0, 0.99, 0.95])

    def density(ppm: float) -> float:
        return HALF_WIDTH_PPM / np.pi / ((ppm - 1.003) ** 2 + HALF_WIDTH_PPM**2)

    expected = [3 * quad(density, low, high)[0] for high, low in pairwise(edges)]
    assert binned(np.array([[1.003, 3.0]]), edges)[0] == pytest.approx(expected, rel=1e-6)


def test_a_silent_cohort_holds_the_typical_concentrations() -> None:
    cohort = simulate_mixtures(settings(**SILENT))
    assert np.ptp(cohort.nmr_NB, axis=0).max() < 1e-9
    # All hydrogens are in the range but for the tails of lines, and those between 4.6 and 5.0 ppm (glucose).
    hydrogens = sum(
        one.micromolar * share for one in serum_metabolites() for ppm, share in one.lines if not 4.6 < ppm < 5.0
    )
    lipids = sum(area for _, _, area in HUMPS)
    assert cohort.nmr_NB[0].sum() == pytest.approx(hydrogens + lipids, rel=0.01)
    alanine = [ion.name for ion in cohort.ions].index("alanine")
    assert cohort.ms_NK[:, alanine] == pytest.approx(350 * 0.4 * 10_000)


def test_markers_differ_by_their_fold_change_and_nothing_else_does() -> None:
    silent = SILENT | {"effect": 0.5}
    cohort = simulate_mixtures(settings(**silent))
    ratio_K = cohort.ms_NK[cohort.case_N].mean(axis=0) / cohort.ms_NK[~cohort.case_N].mean(axis=0)
    change = {marker.metabolite.name: marker.fold_change for marker in cohort.markers}
    assert ratio_K == pytest.approx([change.get(ion.name, 1.0) for ion in cohort.ions])
    assert {marker.seen_by for marker in cohort.markers} == {"nmr", "ms", "both"}
    unseen = {marker.metabolite.name for marker in cohort.markers if marker.seen_by == "nmr"}
    assert len(unseen) == 3
    assert not unseen & {ion.name for ion in cohort.ions}


def test_fold_changes_are_found_again_beneath_noise() -> None:
    cohort = simulate_mixtures(settings(patients=2000, markers=2))
    log_NK = np.log(cohort.ms_NK)
    names = [ion.name for ion in cohort.ions]
    for marker in cohort.markers:
        if marker.seen_by == "nmr":
            continue
        log_N = log_NK[:, names.index(marker.metabolite.name)]
        difference = np.nanmean(log_N[cohort.case_N]) - np.nanmean(log_N[~cohort.case_N])
        # Spread 0.4 to 0.55 and 1,000 patients a class: a standard error of 0.025.
        assert difference == pytest.approx(np.log(marker.fold_change), abs=0.08)


def test_metabolites_of_a_pathway_correlate_as_asked() -> None:
    quiet = {"dilution": 0.0, "batch_effect": 0.0, "ms_noise": 0.0, "within": 0.0, "effect": 0.0}
    cohort = simulate_mixtures(settings(patients=3000, measured_twice=0.0, correlation=0.5, **quiet))
    names = [ion.name for ion in cohort.ions]
    log_NK = np.log(cohort.ms_NK)
    of = {name: log_NK[:, names.index(name)] for name in ("valine", "leucine", "citrate")}
    # Standard errors: (1 - r^2) / sqrt(3000) is 0.014, and 0.018 for r = 0.
    assert np.corrcoef(of["valine"], of["leucine"])[0, 1] == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(of["valine"], of["citrate"])[0, 1] == pytest.approx(0.0, abs=0.06)
    assert of["valine"].std() == pytest.approx(0.4, abs=0.02)


def test_what_is_seen_follows_from_limits() -> None:
    metabolites, usual = serum_metabolites(), settings(**SILENT | {"nmr_noise": 8.0})
    response_K = response_factors(metabolites, usual)
    seen = dict(zip((one.name for one in metabolites), seen_by(metabolites, response_K, usual)))
    # Formate's ion, m/z 45, is below the scan; kynurenine's 2 micromoles per litre drown in the noise.
    assert (seen["formate"], seen["kynurenine"], seen["alanine"]) == ("nmr", "ms", "both")
    noisy = usual.model_copy(update={"nmr_noise": 1e5})
    assert set(seen_by(metabolites, response_K, noisy)) == {"ms", "neither"}
    deaf = usual.model_copy(update={"limit_counts": 1e12})
    assert set(seen_by(metabolites, response_K, deaf)) == {"nmr", "neither"}


def test_values_below_the_limit_are_missing() -> None:
    cohort = simulate_mixtures(settings(patients=100))
    cortisol = cohort.ms_NK[:, [ion.name for ion in cohort.ions].index("cortisol")]
    assert 0.05 < np.isnan(cortisol).mean() < 0.95
    assert np.nanmin(cohort.ms_NK) >= 1500


def test_seeds_of_patients_of_the_study_and_of_the_instrument() -> None:
    one = simulate_mixtures(settings(study=1))
    again = simulate_mixtures(settings(study=1))
    np.testing.assert_array_equal(one.nmr_NB, again.nmr_NB)
    np.testing.assert_array_equal(one.ms_NK, again.ms_NK)
    others = simulate_mixtures(settings(study=1, seed=5))
    assert [m.fold_change for m in others.markers] == [m.fold_change for m in one.markers]
    assert not np.array_equal(others.nmr_NB, one.nmr_NB)
    elsewhere = simulate_mixtures(settings(study=1, instrument=7, markers=0))
    here = simulate_mixtures(settings(study=1, markers=0))
    np.testing.assert_array_equal(elsewhere.nmr_NB, here.nmr_NB)
    ratio = np.nanmean(elsewhere.ms_NK[:, :30], axis=0) / np.nanmean(here.ms_NK[:, :30], axis=0)
    assert ratio.max() / ratio.min() > 2


def test_too_many_markers_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^markers: 9 are asked for, and the NMR table alone shows 3 of the"):
        simulate_mixtures(settings(markers=9))


def test_files(tmp_path: Path) -> None:
    cohort = simulate_mixtures(settings(one_table_only=0.4, measured_twice=0.25))
    told = write_cohort(tmp_path / "new", cohort)
    assert [path.name for path in told] == ["nmr.csv", "ms.csv", "samples.csv", "markers.csv"]
    assert list(told.values())[2] == "20 patients, 10 controls and 10 cases"
    rows = {path.stem: [line.split(",") for line in path.read_text().splitlines()] for path in told}
    assert len(rows["samples"]) == 26  # 20 patients, 5 of them twice
    assert rows["samples"][0] == ["sample", "patient", "class", "batch"]
    assert len({row[1] for row in rows["samples"][1:]}) == 20
    assert len(rows["nmr"]) == len(rows["ms"]) == 21  # five samples without NMR, five others without MS
    both = {row[0] for row in rows["nmr"]} & {row[0] for row in rows["ms"]}
    assert len(both) == 16  # the heads, and 15 samples
    ppm = np.array(rows["nmr"][0][1:], dtype=float)
    assert (np.diff(ppm) < 0).all()
    assert not ((ppm > 4.6) & (ppm < 5.0)).any()
    edges = bin_edges(MixtureSettings())
    assert len(ppm) == len(edges) - 1 - 11  # 4.58 to 5.02 holds water and what a bin shares with it
    alanine = next(name for name in rows["ms"][0] if name.startswith("alanine"))
    assert alanine == "alanine (90.0550)"
    assert rows["markers"][0] == ["metabolite", "smiles", "fold_change", "ppm", "mz", "seen_by"]
