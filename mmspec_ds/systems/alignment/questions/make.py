"""Questions from files: which tasks there are, and a folder of questions for training, validation and test."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.files import entry_of, replacing_output, write_manifest
from mmspec_ds.settings import nearest
from mmspec_ds.systems.alignment.objects import Kind
from mmspec_ds.systems.alignment.questions import cell_tasks, pair_tasks, protein_tasks, structure_tasks
from mmspec_ds.systems.alignment.questions.cell_items import cell_items
from mmspec_ds.systems.alignment.questions.cell_types import CellTypes
from mmspec_ds.systems.alignment.questions.draw import Draw, Side
from mmspec_ds.systems.alignment.questions.examples_file import SOURCES
from mmspec_ds.systems.alignment.questions.high_genes import high_genes
from mmspec_ds.systems.alignment.questions.items import Item, Remarks, items_of_files
from mmspec_ds.systems.alignment.questions.question import MoleculeReference, Question
from mmspec_ds.systems.alignment.questions.question_lines import write_questions
from mmspec_ds.systems.alignment.questions.sides import SIDES, Split, part

Single = Callable[[Sequence[Item], int, Draw], list[Question]]
Pair = Callable[[pair_tasks.Pool, int, Draw], list[Question]]

SAME = "same molecule"
DESCRIPTION = "description"
STRUCTURE: Mapping[str, Single] = {
    "formula": structure_tasks.formula,
    "exact mass": structure_tasks.exact_mass,
    "functional group": structure_tasks.functional_group,
    "functional groups": structure_tasks.functional_groups,
    "rings": structure_tasks.rings,
    "aromaticity": structure_tasks.aromaticity,
    "chirality": structure_tasks.chirality,
    "Lipinski": structure_tasks.lipinski,
    DESCRIPTION: structure_tasks.description,
}
"""Of a molecule, and of the spectra of one."""
SPECTRUM: Mapping[str, Single] = {"adduct": structure_tasks.adduct}
PAIRS: Mapping[str, Pair] = {
    "which of two": pair_tasks.which_of_two,
    "heavier of two": pair_tasks.heavier_of_two,
    "similar": pair_tasks.similar,
    SAME: pair_tasks.same_molecule,
}
"""Of two molecules or of two spectra; and in the test alone of a spectrum and a molecule.
`SAME` is not asked of two molecules, which are each once in a list."""
PROTEIN: Mapping[str, Single] = {
    "enzyme class": protein_tasks.enzyme_class,
    "is it an enzyme of": protein_tasks.is_of_class,
    DESCRIPTION: protein_tasks.description,
}
CELL: Mapping[str, Callable[[cell_tasks.Studies, Sequence[Item], int, Draw], list[Question]]] = {
    "cell type": cell_tasks.cell_type,
    "cell type by markers": cell_tasks.cell_type_by_markers,
    "marker genes": cell_tasks.marker_genes,
    "description": cell_tasks.description,
}
TASKS = tuple(dict.fromkeys([*STRUCTURE, *SPECTRUM, *PAIRS, *PROTEIN, *CELL]))


@dataclass(frozen=True)
class Wanted:
    """Which questions are made.

    Attributes:
        tasks: their names in `TASKS`.
        count: at most so many of each task and kind of object for training.
        held_out_count: likewise for validation, and for the test.
        seed: of everything that is drawn.
        unnamed_types: share of the training questions about marker genes of cells in which types have letters,
            see `cell_tasks.Studies`.
        exchanged_names: share of the training questions that list types of cells with marker genes in which
            these have each other's names.
        absent_types: let the training questions for a cell's type also name types that no file has.

    Raises:
        ConfigError: a task that there is not.
    """

    tasks: tuple[str, ...] = TASKS
    count: int = 1000
    held_out_count: int = 300
    seed: int = 0
    unnamed_types: float = 0.0
    exchanged_names: float = 0.0
    absent_types: bool = False

    def __post_init__(self) -> None:
        for name in self.tasks:
            if name not in TASKS:
                raise ConfigError(f"unknown task {name!r}; {nearest(name, TASKS, 'tasks')}")


@dataclass(frozen=True)
class Made:
    """Questions by side, and what was left out, by reason."""

    questions: Mapping[Side, Sequence[Question]]
    remarks: Remarks


def make_questions(
    files: Mapping[Kind, Sequence[Path]],
    wanted: Wanted,
    split: Split,
    types: CellTypes,
    label: str | None = None,
) -> Made:
    """Questions about the objects of files.

    Args:
        files: by kind.
        wanted: which questions, and how many.
        split: which objects are held back.
        types: names and marker genes of cell types.
        label: the column of tables of cells that has their types; None finds it.

    Raises:
        DataError: a file cannot be used, or no question can be asked.
    """
    remarks: Remarks = Counter()
    items: dict[Kind, list[Item]] = {}
    for kind, paths in files.items():
        if paths:
            items[kind] = (
                cell_items(paths, remarks, types, label)
                if kind == "cell"
                else items_of_files(paths, kind, remarks)
            )
    parted = part(items, split, remarks)
    questions: dict[Side, list[Question]] = {}
    for side in SIDES:
        studies = cell_tasks.Studies(types, _types_of(items.get("cell", []), split, side))
        if side == "train" and wanted.unnamed_types:
            high = high_genes(parted[side].get("cell", []))
            studies = replace(studies, unnamed=wanted.unnamed_types, high=high)
        if side == "train":
            absent = _absent(types, items.get("cell", [])) if wanted.absent_types else ()
            studies = replace(studies, exchanged=wanted.exchanged_names, absent=absent)
        questions[side] = _side_questions(parted[side], side, wanted, studies)
    if not questions["train"] and not questions["test"]:
        raise DataError(f"no question of {', '.join(wanted.tasks)} can be asked about these files")
    return Made(questions, remarks)


def check_new(folder: Path) -> None:
    """Refuse a folder that `write_folder` would refuse, before the work starts.

    Raises:
        DataError: it is there and not empty, or the folder that it is to be in is not there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("is there already: expected a new or an empty folder", path=folder)
    if not folder.parent.is_dir():
        raise DataError("cannot be written: its folder does not exist", path=folder)


