"""Malformed mzML and mzXML files. Those with one spoilt spectrum hold a sound one after it."""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.readers.format_registry import read_file


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


def encoded(values: Sequence[float], dtype: str = "<f8", deflate: bool = False) -> str:
    """Numbers as mzML and mzXML hold them."""
    content = np.array(values, dtype).tobytes()
    return base64.b64encode(zlib.compress(content, 9) if deflate else content).decode()


def mzml_spectrum(
    mz: str | None = None,
    *,
    packing: str = "MS:1000576",
    length: str = "2",
    level: str = '<cvParam accession="MS:1000511" value="2"/>',
    precursor: str = "195.0877",
) -> str:
    """A spectrum of two peaks, or one with other m/z in base64."""
    arrays = "".join(
        f'<binaryDataArray><cvParam accession="{packing if kind == "MS:1000514" else "MS:1000576"}"/>'
        f'<cvParam accession="MS:1000523"/><cvParam accession="{kind}"/>'
        f"<binary>{content}</binary></binaryDataArray>"
        for kind, content in (
            ("MS:1000514", encoded([110.0713, 138.0662]) if mz is None else mz),
            ("MS:1000515", encoded([21, 100])),
        )
    )
    return (
        f'<spectrum index="0" id="scan=1" defaultArrayLength="{length}">{level}'
        '<precursorList count="1"><precursor><selectedIonList count="1"><selectedIon>'
        f'<cvParam accession="MS:1000744" value="{precursor}"/></selectedIon></selectedIonList></precursor>'
        f"</precursorList><binaryDataArrayList>{arrays}</binaryDataArrayList></spectrum>"
    )


def mzml(*spectra: str) -> str:
    """An mzML file of these spectra."""
    return (
        '<?xml version="1.0"?>\n<mzML xmlns="http://psi.hupo.org/ms/mzml"><run id="r"><spectrumList>'
        f"{''.join(spectra)}</spectrumList></run></mzML>"
    )


def _mzml(what: str, spectrum: str, words: str) -> Case:
    return Case(f"mzml {what}", "bad.mzML", mzml(spectrum, mzml_spectrum()).encode(), words)


_LOL = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>'
)
_EXTERNAL = '<!DOCTYPE foo [<!ENTITY xxe SYSTEM "file:///etc/passwd">]>'

MZML = (
    _mzml("no base64", mzml_spectrum("!!!!"), "a binary array is not base64"),
    _mzml("truncated base64", mzml_spectrum(encoded([110, 138])[:-3]), "a binary array is not base64"),
    _mzml("fewer values", mzml_spectrum(encoded([110])), "holds 1 values, 2 are declared"),
    _mzml("more values", mzml_spectrum(encoded([110, 120, 130])), "holds 3 values, 2 are declared"),
    _mzml("no zlib", mzml_spectrum(encoded([110, 138]), packing="MS:1000574"), "zlib cannot unpack it"),
    _mzml(
        "an array that is a zlib bomb",
        mzml_spectrum(encoded(np.zeros(10**6).tolist(), deflate=True), packing="MS:1000574"),
        "unpacks to more values than are declared",
    ),
    _mzml("a word for the length", mzml_spectrum(length="two"), "the array length is 'two'"),
    _mzml("an absurd length", mzml_spectrum(length="9" * 11), "values declared, at most 5,000,000 are read"),
    _mzml("unknown compression", mzml_spectrum(packing="MS:9999999"), "type or compression that is not read"),
    _mzml("NaN m/z", mzml_spectrum(encoded([np.nan, 138])), "m/z of peak 0 is nan"),
    _mzml("damaged numpress", mzml_spectrum("AAAA", packing="MS:1002312"), "numpress cannot unpack it"),
    _mzml("a word for the precursor", mzml_spectrum(precursor="x"), "precursor m/z 'x'"),
    _mzml(
        "no arrays",
        '<spectrum id="a"><cvParam accession="MS:1000511" value="2"/></spectrum>',
        "the spectrum has no m/z array",
    ),
    Case(
        "mzml truncated",
        "bad.mzML",
        mzml(mzml_spectrum()).encode()[:-40],
        "damaged or truncated XML",
        None,
        None,
        1,
    ),
    Case(
        "mzml with a foreign byte",
        "bad.mzML",
        b'<?xml version="1.0"?>\n<mzML>\x01</mzML>',
        "not well-formed",
        None,
    ),
    Case(
        "mzml of entities",
        "bad.mzML",
        (_LOL + "<mzML>&lol2;</mzML>").encode(),
        "document type declaration",
        None,
    ),
    Case(
        "mzml of an external entity",
        "bad.mzML",
        (_EXTERNAL + "<mzML/>").encode(),
        "document type declaration",
        None,
    ),
    Case(
        "mzml of entities in utf-16",
        "bad.mzML",
        (_LOL + "<mzML>&lol2;</mzML>").encode("utf-16"),
        "document type declaration",
        None,
    ),
    Case("mzml that is HTML", "bad.mzML", b"<html><body/></html>", "the XML is of html, expected", None),
    Case("mzml that is no XML", "bad.mzML", b"hello\n", "is not XML", None),
    Case(
        "mzml of an unknown encoding",
        "bad.mzML",
        b'<?xml version="1.0" encoding="klingon"?><mzML/>',
        "XML",
        None,
    ),
    Case("mzml nested without end", "bad.mzML", b"<mzML>" + b"<a>" * 5000, "nested more than 100 deep", None),
    Case("mzml without a spectrum", "bad.mzML", mzml().encode(), "no record in the file", None),
)


