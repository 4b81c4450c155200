"""Protein sequences in FASTA files, plain or gzip.

A line that begins with `>` names a sequence by its first word; the lines up to the next one are its letters.
Case, blanks and an asterisk at the end do not matter, gaps of an alignment (`-`, `.`) are left out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.source import read_lines

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
AMBIGUOUS = "BJOUXZ"
"""Letters of IUPAC beside the 20: several amino acids (B, J, Z), any (X), selenocysteine and pyrrolysine."""
LONGEST = 100_000
"""Letters of a sequence at most; titin, the longest protein known of man, has 35,991."""
MOST_LETTERS = 1 << 28
"""Letters of a file at most."""

_NUCLEOTIDES = re.compile(r"[ACGTUN]{30,}")
_OTHER = re.compile(f"[^{AMINO_ACIDS}{AMBIGUOUS}]")


class FastaEntry(NamedTuple):
    """One protein of a FASTA file: its name, and its amino acids by their letters.

    Attributes:
        name: the first word of its line; "number 3" for the third one where there is none.
        letters: of amino acids, upper case.
        description: what follows the name.
        line: of the name, from 1.
    """

    name: str
    letters: str
    description: str
    line: int


def read_fasta(path: Path) -> Iterator[FastaEntry]:
    """The sequences of a file, one at a time.

    Raises:
        DataError: the file cannot be read or has no sequence; or a sequence is empty, too long, holds a letter
            that is no amino acid or a stop before its end, or is of nucleotides. Names file and line.
    """
    title: tuple[int, str] | None = None
    parts: list[str] = []
    count = length = total = 0
    for read in read_lines(path):
        number, line = read.number, read.text.strip()
        if line.startswith(">"):
            if title is not None:
                yield _checked(path, title, parts, count)
            title, parts, length, count = (number, line[1:].strip()), [], 0, count + 1
        elif line and not line.startswith(";"):
            if title is None:
                raise DataError(
                    f"line {number}: {one_line(line, 40)!r} comes before the first name: expected FASTA, where"
                    " a line that begins with > names each sequence",
                    path=path,
                )
            parts.append(line)
            length, total = length + len(line), total + len(line)
            if length > LONGEST:
                raise _fault(path, title, f"has more than {LONGEST:,} letters: expected a protein")
            if total > MOST_LETTERS:
                raise DataError(f"holds more than {MOST_LETTERS:,} letters: expected a smaller file", path=path)
    if title is None:
        raise DataError(
            "holds no sequence: expected FASTA, lines of letters after a line like >name", path=path
        )
    yield _checked(path, title, parts, count)


def clean_sequence(text: str) -> str:
    """A protein's letters in upper case, without blanks, gaps and the stop at its end.

    Raises:
        ValueError: it has none, another letter than those of amino acids, a stop before its end, or is of
            nucleotides.
    """
    letters = re.sub(r"[\s.\-]", "", text).upper().removesuffix("*")
    if not letters:
        raise ValueError("has no letters: expected those of amino acids")
    if "*" in letters:
        raise ValueError(
            f"has a stop (*) at {letters.index('*') + 1} of {len(letters)}: expected a whole protein"
        )
    other = _OTHER.search(letters)
    if other is not None:
        raise ValueError(f"has {other[0]!r} at {other.start() + 1}: expected letters of amino acids")
    if _NUCLEOTIDES.fullmatch(letters):
        raise ValueError("has letters of nucleotides alone: expected a protein, not DNA or RNA")
    return letters


def _checked(path: Path, title: tuple[int, str], parts: list[str], count: int) -> FastaEntry:
    name, _, description = title[1].replace("\t", " ").partition(" ")
    try:
        letters = clean_sequence("".join(parts))
    except ValueError as error:
        raise _fault(path, title, str(error)) from None
    return FastaEntry(one_line(name, 200) or f"number {count}", letters, one_line(description, 500), title[0])


def _fault(path: Path, title: tuple[int, str], what: str) -> DataError:
    name = one_line(title[1].partition(" ")[0], 60)
    named = f"sequence {name!r}" if name else "a sequence without a name"
    return DataError(f"line {title[0]}: {named} {what}", path=path)
