"""What questions are made about: objects with what is known of them, from files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.facts import Facts, facts_of
from mmspec_ds.molecules.identity import identify
from mmspec_ds.readers.candidate_list import read_suspects
from mmspec_ds.readers.fasta import clean_sequence
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part, one_line
from mmspec_ds.readers.source import read_head, read_lines
from mmspec_ds.spectra.records import TandemMS
from mmspec_ds.systems.alignment.objects import Kind
from mmspec_ds.systems.alignment.questions.question import (
    MoleculeReference,
    ProteinReference,
    Reference,
    SpectrumReference,
)

EC_CLASSES = (
    "oxidoreductase",
    "transferase",
    "hydrolase",
    "lyase",
    "isomerase",
    "ligase",
    "translocase",
)
"""The classes of enzymes by the first number of their EC number, from 1 (IUBMB)."""


@dataclass(frozen=True)
class Item:
    """An object with what is known of it.

    Attributes:
        reference: names the object.
        group: that a split must not part: the InChIKey's first block of a molecule, the cluster of a protein,
            the study of a cell.
        source: the file that it came from.
        smiles: of the molecule, or of the molecule that was measured; canonical.
        text: a description in words, where the file has one.
        label: the class of an enzyme or the type of a cell.
        adduct: of the one MS/MS spectrum of a record.
    """

    reference: Reference
    group: str
    source: Path
    smiles: str = ""
    text: str = ""
    label: str = ""
    adduct: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of the structure is known: no atom is a star, of which formula and mass know nothing."""
        return "*" not in self.smiles

    @property
    def facts(self) -> Facts:
        """The facts that follow from the structure: formula, mass, groups, rings and the like."""
        return _facts(self.smiles)


@lru_cache(maxsize=200_000)
def _facts(smiles: str) -> Facts:
    return facts_of(smiles)


@lru_cache(maxsize=200_000)
def _identity(smiles: str) -> tuple[str, str]:
    found = identify(smiles, "skeleton")
    return found.canonical, found.group


OF_FACTS = "of the questions whose answers follow from the structure"
Remarks = Counter[str]
"""What was left out, by reason."""


def molecule_items(path: Path, remarks: Remarks) -> Iterator[Item]:
    """The molecules of a list: SMILES lines, a table or parquet with a column `smiles`, as `readers` have it;
    with their descriptions where a tab-separated table has a column `description`, as ChEBI-20 does. Each
    canonical SMILES once.

    Raises:
        DataError: the file cannot be read, or has no molecule.
    """
    seen: set[str] = set()
    for smiles, text in _described(path) or ((one.smiles, "") for one in read_suspects(path)):
        try:
            canonical, group = _identity(smiles)
        except ValueError:
            remarks[f"{path.name}: invalid SMILES"] += 1
            continue
        if canonical in seen:
            remarks[f"{path.name}: repeated molecules"] += 1
            continue
        seen.add(canonical)
        made = Item(MoleculeReference(canonical), group, path, canonical, text)
        remarks[f"{path.name}: molecules with a star for an atom, {OF_FACTS}"] += not made.is_whole
        yield made
    if not seen:
        raise DataError("no molecule in the file; expected one SMILES a line", path=path)


def _described(path: Path) -> list[tuple[str, str]] | None:
    """SMILES and descriptions, if the file is a tab-separated table that has both."""
    with_both: list[tuple[str, str]] = []
    columns: list[str] | None = None
    for line in read_lines(path) if _is_text(path) else ():
        cells = line.text.split("\t")
        if columns is None:
            columns = [cell.strip().lower() for cell in cells]
            if not {"smiles", "description"} <= set(columns):
                return None
        elif line.text.strip():
            if len(cells) != len(columns):
                raise DataError(
                    f"line {line.number}: {len(cells)} cells, expected {len(columns)} as in the first",
                    path=path,
                )
            row = dict(zip(columns, cells))
            with_both.append((row["smiles"].strip(), row["description"].strip()))
    return with_both if columns is not None else None


def _is_text(path: Path) -> bool:
    return not read_head(path).text.startswith("PAR1")


def spectrum_items(path: Path, remarks: Remarks) -> Iterator[Item]:
    """The records of a file of spectra whose structure is known.

    Raises:
        DataError: the file cannot be read, or has no such record.
    """
    empty = True
    for item in read_file(path):
        if not isinstance(item, Part):
            remarks[f"{path.name}: records that cannot be used"] += item.fault
            continue
        if item.smiles is None:
            remarks[f"{path.name}: records without a structure"] += 1
            continue
        empty = False
        canonical, group = _identity(item.smiles)
        tandem = [one for one in item.spectra if isinstance(one, TandemMS)]
        adduct = (tandem[0].adduct or "") if len(tandem) == len(item.spectra) == 1 else ""
        number = int(item.id.rpartition(":")[2])
        made = Item(SpectrumReference(str(path), number), group, path, canonical, adduct=adduct)
        remarks[f"{path.name}: records with a star for an atom, {OF_FACTS}"] += not made.is_whole
        yield made
    if empty:
        raise DataError("no record with a structure in the file", path=path)


def protein_items(path: Path, remarks: Remarks) -> Iterator[Item]:
    """The enzymes of a tab-separated table with the columns `Entry`, `EC number` and `Sequence`, perhaps also
    `cluster`. Enzymes of several classes are left out. Without clusters every sequence is one by itself.

    Raises:
        DataError: the file cannot be read, lacks a column, or a line cannot be used.
    """
    columns: list[str] | None = None
    seen: set[str] = set()
    for line in read_lines(path):
        cells = [cell.strip() for cell in line.text.split("\t")]
        if columns is None:
            columns = [cell.lower() for cell in cells]
            for name in ("entry", "ec number", "sequence"):
                if name not in columns:
                    raise DataError(
                        f"has no column {name!r}: expected Entry, EC number and Sequence, parted by tabs",
                        path=path,
                    )
            continue
        if not line.text.strip():
            continue
        if len(cells) != len(columns):
            raise DataError(
                f"line {line.number}: {len(cells)} cells, expected {len(columns)} as in the first", path=path
            )
        row = dict(zip(columns, cells))
        try:
            sequence = clean_sequence(row["sequence"])
            labels = {ec_class(number) for number in row["ec number"].split(";")}
        except ValueError as error:
            raise DataError(f"line {line.number}: {one_line(error)}", path=path) from None
        if len(labels) > 1:
            remarks[f"{path.name}: enzymes of several classes"] += 1
        elif sequence in seen:
            remarks[f"{path.name}: repeated sequences"] += 1
        else:
            seen.add(sequence)
            group = row.get("cluster") or row["entry"]
            yield Item(ProteinReference(sequence, row["entry"]), group, path, label=labels.pop())
    if not seen:
        raise DataError("no enzyme in the file", path=path)


def ec_class(number: str) -> str:
    """The class of an EC number such as 3.5.2.6 or 1.1.-.-.

    Raises:
        ValueError: it is none.
    """
    first = number.strip().removeprefix("EC").strip().partition(".")[0]
    if not first.isdecimal() or not 1 <= int(first) <= len(EC_CLASSES):
        raise ValueError(f"{number.strip()[:40]!r} is no EC number, expected one like 3.5.2.6")
    return EC_CLASSES[int(first) - 1]


def items_of_files(paths: Sequence[Path], kind: Kind, remarks: Remarks) -> list[Item]:
    """All items of files of one kind.

    Raises:
        DataError: a file cannot be used.
    """
    readers = {"molecule": molecule_items, "spectrum": spectrum_items, "protein": protein_items}
    return [item for path in paths for item in readers[kind](path, remarks)]
