"""Malformed MGF, MSP, MassBank and MassSpecGym files, and malformed containers of any of them.

Those with one spoilt record hold a sound one beside it.
"""

import gzip
import io
import zipfile
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Case:
    """A malformed file: its name and content, words of the line that must be said of it, the number of the
    record that is rejected (None where the file is refused), the line to be named, how many others are read."""

    id: str
    name: str
    content: bytes
    words: str
    record: int | None = 0
    line: int | None = None
    sound: int = 1


GOOD_MGF = "BEGIN IONS\nTITLE=good\nPEPMASS=195.0877\nCHARGE=1+\n110.0713 21\n138.0662 100\nEND IONS\n"
GOOD_MSP = "Name: good\nPrecursorMZ: 195.0877\nNum Peaks: 2\n110.0713 21\n138.0662 100\n\n"
GOOD_MASSBANK = (
    "ACCESSION: good\nAC$MASS_SPECTROMETRY: MS_TYPE MS2\nMS$FOCUSED_ION: PRECURSOR_M/Z 195.0877\n"
    "PK$NUM_PEAK: 2\nPK$PEAK: m/z int. rel.int.\n  110.0713 21 210\n  138.0662 100 999\n//\n"
)
GYM_COLUMNS = "identifier\tmzs\tintensities\tprecursor_mz\tadduct\n"
GOOD_GYM = "good\t110.0713,138.0662\t21,100\t195.0877\t[M+H]+\n"


def _mgf(what: str, block: str, words: str, line: int | None = None) -> Case:
    return Case(
        f"mgf {what}", "bad.mgf", f"BEGIN IONS\n{block}\nEND IONS\n{GOOD_MGF}".encode(), words, line=line
    )


MGF = (
    _mgf("no peaks", "PEPMASS=100", "no peaks", 1),
    _mgf("a word for a peak", "PEPMASS=100\n50 1\nabc def", "peak 'abc def' is not m/z and intensity", 4),
    _mgf("a peak without intensity", "PEPMASS=100\n50", "peak '50' is not m/z and intensity", 3),
    _mgf("two decimal marks", "PEPMASS=100\n50,5 1\n60.5 1", "decimal commas and others with points", 1),
    _mgf("an underscore in a number", "PEPMASS=100\n5_0 1", "peak '5_0 1'", 3),
    _mgf("NaN intensity", "PEPMASS=100\n50 1\n60 nan", "intensity of peak 1 is nan", 1),
    _mgf("infinite intensity", "PEPMASS=100\n50 inf", "intensity of peak 0 is inf"),
    _mgf("overflowing intensity", "PEPMASS=100\n50 1e999", "intensity of peak 0 is inf"),
    _mgf("NaN m/z", "PEPMASS=100\n50 1\nnan 1", "m/z of peak 1 is nan"),
    _mgf("zero m/z", "PEPMASS=100\n0 1", "m/z of peak 0 is 0, expected above 0"),
    _mgf("negative m/z", "PEPMASS=100\n-50 1", "m/z of peak 0 is -50, expected above 0"),
    _mgf("absurd m/z", "PEPMASS=100\n1e9 1", "m/z of peak 0 is 1e+09, expected above 0 and at most 100,000"),
    _mgf("zero intensities", "PEPMASS=100\n50 0\n60 0", "no peak has an intensity above zero"),
    _mgf("negative intensities", "PEPMASS=100\n50 -1", "no peak has an intensity above zero"),
    _mgf("a word for the precursor", "PEPMASS=abc\n50 1", "precursor m/z 'abc', expected a number above 0"),
    _mgf("a negative precursor", "PEPMASS=-3\n50 1", "precursor m/z '-3'"),
    _mgf("a precursor that is NaN", "PRECURSOR_MZ=NaN 5\n50 1", "precursor m/z 'NaN 5'"),
    _mgf("a word for the charge", "PEPMASS=100\nCHARGE=abc\n50 1", "charge 'abc', expected one like 1+"),
    _mgf("a charge of 999", "PEPMASS=100\nCHARGE=999+\n50 1", "charge '999+' is above 50"),
    _mgf("ion mode against adduct", "IONMODE=negative\nADDUCT=[M+H]+\n50 1", "the adduct [M+H]+ is positive"),
    _mgf("a survey scan", "MSLEVEL=1\n50 1", "a spectrum of MS level 1"),
    Case(
        "mgf truncated in a block",
        "bad.mgf",
        f"{GOOD_MGF}BEGIN IONS\nPEPMASS=100\n50 1\n".encode(),
        "no END IONS",
        record=1,
        line=8,
    ),
    Case(
        "mgf block inside a block",
        "bad.mgf",
        f"BEGIN IONS\nPEPMASS=100\n50 1\n{GOOD_MGF}".encode(),
        "no END IONS",
        line=1,
    ),
    Case("mgf without a block", "bad.mgf", b"COM=nothing here\n", "no record in the file", None),
    Case(
        "mgf of zero bytes",
        "bad.mgf",
        b"BEGIN IONS\nPEPMASS=100\n50 \x00 1\n",
        "line 3 holds a zero byte",
        None,
    ),
)


