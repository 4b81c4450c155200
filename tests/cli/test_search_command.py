"""`mmspec search` from files to hits: tables, CSV, lines of JSON, mirror plots; what it says of bad input."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmspec_ds.cli import main
from mmspec_ds.library.build import build_library
from mmspec_ds.spectra.records import TandemMS
from tests.library.made import Model, entry

MGF = "BEGIN IONS\nTITLE={name}\nPEPMASS={precursor}\nION_MODE={polarity}\nADDUCT=[M+H]+\n{peaks}\nEND IONS\n\n"


def mgf(path: Path, numbers: list[int]) -> Path:
    """The spectra of made entries as a file."""
    texts = []
    for number in numbers:
        spectrum = entry(number).record.spectra[0]
        assert isinstance(spectrum, TandemMS)
        peaks = "\n".join(f"{a:.4f} {b:.3f}" for a, b in zip(spectrum.mz, spectrum.intensity))
        about = {"precursor": spectrum.precursor_mz, "polarity": spectrum.polarity, "name": f"unknown {number}"}
        texts.append(MGF.format(peaks=peaks, **about))
    path.write_text("".join(texts))
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "library"
    build_library(folder, [entry(number) for number in range(30)])
    return folder


def test_hits_are_printed(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries = mgf(tmp_path / "unknowns.mgf", [1, 7])
    assert main(["search", str(library), str(queries), "--top", "2"]) == 0
    out = capsys.readouterr().out
    first, second = out.split("unknowns.mgf:1")
    assert "unknowns.mgf:0" in first
    assert "molecule 1" in first
    assert "molecule 7" in second
    assert "entropy" in out


def test_csv_has_a_row_for_each_hit(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries, out = mgf(tmp_path / "u.mgf", [4, 5]), tmp_path / "hits.csv"
    assert main(["search", str(library), str(queries), "--open", "--top", "3", "--out", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["rank"]) for row in rows] == [
        (name, str(rank)) for name in ("u.mgf:0", "u.mgf:1") for rank in (1, 2, 3)
    ]
    first = rows[0]
    assert (first["name"], first["adduct"], first["entry"]) == ("molecule 4", "[M+H]+", "made.msp:4")
    assert float(first["entropy"]) == pytest.approx(1, abs=1e-4)
    assert float(first["q_value"]) <= 0.01
    assert rows[1]["q_value"] == ""
    assert "2 queries, 0 that cannot be read, 0 without a hit" in capsys.readouterr().out


def test_lines_of_json_tell_parts_and_errors(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries, out = mgf(tmp_path / "u.mgf", [4]), tmp_path / "hits.jsonl"
    queries.write_text(queries.read_text() + "BEGIN IONS\nPEPMASS=200\n50.0 many\nEND IONS\n")
    assert main(["search", str(library), str(queries), "--out", str(out), "--decoys", "0"]) == 0
    good, bad = map(json.loads, out.read_text().splitlines())
    hit = good["hits"][0]
    assert hit["name"] == "molecule 4"
    assert hit["parts"]["precursor agreement"] == pytest.approx(1, abs=0.01)
    assert hit["parts"]["energy agreement"] is None
    assert hit["q_value"] is None
    assert "remarks" not in good or not any("eV" in one for one in good["remarks"])
    assert bad["id"] == "u.mgf:1"
    assert bad["error"] in capsys.readouterr().err


def test_min_score_leaves_hits_out(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries = mgf(tmp_path / "u.mgf", [4])
    assert main(["search", str(library), str(queries), "--min-score", "1.1"]) == 0
    assert "u.mgf:0: no hit" in capsys.readouterr().out


def test_mirror_plots_are_pictures_with_the_two_colours(library: Path, tmp_path: Path) -> None:
    queries, folder = mgf(tmp_path / "u.mgf", [4, 5]), tmp_path / "mirrors"
    assert main(["search", str(library), str(queries), "--mirror", str(folder), "--decoys", "0"]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["0001-u.mgf_0.png", "0002-u.mgf_1.png"]
    pixels = np.asarray(Image.open(folder / names[0]).convert("RGB"))
    assert pixels.shape == (676, 1300, 3)
    blue, orange = ((pixels == colour).all(axis=2) for colour in ((11, 102, 195), (194, 65, 12)))
    plot = slice(60, 850)
    assert blue[:, plot].any(axis=1).nonzero()[0].mean() < orange[:, plot].any(axis=1).nonzero()[0].mean()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["no-library", "u.mgf"], 1, "no-library: there is no such library"),
        (["{library}", "absent.mgf"], 1, "absent.mgf: there is no such file"),
        (["{library}", "{queries}", "--model", "no-model"], 1, "no-model"),
        (["{library}", "{queries}", "--out", "absent/hits.csv"], 1, "its folder does not exist"),
        (["{library}", "{queries}", "--mirror", "bad.mgf/plots"], 1, "bad.mgf/plots: cannot be made"),
        (["{library}", "{queries}", "--fusion", "absent.json"], 1, "absent.json: cannot be read"),
        (["{library}", "{bad}"], 1, "bad.mgf"),
    ],
    ids=["library", "queries", "model", "output", "plots", "fusion", "content"],
)
def test_bad_input_is_told_in_one_line(
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mgf").write_text("BEGIN IONS\nPEPMASS=200\n50.0 many\nEND IONS\n")
    named = {"library": library, "queries": mgf(tmp_path / "u.mgf", [4]), "bad": "bad.mgf"}
    assert main(["search", *(text.format(**named) for text in arguments)]) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]


@pytest.mark.parametrize(
    "more",
    [["--precursor-ppm", "-3"], ["--precursor-ppm", "5", "--open"], ["--decoys", "many"], ["--top", "0"]],
)
def test_wrong_usage_has_status_2(library: Path, tmp_path: Path, more: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["search", str(library), str(mgf(tmp_path / "u.mgf", [4])), *more])
    assert stopped.value.code == 2


def test_a_library_of_peaks_is_searched_without_torch(library: Path, tmp_path: Path) -> None:
    queries = mgf(tmp_path / "u.mgf", [4])
    program = (
        "import sys; from mmspec_ds.cli import main;"
        f" status = main(['search', {str(library)!r}, {str(queries)!r}]);"
        " heavy = {'torch', 'deepspeed', 'transformers', 'sklearn', 'matplotlib', 'pandas', 'scipy'};"
        " heavy &= set(sys.modules);"
        " sys.exit(f'imported: {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "molecule 4" in done.stdout


def test_vectors_of_a_library_that_no_model_was_named_for_are_mentioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_library(tmp_path / "lab", [entry(number) for number in range(5)], [Model()])
    assert main(["search", str(tmp_path / "lab"), str(mgf(tmp_path / "u.mgf", [4]))]) == 0
    assert "the vectors of made model are not used: name --model for them" in capsys.readouterr().err


def test_files_of_the_same_name_are_mentioned(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        mgf(folder / "u.mgf", [number + 4])
    assert main(["search", str(library), *map(str, folders)]) == 0
    told = capsys.readouterr()
    assert "u.mgf:0 is the name of several queries" in told.err
    assert told.out.index("molecule 4") < told.out.index("molecule 5")


def test_queries_that_nothing_can_be_compared_with_are_mentioned(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shifts = tmp_path / "c.csv"
    shifts.write_text("shift\n77.0\n20.1\n")
    assert main(["search", str(library), "--c-nmr", str(shifts)]) == 0
    assert "1 of 1 queries have no mass spectrum of a kind that the library has" in capsys.readouterr().err


def test_weights_that_were_named_are_used_alone(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries, weights = mgf(tmp_path / "u.mgf", [4]), tmp_path / "weights.json"
    one = {"kind": "ms", "open": True, "parts": ["entropy"], "means": [0.5], "scales": [1.0], "bias": 0.0}
    weights.write_text(json.dumps([{**one, "weights": [2.0], "source": "by hand"}]))
    arguments = [
        "search",
        str(library),
        str(queries),
        "--fusion",
        str(weights),
        "--out",
        str(tmp_path / "a.jsonl"),
    ]
    assert main([*arguments, "--open"]) == 0
    hit = json.loads((tmp_path / "a.jsonl").read_text())["hits"][0]
    assert hit["score"] == pytest.approx(1 / (1 + np.exp(-2 * (hit["parts"]["entropy"] - 0.5))), abs=1e-5)
    assert "no weights" not in capsys.readouterr().err
    assert main(arguments) == 0  # none of the file is for a window
    told = capsys.readouterr().err
    assert "no weights were fitted for MS/MS in this search" in told
    assert "there are weights for" not in told
    two = {
        **one,
        "parts": ["entropy", "my model"],
        "means": [0.5, 0.5],
        "scales": [1.0, 1.0],
        "weights": [2.0, 1.0],
    }
    weights.write_text(json.dumps([two]))
    assert main([*arguments, "--open"]) == 0  # the model is not named
    assert "(there are weights for a search with my model)" in capsys.readouterr().err


def test_a_model_of_the_library_is_part_of_the_score_and_another_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab, queries = tmp_path / "lab", mgf(tmp_path / "u.mgf", [4])
    build_library(lab, [entry(number) for number in range(5)], [Model()])
    arguments = ["search", str(lab), str(queries), "--model", "made", "--open"]
    monkeypatch.setattr("mmspec_ds.cli.search._embedder", lambda path: Model())
    assert main(arguments) == 0
    assert "made model" in capsys.readouterr().out
    monkeypatch.setattr("mmspec_ds.cli.search._embedder", lambda path: Model(identity="another"))
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "was built with another model 'made model'" in line
