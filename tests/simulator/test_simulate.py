"""The simulated data set: one reader for it and the benchmark, disjoint files, nothing half-finished."""

import os
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.simulator import simulate
from mmspec_ds.simulator.noise_settings import NoiseSettings
from mmspec_ds.simulator.parts import part_of
from mmspec_ds.simulator.simulate import SimulationSettings, simulate_dataset, simulate_record
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import CarbonNMR, Infrared, Modality, Record, TandemMS

SMALL = SimulationSettings(molecules=120, max_heavy_atoms=5, validation=0.2, test=0.2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter")
    summary = simulate_dataset(folder, SMALL)
    assert sum(summary.files.values()) == 120
    return folder


SIMULATED = tuple(one for one in Modality if one is not Modality.EI)


def records(folder: Path, name: str) -> list[Record]:
    return list(read_records(folder / f"{name}.parquet", modalities=SIMULATED))


def same(first: Record, second: Record) -> bool:
    return (first.smiles, first.formula) == (second.smiles, second.formula) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(first.spectra, second.spectra, strict=True)
        for name in a.__dataclass_fields__
    )


def test_a_record_has_all_modalities() -> None:
    record = simulate_record("OCC", noise=NoiseSettings.off())
    assert (record.smiles, record.formula) == ("CCO", "C2H6O")
    counts = {m.name: len(list(record.of(m))) for m in Modality}
    assert counts == {"H_NMR": 1, "C_NMR": 1, "IR": 1, "MS": 6, "FORMULA": 0, "HSQC": 1, "EI": 0}


@pytest.mark.parametrize(
    "smiles", ["C", "C[N+](C)(C)CC([O-])=O", "CB(O)O", "CI", "[CH3]", "CS(C)(=O)=O", "C[Hg]C"]
)
def test_odd_molecules_have_spectra_too(smiles: str) -> None:
    for seed in range(5):
        assert len(simulate_record(smiles, seed).spectra) == 10


@pytest.mark.parametrize("smiles", ["C1CC", "", "O", "CCO.C"])
def test_what_cannot_be_simulated_is_refused(smiles: str) -> None:
    with pytest.raises(ValueError, match="SMILES"):
        simulate_record(smiles)


def test_round_trip_through_the_reader(dataset: Path) -> None:
    for read in records(dataset, "test")[:20]:
        assert read.smiles is not None
        made = simulate_record(read.smiles, SMALL.seed, SMALL.noise)
        assert read.formula == made.formula
        by_kind = {Modality.C_NMR: CarbonNMR, Modality.MS: TandemMS, Modality.IR: Infrared}
        assert next(read.of(Modality.C_NMR)) == next(made.of(Modality.C_NMR))
        assert next(read.of(Modality.H_NMR)) == next(made.of(Modality.H_NMR))
        assert next(read.of(Modality.HSQC)) == next(made.of(Modality.HSQC))
        assert len(list(read.of(Modality.MS))) == 6
        for a, b in zip(read.of(Modality.MS), made.of(Modality.MS)):
            assert isinstance(a, by_kind[Modality.MS])
            assert isinstance(b, TandemMS)
            assert np.array_equal(a.mz, b.mz)
            assert (a.polarity, a.collision_energy_ev) == (b.polarity, b.collision_energy_ev)
            assert (a.precursor_mz, a.adduct, a.charge) == (b.precursor_mz, b.adduct, b.charge)
        infrared, made_infrared = next(read.of(Modality.IR)), next(made.of(Modality.IR))
        assert isinstance(infrared, Infrared)
        assert isinstance(made_infrared, Infrared)
        assert infrared.absorbance == pytest.approx(made_infrared.absorbance, abs=1e-6)  # stored as float32


def test_no_skeleton_is_in_two_files(dataset: Path) -> None:
    blocks = {
        name: {inchikey_block(r.smiles) for r in records(dataset, name) if r.smiles}
        for name in ("train", "val", "test")
    }
    assert sum(map(len, blocks.values())) == 120
    assert not blocks["train"] & blocks["val"]
    assert not blocks["train"] & blocks["test"]
    assert not blocks["val"] & blocks["test"]