def write_folder(folder: Path, made: Made, files: Mapping[Kind, Sequence[Path]], wanted: Wanted) -> None:
    """Write `train.jsonl`, `validation.jsonl` and `test.jsonl` with a manifest of them and of the files that
    they name, whole or not at all; a side without questions has no file.

    Raises:
        DataError: the folder cannot be written, or is there and not empty.
    """
    check_new(folder)
    with replacing_output(folder) as partial_folder:
        partial_folder.mkdir()
        names = [f"{side}.jsonl" for side in SIDES if made.questions[side]]
        for name in names:
            side = next(one for one in SIDES if name.startswith(one))
            write_questions(partial_folder / name, made.questions[side])
        sources = {str(path): entry_of(path) for kind in ("spectrum", "cell") for path in files.get(kind, ())}
        write_manifest(
            partial_folder,
            {name: entry_of(partial_folder / name) for name in names},
            seed=wanted.seed,
            tasks=list(wanted.tasks),
            **{SOURCES: sources},
        )


def _types_of(items: Sequence[Item], split: Split, side: Side) -> dict[str, list[str]]:
    """By study the types of its cells; those that are held out are not named outside the test."""
    hidden = split.held_out_types if side != "test" else frozenset()
    studies: dict[str, set[str]] = {}
    for one in items:
        if one.label not in hidden:
            studies.setdefault(one.group, set()).add(one.label)
    return {study: sorted(names) for study, names in studies.items()}


def _absent(types: CellTypes, items: Sequence[Item]) -> tuple[str, ...]:
    """The types with marker genes of which no file has a cell, the test's included."""
    present = {one.label for one in items}
    return tuple(one.name for one in types.types if one.markers and one.name not in present)


def _side_questions(
    items: Mapping[Kind, Sequence[Item]], side: Side, wanted: Wanted, studies: cell_tasks.Studies
) -> list[Question]:
    count = wanted.count if side == "train" else wanted.held_out_count
    found: list[Question] = []

    def ask(task: str, of: str, make: Callable[[int, Draw], list[Question]]) -> None:
        if task in wanted.tasks:
            seed = np.random.SeedSequence([wanted.seed, SIDES.index(side), *f"{task} {of}".encode()])
            found.extend(make(count, Draw(task, side, np.random.default_rng(seed))))

    for kind in ("molecule", "spectrum"):
        of_kind = [one for one in items.get(kind, ()) if one.is_whole]
        described = [one for one in items.get(kind, ()) if one.is_whole or one.text]
        singles = {**STRUCTURE, **(SPECTRUM if kind == "spectrum" else {})}
        for task, single in singles.items():
            ask(task, kind, partial(single, described if task == DESCRIPTION else of_kind))
        pairs = PAIRS if kind == "spectrum" else {name: PAIRS[name] for name in PAIRS if name != SAME}
        for task, pair in pairs.items() if len(of_kind) > 1 else ():
            ask(task, kind, partial(pair, [of_kind]))
    spectra = [one for one in items.get("spectrum", ()) if one.is_whole]
    if side == "test" and len(spectra) > 1:
        molecules = _measured_molecules(spectra)
        for task, pair in PAIRS.items():
            ask(task, "spectrum and molecule", partial(pair, [spectra, molecules]))
    for task, single in PROTEIN.items() if items.get("protein") else ():
        ask(task, "protein", partial(single, items["protein"]))
    for task, of_cells in CELL.items() if items.get("cell") else ():
        ask(task, "cell", partial(of_cells, studies, items["cell"]))
    return found


def _measured_molecules(spectra: Sequence[Item]) -> list[Item]:
    """The molecules that spectra are of, each once. Others would differ from them in mass and groups, and the
    kind of an object would tell the answer."""
    made = (Item(MoleculeReference(one.smiles), one.group, one.source, one.smiles) for one in spectra)
    return list({one.smiles: one for one in made}.values())
