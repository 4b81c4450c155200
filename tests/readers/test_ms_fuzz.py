"""A short fuzz of every reader; `benchmarks/fuzz_formats.py --minutes 10` is the long one."""

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmspec_ds.readers.format_registry import FORMATS, Format, find_format

ROUNDS = 60
SCRIPT = Path(__file__).parents[2] / "benchmarks/fuzz_formats.py"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_formats", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fuzz = _script()
SOUND = [path for path in sorted(fuzz.SOUND_FILES.iterdir()) if path.is_file() and path.suffix != ".md"]
READERS = {one.name: one for one in FORMATS}


@pytest.mark.parametrize("sound", SOUND, ids=lambda path: path.name)
def test_damaged_files(sound: Path, tmp_path: Path) -> None:
    reader = find_format(sound)
    chance = random.Random(sound.name)
    path = tmp_path / f"damaged{sound.suffix}"
    for _ in range(ROUNDS):
        path.write_bytes(fuzz.damage(sound.read_bytes(), chance))
        fault, _ = fuzz.findings(reader, path)
        assert fault is None


WORDS = st.sampled_from(
    [
        *(
            "BEGIN IONS",
            "END IONS",
            "PEPMASS=",
            "CHARGE=2+",
            "TITLE=x",
            "50 1",
            "50",
            "nan nan",
            "1e999 1",
            "-5 -5",
        ),
        *(
            "Name: a",
            "Num Peaks: 2",
            "Num Peaks:",
            "50:1 60:2",
            "50 1; 60 2;",
            "(50,1)",
            'Comments: "a=b"',
            ":",
        ),
        *(
            "ACCESSION: a",
            "PK$NUM_PEAK: 1",
            "PK$PEAK: m/z",
            "  50 1 999",
            "//",
            "AC$MASS_SPECTROMETRY: MS_TYPE MS2",
        ),
        *("mzs\tintensities", "50,60\t1,2", "\t", ",", "=", "", " ", "\x85", "\u2028", "é", "\x1c", "\x0c"),
    ]
)


@pytest.mark.parametrize("name", ["mgf", "msp", "massbank", "massspecgym"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=25))
def test_lines_in_any_order(tmp_path: Path, name: str, lines: list[str]) -> None:
    reader: Format = READERS[name]
    path = tmp_path / "lines"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    fault, _ = fuzz.findings(reader, path)
    assert fault is None


def test_the_fuzzer_finds_what_is_there(tmp_path: Path) -> None:
    """A reader that fails on a byte is found out."""
    reader = READERS["mgf"]

    def read(path: Path, *rest: object):  # type: ignore[no-untyped-def]
        if b"nan" in path.read_bytes():
            raise KeyError("nan")
        yield from reader.read(path, *rest)  # type: ignore[arg-type]

    broken = Format("broken", "broken", reader.suffixes, reader.modalities, reader.looks_like, read)
    outcomes, found = fuzz.fuzz(broken, [fuzz.SOUND_FILES / "gnps.mgf"], 0.02, 0, tmp_path / "found")
    assert found > 0
    assert len(list((tmp_path / "found").iterdir())) == found
    assert outcomes["some rejected"] > 0
