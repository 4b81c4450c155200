"""`mmspec library build`, `add` and `info` from the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmspec_ds.library.build import build_library
from mmspec_ds.library.store import Library
from mmspec_ds.systems.retrieval.embedders import load_embedder
from mmspec_ds.systems.retrieval.factory import make_model
from mmspec_ds.trainer.run_settings import CONFIG
from mmspec_ds.trainer.weights import WEIGHTS, write_weights
from tests.library.made import Model, entry
from tests.systems.retrieval.conftest import EXPERTS, make_run

MSP = """\
Name: {name}
Precursor_type: [M+H]+
PrecursorMZ: {mz}
Ion_mode: P
SMILES: {smiles}
Num Peaks: 2
{peak} 100
{mz} 999

"""


def write_msp(path: Path, rows: list[tuple[str, float, str, float]]) -> Path:
    path.write_text("".join(MSP.format(name=n, mz=mz, smiles=s, peak=p) for n, mz, s, p in rows))
    return path


ETHANOL, PROPANOL = ("ethanol", 47.0491, "CCO", 29.0386), ("propanol", 61.0648, "CCCO", 43.0542)
BUTANOL = ("butanol", 75.0804, "CCCCO", 57.0699)


def test_build_add_and_info(mmspec: Any, tmp_path: Path) -> None:
    first = write_msp(tmp_path / "a.msp", [ETHANOL, PROPANOL, ETHANOL])
    second = write_msp(tmp_path / "b.msp", [PROPANOL, BUTANOL])
    told = mmspec("library", "build", first, "--out", tmp_path / "lib")
    assert told.status == 0
    assert told.out == (
        f"{tmp_path / 'lib'}: 2 entries added\n"
        "  1 duplicates left out: same molecule, same conditions, same peaks\n"
    )
    told = mmspec("library", "add", tmp_path / "lib", second)
    assert told.out.startswith(f"{tmp_path / 'lib'}: 1 entry added\n")
    library = Library.open(tmp_path / "lib")
    assert library.metadata["block"].to_pylist() == ["LFQSCWFLJHTTHZ", "BDERNNFJNOPAEC", "LRHPLDYGYMQRHN"]
    told = mmspec("library", "info", tmp_path / "lib", "--check")
    assert told.out.splitlines()[:4] == [
        f"{tmp_path / 'lib'}: 3 entries of 3 molecules",
        "  spectra     3 MS/MS (3 positive)",
        "  precursors  3 known, m/z 47.0491 to 75.0804",
        "  additions   2, 1",
    ]
    assert told.out.splitlines()[-1] == "  every file is as it was written"


def test_where_chooses(mmspec: Any, tmp_path: Path) -> None:
    path = write_msp(tmp_path / "a.msp", [ETHANOL, PROPANOL])
    told = mmspec("library", "build", path, "--out", tmp_path / "lib", "--where", "name=propanol")
    assert told.status == 0
    assert Library.open(tmp_path / "lib").metadata["name"].to_pylist() == ["propanol"]
    told = mmspec("library", "build", tmp_path / "lib", "--out", tmp_path / "two", "--where", "name=propanol")
    assert told.out == f"{tmp_path / 'two'}: 1 entry added\n"
    assert Library.open(tmp_path / "two").record(0).smiles == Library.open(tmp_path / "lib").record(0).smiles


def test_a_flipped_byte_is_told_in_one_line(mmspec: Any, tmp_path: Path) -> None:
    build_library(tmp_path / "lib", [entry(0), entry(1)], [Model()])
    path = tmp_path / "lib" / "intensity.f64"
    content = bytearray(path.read_bytes())
    content[9] ^= 4
    path.write_bytes(content)
    assert mmspec("library", "info", tmp_path / "lib").status == 0
    told = mmspec("library", "info", tmp_path / "lib", "--check")
    told.is_one_line(f"{path}: altered since it was written")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("info", "nowhere"), 1, "nowhere: there is no such library"),
        (("info", "a.msp"), 1, "a.msp: is not a library: expected a folder"),
        (("add", "a.msp", "a.msp"), 1, "a.msp: is not a library"),
        (("build", "nowhere.msp", "--out", "lib"), 1, "nowhere.msp: there is no such file"),
        (("build", "a.msp", "--out", "a.msp"), 1, "a.msp: exists already"),
        (("build", "a.msp", "--out", "."), 1, "expected the name of a new folder"),
        (
            ("build", "notes", "--out", "lib"),
            1,
            "1 at fault and 0 of no use, for instance notes/deeper, record 0",
        ),
        (("build", "a.msp", "--out", "lib", "--where", "role"), 1, "--where role: expected FIELD=VALUE"),
        (("build", "a.msp", "--out", "lib", "--where", "role=x"), 1, "no entry for a library"),
        (("build", "a.msp"), 2, "--out"),
        ((), 2, "ACTION"),
    ],
)
def test_faults_are_told_in_one_line(
    mmspec: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_msp(tmp_path / "a.msp", [ETHANOL])
    (tmp_path / "notes" / "deeper").mkdir(parents=True)
    told = mmspec("library", *arguments)
    assert told.status == status
    assert message in told.err
    if status == 1:
        told.is_one_line()
    assert not (tmp_path / "lib").exists()


def write_model(folder: Path, seed: int) -> Path:
    """A run of the retrieval system with weights that a seed gives."""
    torch.manual_seed(seed)
    run = make_run(name="encoder", moe={"experts": EXPERTS})
    folder.mkdir()
    (folder / CONFIG).write_text(run.to_yaml())
    write_weights(make_model(run).state_dict(), folder / WEIGHTS)
    return folder


def test_a_model_gives_vectors_and_another_one_is_refused(mmspec: Any, tmp_path: Path) -> None:
    first, second = (write_model(tmp_path / name, seed) for seed, name in enumerate(("first", "second")))
    one, two = write_msp(tmp_path / "a.msp", [ETHANOL, PROPANOL]), write_msp(tmp_path / "b.msp", [BUTANOL])
    lib = tmp_path / "lib"
    assert mmspec("library", "build", one, "--out", lib, "--model", first).status == 0
    told = mmspec("library", "add", lib, two, "--model", second)
    told.is_one_line(f"{lib}: was built with another model 'encoder'", "expected that model")
    told = mmspec("library", "add", lib, two)
    told.is_one_line(f"{lib}: has vectors of the model 'encoder': expected that model (--model) too")
    assert mmspec("library", "add", lib, two, "--model", first).status == 0
    library, embedder = Library.open(lib), load_embedder(first)
    expected = embedder.embed([library.record(row) for row in range(3)])
    assert library.vectors("encoder") == pytest.approx(expected, abs=1e-6)
    assert np.linalg.norm(library.vectors("encoder"), axis=1) == pytest.approx(1, abs=1e-6)
    told = mmspec("library", "info", lib)
    assert f"  model       encoder {embedder.identity[:12]}, width 12: all are compared\n" in told.out
    told = mmspec("library", "build", lib, "--out", tmp_path / "again", "--model", second)
    assert told.out == f"{tmp_path / 'again'}: 3 entries added\n"
    assert not np.allclose(Library.open(tmp_path / "again").vectors("encoder"), expected, atol=0.01)
