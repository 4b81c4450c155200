"""Records of an XML file, one at a time, in memory that does not grow, from files that may be hostile.

A document type declaration is refused before the parser sees it: no format here has one, and entities are
declared there. Depth, elements and bytes of one record are bounded.
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser
from xml.parsers import expat

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.source import open_bytes

_CHUNK = 65_536
_DEEPEST = 100
_MOST_ELEMENTS = 200_000
_LARGEST_RECORD = 256 * 2**20


def read_elements(path: Path, roots: frozenset[str], records: frozenset[str]) -> Iterator[Element]:
    """The elements of these names with their content, in the order of their ends. Everything else is freed as
    soon as it is read, and an element when the next one is asked for. The outermost element must be one of
    `roots`; of `records` inside one another, the inner comes first.

    Raises:
        DataError: the file cannot be read, is not well-formed XML, has another root or a document type
            declaration, or passes one of the bounds.
    """
    opened: list[Element] = []
    inside = seen = size = 0  # open elements that are records; elements and bytes since the last record
    parser: XMLPullParser[Element] = XMLPullParser(events=("start", "end"))
    with open_bytes(path) as file:
        start = file.read(_CHUNK)
        _check_prolog(path, start)
        for chunk in chain((start,), iter(partial(file.read, _CHUNK), b""), (b"",)):
            size += len(chunk)
            for event, element in _events(path, parser, chunk):
                is_record = local_name(element) in records
                if event == "start":
                    if not opened and local_name(element) not in roots:
                        found, expected = one_line(local_name(element), 40), " or ".join(sorted(roots))
                        raise DataError(f"the XML is of {found}, expected {expected}", path=path)
                    opened.append(element)
                    inside += is_record
                    seen += 1
                    _check_bounds(path, len(opened), seen, size)
                    continue
                opened.pop()
                inside -= is_record
                if is_record:
                    seen = size = 0
                    yield element
                if opened and (is_record or not inside):
                    opened[-1].remove(element)


def _events(path: Path, parser: "XMLPullParser[Element]", chunk: bytes) -> Iterator[tuple[str, Element]]:
    """Starts and ends of elements within the next bytes; no bytes mean the end of the file."""
    try:
        if chunk:
            parser.feed(chunk)
        else:
            parser.close()
        # Raises here for bad bytes, after the events before them.
        yield from cast(Iterator[tuple[str, Element]], parser.read_events())
    except (ParseError, ValueError, LookupError) as error:
        raise DataError(f"damaged or truncated XML: {one_line(error)}", path=path) from None


def _check_bounds(path: Path, depth: int, seen: int, size: int) -> None:
    if depth > _DEEPEST:
        raise DataError(f"elements nested more than {_DEEPEST} deep", path=path)
    if seen > _MOST_ELEMENTS or size > _LARGEST_RECORD:
        raise DataError(
            f"more than {_MOST_ELEMENTS:,} elements or {_LARGEST_RECORD // 2**20} MiB without a record",
            path=path,
        )


def _check_prolog(path: Path, start: bytes) -> None:
    """Refuse a document type declaration, in any encoding."""
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise DataError("has a document type declaration (DTD), which is refused", path=path)

    def stop(*_: object) -> None:
        raise _RootSeen

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        parser.Parse(start, False)
    except _RootSeen:
        return
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"is not XML: {one_line(error)}", path=path) from None
    raise DataError(f"no XML element within the first {len(start):,} bytes", path=path)


class _RootSeen(Exception):
    """The first element has begun; no declaration can follow it."""


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: Element, name: str) -> Iterator[Element]:
    """The children of that name in any namespace."""
    return (child for child in element if local_name(child) == name)


def descendant(element: Element, *names: str) -> Element | None:
    """The first child of the first name, its first child of the second name, and so on."""
    found: Element | None = element
    for name in names:
        found = next(children(found, name), None) if found is not None else None
    return found
