"""Malformed NMR and IR files but JCAMP-DX: one line that names file and record, and nothing else."""

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import FORMATS, read_file
from mmspec_ds.readers.part import Part, Rejected
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS
from mmspec_ds.spectra.records import Modality

H_TABLES = {
    "no number": ("shift,mult\nabc,s\n", "no line of the first 2 begins with a number"),
    "a shift of letters": ("shift,mult,int\n7.1,s,1\nabc,s,1\n", "the shift 'abc' is not a number"),
    "a shift that is none": ("shift,mult,int\n7.1,s,1\nnan,s,1\n", "a 1H shift of nan ppm"),
    "a shift of 900": ("shift,mult,int\n7.1,s,1\n900,s,1\n", "a 1H shift of 900 ppm, expected -10 to 30"),
    "no shift": ("shift,mult,int\n7.1,s,1\n,s,1\n", "the shift is missing"),
    "a multiplicity of nonsense": ("shift,mult,int\n7.1,qqx,1\n2,s,3\n", "the multiplicity 'qqx' is unknown"),
    "an integral of letters": ("shift,mult,int\n7.1,s,many\n2,s,3\n", "the integral 'many' is not a number"),
    "a negative integral": ("shift,mult,int\n7.1,s,-1\n2,s,3\n", "the integral '-1' is not a number"),
    "a zero integral": ("shift,mult,int\n7.1,s,0\n2,s,3\n", "an integral of 0, expected a positive number"),
    "a huge integral": ("shift,mult,int\n7.1,s,1e40\n2,s,3\n", "the integral '1e40' is not a number"),
    "couplings of letters": (
        "shift,mult,int,J\n7.1,d,1,seven\n2,s,3,\n",
        "the couplings 'seven' are not numbers",
    ),
    "a coupling of zero": ("shift,mult,int,J\n7.1,d,1,0\n2,s,3,\n", "a coupling constant of 0 Hz"),
    "a coupling of 4000": ("shift,mult,int,J\n7.1,d,1,4000\n2,s,3,\n", "a coupling constant of 4000 Hz"),
    "a range of letters": ("shift,range,mult\n7.1,a-b,s\n2,,s\n", "the range 'a-b' is not two numbers"),
    "edges of letters": ("shift,max,min,mult\n7.1,a,b,s\n2,3,1,s\n", "the range a to b is not two numbers"),
    "a long line": ("shift,mult\n7.1," + "s" * 20_000 + "\n2,s\n", "a line of 20004 characters"),
    "too many rows": ("shift,mult\n" + "7.1,s\n" * 6000, "more than 5000 rows"),
    "only a header": ("shift,mult,int\n", "begins with a number"),
}

IR_TABLES = {
    "no number": ("wavenumber,absorbance\nx,y\n", "begins with a number"),
    "letters in between": (
        "cm-1,A\n" + "".join(f"{i},0.{i}\n" for i in range(400, 4000, 100)) + "4000,abc\n",
        "'abc'",
    ),
    "a missing cell": ("cm-1,A\n400,0.1\n500,0.2\n600\n", "1 cell, expected at least 2"),
    "too few": ("cm-1,A\n400,0.1\n500,0.2\n", "2 points with a value"),
    "negative places": (
        "cm-1,A\n" + "".join(f"{-i},0.{i}\n" for i in range(400, 4000, 100)),
        "expected positive",
    ),
    "reflectance": (
        "cm-1,Reflectance\n" + "".join(f"{i},0.{i}\n" for i in range(400, 4000, 100)),
        "'reflectance', expected absorbance",
    ),
    "many NaN": (
        "cm-1,A\n" + "".join(f"{i},{'nan' if i % 300 else 0.1}\n" for i in range(400, 4000, 10)),
        "points are missing",
    ),
    "ultraviolet": ("nm,A\n" + "".join(f"{i},0.{i}\n" for i in range(200, 800)), "is the unit right?"),
}


