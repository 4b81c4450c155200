"""Raw MALDI-TOF spectra: the axis against the instrument's own masses, the peaks against those that were put
in, and damaged folders."""

import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.bruker_flex import FlexSpectrum, read_flex
from mmspec_ds.readers.format_registry import find_format, read_file
from mmspec_ds.readers.part import Rejected
from mmspec_ds.readers.picking.time_of_flight import pick_flight_peaks, snip_baseline
from mmspec_ds.readers.requests import requests_of_file
from mmspec_ds.spectra.records import Modality
from tests.readers.flex_writer import DELAY, POINTS, STEP, counts_of, flight_time, write_flex

PUT_IN = {2500.0: 9000.0, 4336.2: 20_000.0, 5173.5: 12_000.0, 9645.3: 7000.0, 15_000.0: 1500.0}


def spectra_of(path: Path) -> list[FlexSpectrum]:
    found = list(read_flex(path))
    assert all(isinstance(one, FlexSpectrum) for one in found), found
    return found  # type: ignore[return-value]


def rejected_of(path: Path) -> Rejected:
    (found,) = read_flex(path)
    assert isinstance(found, Rejected), found
    assert len(str(found).splitlines()) == 1
    return found


def test_calibrants_have_the_masses_that_the_instrument_gives_them(bacteria: Path) -> None:
    """`acqu` lists, of the calibration that it holds, times in ns and the masses that they became."""
    for species in ("species1/0_F9", "species3/0_F9"):
        folder = bacteria / species / "1" / "1SLin"
        (one,) = spectra_of(folder)
        text = (folder / "acqu").read_text(encoding="latin-1")
        pairs = re.findall(r"<rv>([\d.]+)</rv><mb>[\d.]+</mb><ma>([\d.]+)</ma>", text)
        time, mass = np.array(pairs, dtype=np.float64).T
        assert len(mass) == 8
        point = (time - DELAY) / STEP
        # m/z is nearly quadratic in the time: cubic interpolation between points of 2 ns is exact to 1e-9
        found = [cubic(one.mz, at) for at in point]
        np.testing.assert_allclose(found, mass, rtol=1e-9)


def cubic(values: np.ndarray, at: float) -> float:
    """The value of a curve between its points, by the cubic through the four nearest."""
    start = int(at) - 1
    near = np.arange(start, start + 4)
    weights = [np.prod([(at - m) / (k - m) for m in near if m != k]) for k in near]
    return float(np.dot(weights, values[near]))


def test_published_spectra(bacteria: Path) -> None:
    found = spectra_of(bacteria)
    assert len(found) == 96
    assert len({one.sample for one in found}) == 32
    assert {one.group for one in found} == {"species1", "species2", "species3", "species4"}
    assert [one.id for one in found[:4]] == [f"species1/0_F7/{n}" for n in (1, 2, 3)] + ["species1/0_F8/1"]
    assert {one.mode for one in found} == {"linear"}
    assert {(one.spot, one.sample.split("_")[1]) for one in found} == {(one.spot, one.spot) for one in found}
    # a remark would say that the highest count is not the YMAX_a of acqu
    assert [one.remarks for one in found] == [()] * 96


def test_published_replicates_agree(bacteria: Path) -> None:
    """Of the 20 highest peaks of a spectrum, nearly all are in the other spectra of the spot within 500 ppm."""
    peaks = {one.id: pick_flight_peaks(one.mz, one.counts) for one in spectra_of(bacteria)}
    shares = []
    for name, first in peaks.items():
        if not name.endswith("/1"):
            continue
        strongest = first.mz[np.argsort(-first.height)[:20]]
        for number in "23":
            other = peaks[name[:-1] + number].mz
            nearest = np.abs(other[:, None] - strongest).min(axis=0) / strongest
            shares.append(float((nearest < 5e-4).mean()))
    assert len(shares) == 64
    assert np.mean(shares) > 0.97


def test_singly_and_doubly_charged_ions_have_one_mass(bacteria: Path) -> None:
    """m/z 9645 and 4823 of species 1 are [M+H]+ and [M+2H]2+: the axis is right at both, to 300 ppm."""
    apart = []
    for one in spectra_of(bacteria / "species1"):
        mz = pick_flight_peaks(one.mz, one.counts).mz
        single, double = (mz[np.abs(mz - near).argmin()] for near in (9645.0, 4823.0))
        apart.append((2 * double - 1.00728) / single - 1)
    assert abs(np.median(apart)) < 3e-4


