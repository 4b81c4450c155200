"""MGF written: it reads back as it was, here and by pyteomics."""

from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.mgf import read_mgf, write_mgf
from mmspec_ds.readers.part import Part
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import CarbonNMR, TandemMS

FILES = ("gnps.mgf", "nist.msp", "mona.msp", "massbank.txt", "massspecgym.tsv", "psims.mzML", "nested.mzXML")


def peaks(part: Part) -> tuple[list[float], list[float], str, float | None]:
    (spectrum,) = part.spectra
    assert isinstance(spectrum, TandemMS)
    return spectrum.mz.tolist(), spectrum.intensity.tolist(), spectrum.polarity, spectrum.collision_energy_ev


def precursor(part: Part) -> tuple[float | None, str | None, int | None, float | None]:
    (spectrum,) = part.spectra
    assert isinstance(spectrum, TandemMS)
    return spectrum.precursor_mz, spectrum.adduct, spectrum.charge, spectrum.measured_energy_ev


@pytest.mark.parametrize("name", FILES)
def test_round_trip(sound_files: Path, tmp_path: Path, name: str) -> None:
    before = [item for item in read_file(sound_files / name) if isinstance(item, Part)]
    path = tmp_path / "again.mgf"
    assert write_mgf(path, before) == len(before)
    after = [item for item in read_mgf(path) if isinstance(item, Part)]
    assert len(after) == len(before)
    for old, new in zip(before, after):
        assert peaks(new) == peaks(old)
        assert precursor(new) == precursor(old)
        assert (new.smiles, new.formula) == (old.smiles, old.formula)
        if keys.COLLISION_ENERGY in old.metadata:
            assert dict(new.metadata) == {keys.NAME: old.id, **old.metadata}
    assert [path.name for path in tmp_path.iterdir()] == ["again.mgf"]


def test_pyteomics_reads_it(sound_files: Path, tmp_path: Path) -> None:
    mgf = pytest.importorskip("pyteomics.mgf")
    parts = [item for item in read_file(sound_files / "gnps.mgf") if isinstance(item, Part)]
    write_mgf(tmp_path / "ours.mgf", parts)
    theirs = list(mgf.read(str(tmp_path / "ours.mgf"), use_index=False))
    assert [one["params"]["pepmass"][0] for one in theirs] == [195.0877, 121.0295, 523.285]
    assert [[int(charge) for charge in one["params"]["charge"]] for one in theirs] == [[1], [-1], [2]]
    for one, part in zip(theirs, parts):
        assert one["m/z array"].tolist() == peaks(part)[0]
        assert one["intensity array"].tolist() == peaks(part)[1]


def test_records_of_the_benchmark_go_through_mgf(sound_files: Path, tmp_path: Path) -> None:
    record = next(read_records(sound_files / "pyarrow.parquet"))
    part = Part(record.id, record.spectra, record.smiles, record.formula)
    assert write_mgf(tmp_path / "six.mgf", [part]) == 6
    found = [peaks(one) for one in read_mgf(tmp_path / "six.mgf") if isinstance(one, Part)]
    wanted = [(polarity, energy) for polarity in ("positive", "negative") for energy in (10.0, 20.0, 40.0)]
    assert [one[2:] for one in found] == wanted
    assert all(one[:2] == ([29.04, 47.05], [40.0, 100.0]) for one in found)


def test_text_that_would_break_a_block_does_not(tmp_path: Path) -> None:
    spectrum = TandemMS(np.array([50.0]), np.array([100.0]))
    metadata = {keys.NAME: "a\nEND IONS\n50 1", "1key = odd": "x=y", "50": "END IONS"}
    path = tmp_path / "odd.mgf"
    write_mgf(path, [Part("odd:0", (spectrum, CarbonNMR((20.0,))), metadata=metadata)])
    (part,) = read_mgf(path)
    assert isinstance(part, Part)
    assert part.metadata[keys.NAME] == "a END IONS 50 1"
    assert part.metadata["x_1key___odd"] == "x=y"
    assert peaks(part)[:2] == ([50.0], [100.0])