def one_rejected(path: Path, modality: Modality | None, words: str, count: int = 1) -> None:
    items = list(read_file(path, modality))
    assert len(items) == count
    item = items[0]
    assert isinstance(item, Rejected)
    assert words in item.reason
    assert str(item).startswith(f"{path}, record 0")
    assert len(str(item).splitlines()) == 1


@pytest.mark.parametrize("case", H_TABLES)
def test_malformed_tables_of_hydrogen(case: str, tmp_path: Path) -> None:
    text, words = H_TABLES[case]
    path = tmp_path / "a.csv"
    path.write_text(text)
    one_rejected(path, Modality.H_NMR, words)


@pytest.mark.parametrize("case", IR_TABLES)
def test_malformed_tables_of_infrared(case: str, tmp_path: Path) -> None:
    text, words = IR_TABLES[case]
    path = tmp_path / "a.csv"
    path.write_text(text)
    one_rejected(path, Modality.IR, words)


SD_DAMAGE = {
    "no end": (b"$$$$\nchloroform", b"chloroform", None),
    "a shift of letters": (b"2.0400, S=s", b"abc, S=s", "the shift 'abc' is not a number"),
    "a shift of 900": (b"2.0400, S=s", b"900, S=s", "a 1H shift of 900 ppm"),
    "an unknown multiplicity": (b"S=s, L=b", b"S=zz9, L=b", "the multiplicity 'zz9' is unknown"),
    "a coupling of letters": (b"J=7.14(c)", b"J=seven", "the coupling 'seven' is not a number"),
    "a carbon of 900": (b"171.3600, L=2, I", b"900, L=2, I", "a 13C shift of 900 ppm"),
}


@pytest.mark.parametrize("case", [case for case, (*_, words) in SD_DAMAGE.items() if words])
def test_malformed_nmredata_costs_one_record(case: str, sound_files: Path, tmp_path: Path) -> None:
    old, new, words = SD_DAMAGE[case]
    path = tmp_path / "a.sdf"
    path.write_bytes((sound_files / "nmredata.sdf").read_bytes().replace(old, new))
    first, second = read_file(path)
    assert isinstance(first, Rejected)
    assert words is not None
    assert words in first.reason
    assert first.line is not None
    assert isinstance(second, Part)


