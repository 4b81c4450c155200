"""The outer form of JCAMP-DX: labelled data records in blocks, as McDonald and Wilks, Appl. Spectrosc. 1988,
42, 151 (4.24), Davies and Lampen, Appl. Spectrosc. 1993, 47, 1093 (NMR, 5.0), and Lampen et al., Pure Appl.
Chem. 1999, 71, 1549 (5.01) define it.

A file is one block, or a LINK block with others in it. `jcamp_tables` decodes tables, `jcamp` reads labels.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.readers.source import Line

TABLES = frozenset(
    {"XYDATA", "XYPOINTS", "PEAKTABLE", "PEAKASSIGNMENTS", "DATATABLE", "RADATA", "RAPOINTS", "XYWDATA"}
)
LONGEST_BLOCK = 128 * 2**20
"""Characters in the tables of one block, `A_LINE` more for each line: four million points packed by tens are
half of it, a million pairs on lines of their own two thirds."""
A_LINE = 64
"""What a line takes in memory besides its characters; without it, a file of empty ones would fill gigabytes."""
LONGEST_LABELS = 4 * 2**20
"""Characters in the other labels of one block; TopSpin writes some 50 kB."""

DEEPEST = 16
"""Blocks in blocks; two is what programs write."""

_LABEL = re.compile(r"\s*##([^=]*)=(.*)", re.DOTALL)
_END = re.compile(r"\s*##\s*END\s*$", re.IGNORECASE)
_NOISE = re.compile(r"[\s/_-]")
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")


@dataclass(slots=True)
class Table:
    """A data table: its label, the form after the sign of equality ("(X++(Y..Y))"), and its lines."""

    label: str
    form: str
    line: int
    page: str = ""
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """A block: labels in capitals without blanks, dashes, slashes and underscores; the first of a name
    counts. `ended` is false where ##END is missing."""

    line: int
    labels: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    ended: bool = False
    has_children: bool = False
    too_long: bool = False
    _characters: int = 0
    _label_characters: int = 0
    _open: Table | str | None = None

    def text(self, *names: str) -> str:
        """The first of these labels that is there and not empty, on one line, without brackets of <text>."""
        for name in names:
            value = " ".join(self.labels.get(name, "").split()).strip("<> ")
            if value:
                return value
        return ""

    def number(self, name: str) -> float | None:
        """The number at the start of a label's value, None where there is no label or no value.

        Raises:
            RecordFault: there is a value that does not begin with a finite number.
        """
        value = self.text(name)
        if not value:
            return None
        found = _NUMBER.match(value)
        number = float(found.group().replace(",", ".")) if found else float("nan")
        if not abs(number) < float("inf"):
            raise RecordFault(f"##{name}= {one_line(value, 40)!r} is not a number", line=self.line)
        return number

    def allows(self, count: int) -> bool:
        """Whether so many points are those of NPOINTS, where it is there; one more or less is allowed, as
        Varian's converter writes.

        Raises:
            RecordFault: NPOINTS is not a number.
        """
        points = self.number("NPOINTS")
        return points is None or abs(points - count) <= 1

    def add_label(self, name: str, value: str) -> None:
        """Keep a label; lines that follow belong to it."""
        self._open = None
        if self._within_labels(len(name) + len(value)):
            self.labels.setdefault(name, value)
            self._open = name

    def add_table(self, label: str, form: str, line: int) -> None:
        """Begin a table; lines that follow belong to it."""
        self._open = Table(label, form, line, self.labels.get("PAGE", ""))
        self.tables.append(self._open)

    def add_line(self, line: Line) -> None:
        """A line of the open table, or one that continues a label."""
        if isinstance(self._open, Table):
            self._characters += len(line.text) + A_LINE
            if self._characters > LONGEST_BLOCK:
                self.too_long = True
                self._open.lines.clear()
            else:
                self._open.lines.append(line)
        elif self._open is not None and self._within_labels(len(line.text) + 1):
            self.labels[self._open] += "\n" + line.text

    def _within_labels(self, characters: int) -> bool:
        self._label_characters += characters
        if self._label_characters > LONGEST_LABELS:
            self.too_long = True
        return not self.too_long


def read_blocks(lines: Iterable[Line]) -> Iterator[Block]:
    """The blocks of a file in the order in which they end, LINK blocks left out; one at a time.

    Raises:
        RecordFault: blocks are nested deeper than any program nests them.
    """
    open_blocks: list[Block] = []
    for name, value, line in _records(lines):
        if name == "TITLE" or (name and not open_blocks):
            if open_blocks and not _is_link(open_blocks[-1]):
                yield open_blocks.pop()  # its ##END is missing
            if len(open_blocks) >= DEEPEST:
                raise RecordFault(f"blocks in blocks, more than {DEEPEST} deep", line=line.number)
            if open_blocks:
                open_blocks[-1].has_children = True
            open_blocks.append(Block(line.number))
        if not open_blocks:
            continue
        block = open_blocks[-1]
        if name == "END":
            open_blocks.pop()
            block.ended = True
            if not _is_link(block):
                yield block
        elif name in TABLES:
            block.add_table(name, value.strip(), line.number)
        elif name == "PAGE":
            block.labels.pop(name, None)
            block.add_label(name, value.strip())
        elif name:
            block.add_label(name, value)
        else:
            block.add_line(line)
    while open_blocks:
        block = open_blocks.pop()
        if not _is_link(block):
            yield block


def _records(lines: Iterable[Line]) -> Iterator[tuple[str, str, Line]]:
    """Label, value and line of each labelled line; an empty label for the lines between. Comments are off."""
    for line in lines:
        text = line.text.partition("$$")[0]
        if _END.match(text):
            yield "END", "", line
            continue
        found = _LABEL.match(text)
        if found:
            yield _NOISE.sub("", found[1]).upper() or "?", found[2], line
        elif text.strip():
            yield "", "", Line(line.number, text)


def _is_link(block: Block) -> bool:
    return block.has_children or block.text("DATATYPE").upper() == "LINK"
