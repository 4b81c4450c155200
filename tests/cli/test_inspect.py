"""`mmspec inspect`: several files, a drawing, and what is told of a bad one."""

from pathlib import Path
from typing import Any

from tests.readers.flex_writer import counts_of, write_flex

FILES = Path(__file__).parents[1] / "readers/files"


def test_files_and_a_drawing(mmspec: Any, tmp_path: Path) -> None:
    png = tmp_path / "out.png"
    told = mmspec("inspect", FILES / "gnps.mgf", FILES / "psims.mzML", "--records", 2, "--plot", png)
    assert told.status == 0
    assert "  format    MGF\n" in told.out
    assert "  records   4 read, 0 rejected, 2 passed over\n" in told.out
    assert (
        "  passed over\n    2 x a spectrum of MS level 1; MS/MS is level 2 (the first; numbers vary)\n"
        in told.out
    )
    assert told.out.endswith(f"4 spectra drawn in {png}\n")
    assert png.stat().st_size > 10_000


def test_a_bad_file_is_one_line_and_the_others_are_shown(mmspec: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.mgf").touch()
    told = mmspec("inspect", tmp_path / "empty.mgf", FILES / "nist.msp")
    told.is_one_line("empty.mgf: the file is empty")
    assert "  records   3 read, 0 rejected\n" in told.out


def test_spectra_are_written_into_one_mgf(mmspec: Any, tmp_path: Path) -> None:
    out = tmp_path / "all.mgf"
    told = mmspec("inspect", FILES / "psims.mzML", FILES / "mona.msp", "--write", out)
    assert told.status == 0
    assert told.out.endswith(f"5 spectra written to {out}\n")
    again = mmspec("inspect", out)
    assert "  records   5 read, 0 rejected\n" in again.out
    mmspec("inspect", FILES / "c_nmr.csv", "--write", out).is_one_line("no MS/MS spectrum to write")


def test_wrong_usage(mmspec: Any, tmp_path: Path) -> None:
    mmspec("inspect", FILES / "gnps.mgf", "--modality", "ir").is_one_line(
        "is MGF, which holds MS/MS, EI-MS, not IR"
    )
    mmspec("inspect", FILES / "gnps.mgf", "--plot", tmp_path / "no" / "a.png").is_one_line(
        "its folder does not exist"
    )
    assert mmspec("inspect").status == 2
    assert mmspec("inspect", "a.mgf", "--modality", "uv").status == 2


def test_a_folder_of_maldi_spectra(mmspec: Any, tmp_path: Path) -> None:
    """It is shown beside a file of spectra of molecules, and drawn; no molecule is sought in it."""
    peaks = {4336.2: 20_000.0, 9645.3: 9000.0}
    folder = write_flex(tmp_path / "coli" / "0_A1" / "1" / "1SLin", counts_of(peaks))
    told = mmspec("inspect", tmp_path / "coli", FILES / "gnps.mgf", "--plot", tmp_path / "out.png")
    assert told.status == 0
    assert "  kind      MALDI-TOF, linear mode\n" in told.out
    assert "  m/z       1962.2 to 18988.8, 20000 points\n" in told.out
    assert told.out.endswith(f"4 spectra drawn in {tmp_path / 'out.png'}\n")
    (tmp_path / "seeds.smi").write_text("CCO\n")
    for path in (folder, folder / "fid", tmp_path / "coli" / "0_A1"):
        refused = mmspec("rank", "none", "--candidates", tmp_path / "seeds.smi", path)
        assert refused.status == 1
        assert len(refused.err.splitlines()) == 1
        assert "spectra of samples (Bruker flex), not spectra of one molecule" in refused.err
    refused = mmspec("library", "build", folder, "--out", tmp_path / "library")
    assert refused.status == 1
    assert "not spectra of one molecule" in refused.err.splitlines()[-1]