def _msp(what: str, record: str, words: str, line: int | None = None) -> Case:
    return Case(f"msp {what}", "bad.msp", f"{record}\n\n{GOOD_MSP}".encode(), words, line=line)


MSP = (
    _msp("fewer peaks than declared", "Name: a\nNum Peaks: 3\n50 1", "3 peaks declared, 1 found", 1),
    _msp("no peaks declared", "Name: a\nPrecursorMZ: 100", "no Num Peaks"),
    _msp("zero peaks", "Name: a\nNum Peaks: 0", "no peaks"),
    _msp("a word for the count", "Name: a\nNum Peaks: many\n50 1", "Num Peaks is 'many'", 2),
    _msp("a negative count", "Name: a\nNum Peaks: -1\n50 1", "Num Peaks is '-1'", 2),
    _msp("an absurd count", f"Name: a\nNum Peaks: {'9' * 30}\n50 1", "expected a count", 2),
    _msp("a line without a key", "Name: a\nwhat is this\nNum Peaks: 1\n50 1", 'is not "Key: value"', 2),
    _msp("a word for a peak", "Name: a\nNum Peaks: 2\n50 1\n60 x", "peak '60 x'", 4),
    _msp("a bad peak among several", "Name: a\nNum Peaks: 2\n50 1; 60;", "peak '60'", 3),
    _msp("a bad pair with a colon", "Name: a\nNum Peaks: 2\n50:1 60:", "peak '60", 3),
    _msp("NaN intensity", "Name: a\nNum Peaks: 1\n50 NaN", "intensity of peak 0 is nan"),
    _msp("a bad precursor", "Name: a\nPrecursorMZ: ?\nNum Peaks: 1\n50 1", "precursor m/z '?'"),
    _msp("MS1", "Name: a\nSpectrum_type: MS1\nNum Peaks: 1\n50 1", "a spectrum of MS level 1"),
    Case("msp truncated", "bad.msp", GOOD_MSP.encode()[:-14], "2 peaks declared, 1 found", sound=0),
)


def _massbank(what: str, change: tuple[str, str], words: str, line: int | None = None) -> Case:
    bad = GOOD_MASSBANK.replace(*change)
    return Case(f"massbank {what}", "bad.txt", f"{bad}{GOOD_MASSBANK}".encode(), words, line=line)


MASSBANK = (
    _massbank("another number of peaks", ("NUM_PEAK: 2", "NUM_PEAK: 3"), "PK$NUM_PEAK is 3, 2 peaks found"),
    _massbank("no number of peaks", ("PK$NUM_PEAK: 2\n", ""), "PK$NUM_PEAK is missing, 2 peaks found"),
    _massbank("a word for a peak", ("110.0713", "hundred"), "peak 'hundred 21 210'", 6),
    _massbank("a line without a tag", ("PK$NUM_PEAK: 2", "PK$NUM_PEAK 2"), 'is not "TAG: value"', 4),
    _massbank("MS3", ("MS_TYPE MS2", "MS_TYPE MS3"), "a spectrum of MS level 3"),
    _massbank("NaN intensity", ("21 210", "nan 210"), "intensity of peak 0 is nan"),
    Case(
        "massbank truncated",
        "bad.txt",
        f"{GOOD_MASSBANK}{GOOD_MASSBANK[:-4]}".encode(),
        'no "//" at its end',
        record=1,
        line=9,
    ),
)