def test_a_truncated_nmredata_record(sound_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    path.write_bytes((sound_files / "nmredata.sdf").read_bytes()[:-12])
    first, second = read_file(path)
    assert isinstance(first, Part)
    assert isinstance(second, Rejected)
    assert second.reason == "the record has no $$$$: cut off"


def test_a_structure_of_nonsense_costs_no_spectrum(sound_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    path.write_bytes((sound_files / "nmredata.sdf").read_bytes().replace(b" C   0", b" Qq  0"))
    first, _ = read_file(path)
    assert isinstance(first, Part)
    assert first.smiles is None
    assert len(first.spectra) == 2


BRUKER = {
    "1r cut off": ("1r", lambda content: content[:-8], "1r has 16376 bytes, but SI is 4096, which makes 16384"),
    "1r too long": ("1r", lambda content: content * 2, "1r has 32768 bytes"),
    "1r of zeros": ("1r", lambda content: bytes(len(content)), "all intensities are equal"),
    "no SI": ("procs", lambda content: content.replace(b"##$SI=", b"##$SX="), "SI in procs is missing"),
    "a huge SI": (
        "procs",
        lambda content: content.replace(b"SI= 4096", b"SI= 99999999999"),
        "SI in procs is 1e+11",
    ),
    "no SF": ("procs", lambda content: content.replace(b"##$SF=", b"##$SX="), "SF in procs is missing"),
    "SW of letters": ("procs", lambda content: content.replace(b"SW_p= 3", b"SW_p= x"), "is not a number"),
    "OFFSET far off": (
        "procs",
        lambda content: content.replace(b"OFFSET= 8.5", b"OFFSET= 1e6"),
        "OFFSET in procs",
    ),
    "a wild exponent": (
        "procs",
        lambda content: content.replace(b"proc= -3", b"proc= 900"),
        "NC_proc in procs is 900",
    ),
    "another nucleus": ("procs", lambda content: content.replace(b"<1H>", b"<19F>"), "the nucleus is '19F'"),
    "empty procs": ("procs", lambda content: b"", "the file is empty"),
    "binary procs": ("procs", lambda content: b"\0" * 100, "zero byte"),
    "a string without end": ("procs", lambda content: content.replace(b"<1H>", b"<1"), "the nucleus is '1'"),
}


@pytest.mark.parametrize("case", BRUKER)
def test_malformed_bruker_folders(case: str, sound_files: Path, tmp_path: Path) -> None:
    import shutil

    name, damage, words = BRUKER[case]
    folder = tmp_path / "exp"
    shutil.copytree(sound_files / "bruker", folder)
    path = folder / "10/pdata/1" / name
    path.write_bytes(damage(path.read_bytes()))
    one_rejected(folder, None, words)


def test_symbolic_links_fifos_and_bombs(sound_files: Path, tmp_path: Path) -> None:
    """A link is followed, one that leads nowhere or to itself is told of, a FIFO is not waited for, a gzip bomb
    is not unfolded."""
    link = tmp_path / "link.dx"
    link.symlink_to(sound_files / "assignments.dx")
    assert all(isinstance(item, Part) for item in read_file(link))
    nowhere, itself, fifo = tmp_path / "nowhere.jdx", tmp_path / "itself.jdx", tmp_path / "fifo.csv"
    nowhere.symlink_to(tmp_path / "gone.jdx")
    itself.symlink_to(itself)
    os.mkfifo(fifo)
    bomb = tmp_path / "bomb.jdx.gz"
    bomb.write_bytes(
        gzip.compress(b"##TITLE= a\n##XYDATA= (X++(Y..Y))\n" + (b"1 2 3 4 " * 1000 + b"\n") * 15_000)
    )
    for path in (nowhere, itself, fifo, bomb):
        with pytest.raises(DataError, match=path.name):
            list(read_file(path))


def test_gzip_is_read(sound_files: Path, tmp_path: Path) -> None:
    for name in ("assignments.dx", "h_nmr.csv", "ir_percent.csv", "nmredata.sdf"):
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress((sound_files / name).read_bytes()))
        assert all(isinstance(item, Part) for item in read_file(path))


MINE = [one for one in FORMATS if one.name in ("jcamp", "nmredata", "nmr-table", "ir-table")]
SEEDS = {
    "jcamp": ("assignments.dx", "link_ir.jdx"),
    "nmredata": ("nmredata.sdf",),
    "nmr-table": ("h_nmr.csv", "c_nmr.csv"),
    "ir-table": ("ir_plain.txt",),
}


@pytest.mark.parametrize("form", MINE, ids=lambda one: one.name)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_break_no_promise(
    form: object, data: st.DataObject, sound_files: Path, tmp_path: Path
) -> None:
    """Bytes overwritten, cut out and doubled: parts, rejected records or a DataError of one line."""
    reader = next(one for one in MINE if one is form)
    name = data.draw(st.sampled_from(SEEDS[reader.name]))
    content = bytearray((sound_files / name).read_bytes()[:6000])
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 40)))
        insert = data.draw(
            st.sampled_from([b"", b"nan", b"-", b"1e999", b"##END=", b"9" * 50, b"\xff", b"\n", b","])
        )
        content[start:end] = insert * data.draw(st.integers(1, 3))
    path = tmp_path / name
    path.write_bytes(bytes(content))
    told = []
    try:
        for item in reader.read(path, None, DEFAULT_SETTINGS):
            assert isinstance(item, Part | Rejected)
            told += [str(item)] if isinstance(item, Rejected) else []
    except DataError as error:
        told.append(str(error))
    assert all(len(line.splitlines()) == 1 and name in line for line in told)
