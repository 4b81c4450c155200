"""The example files are read as their page says, and each record fits its formula."""

import re
from pathlib import Path

import pytest

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.readers.batches import read_requests
from mmspec_ds.readers.requests import Request
from mmspec_ds.spectra.records import HSQC, CarbonNMR, HydrogenNMR, Spectrum, TandemMS

EXAMPLES = Path(__file__).parents[1] / "examples"
ROW = re.compile(r"\| `([^`]+)` \| [^|]+ \| (\w+) \| [^|]+ \| ([^|]+) \|")
ROWS = ROW.findall((EXAMPLES / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def requests() -> dict[str, Request]:
    """The records of the manifest by their ids."""
    return {one.id: one for one in read_requests([EXAMPLES])}


def told(spectrum: Spectrum) -> str:
    """A spectrum in the words of the page."""
    match spectrum:
        case HydrogenNMR(multiplets=signals):
            return f"1H NMR: {len(signals)} signals, {sum(one.hydrogens for one in signals)} H"
        case CarbonNMR(shifts_ppm=shifts):
            return f"13C NMR: {len(shifts)} lines"
        case HSQC(peaks=peaks):
            return f"HSQC: {len(peaks)} cross peaks"
        case TandemMS(mz=mz):
            return f"MS/MS: {len(mz)} peaks"
    raise AssertionError(spectrum)


def test_the_page_names_every_folder(requests: dict[str, Request]) -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()} - {"cohort"}  # tables, no molecule
    assert len(folders) == 10
    assert {name for name, _, _ in ROWS} == set(requests) == folders


@pytest.mark.parametrize(("name", "formula", "read"), ROWS, ids=[row[0] for row in ROWS])
def test_an_example_is_read_as_the_page_says(
    name: str, formula: str, read: str, requests: dict[str, Request]
) -> None:
    record = requests[name].record
    assert requests[name].error is None
    assert record is not None
    assert record.formula == formula
    assert "; ".join(told(one) for one in record.spectra) == read.strip()
    counts, _ = parse_formula(formula)
    hydrogens = [
        sum(m.hydrogens for m in one.multiplets) for one in record.spectra if isinstance(one, HydrogenNMR)
    ]
    assert hydrogens == [counts["H"]]