def _gym(what: str, row: str, words: str) -> Case:
    return Case(f"massspecgym {what}", "bad.tsv", f"{GYM_COLUMNS}{row}\n{GOOD_GYM}".encode(), words, line=2)


MASSSPECGYM = (
    _gym("fewer fields", "a\t50\t1", "3 fields, expected 5"),
    _gym("more fields", "a\t50\t1\t100\t[M+H]+\tx", "6 fields, expected 5"),
    _gym("words for m/z", "a\tfifty\t1\t100\t[M+H]+", "mzs are not numbers separated by commas"),
    _gym("no peaks", "a\t\t\t100\t[M+H]+", "mzs are not numbers"),
    _gym("more m/z than intensities", "a\t50,60\t1\t100\t[M+H]+", "2 m/z values and 1 intensities"),
    _gym("NaN", "a\t50,nan\t1,1\t100\t[M+H]+", "m/z of peak 1 is nan"),
    _gym("a word for the precursor", "a\t50\t1\tx\t[M+H]+", "precursor m/z 'x'"),
    Case("massspecgym without intensities", "bad.tsv", b"mzs\tsmiles\n50\tC\n", "there 0 times", None),
    Case(
        "massspecgym with a column twice", "bad.tsv", b"mzs\tmzs\tintensities\n5\t5\t1\n", "there 2 times", None
    ),
    Case("massspecgym without rows", "bad.tsv", GYM_COLUMNS.encode(), "no record in the file", None),
)


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mgf", GOOD_MGF)
    return file.getvalue()


_PACKED = gzip.compress(GOOD_MGF.encode() * 50, mtime=0)

CONTAINERS = (
    Case("an empty file", "bad.mgf", b"", "the file is empty", None),
    Case("only a byte order mark", "bad.mgf", b"\xef\xbb\xbf", "no record in the file", None),
    Case("a gzip file of nothing", "bad.mgf.gz", gzip.compress(b""), "a gzip file of nothing", None),
    Case("a truncated gzip file", "bad.mgf.gz", _PACKED[:-20], "damaged or truncated gzip", None),
    Case("a damaged gzip file", "bad.mgf.gz", _PACKED[:30] + b"\xff" * 40 + _PACKED[70:], "gzip", None),
    Case("rubbish after a gzip file", "bad.mgf.gz", _PACKED + b"rubbish", "gzip", None),
    Case("a zip archive", "bad.mgf", _zip(), "is a zip archive, which is not read; unpack it first", None),
    Case("an xz archive", "bad.msp", b"\xfd7zXZ\x00\x00", "is a xz archive", None),
    Case("text of no format", "bad.dat", b"hello world\n", "is of no known format", None),
    Case("an image", "bad.dat", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is of no known format", None),
    Case("half a character of utf-16", "bad.mgf", b"\xff\xfeB\x00E", "is not the text", None),
    Case("utf-32", "bad.mgf", GOOD_MGF.encode("utf-32"), "zero byte", None),
    Case("parquet that is text", "bad.parquet", b"PAR1 but no more", "cannot be read as parquet", None),
)

CASES = (*MGF, *MSP, *MASSBANK, *MASSSPECGYM, *CONTAINERS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_malformed(malformed: Any, case: Case) -> None:
    if case.record is None:
        malformed.is_refused(case.name, case.content, case.words)
    else:
        rejected = malformed.costs_one_record(
            case.name, case.content, case.words, case.record, case.line, case.sound
        )
        assert rejected.fault is ("MS level" not in case.words)