@pytest.mark.parametrize("order", ["<", ">"])
def test_peaks_are_where_they_were_put(tmp_path: Path, order: str) -> None:
    byte_order = {"$BYTORDA": "1" if order == ">" else "0"}
    folder = write_flex(tmp_path / "0_A1" / "1" / "1SLin", counts_of(PUT_IN), byte_order, order)
    for path in (tmp_path, folder, folder / "acqu", folder / "fid"):
        (one,) = spectra_of(path)
        assert len(one.mz) == POINTS
        np.testing.assert_allclose(flight_time(one.mz), DELAY + STEP * np.arange(POINTS), rtol=1e-12)
        assert (one.spot, one.plate, one.mode, one.number) == ("F9", "G_1", "linear", "1")
    found = pick_flight_peaks(one.mz, one.counts)
    strongest = np.sort(found.mz[np.argsort(-found.height)[: len(PUT_IN)]])
    np.testing.assert_allclose(strongest, list(PUT_IN), rtol=1e-4)  # 2 ns are 130 ppm at m/z 5000
    assert found.prepared.mean() == pytest.approx(1.0)


def test_linear_calibration_by_hand(tmp_path: Path) -> None:
    """With ML3 = 0, ML1 = 1e12 and ML2 = 10 the m/z of a time t is (t - 10)^2."""
    counts = np.arange(1, 31)
    flat = {"$ML1": "1e12", "$ML2": "10", "$ML3": "0", "$DELAY": "8", "$DW": "0.5", "$TD": "30"}
    (one,) = spectra_of(write_flex(tmp_path / "a", counts, flat))
    time = 8 + 0.5 * np.arange(30)
    np.testing.assert_allclose(one.mz, ((time - 10) ** 2)[time > 10], rtol=1e-12)
    assert one.counts.tolist() == counts[5:].tolist()
    assert one.remarks == ("5 points before any ion arrives left out",)


def test_baseline() -> None:
    line = np.linspace(5.0, 1.0, 400)
    np.testing.assert_allclose(snip_baseline(line, 50), line)
    peaked = line + 3 * np.exp(-0.5 * ((np.arange(400) - 200) / 5) ** 2)
    assert np.abs(snip_baseline(peaked, 50) - line).max() < 0.01
    assert snip_baseline(np.array([1.0, 5.0, 2.0]), 9).tolist() == [1.0, 1.5, 2.0]


def test_heights_do_not_depend_on_the_shots(tmp_path: Path) -> None:
    """Ten times the counts are the same peaks with the same heights."""
    found = []
    for times, name in ((1, "one"), (10, "ten")):
        (one,) = spectra_of(write_flex(tmp_path / name, times * counts_of(PUT_IN)))
        found.append(pick_flight_peaks(one.mz, one.counts))
    np.testing.assert_allclose(found[0].mz, found[1].mz, rtol=1e-12)
    np.testing.assert_allclose(found[0].height, found[1].height, rtol=1e-9)


def test_names_of_samples(tmp_path: Path) -> None:
    counts = counts_of(PUT_IN)
    for name in ("coli/0_F10/1/1SLin", "coli/0_F9/2/1SRef", "loose"):
        write_flex(tmp_path / name, counts)
    found = {one.sample: (one.group, one.number, one.mode) for one in spectra_of(tmp_path)}
    assert found == {
        "coli/0_F9": ("coli", "2", "reflector"),
        "coli/0_F10": ("coli", "1", "linear"),
        "loose": ("", "", ""),
    }
    (alone,) = spectra_of(tmp_path / "coli" / "0_F9")
    assert (alone.sample, alone.group) == ("0_F9", "")


