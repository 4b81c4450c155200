"""mzML (HUPO-PSI, 1.1; 1.0 and 0.99 where they agree), by the accessions of its vocabulary.

Read element by element: a damaged spectrum costs that spectrum alone, and memory does not grow with the file.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.binary_arrays import decode_array
from mmspec_ds.readers.mass_fields import MS_LEVEL, POLARITY, Fields, kind_of
from mmspec_ds.readers.mass_spectra import items_of, mass_part
from mmspec_ds.readers.part import Item, Part, RecordFault
from mmspec_ds.readers.peaks import HIGHEST_MZ, local_maxima
from mmspec_ds.readers.read_settings import DEFAULT_SETTINGS, FormatSettings
from mmspec_ds.readers.source import Head
from mmspec_ds.readers.xml_records import children, descendant, local_name, read_elements
from mmspec_ds.spectra.records import FloatArray, Modality

_ROOTS = frozenset({"mzML", "indexedmzML"})
_SPECTRUM, _GROUP = "spectrum", "referenceableParamGroup"

_LEVEL, _TITLE = "MS:1000511", "MS:1000796"
_NEGATIVE, _POSITIVE = "MS:1000129", "MS:1000130"
_PROFILE = "MS:1000128"
_SELECTED_MZ = ("MS:1000744", "MS:1000040")
"""The second in files before 1.1."""
_TARGET_MZ, _LOWER, _UPPER = "MS:1000827", "MS:1000828", "MS:1000829"
"""Of the isolation window: its target m/z, and how far it reaches below and above."""
_HALF_WINDOW = 0.5
"""Taken where a file does not say how wide the window is."""
_CHARGE = "MS:1000041"
_ENERGY, _NORMALISED_ENERGY = "MS:1000045", "MS:1000138"
_RAMP_START, _RAMP_END = "MS:1002013", "MS:1002014"
_MZ_ARRAY, _INTENSITY_ARRAY = "MS:1000514", "MS:1000515"
_TYPES = {"MS:1000521": "<f4", "MS:1000523": "<f8", "MS:1000519": "<i4", "MS:1000522": "<i8"}
_PACKING: Mapping[str, tuple[bool, str | None]] = {
    "MS:1000576": (False, None),
    "MS:1000574": (True, None),
    "MS:1002312": (False, "numpress linear"),
    "MS:1002313": (False, "numpress pic"),
    "MS:1002314": (False, "numpress slof"),
    "MS:1002746": (True, "numpress linear"),
    "MS:1002747": (True, "numpress pic"),
    "MS:1002748": (True, "numpress slof"),
}
"""Whether zlib was used, and which numpress."""

Terms = dict[str, str]
"""The value of each term of an element by its accession."""
Groups = Mapping[str, Terms]


def looks_like_mzml(head: Head) -> bool:
    """Whether the text has the root element."""
    return "<mzML" in head.text or "<indexedmzML" in head.text


def read_mzml(
    path: Path, modality: Modality | None = None, settings: FormatSettings = DEFAULT_SETTINGS
) -> Iterator[Item]:
    """The MS/MS spectra of an mzML file, a part each. Spectra of other levels and of other kinds are rejected
    without fault; of a spectrum in profile mode the local maxima are its peaks.

    Raises:
        DataError: the file cannot be read; after the spectra before the place, if it is truncated.
    """
    groups: dict[str, Terms] = {}
    spectra = _spectra(path, groups)
    yield from items_of(path, spectra, lambda number, one: _part(path, number, one, groups, settings))


def _spectra(path: Path, groups: dict[str, Terms]) -> Iterator[Element]:
    """The spectra of a file; the terms of the groups that stand before them are put into `groups`."""
    for element in read_elements(path, _ROOTS, frozenset({_SPECTRUM, _GROUP})):
        if local_name(element) == _GROUP:
            groups[element.get("id", "")] = _terms(element, groups)
        else:
            yield element


def _part(path: Path, number: int, spectrum: Element, groups: Groups, settings: FormatSettings) -> Part:
    terms = _terms_of_scan(spectrum, groups)
    fields = Fields()
    fields.set(keys.NAME, spectrum.get("id", ""))
    fields.set("title", terms.get(_TITLE, ""))
    precursor = descendant(spectrum, "precursorList", "precursor")
    if precursor is None:
        precursor = descendant(spectrum, "spectrumDescription", "precursorList", "precursor")
    level = terms.get(_LEVEL, "2" if precursor is not None else "")
    if not level:
        raise RecordFault("a spectrum without MS level and precursor; MS/MS is level 2", fault=False)
    fields.set(MS_LEVEL, level)
    kind_of(fields)  # before the arrays are decoded
    if _NEGATIVE in terms or _POSITIVE in terms:
        fields.set(POLARITY, "negative" if _NEGATIVE in terms else "positive")
    if precursor is not None:
        _set_precursor(fields, precursor, groups)
    mz, intensity = _arrays(spectrum, groups)
    if _PROFILE in terms:
        mz, intensity = local_maxima(mz, intensity)
    return mass_part(path, number, (mz, intensity), fields, settings.ms)


def _terms(element: Element, groups: Groups) -> Terms:
    """The terms of an element, those of the groups that it refers to included."""
    terms: Terms = {}
    for child in element:
        if local_name(child) == "cvParam":
            terms[child.get("accession", "")] = child.get("value", "")
        elif local_name(child) == "referenceableParamGroupRef":
            terms = {**groups.get(child.get("ref", ""), {}), **terms}
    return terms


def _terms_of_scan(spectrum: Element, groups: Groups) -> Terms:
    """The terms of a spectrum and of its scan: before 1.1, some of them stood there."""
    terms = _terms(spectrum, groups)
    for names in (("spectrumDescription",), ("spectrumDescription", "scan"), ("scanList", "scan")):
        element = descendant(spectrum, *names)
        if element is not None:
            terms = {**_terms(element, groups), **terms}
    return terms


def _set_precursor(fields: Fields, precursor: Element, groups: Groups) -> None:
    ion, window, activation = (
        _terms(found, groups) if (found := descendant(precursor, *names)) is not None else {}
        for names in (("selectedIonList", "selectedIon"), ("isolationWindow",), ("activation",))
    )
    for term in _SELECTED_MZ:
        fields.set(keys.PRECURSOR_MZ, ion.get(term, ""))
    fields.set(keys.CHARGE, ion.get(_CHARGE, ""))
    fields.window = _window(window)
    if _ENERGY in activation:
        fields.set(keys.COLLISION_ENERGY, f"{activation[_ENERGY]} eV")
    elif _NORMALISED_ENERGY in activation:
        fields.set(keys.COLLISION_ENERGY, f"{activation[_NORMALISED_ENERGY]} NCE")
    elif _RAMP_START in activation and _RAMP_END in activation:
        fields.set(keys.COLLISION_ENERGY, f"{activation[_RAMP_START]}-{activation[_RAMP_END]} eV")


def _window(terms: Terms) -> tuple[float, float, float] | None:
    """Lowest, highest and target m/z of the isolation window, None where it has no target above 0.

    Raises:
        RecordFault: one of them is not a number from 0 on.
    """
    try:
        target, lower, upper = (float(terms.get(term) or 0) for term in (_TARGET_MZ, _LOWER, _UPPER))
    except ValueError:
        target = math.nan
    if not (0 <= target <= HIGHEST_MZ and 0 <= lower <= HIGHEST_MZ and 0 <= upper <= HIGHEST_MZ):
        raise RecordFault("the isolation window is not three numbers from 0 on")
    return (target - (lower or _HALF_WINDOW), target + (upper or _HALF_WINDOW), target) if target else None


def _arrays(spectrum: Element, groups: Groups) -> tuple[FloatArray, FloatArray]:
    """m/z and intensity of each peak, [peaks] each."""
    arrays = descendant(spectrum, "binaryDataArrayList")
    found: dict[str, FloatArray] = {}
    for element in children(arrays, "binaryDataArray") if arrays is not None else ():
        terms = _terms(element, groups)
        kind = next((kind for kind in (_MZ_ARRAY, _INTENSITY_ARRAY) if kind in terms), None)
        if kind is not None:
            length = element.get("arrayLength", spectrum.get("defaultArrayLength", ""))
            found[kind] = _array(element, terms, length)
    if len(found) < 2:
        missing = "m/z" if _MZ_ARRAY not in found else "intensity"
        raise RecordFault(f"the spectrum has no {missing} array")
    return found[_MZ_ARRAY], found[_INTENSITY_ARRAY]


def _array(element: Element, terms: Terms, length: str) -> FloatArray:
    if not (length.isascii() and length.isdecimal()):
        raise RecordFault(f"the array length is {length[:20]!r}, expected a count")
    packing = [_PACKING[term] for term in terms if term in _PACKING]
    numpress = next((name for _, name in packing if name is not None), None)
    dtype = next((_TYPES[term] for term in terms if term in _TYPES), "<f8" if numpress else None)
    if dtype is None or not packing:
        raise RecordFault(
            "a binary array is of a type or compression that is not read (known: 32 and 64 bit, zlib, numpress)"
        )
    text = descendant(element, "binary")
    content = (text.text or "") if text is not None else ""
    deflated = any(zlib for zlib, _ in packing)
    return decode_array(content, int(length[:12]), dtype, deflated=deflated, numpress=numpress)
