"""Peak lists: what is dropped, merged, sorted, scaled and kept."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, RecordFault
from mmspec_ds.readers.peaks import clean_peaks, local_maxima
from mmspec_ds.spectra.records import TandemMS


def cleaned(
    mz: list[float], intensity: list[float], max_peaks: int = 1000
) -> tuple[list[float], list[float], list[str]]:
    kept_mz, kept_intensity, remarks = clean_peaks(np.array(mz), np.array(intensity), max_peaks)
    return kept_mz.tolist(), kept_intensity.tolist(), remarks


def test_sorted_and_scaled() -> None:
    assert cleaned([80, 50, 60], [1, 2, 4]) == ([50, 60, 80], [50, 100, 25], [])


def test_equal_mz_are_one_peak() -> None:
    mz, intensity, remarks = cleaned([50, 60, 50, 50], [1, 4, 1, 2])
    assert (mz, intensity) == ([50, 60], [100, 100])
    assert remarks == ["2 peaks added to another one of the same m/z"]


def test_zero_and_negative_intensities_are_left_out() -> None:
    mz, intensity, remarks = cleaned([0, 50, 60, 70, 80], [0, 1, -5, 2, 1e-320])
    assert (mz, intensity) == ([50, 70, 80], [50, 100, pytest.approx(0, abs=1e-300)])
    assert intensity[2] > 0
    assert remarks == ["2 peaks of zero or negative intensity left out"]


def test_what_vanishes_beside_the_base_peak_is_left_out() -> None:
    assert cleaned([50, 60], [1e-320, 1e10])[0] == [60]


def test_the_strongest_are_kept_and_of_equal_ones_those_of_lower_mz() -> None:
    mz, intensity, remarks = cleaned([50, 60, 70, 80], [5, 1, 5, 5], max_peaks=2)
    assert (mz, intensity) == ([50, 70], [100, 100])
    assert remarks == ["the 2 strongest of 4 peaks kept"]


def test_sums_do_not_overflow() -> None:
    assert cleaned([50, 50, 60], [1.7e308, 1.7e308, 1.7e308])[1] == [100, 50]


@pytest.mark.parametrize(
    ("mz", "intensity", "words"),
    [
        ([], [], "no peaks"),
        ([50], [0], "no peak has an intensity above zero"),
        ([50, np.nan], [1, 1], "m/z of peak 1 is nan"),
        ([50], [np.inf], "intensity of peak 0 is inf"),
        ([50, -1], [1, 1], "m/z of peak 1 is -1"),
        ([50, 60], [1], "2 m/z values and 1 intensities"),
    ],
)
def test_what_spoils_a_spectrum(mz: list[float], intensity: list[float], words: str) -> None:
    with pytest.raises(RecordFault, match=words):
        cleaned(mz, intensity)


def test_local_maxima_of_a_profile() -> None:
    """Two Gaussians on a grid of 0.01 are two peaks, at their centres."""
    mz = np.arange(99.0, 101.0, 0.01)
    profile = 50 * np.exp(-(((mz - 99.503) / 0.03) ** 2)) + 100 * np.exp(-(((mz - 100.208) / 0.03) ** 2))
    profile[profile < 1e-6] = 0
    places, heights = local_maxima(mz, profile)
    np.testing.assert_allclose(places, [99.503, 100.208], rtol=0, atol=1e-9)
    np.testing.assert_allclose(heights, [50, 100], rtol=0.03)


def test_a_million_peaks_take_seconds_and_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "million.mgf"
    chance = np.random.default_rng(1)
    intensity = chance.permutation(1_000_000) + 1
    with path.open("w") as file:
        file.write("BEGIN IONS\nPEPMASS=900\nCHARGE=1+\n")
        file.writelines(f"{50 + index * 1e-3:.3f} {value}\n" for index, value in enumerate(intensity.tolist()))
        file.write("END IONS\n")
    started = time.process_time()
    (part,) = read_file(path)
    assert time.process_time() - started < 20  # 2 seconds where this was written
    assert isinstance(part, Part)
    (spectrum,) = part.spectra
    assert isinstance(spectrum, TandemMS)
    strongest = np.sort(np.argsort(-intensity)[:1000])
    np.testing.assert_allclose(spectrum.mz, 50 + strongest * 1e-3, rtol=0, atol=5e-4)
    assert "the 1,000 strongest of 1,000,000 peaks kept" in part.remarks


def test_memory_does_not_grow_with_the_file(sound_files: Path, tmp_path: Path) -> None:
    """Ten times the records, the same memory: 20 and 200 repeats of the spectra of a file."""
    content = (sound_files / "psims.mzML").read_text()
    start, end = content.index("<spectrum "), content.index("</spectrumList>")
    peaks = {}
    for repeats in (20, 200):
        path = tmp_path / f"{repeats}.mzML"
        path.write_text(content[:start] + content[start:end] * repeats + content[end:])
        tracemalloc.start()
        assert sum(isinstance(item, Part) for item in read_file(path)) == 4 * repeats
        peaks[repeats] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[200] < 1.5 * peaks[20]
