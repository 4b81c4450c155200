"""Records of an SDF file (CTfile formats, BIOVIA): a mol block, data items with their tags, `$$$$`."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.part import Item, Part, RecordFault
from mmspec_ds.readers.source import Line, read_lines

if TYPE_CHECKING:
    from rdkit import Chem

LONGEST_RECORD = 4 * 2**20
"""Characters of a record and 64 for each line; a molecule of 1000 atoms with its spectra has 300 thousand."""

_TAG = re.compile(r">.*?<\s*([^<>]+?)\s*>")
_ATOMS = re.compile(r"H?(\d{1,4})")


@dataclass(slots=True)
class SDRecord:
    """A record: the mol block, its tags in order (names in capitals) with their lines, and whether `$$$$` and
    the limit of length were met."""

    line: int
    block: list[str] = field(default_factory=list)
    tags: list[tuple[str, list[Line]]] = field(default_factory=list)
    ended: bool = False
    too_long: bool = False
    _characters: int = 0

    @property
    def name(self) -> str:
        """The first line of the mol block."""
        return self.block[0].strip() if self.block else ""

    def add(self, line: Line) -> None:
        """A line of the record, unless there are too many."""
        self._characters += len(line.text) + 64
        if self._characters > LONGEST_RECORD:
            self.too_long = True
        elif found := _TAG.match(line.text):
            self.tags.append((found[1].upper(), []))
        elif self.tags:
            self.tags[-1][1].append(line)
        else:
            self.block.append(line.text)

    def lines_of(self, tag: str) -> list[Line]:
        """The lines of the first tag of the name."""
        return next((lines for name, lines in self.tags if name == tag), [])

    def text_of(self, tag: str) -> str:
        """The first line of the tag that is not empty."""
        return next((line.text.strip() for line in self.lines_of(tag) if line.text.strip()), "")


def read_sdf(path: Path, part_of: Callable[[int, SDRecord], Part]) -> Iterator[Item]:
    """A part for each whole record of a file, made by `part_of` of its number and content.

    Raises:
        DataError: the file cannot be read.
    """
    for number, record in enumerate(_records(path)):
        try:
            if record.too_long:
                raise RecordFault("the record is longer than any molecule's")
            if not record.ended:
                raise RecordFault("the record has no $$$$: cut off")
            yield part_of(number, record)
        except RecordFault as fault:
            yield fault.rejected(path, number, record.line)


def _records(path: Path) -> Iterator[SDRecord]:
    """The records of a file, one at a time; a last one without `$$$$` is marked as not ended."""
    record: SDRecord | None = None
    for line in read_lines(path):
        if line.text.startswith("$$$$"):
            if record is not None:
                record.ended = True
                yield record
            record = None
            continue
        record = record or SDRecord(line.number)
        record.add(line)
    if record is not None and (record.tags or any(text.strip() for text in record.block)):
        yield record


def molecule_of(record: SDRecord) -> "Chem.Mol | None":
    """The structure with its explicit hydrogens, or None where RDKit cannot read it."""
    from rdkit import Chem, rdBase

    text = "\n".join(record.block)
    end = text.find("M  END")
    if end < 0:
        return None
    with rdBase.BlockLogs():
        try:
            molecule = Chem.MolFromMolBlock(text[: end + 6] + "\n", removeHs=False, strictParsing=False)
        except (ValueError, RuntimeError):
            return None
    unknown = molecule is None or any(atom.GetAtomicNum() == 0 for atom in molecule.GetAtoms())
    return None if unknown else molecule


def hydrogens_of_labels(assignment: Mapping[str, list[str]], molecule: "Chem.Mol | None") -> dict[str, int]:
    """Hydrogens under each label of an assignment: atoms that are hydrogens, and those on atoms named "H3".

    Atom numbers count from 1. An atom that is not a hydrogen counts the hydrogens on it. Without a structure
    nothing can be said.
    """
    if molecule is None:
        return {}
    count = molecule.GetNumAtoms()
    found: dict[str, int] = {}
    for label, atoms in assignment.items():
        hydrogens: set[tuple[int, int]] = set()
        for text in atoms:
            number = _ATOMS.fullmatch(text)
            if number is None or not 1 <= int(number[1]) <= count:
                continue
            atom = molecule.GetAtomWithIdx(int(number[1]) - 1)
            if atom.GetAtomicNum() == 1:
                hydrogens.add((atom.GetIdx(), 0))
            else:
                on_it = atom.GetTotalNumHs(includeNeighbors=True)
                hydrogens |= {(atom.GetIdx(), place) for place in range(on_it)}
        found[label] = len(hydrogens)
    return found


def smiles_of(molecule: "Chem.Mol | None", said: str = "") -> str | None:
    """Canonical SMILES of a structure, else that of the text, None where neither gives one."""
    from rdkit import Chem, rdBase

    if molecule is not None:
        with rdBase.BlockLogs():
            try:
                return canonical_smiles(Chem.MolToSmiles(Chem.RemoveHs(molecule)))
            except (ValueError, RuntimeError):
                pass
    try:
        return canonical_smiles(said) if said else None
    except ValueError:
        return None


def formula_of(molecule: "Chem.Mol | None", said: str = "") -> str | None:
    """The formula as the text says, else that of the structure, None where there is no valid one."""
    if not said and molecule is not None:
        from rdkit.Chem.rdMolDescriptors import CalcMolFormula

        said = CalcMolFormula(molecule)
    try:
        parse_formula(said)
    except ValueError:
        return None
    return said
