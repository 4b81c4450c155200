"""`mmspec simulate --noise`: each kind by its name, from the default or from none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.simulate import simulate_record
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Modality, Record


def only(record: Record) -> tuple[CarbonNMR, Infrared]:
    (carbon,), (infrared,) = record.of(Modality.C_NMR), record.of(Modality.IR)
    assert isinstance(carbon, CarbonNMR)
    assert isinstance(infrared, Infrared)
    return carbon, infrared


def test_after_noise_free_there_is_what_was_asked_for_and_no_other(mmspec: Any, tmp_path: Path) -> None:
    arguments = ("--molecules", 40, "--max-heavy-atoms", 4, "--workers", 1, "--out", tmp_path, "--noise-free")
    assert mmspec("simulate", *arguments, "--noise", "ir_noise=0.5").status == 0
    for record in read_records(tmp_path / "train.parquet"):
        carbon, infrared = only(record)
        clean_carbon, clean_infrared = only(simulate_record(record.smiles or "", noise=NoiseSettings.off()))
        assert carbon == clean_carbon
        assert np.std(infrared.absorbance - clean_infrared.absorbance) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("carbon_pm=1", "noise.carbon_pm: unknown key; did you mean 'carbon_ppm'?"),
        ("missing_peak=1", "noise.missing_peak: input should be less than 1"),
        ("carbon_ppm=inf", "noise.carbon_ppm: input should be a finite number"),
    ],
)
def test_what_is_no_noise_is_refused_in_one_line(mmspec: Any, tmp_path: Path, setting: str, why: str) -> None:
    mmspec("simulate", "--noise", setting, "--out", tmp_path / "new").is_one_line(why)
    assert not (tmp_path / "new").exists()


def test_a_word_without_a_number_is_wrong_usage(mmspec: Any, tmp_path: Path) -> None:
    told = mmspec("simulate", "--noise", "carbon_ppm", "--out", tmp_path / "new")
    assert told.status == 2
    assert "argument --noise: 'carbon_ppm': expected a name, = and a number" in told.err


def test_the_profile_of_measured_lists(mmspec: Any, tmp_path: Path) -> None:
    arguments = ("--molecules", 40, "--max-heavy-atoms", 4, "--workers", 1, "--out", tmp_path)
    noise = ("--noise", "spurious_peak=0")
    assert mmspec("simulate", *arguments, "--profile", "measured-lists", *noise).status == 0
    for record in read_records(tmp_path / "train.parquet"):
        (hydrogen,) = record.of(Modality.H_NMR)
        assert isinstance(hydrogen, HydrogenNMR)
        assert {(one.category, one.j_hz) for one in hydrogen.multiplets} == {("m", ())}
    told = mmspec("simulate", *arguments, "--profile", "measured-lists", "--noise-free")
    assert told.status == 2
    assert "not allowed with argument" in told.err