def test_names_with_odd_letters_are_one_line(tmp_path: Path) -> None:
    counts = counts_of(PUT_IN)
    odd = "two\nlines \x1b[31m"
    write_flex(tmp_path / odd / "0_A1" / "1" / "1SLin", counts)
    write_flex(tmp_path / odd / "0_A2" / "1" / "1SLin", counts, {"$DW": "0"})
    sound, bad = read_flex(tmp_path)
    assert isinstance(sound, FlexSpectrum)
    assert (sound.sample, sound.group) == (r"two lines \x1b[31m/0_A1", r"two lines \x1b[31m")
    assert len(str(bad).splitlines()) == 1


MALFORMED: dict[str, tuple[dict[str, str | None], str]] = {
    "no TD": ({"$TD": None}, "TD in acqu is missing, expected 2 to 4.1943e+06"),
    "TD of NaN": ({"$TD": "NaN"}, "##$TD= 'NaN' is not a number"),
    "TD of no number": ({"$TD": "many"}, "##$TD= 'many' is not a number"),
    "huge TD": ({"$TD": "999999999999"}, "TD in acqu is 1e+12, expected 2 to"),
    "negative TD": ({"$TD": "-4"}, "TD in acqu is -4"),
    "TD with decimals": ({"$TD": "20000.5"}, "TD in acqu is 20000.5, expected a whole number"),
    "TD of more points": ({"$TD": "20001"}, "fid has 80000 bytes, but TD is 20001, which makes 80004"),
    "DW of 0": ({"$DW": "0"}, "DW in acqu is 0, expected 0.001 to"),
    "negative DW": ({"$DW": "-2"}, "DW in acqu is -2"),
    "infinite DELAY": ({"$DELAY": "1e999"}, "##$DELAY= '1e999' is not a number"),
    "negative ML1": ({"$ML1": "-5e6"}, "ML1 in acqu is -5e+06"),
    "no ML1": ({"$ML1": None}, "acqu has no ML1"),
    "no ML3": ({"$ML3": None}, "ML3 in acqu is missing"),
    "ML2 after the end": ({"$ML2": "1e6"}, "ML1, ML2 and ML3 in acqu give no rising m/z"),
    "ML3 without a solution": ({"$ML3": "-5"}, "ML1, ML2 and ML3 in acqu give no rising m/z"),
    "m/z beyond reason": ({"$ML1": "1e13"}, "give no rising m/z up to 2e+06"),
    "another byte order": ({"$BYTORDA": "1"}, "expected BYTORDA 0 in acqu, which has 1"),
    "no byte order": ({"$BYTORDA": None}, "BYTORDA in acqu is missing, expected 0 to 1"),
    "high precision calibration": ({"$HPClUse": "yes"}, "high precision calibration (HPC), which is not read"),
    "HPC in its text": ({"$HPCStr": "<V1.0CHPCData Order 10 bUse 1 end>"}, "high precision calibration"),
    "cubic calibration": ({"$NTBCal": "<V1.0CTOF2CalibrationConstants 1>"}, "cubic calibration"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_parameters(case: str, tmp_path: Path) -> None:
    parameters, words = MALFORMED[case]
    write_flex(tmp_path / "0_A1" / "1" / "1SLin", counts_of(PUT_IN), parameters)
    reason = rejected_of(tmp_path).reason
    assert reason.startswith("0_A1/1/1SLin: ")
    assert words in reason


def test_malformed_folders(tmp_path: Path) -> None:
    made = write_flex(tmp_path / "sound", counts_of(PUT_IN))

    def damaged(name: str) -> Path:
        return Path(shutil.copytree(made, tmp_path / name))

    one = damaged("no fid")
    (one / "fid").unlink()
    assert "there is no such file" in rejected_of(one).reason
    one = damaged("cut")
    (one / "fid").write_bytes((one / "fid").read_bytes()[:-3])
    assert "fid has 79997 bytes, but TD is 20000, which makes 80000" in rejected_of(one).reason
    one = damaged("a folder for a fid")
    (one / "fid").unlink()
    (one / "fid").mkdir()
    assert "fid is not a regular file" in rejected_of(one).reason
    one = damaged("no acqu")
    (one / "acqu").unlink()
    assert "there is no such file" in rejected_of(one).reason
    one = damaged("empty acqu")
    (one / "acqu").write_bytes(b"")
    assert "the file is empty" in rejected_of(one).reason
    one = damaged("acqu of noise")
    (one / "acqu").write_bytes(bytes(range(256)) * 20)
    assert "not a text file" in rejected_of(one).reason
    one = write_flex(tmp_path / "nothing counted", np.zeros(POINTS))
    assert "all counts in fid are 0" in rejected_of(one).reason
    assert rejected_of(Path(shutil.copytree(made, tmp_path / "1SRef.LIFT"))).fault is False
    # the sound ones beside them are read
    kinds = [isinstance(one, FlexSpectrum) for one in read_flex(tmp_path)]
    assert (kinds.count(True), kinds.count(False)) == (1, 8)
    (tmp_path / "sound" / "inner").mkdir()
    with pytest.raises(DataError, match="no MALDI-TOF spectrum of Bruker flex"):
        list(read_flex(tmp_path / "sound" / "inner"))
    with pytest.raises(DataError, match="is no folder of Bruker flex"):
        list(read_flex(tmp_path / "not there"))


def test_noise_alone_has_few_peaks(tmp_path: Path) -> None:
    found = []
    for seed in range(5):
        (one,) = spectra_of(write_flex(tmp_path / str(seed), counts_of({}, seed)))
        found.append(len(pick_flight_peaks(one.mz, one.counts).mz))
    assert sum(found) < 25, found


def test_a_folder_that_links_to_itself(tmp_path: Path) -> None:
    write_flex(tmp_path / "0_A1" / "1" / "1SLin", counts_of(PUT_IN))
    (tmp_path / "0_A1" / "again").symlink_to(tmp_path)
    assert len(spectra_of(tmp_path)) == 1


def test_damage_at_random(tmp_path: Path) -> None:
    """Whatever the bytes, there is a spectrum that keeps its promises, or a reason of one line."""
    folder = write_flex(tmp_path / "a", counts_of(PUT_IN))
    sound, rng, read = (folder / "acqu").read_bytes(), random.Random(0), 0
    for _ in range(300):
        content = bytearray(sound)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(content))
            content[at : at + rng.randint(0, 8)] = rng.choice([b"", b"9" * 30, b"-", b"nan", b"\x00", b"##"])
        (folder / "acqu").write_bytes(bytes(content))
        for item in read_flex(folder):
            if isinstance(item, Rejected):
                assert "\n" not in str(item)
                continue
            read += 1
            assert np.isfinite(item.mz).all()
            assert (np.diff(item.mz) > 0).all()
            assert len(item.mz) == len(item.counts)
            pick_flight_peaks(item.mz, item.counts)
    assert 50 < read < 290


def test_a_curve_of_few_points_has_no_peak(tmp_path: Path) -> None:
    (one,) = spectra_of(write_flex(tmp_path / "a", np.arange(1, 11), {"$TD": "10"}))
    assert len(pick_flight_peaks(one.mz, one.counts).mz) == 0
    flat = pick_flight_peaks(np.arange(100.0), np.full(100, 7.0))
    assert len(flat.mz) == 0


def test_no_molecule_is_sought_in_them(tmp_path: Path) -> None:
    folder = write_flex(tmp_path / "0_A1" / "1" / "1SLin", counts_of(PUT_IN))
    for path in (tmp_path, folder, folder / "acqu", folder / "fid"):
        assert find_format(path).name == "bruker-flex"
        for modality in (None, Modality.MS, Modality.EI, Modality.H_NMR):
            with pytest.raises(DataError, match=r"spectra of samples .* not spectra of one molecule"):
                list(read_file(path, modality))
        (request,) = requests_of_file(path, None)
        assert request.record is None
        assert "not spectra of one molecule" in str(request.error)


def test_a_damaged_spectrum_first_hides_no_other(tmp_path: Path) -> None:
    for spot in ("0_A1", "0_A2"):
        write_flex(tmp_path / spot / "1" / "1SLin", counts_of(PUT_IN))
    (tmp_path / "0_A1" / "1" / "1SLin" / "acqu").unlink()
    assert find_format(tmp_path).name == "bruker-flex"
    first, second = read_flex(tmp_path)
    assert isinstance(first, Rejected)
    assert isinstance(second, FlexSpectrum)


def test_an_nmr_experiment_is_none(sound_files: Path) -> None:
    assert find_format(sound_files / "bruker").name == "bruker"
