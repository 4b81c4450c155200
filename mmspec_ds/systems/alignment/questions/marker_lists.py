"""Types of cells with their marker genes as a question lists them, written and read back.

    NK cell (GNLY, NKG7); B cell (naive) (MS4A1, CD79A)

A list is read where a question has a wording of `wording.WORDINGS`, so that what stands before the first type
is known; of each type the last brackets hold the genes. What `fault_of_type` refuses could not be read back.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from mmspec_ds.systems.alignment.objects import PLACEHOLDERS
from mmspec_ds.systems.alignment.questions.wording import NOUN, WORDINGS

TASK = "cell type by markers"
_SLOT = "{types with markers}"
_TYPE = re.compile(r"(.*\S) \(([^()]+)\)", re.DOTALL)
_PARTS = (*PLACEHOLDERS.values(), ";", "{", "}")
"""What no name and no gene may have: a name ends at ";", and the others are filled in."""


class ListedType(NamedTuple):
    """A type as a question has it: its name, and the symbols of its marker genes, parted by ", "."""

    name: str
    genes: str


class MarkerList(NamedTuple):
    """A question by its parts: what stands before its types, these, and what stands behind them."""

    before: str
    types: tuple[ListedType, ...]
    after: str

    def with_genes(self, told: Callable[[str], str]) -> str:
        """The question with other words for each list of genes."""
        types = [ListedType(one.name, told(one.genes)) for one in self.types]
        return f"{self.before}{written_types(types)}{self.after}"


def written_types(types: Iterable[ListedType]) -> str:
    """Types with their marker genes as questions have them."""
    return "; ".join(f"{one.name} ({one.genes})" for one in types)


def read_marker_list(question: str) -> MarkerList | None:
    """The types of a question about one cell that lists them with marker genes; None of another question."""
    for wording in _wordings():
        found = wording.fullmatch(question)
        if found is not None:
            types = [_TYPE.fullmatch(part) for part in found["types"].split("; ")]
            known = tuple(ListedType(one[1], one[2]) for one in types if one is not None)
            return MarkerList(found["before"], known, found["after"]) if len(known) == len(types) else None
    return None


def fault_of_type(name: str, markers: Sequence[str]) -> str:
    """Why a type could not be read back from a question, and what is expected; empty where it can."""
    wrong = next((part for part in _PARTS if part in name), None)
    if wrong is not None:
        return f"the name {name!r} has {wrong!r}: expected a name without it"
    for gene in markers:
        wrong = next((part for part in (*_PARTS, "(", ")", ",") if part in gene), None)
        if wrong is not None:
            return f"the marker gene {gene!r} of {name!r} has {wrong!r}: expected the symbol of a gene"
    return ""


@cache
def _wordings() -> tuple["re.Pattern[str]", ...]:
    found = []
    for wording in WORDINGS[TASK]:
        before, after = (_with_cell(part) for part in wording.rstrip(".?").split(_SLOT))
        pattern = rf"(?P<before>\s*{before})(?P<types>.+\))(?P<after>{after}[.?]?\s*)"
        found.append(re.compile(pattern, re.IGNORECASE | re.DOTALL))
    return tuple(found)


def _with_cell(part: str) -> str:
    named = "|".join(re.escape(one) for one in (NOUN["cell"], PLACEHOLDERS["cell"]))
    return f"(?:{named})".join(re.escape(text) for text in part.split("{object}"))
