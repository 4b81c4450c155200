"""mzXML (Institute for Systems Biology, 1.1 to 3.2), read scan by scan; scans may stand inside one another."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.binary_arrays import decode_array
from mmspec_ds.readers.mass_fields import MS_LEVEL, POLARITY, Fields, kind_of
from mmspec_ds.readers.mass_spectra import items_of, mass_part
from mmspec_ds.readers.part import Item, Part, RecordFault, one_line
from mmspec_ds.readers.peaks import local_maxima
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.readers.xml_records import descendant, read_elements
from mmspec_ds.spectra.records import FloatArray, Modality

_ROOTS = frozenset({"mzXML", "msRun"})
_SCAN = "scan"
_TYPES = {"32": ">f4", "64": ">f8"}
_PAIRS = ("m/z-int", "mz-int")


def looks_like_mzxml(head: Head) -> bool:
    """Whether the text has the root element."""
    return "<mzXML" in head.text or "<msRun" in head.text


def read_mzxml(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The MS/MS scans of an mzXML file, a part each; scans of other levels are rejected without fault. Numbers
    are in the order in which scans end, so those inside a survey scan come before it.

    Raises:
        DataError: the file cannot be read; after the scans before the place, if it is truncated.
    """
    scans = read_elements(path, _ROOTS, frozenset({_SCAN}))
    yield from items_of(path, scans, lambda number, scan: _part(path, number, scan, settings))


def _part(path: Path, number: int, scan: Element, settings: FormatSettings) -> Part:
    precursor = descendant(scan, "precursorMz")
    level = scan.get("msLevel") or ("2" if precursor is not None else "")
    if not level:
        raise RecordFault("a scan without MS level and precursor; MS/MS is level 2", fault=False)
    fields = Fields()
    fields.set(MS_LEVEL, level)
    kind_of(fields)  # before the peaks are decoded
    fields.set(keys.NAME, f"scan {scan.get('num', '')}")
    fields.set(POLARITY, scan.get("polarity", ""))
    fields.set(keys.COLLISION_ENERGY, scan.get("collisionEnergy", ""))
    if precursor is not None:
        fields.set(keys.PRECURSOR_MZ, precursor.text or "")
        fields.set(keys.CHARGE, precursor.get("precursorCharge", ""))
    mz, intensity = _peaks(scan)
    if scan.get("centroided") == "0":
        mz, intensity = local_maxima(mz, intensity)
    return mass_part(path, number, (mz, intensity), fields, settings.ms)


def _peaks(scan: Element) -> tuple[FloatArray, FloatArray]:
    """m/z and intensities, which are stored as pairs with the first byte first."""
    peaks = descendant(scan, "peaks")
    if peaks is None:
        raise RecordFault("the scan has no peaks")
    count = scan.get("peaksCount", "")
    if not (count.isascii() and count.isdecimal()):
        raise RecordFault(f"peaksCount is {one_line(count, 20)!r}, expected a count")
    pairs = peaks.get("pairOrder") or peaks.get("contentType") or _PAIRS[0]
    dtype = _TYPES.get(peaks.get("precision", "32"))
    packing = peaks.get("compressionType", "none")
    if pairs not in _PAIRS or dtype is None or packing not in ("none", "zlib"):
        raise RecordFault(f"peaks are {one_line(pairs, 20)}, {one_line(packing, 20)}, a form that is not read")
    if count == "0":  # some writers put one pair of zeros there
        raise RecordFault("no peaks")
    flat = decode_array(peaks.text or "", 2 * int(count[:12]), dtype, deflated=packing == "zlib")
    return flat[0::2], flat[1::2]
