"""`mmspec simulate --cohort`: tables of a cohort whose truth is known."""

from pathlib import Path
from typing import Any

import pytest


def test_files_are_named_and_the_same_for_one_seed(mmspec: Any, tmp_path: Path) -> None:
    told = mmspec("simulate", "--cohort", 12, "--seed", 3, "--out", tmp_path / "one")
    assert told.status == 0, told
    assert told.out.splitlines()[2] == f"{tmp_path}/one/samples.csv: 12 patients, 6 controls and 6 cases"
    assert mmspec("simulate", "--cohort", 12, "--seed", 3, "--out", tmp_path / "two").status == 0
    assert mmspec("simulate", "--cohort", 12, "--seed", 4, "--out", tmp_path / "other").status == 0
    for name in ("nmr.csv", "ms.csv", "samples.csv", "markers.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one/nmr.csv").read_bytes() != (tmp_path / "other/nmr.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--cohort", 12, "--smiles", "a.smi"), "--smiles: cannot be given with --cohort"),
        (("--cohort", 12, "--noise-free"), "--noise-free: cannot be given with --cohort"),
        (("--cohort", 12, "--cohort-settings", "efect=1"), "efect: unknown key; did you mean 'effect'?"),
        (("--cohort", 2), "simulate --cohort: patients: input should be greater than or equal to 4, found 2"),
        (("--cohort-settings", "effect=1"), "--cohort-settings: expected --cohort beside it"),
    ],
)
def test_what_does_not_fit_is_refused(mmspec: Any, tmp_path: Path, options: tuple[Any, ...], why: str) -> None:
    mmspec("simulate", *options, "--out", tmp_path / "new").is_one_line(why)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_a_file(mmspec: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    mmspec("simulate", "--cohort", 4, "--out", tmp_path / "taken").is_one_line("taken: cannot be made: ")
