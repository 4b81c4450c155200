"""Questions from files: answers by hand, balanced, nothing on two sides, the same for the same seed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmspec_ds.errors import ConfigError, DataError
from mmspec_ds.molecules.facts import facts_of
from mmspec_ds.molecules.smiles import inchikey_block
from mmspec_ds.systems.alignment.objects import Kind
from mmspec_ds.systems.alignment.questions.cell_types import read_cell_types
from mmspec_ds.systems.alignment.questions.draw import Draw, Side
from mmspec_ds.systems.alignment.questions.examples_file import read_examples
from mmspec_ds.systems.alignment.questions.items import Item, Remarks
from mmspec_ds.systems.alignment.questions.make import TASKS, Made, Wanted, make_questions, write_folder
from mmspec_ds.systems.alignment.questions.pair_tasks import same_molecule
from mmspec_ds.systems.alignment.questions.question import (
    CellReference,
    MoleculeReference,
    ProteinReference,
    Question,
    SpectrumReference,
)
from mmspec_ds.systems.alignment.questions.sides import Split, part
from mmspec_ds.systems.alignment.questions.wording import HELD_OUT, WORDINGS, a

ENDS = ("O", "N", "C(=O)O", "C#N", "Cl", "C(=O)OC", "C=O", "OC")
MOLECULES = [f"{'C' * length}{end}" for length in range(1, 6) for end in ENDS]
MOLECULES += [f"c1ccccc1{'C' * length}{end}" for length in range(5) for end in ENDS]
MOLECULES += [f"{'C' * length}O" for length in range(36, 60)]  # too large for the rule of five
MOLECULES += [f"CC({end}){'C' * length}" for length in range(2, 5) for end in ENDS if end != "N"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, list[Path]]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "molecules.smi").write_text("\n".join(MOLECULES))
    records = [
        f"Name: {smiles}\nPrecursorMZ: {facts_of(smiles).exact_mass_da + shift:.4f}\nPrecursor_type: {adduct}\n"
        f"SMILES: {smiles}\nNum Peaks: 1\n30.03 {number + 1}\n"
        for number, smiles in enumerate(MOLECULES)
        for adduct, shift in (("[M+H]+", 1.0073), ("[M+Na]+", 22.9892))
    ]
    (folder / "spectra.msp").write_text("\n".join(records))
    rows = [f"P{n}\t{1 + n % 7}.1.1.{n}\t{'MKVLA'[n % 5] * 5}{'FHI'[n % 3] * n}" for n in range(1, 80)]
    (folder / "enzymes.tsv").write_text("\n".join(["Entry\tEC number\tSequence", *rows]))
    return {
        "molecule": [folder / "molecules.smi"],
        "spectrum": [folder / "spectra.msp"],
        "protein": [folder / "enzymes.tsv"],
    }


@pytest.fixture(scope="module")
def made(files: dict[Kind, list[Path]]) -> Made:
    return make_questions(files, Wanted(count=60, held_out_count=30), Split(), read_cell_types())


def smiles_of(one: Question, place: int = 0) -> str:
    reference = one.references[place]
    if isinstance(reference, MoleculeReference):
        return reference.smiles
    assert isinstance(reference, SpectrumReference)
    return MOLECULES[reference.record // 2]


def every(made: Made, task: str) -> list[Question]:
    return [one for questions in made.questions.values() for one in questions if one.task == task]


def test_answers_follow_from_the_structure(made: Made) -> None:
    """By the letters of these SMILES, which are simple enough."""
    for one in every(made, "aromaticity"):
        assert one.answer == ("yes" if "c1" in smiles_of(one) else "no")
    for one in every(made, "rings"):
        assert one.answer == str(smiles_of(one).count("c1ccccc1"))
    for one in every(made, "functional group"):
        if "nitrile" in one.prompt:
            assert one.answer == ("yes" if "#" in smiles_of(one) else "no")
        if "chlorine" in one.prompt:
            assert one.answer == ("yes" if "Cl" in smiles_of(one) else "no")
    for one in every(made, "functional groups"):
        named = one.answer.split(", ")
        for name, letters in (("nitrile", "#"), ("chlorine", "Cl"), ("halogen", "Cl"), ("aromatic ring", "c1")):
            assert (name in named) == (letters in smiles_of(one))
    assert len(every(made, "functional groups")) > 100
    assert {"C2H6O", "C7H8O"} & {one.answer for one in every(made, "formula")}
    for one in every(made, "which of two"):
        if "nitrile" in one.prompt:
            have = ["#" in smiles_of(one, place) for place in (0, 1)]
            assert have == [one.answer == "the first", one.answer == "the second"]
    for one in every(made, "adduct"):
        reference = one.references[0]
        assert isinstance(reference, SpectrumReference)
        assert one.answer == ("[M+H]+", "[M+Na]+")[reference.record % 2]


def test_the_enzymes_class_is_the_first_number(made: Made) -> None:
    names = ("oxidoreductase", "transferase", "hydrolase", "lyase", "isomerase", "ligase", "translocase")
    asked = every(made, "enzyme class")
    assert len(asked) > 40
    for one in asked:
        assert one.answer == names[int(one.group.removeprefix("P")) % 7]


def test_pairs_are_of_one_molecule_or_of_two(made: Made) -> None:
    asked = every(made, "same molecule")
    assert {len(set(map(type, one.references))) for one in asked} == {1, 2}
    for one in asked:
        first, second = (inchikey_block(smiles_of(one, place)) for place in (0, 1))
        assert one.answer == ("yes" if first == second else "no")


def test_no_name_of_a_group_tells_the_answer(made: Made) -> None:
    for side in ("train", "test"):
        answers = Counter(
            (name, one.answer)
            for one in made.questions[side]
            if one.task == "functional group"
            for name in ("nitrile", "chlorine", "alcohol")
            if a(name) in one.prompt
        )
        for name in ("nitrile", "chlorine"):
            assert abs(answers[name, "yes"] - answers[name, "no"]) <= 2


def test_no_molecule_is_on_two_sides(made: Made) -> None:
    groups: dict[Side, set[str]] = {
        side: {group for one in questions for group in one.group.split("+")}
        for side, questions in made.questions.items()
    }
    assert all(groups.values())
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["validation"]
    assert not groups["validation"] & groups["test"]


def test_some_wordings_and_pairs_are_in_the_test_alone(made: Made) -> None:
    for side in ("train", "validation"):
        for one in made.questions[side]:
            assert one.phrasing < len(WORDINGS[one.task]) - HELD_OUT
            assert len(set(map(type, one.references))) == 1
    assert any(one.phrasing >= len(WORDINGS[one.task]) - HELD_OUT for one in made.questions["test"])
    orders = {tuple(map(type, one.references)) for one in made.questions["test"]}
    assert {(MoleculeReference, SpectrumReference), (SpectrumReference, MoleculeReference)} <= orders


def test_nothing_of_a_wording_is_left_open(made: Made) -> None:
    asked = [one for questions in made.questions.values() for one in questions]
    assert {one.task for one in asked} == {*TASKS} - {"cell type", "cell type by markers", "marker genes"}
    assert not [one.prompt for one in asked if "{" in one.prompt or "}" in one.prompt]


def test_the_seed_decides(files: dict[Kind, list[Path]]) -> None:
    molecules: dict[Kind, list[Path]] = {"molecule": files["molecule"]}
    wanted = Wanted(("rings", "similar"), count=20)
    first, second = (make_questions(molecules, wanted, Split(), read_cell_types()) for _ in range(2))
    other = make_questions(molecules, replace(wanted, seed=1), Split(), read_cell_types())
    assert first.questions == second.questions
    assert first.questions != other.questions


def test_files_for_the_test_keep_their_molecules_to_themselves(
    files: dict[Kind, list[Path]], tmp_path: Path
) -> None:
    test = tmp_path / "test.smi"
    test.write_text("CCO\nc1ccccc1O\n")
    given: dict[Kind, list[Path]] = {"molecule": [*files["molecule"], test], "spectrum": files["spectrum"]}
    made = make_questions(given, Wanted(("formula",)), Split(frozenset([test]), test=0.0), read_cell_types())
    asked = {side: {smiles_of(one) for one in questions} for side, questions in made.questions.items()}
    assert asked["test"] == {"CCO", "Oc1ccccc1"}
    assert not (asked["train"] | asked["validation"]) & {"CCO", "c1ccccc1O", "Oc1ccccc1"}
    assert sum(count for what, count in made.remarks.items() if what.startswith("molecule: left out of")) == 2
    assert sum(count for what, count in made.remarks.items() if what.startswith("spectrum: left out of")) == 4


def test_test_files_of_one_kind_leave_the_share_of_another() -> None:
    file = Path("test.smi")
    items: dict[Kind, list[Item]] = {
        "molecule": [Item(MoleculeReference("C"), "C", file)],
        "cell": [Item(CellReference("a.npz", row), "a", Path("a.npz"), label="T") for row in range(100)],
    }
    parted = part(items, Split(frozenset([file])), Counter())
    assert 10 <= len(parted["test"]["cell"]) <= 30  # a share of 0.2
    assert len(parted["test"]["molecule"]) == 1


def test_a_protein_of_the_test_is_not_trained_on_under_another_name() -> None:
    first, second = Path("a.tsv"), Path("b.tsv")
    items: dict[Kind, list[Item]] = {
        "protein": [
            Item(ProteinReference("MKV", "P1"), "P1", first),
            Item(ProteinReference("MKL", "P2"), "P2", first),
            Item(ProteinReference("MKV", "Q1"), "Q1", second),
        ]
    }
    remarks: Remarks = Counter()
    parted = part(items, Split(frozenset([second]), validation=0.0), remarks)
    assert [one.group for one in parted["train"]["protein"]] == ["P2"]
    assert [one.group for one in parted["test"]["protein"]] == ["Q1"]
    assert list(remarks.values()) == [1]


def test_the_other_of_two_molecules_is_another_where_nearly_all_are_of_one() -> None:
    items = [
        Item(SpectrumReference("s.msp", at), group, Path("s.msp"), "CCO")
        for at, group in enumerate([*["A"] * 400, "B"])
    ]
    draw = Draw("same molecule", "train", np.random.default_rng(0))
    asked = same_molecule([items], 40, draw)
    assert len(asked) > 20
    for one in asked:
        assert one.answer == ("no" if SpectrumReference("s.msp", 400) in one.references else "yes")


def test_a_molecule_that_is_not_all_known_is_only_described(tmp_path: Path) -> None:
    table = tmp_path / "chebi.txt"
    table.write_text("SMILES\tdescription\n*CCO\tAn alcohol.\nCCN\tAn amine.\nCC*\t\n")
    split = Split(frozenset([table]))
    made = make_questions({"molecule": [table]}, Wanted(), split, read_cell_types())
    answers = {smiles_of(one): one.answer for one in made.questions["test"] if one.task == "description"}
    assert answers == {"*CCO": "An alcohol.", "CCN": "An amine."}
    others = {smiles_of(one) for one in made.questions["test"] if one.task != "description"}
    assert others == {"CCN"}
    assert [count for what, count in made.remarks.items() if "star" in what] == [2]


def test_a_folder_is_written_and_read_back(made: Made, files: dict[Kind, list[Path]], tmp_path: Path) -> None:
    folder = tmp_path / "questions"
    write_folder(folder, made, files, Wanted())
    examples = read_examples(folder / "test.jsonl")
    assert [one.prompt for one in examples] == [one.prompt for one in made.questions["test"]]
    with pytest.raises(DataError, match="is there already"):
        write_folder(folder, made, files, Wanted())


def test_an_unknown_task_is_told() -> None:
    with pytest.raises(ConfigError, match="unknown task 'ring'; did you mean 'rings'"):
        Wanted(("ring",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Entry\tSequence\nA\tMK\n", "has no column 'ec number'"),
        ("Entry\tEC number\tSequence\nA\t1.1.1.1\n", "line 2: 2 cells, expected 3"),
        ("Entry\tEC number\tSequence\nA\t9.1.1.1\tMK\n", "line 2: '9.1.1.1' is no EC number"),
        ("Entry\tEC number\tSequence\nA\t1.1.1.1\tM1K\n", "line 2: has '1' at 2"),
        ("Entry\tEC number\tSequence\n", "no enzyme in the file"),
    ],
)
def test_a_damaged_table_of_enzymes_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "enzymes.tsv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        make_questions({"protein": [path]}, Wanted(), Split(), read_cell_types())
    assert told in str(caught.value)


def test_our_cell_types_have_markers_and_know_the_usual_labels() -> None:
    types = read_cell_types()
    assert all(len(one.markers) >= 4 for one in types.types)
    named = {label: types.of(label) for label in ("B cells", "CD14+ Monocytes", "CD56+ NK", "beta", "no such")}
    assert [one.name if one else None for one in named.values()] == [
        "B cell", "CD14 monocyte", "NK cell", "beta cell", None,
    ]  # fmt: skip