def test_a_molecule_stays_in_its_file_whatever_else_is_simulated() -> None:
    parts = [part_of(f"BLOCK{number}", 0.04, 0.06) for number in range(20_000)]
    assert parts.count("test") / 20_000 == pytest.approx(0.06, abs=0.006)
    assert parts.count("val") / 20_000 == pytest.approx(0.04, abs=0.006)
    assert part_of("LFQSCWFLJHTTHZ", 0.04, 0.06) == part_of("LFQSCWFLJHTTHZ", 0.04, 0.06)


def test_two_runs_and_any_number_of_workers_give_the_same_files(dataset: Path, tmp_path: Path) -> None:
    ticks: list[tuple[int, int]] = []
    simulate_dataset(tmp_path, SMALL, workers=2, progress=lambda done, total: ticks.append((done, total)))
    assert ticks == [(number, 120) for number in range(1, 121)]
    for name in ("train", "val", "test"):
        first, second = records(dataset, name), records(tmp_path, name)
        assert len(first) == len(second)
        assert all(same(a, b) for a, b in zip(first, second))


def test_a_smiles_file_instead_of_the_enumeration(tmp_path: Path) -> None:
    source = tmp_path / "mine.smi"
    source.write_text("CCO\nCC(C)Cc1ccc(cc1)C(C)C(=O)O ibuprofen\nnonsense\n")
    settings = SimulationSettings(validation=0.0, test=0.0)
    with pytest.raises(DataError, match=r"mine\.smi: line 3"):
        simulate_dataset(tmp_path / "out", settings, smiles_file=source)
    summary = simulate_dataset(tmp_path / "out", settings, smiles_file=source, skip_invalid=True)
    assert summary.skipped == {"invalid": 1}
    assert {path.name: number for path, number in summary.files.items()} == {"train.parquet": 2}
    assert {r.smiles for r in records(tmp_path / "out", "train")} == {"CCO", "CC(C)Cc1ccc(C(C)C(=O)O)cc1"}


def test_too_few_molecules_for_three_files(tmp_path: Path) -> None:
    source = tmp_path / "mine.smi"
    source.write_text("CCO\n")
    with pytest.raises(ConfigError, match=r"1 molecules leave none for \w+.parquet"):
        simulate_dataset(tmp_path / "out", smiles_file=source)
    with pytest.raises(ConfigError, match="only 513 molecules up to 5"):
        simulate_dataset(tmp_path / "out", SimulationSettings(molecules=10_000, max_heavy_atoms=5))
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_the_old_files_and_no_scraps(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.parquet").write_bytes(b"old")
    calls = iter(range(60))

    def fails(*arguments: object, **options: object) -> Record:
        if next(calls) == 50:
            raise RuntimeError("the power is gone")
        return simulate_record("CCO")

    monkeypatch.setattr(simulate, "simulate_record", fails)
    with pytest.raises(RuntimeError, match="power"):
        simulate_dataset(tmp_path, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
    assert (tmp_path / "train.parquet").read_bytes() == b"old"


def test_what_a_killed_process_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Process numbers of another machine mean nothing here: what they write in a shared folder stays."""
    source = tmp_path / "mine.smi"
    source.write_text("CCO\n")
    out = tmp_path / "out"
    gone, alive = (out / f"{simulate._partial_name(process)}x" for process in (2**22 + 1, os.getpid()))
    with monkeypatch.context() as patched:
        patched.setattr(simulate, "this_machine", lambda: "another machine")
        elsewhere = out / f"{simulate._partial_name(2**22 + 1)}x"
    others = [out / ".partial-mine", out / f".partial-{2**22 + 1}-abc", out / ".partial-a-b-c"]
    for folder in (gone, alive, elsewhere, *others):
        folder.mkdir(parents=True)
        (folder / "train.parquet").write_bytes(b"half")
    simulate_dataset(out, SimulationSettings(validation=0.0, test=0.0), smiles_file=source)
    assert sorted(out.iterdir()) == sorted([alive, elsewhere, *others, out / "train.parquet"])
