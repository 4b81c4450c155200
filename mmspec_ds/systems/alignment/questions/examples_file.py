"""Examples from files of questions: the objects that the questions name are read from their files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.files import MANIFEST, entry_of, faults, read_manifest
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.readers.format_registry import read_file
from mmspec_ds.readers.part import Part
from mmspec_ds.readers.source import readable
from mmspec_ds.spectra.records import Record, TandemMS
from mmspec_ds.systems.alignment.objects import Cell, Example, Molecule, Object, Protein
from mmspec_ds.systems.alignment.questions.question import (
    CellReference,
    MoleculeReference,
    ProteinReference,
    Question,
    Reference,
    SpectrumReference,
)
from mmspec_ds.systems.alignment.questions.question_lines import read_questions

ADDUCT = "adduct"
"""The task whose answer stands in the record of a spectrum."""
SOURCES = "sources"
"""In the manifest of a folder of questions: by path the size and checksum of each file that they name."""


def read_examples(path: Path) -> list[Example]:
    """The examples of a file of questions, in its order; equal references give the same object.

    A record of spectra is without its structure and formula: an encoder sees what was measured. That of a
    question for the adduct is without its adducts, which encoders may be told. Where a manifest stands beside
    the file, as `mmspec questions` writes it, the file and those that it names must be what they were.

    Args:
        path: JSON lines, see `question_lines`.

    Raises:
        DataError: the file or one that it names cannot be read, was altered, or lacks what is named; names the
            file, and the line or the record.
    """
    questions = list(read_questions(path))
    check_manifest(path, questions)
    return examples_of(questions, path.parent)


def examples_of(questions: Sequence[Question], folder: Path) -> list[Example]:
    """The examples of questions.

    Args:
        questions: with references.
        folder: where relative paths of files begin.

    Raises:
        DataError: a file cannot be read or lacks what is named.
    """
    objects = objects_of((one for question in questions for one in question.references), folder)
    asked = {reference for one in questions if one.task == ADDUCT for reference in one.references}
    hidden = {reference: without_adducts(objects[reference]) for reference in asked}
    return [
        Example(
            prompt=one.prompt,
            objects=tuple((hidden if one.task == ADDUCT else objects)[name] for name in one.references),
            answer=one.answer,
            task=one.task,
            choices=one.choices,
            phrasing=one.phrasing,
            group=one.group,
            about=one.about,
        )
        for one in questions
    ]


def without_adducts(one: Object) -> Object:
    """A record whose mass spectra do not name their adduct."""
    if not isinstance(one, Record):
        return one
    spectra = (replace(part, adduct=None) if isinstance(part, TandemMS) else part for part in one.spectra)
    return replace(one, spectra=tuple(spectra))


def objects_of(references: Iterable[Reference], folder: Path) -> dict[Reference, Object]:
    """The objects that references name; each file is read once.

    Raises:
        DataError: a file cannot be read or lacks what is named.
    """
    found: dict[Reference, Object] = {}
    spectra: dict[str, set[int]] = {}
    cells: dict[str, set[int]] = {}
    for one in references:
        match one:
            case MoleculeReference():
                found.setdefault(one, Molecule(one.smiles))
            case ProteinReference():
                found.setdefault(one, Protein(one.sequence, one.name))
            case SpectrumReference():
                spectra.setdefault(one.file, set()).add(one.record)
            case CellReference():
                cells.setdefault(one.file, set()).add(one.row)
    for file, numbers in spectra.items():
        records = _records(folder / file, numbers)
        found |= {SpectrumReference(file, number): record for number, record in records.items()}
    for file, rows in cells.items():
        found |= {CellReference(file, row): cell for row, cell in _cells(folder / file, rows).items()}
    return found


def check_manifest(path: Path, questions: Iterable[Question]) -> None:
    """Refuse a file of questions, or files that they name, that are not what the manifest beside it says.

    Raises:
        DataError: one of them was altered or is missing; or the manifest is damaged.
    """
    if not (path.parent / MANIFEST).is_file():
        return
    manifest = read_manifest(path.parent)
    if path.name not in manifest["files"]:
        return
    for line in faults(path.parent, manifest, [path.name]):
        raise DataError(line)
    sources = manifest.get(SOURCES, {})
    for file in sorted(_files_of(questions)):
        if file in sources:
            _check_source(path.parent / file, sources[file])


def _files_of(questions: Iterable[Question]) -> set[str]:
    references = (reference for one in questions for reference in one.references)
    return {one.file for one in references if isinstance(one, SpectrumReference | CellReference)}


def _check_source(path: Path, expected: Mapping[str, Any]) -> None:
    with readable(path):
        found = entry_of(path)
    if found != dict(expected):
        raise DataError("has changed since the questions about it were made: make them anew", path=path)


def _records(path: Path, numbers: set[int]) -> dict[int, Record]:
    """The records of these numbers, without structure and formula."""
    found: dict[int, Record] = {}
    for item in read_file(path):
        if isinstance(item, Part):
            number = int(item.id.rpartition(":")[2])
            if number in numbers:
                found[number] = Record(item.id, item.spectra)
        if len(found) == len(numbers):
            break
    missing = numbers - found.keys()
    if missing:
        raise DataError(f"has no record {min(missing)} with a spectrum that can be read", path=path)
    return found


def _cells(path: Path, rows: set[int]) -> dict[int, Cell]:
    table = read_cells(path)
    if max(rows) >= len(table):
        raise DataError(f"has no cell {max(rows)}: it has {len(table):,} cells", path=path)
    order = sorted(rows)
    dense = table.values[order].toarray()
    return {row: Cell(values, table.genes, table.names[row]) for row, values in zip(order, dense)}