def mzxml(*scans: str) -> str:
    """An mzXML file of these scans."""
    return f'<?xml version="1.0"?>\n<mzXML><msRun>{"".join(scans)}</msRun></mzXML>'


def mzxml_scan(peaks: str | None = None, *, count: str = "2", level: str = "2", form: str = "") -> str:
    """A scan of two peaks, or one with other peaks in base64."""
    content = encoded([110.0713, 21, 138.0662, 100], ">f4") if peaks is None else peaks
    return (
        f'<scan num="1" msLevel="{level}" peaksCount="{count}" polarity="+"><precursorMz>195.0877</precursorMz>'
        f'<peaks precision="32" byteOrder="network" {form}>{content}</peaks></scan>'
    )


def _mzxml(what: str, scan: str, words: str) -> Case:
    return Case(f"mzxml {what}", "bad.mzXML", mzxml(scan, mzxml_scan()).encode(), words)


MZXML = (
    _mzxml("no base64", mzxml_scan("????"), "not base64"),
    _mzxml("fewer peaks", mzxml_scan(count="3"), "holds 4 values, 6 are declared"),
    _mzxml("a word for the count", mzxml_scan(count="-2"), "peaksCount is '-2', expected a count"),
    _mzxml("no peaks", mzxml_scan("AAAAAAAAAAA=", count="0"), "no peaks"),
    _mzxml("no peaks element", '<scan num="1" msLevel="2" peaksCount="1"/>', "the scan has no peaks"),
    _mzxml("another form", mzxml_scan(form='compressionType="lzma"'), "a form that is not read"),
    _mzxml("zlib that is none", mzxml_scan(form='compressionType="zlib"'), "zlib cannot unpack it"),
    _mzxml("a survey scan", mzxml_scan(level="1"), "a spectrum of MS level 1"),
    Case("mzxml truncated", "bad.mzXML", mzxml(mzxml_scan()).encode()[:-12], "damaged or truncated XML", None),
)


CASES = (*MZML, *MZXML)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_malformed(malformed: Any, case: Case) -> None:
    if case.record is None:
        malformed.is_refused(case.name, case.content, case.words)
    else:
        rejected = malformed.costs_one_record(
            case.name, case.content, case.words, case.record, case.line, case.sound
        )
        assert rejected.fault is ("MS level" not in case.words)


def test_what_stands_before_a_cut_is_read(sound_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mzML"
    content = (sound_files / "psims.mzML").read_bytes()
    path.write_bytes(content[: content.index(b'id="scan=4"')])
    items = read_file(path)
    assert [next(items).id for _ in range(3)] == ["cut.mzML:0", "cut.mzML:1", "cut.mzML:2"]
    with pytest.raises(DataError, match="damaged or truncated XML"):
        next(items)
