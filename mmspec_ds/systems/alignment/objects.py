"""What a question may be about: a measured sample, a molecule, a protein or a cell.

Each kind has a placeholder, which stands in the text of a prompt where the vectors of the object go.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from mmspec_ds.spectra.records import Record, Spectrum

Kind: TypeAlias = Literal["spectrum", "molecule", "protein", "cell"]
KINDS: tuple[Kind, ...] = get_args(Kind)

PLACEHOLDERS: dict[Kind, str] = {kind: f"[{kind.upper()}]" for kind in KINDS}
"""By kind, the text that stands for an object in a prompt."""


@dataclass(frozen=True)
class Molecule:
    """A molecule by its SMILES."""

    smiles: str


@dataclass(frozen=True)
class Protein:
    """A protein by its sequence.

    Attributes:
        sequence: one-letter codes of amino acids, upper case.
        name: what its file calls it.
    """

    sequence: str
    name: str = ""


@dataclass(frozen=True, eq=False)
class Cell:
    """The expression of genes in a cell.

    Attributes:
        values: of each gene, [G] float32: natural logarithms of 1 + counts per 10,000.
        genes: symbols, in the order of `values`; the cells of a file share one tuple.
        name: what its file calls it.
    """

    values: NDArray[np.float32]
    genes: tuple[str, ...]
    name: str = ""


Object: TypeAlias = Record | Molecule | Protein | Cell


def kind_of(one: Object) -> Kind:
    """The kind of an object; a `Record` is a spectrum: all spectra of a sample together."""
    kinds: dict[type, Kind] = {Record: "spectrum", Molecule: "molecule", Protein: "protein", Cell: "cell"}
    return kinds[type(one)]


def placeholders_in(prompt: str) -> tuple[Kind, ...]:
    """The kinds of the objects that a prompt names, in the order of its text."""
    found = [
        (position, kind)
        for kind, placeholder in PLACEHOLDERS.items()
        for position in _positions(prompt, placeholder)
    ]
    return tuple(kind for _, kind in sorted(found))


def check_placeholders(prompt: str, kinds: Sequence[Kind]) -> None:
    """Refuse a prompt whose placeholders are not those of its objects.

    Args:
        prompt: names the objects.
        kinds: of the objects, in their order.

    Raises:
        ValueError: other kinds, or another order.
    """
    named = placeholders_in(prompt)
    if named != tuple(kinds):
        raise ValueError(
            f"the prompt names {_told(named)}, and the objects are {_told(kinds)}: expected the same in the"
            " same order"
        )


@dataclass(frozen=True)
class Example:
    """A question about objects with its answer.

    Attributes:
        prompt: its placeholders name the objects, in their order.
        objects: one for each placeholder.
        answer: what is to be written.
        task: the kind of question, such as "functional group" or "cell type".
        choices: all answers that are possible; empty where the answer is free text.
        phrasing: which of the task's wordings the prompt has, from 0.
        group: objects of one group stay on one side of a split: the InChIKey's first block of a molecule, the
            cluster of a protein, the study of a cell. Of objects of two groups it is both, parted by "+".
        about: what the question names beside its objects, such as a functional group; empty if nothing.
    """

    prompt: str
    objects: tuple[Object, ...]
    answer: str
    task: str
    choices: tuple[str, ...] = ()
    phrasing: int = 0
    group: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        check_placeholders(self.prompt, [kind_of(one) for one in self.objects])


def content_key(*parts: bytes | str) -> str:
    """A short hash of what decides an object's vectors, for caches: 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()[:32]


def object_key(one: Object) -> str:
    """The key of an object in caches: a hash of all that may decide its vectors. Names and the structure of a
    measured sample are left out."""
    match one:
        case Molecule():
            return content_key("molecule", one.smiles)
        case Protein():
            return content_key("protein", one.sequence)
        case Cell():
            values = np.ascontiguousarray(one.values, dtype="<f4")
            return content_key("cell", _genes_key(one.genes), values.tobytes())
        case _:
            spectra = [part for spectrum in one.spectra for part in _parts_of(spectrum)]
            return content_key("spectrum", one.formula or "", *spectra)


@lru_cache(maxsize=8)  # the cells of a file share their genes
def _genes_key(genes: tuple[str, ...]) -> str:
    return content_key(*genes)


def _parts_of(spectrum: Spectrum) -> list[bytes | str]:
    """The kind of a spectrum and its fields."""
    parts: list[bytes | str] = [type(spectrum).__name__]
    for field in fields(spectrum):
        value = getattr(spectrum, field.name)
        parts.append(value.astype("<f8").tobytes() if isinstance(value, np.ndarray) else repr(value))
    return parts


def _positions(text: str, part: str) -> list[int]:
    found, start = [], text.find(part)
    while start >= 0:
        found.append(start)
        start = text.find(part, start + len(part))
    return found


def _told(kinds: Sequence[Kind]) -> str:
    return ", ".join(kinds) if kinds else "none"
