"""A question as it is kept in a file: an example whose objects are named, not loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mmspec_ds.systems.alignment.objects import KINDS, Kind, check_placeholders


@dataclass(frozen=True)
class MoleculeReference:
    """A molecule by its SMILES."""

    smiles: str


@dataclass(frozen=True)
class ProteinReference:
    """A protein by its sequence, with what its file calls it."""

    sequence: str
    name: str = ""


@dataclass(frozen=True)
class SpectrumReference:
    """A record of a file of spectra.

    Attributes:
        file: its path; a relative one begins at the folder of the file of questions.
        record: its number in the file, from 0.
    """

    file: str
    record: int


@dataclass(frozen=True)
class CellReference:
    """A cell of a table of cells.

    Attributes:
        file: as of a `SpectrumReference`.
        row: its number in the table, from 0.
    """

    file: str
    row: int


Reference: TypeAlias = MoleculeReference | ProteinReference | SpectrumReference | CellReference

TYPE_OF: dict[Kind, type[Reference]] = {
    "spectrum": SpectrumReference,
    "molecule": MoleculeReference,
    "protein": ProteinReference,
    "cell": CellReference,
}


def kind_of_reference(one: Reference) -> Kind:
    """The kind of the object that is named."""
    return next(kind for kind in KINDS if type(one) is TYPE_OF[kind])


def json_of_reference(one: Reference) -> dict[str, Any]:
    """A reference in JSON's types: its kind and its fields; an empty name is left out."""
    values = {name: value for name, value in vars(one).items() if value != ""}
    return {"kind": kind_of_reference(one), **values}


def reference_of_json(content: Mapping[str, Any]) -> Reference:
    """The reference that `json_of_reference` wrote.

    Raises:
        ValueError: it is something else; the message is one line and says what was expected.
    """
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in TYPE_OF:
        raise ValueError(f"the kind of an object is {_short(kind)}, expected one of {', '.join(KINDS)}")
    made = TYPE_OF[kind]
    expected = {name: int if name in ("record", "row") else str for name in made.__dataclass_fields__}
    values = {name: value for name, value in content.items() if name != "kind"}
    for name, value in values.items():
        if name not in expected:
            raise ValueError(f"an object of kind {kind} has {_short(name)}, expected {', '.join(expected)}")
        whole = type(value) is int and 0 <= value < 2**63
        if not (whole if expected[name] is int else type(value) is str):
            wanted = "text" if expected[name] is str else "a whole number from 0"
            raise ValueError(f"{name} of a {kind} is {_short(value)}, expected {wanted}")
    for name in expected:
        if name != "name" and values.get(name, "") == "":
            raise ValueError(f"an object of kind {kind} has no {name}")
    return made(**values)


@dataclass(frozen=True)
class Question:
    """A question with its answer; see `Example` for what the attributes are.

    Raises:
        ValueError: its placeholders are not those of its references, or its answer is none of its choices.
    """

    prompt: str
    references: tuple[Reference, ...]
    answer: str
    task: str
    choices: tuple[str, ...] = ()
    phrasing: int = 0
    group: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        check_placeholders(self.prompt, [kind_of_reference(one) for one in self.references])
        if self.choices and self.answer not in self.choices:
            raise ValueError(f"the answer {_short(self.answer)} is none of the choices")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("a choice is there twice")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
