"""Answers without a model, controls, and how all are scored: values by hand and what a simple rule gives."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.bootstrap import Estimate
from mmspec_ds.molecules.facts import facts_of
from mmspec_ds.molecules.functional_groups import GROUPS
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Infrared, Multiplet, Record, TandemMS
from mmspec_ds.systems.alignment.answering.captions import WrittenDescriptions
from mmspec_ds.systems.alignment.answering.methods import (
    Answers,
    ConstantList,
    Majority,
    NearestDescription,
    Shuffled,
    shuffled,
)
from mmspec_ds.systems.alignment.answering.number_regression import formula_of
from mmspec_ds.systems.alignment.answering.object_text import with_text
from mmspec_ds.systems.alignment.answering.regressions import Probe
from mmspec_ds.systems.alignment.answering.report import Scores, scored
from mmspec_ds.systems.alignment.claims import groups_listed
from mmspec_ds.systems.alignment.objects import Cell, Example, Kind, Molecule, Object, Protein
from mmspec_ds.systems.alignment.questions.structure_tasks import listed_groups

YES_NO = ("yes", "no")


def asked(smiles: str, answer: str, group: str = "", phrasing: int = 0) -> Example:
    return Example(
        "Is [MOLECULE] aromatic?", (Molecule(smiles),), answer, "aromaticity", YES_NO, phrasing, group or smiles
    )


class ByLetter:
    """Aromatic if there is a small c."""

    name = "by letter"

    def answers(self, examples: Sequence[Example]) -> Answers:
        return [
            "yes" if isinstance(one.objects[0], Molecule) and "c" in one.objects[0].smiles else "no"
            for one in examples
        ]


class Counts:
    """An encoder: carbons, small and capital, and length."""

    name, width, vectors = "counts", 3, 1
    kind: Kind = "molecule"
    identity: dict[str, str] = {}

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        texts = [one.smiles for one in objects if isinstance(one, Molecule)]
        return np.array([[[t.count("c"), t.count("C"), len(t)]] for t in texts], dtype=np.float32)


class Atoms(Counts):
    """An encoder: numbers of atoms of carbon, oxygen and nitrogen."""

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        texts = [one.smiles for one in objects if isinstance(one, Molecule)]
        return np.array([[[t.count("C"), t.count("O"), t.count("N")]] for t in texts], dtype=np.float32)


AROMATIC = [f"c1ccccc1{'C' * n}" for n in range(20)]
OTHERS = [f"{'C' * n}O" for n in range(1, 21)]
EXAMPLES = [asked(one, "yes") for one in AROMATIC] + [asked(one, "no") for one in OTHERS]


def figure(scores: Scores, name: str) -> float:
    found = scores.figures[name]
    return found.mean if isinstance(found, Estimate) else found


def test_shuffled_objects_tell_what_is_read_from_them() -> None:
    others = shuffled(EXAMPLES, 0)
    assert all(one.objects != other.objects for one, other in zip(EXAMPLES, others))
    assert sorted(str(one.objects) for one in others) == sorted(str(one.objects) for one in EXAMPLES)
    assert [one.answer for one in others] == [one.answer for one in EXAMPLES]
    methods = [ByLetter(), Shuffled(ByLetter()), Majority()]
    rows = scored(EXAMPLES, {one.name: one.answers(EXAMPLES) for one in methods})["aromaticity, molecule"]
    chance, right, by_chance, majority = (figure(one, "exact") for one in rows)
    assert chance == 0.5
    assert right == 1
    assert 0.3 < by_chance < 0.7
    assert majority == 0.5
    assert figure(rows[3], "macro_f1") == pytest.approx(1 / 3)


def test_shuffled_questions_about_one_object_get_another() -> None:
    molecules = [Molecule(one) for one in OTHERS[:4]]
    many = [replace(asked(one.smiles, "no"), objects=(one,)) for one in molecules for _ in range(5)]
    for seed in range(5):
        others = shuffled(many, seed)
        assert all(one.objects != other.objects for one, other in zip(many, others))
        assert sorted(map(str, (one.objects for one in others))) == sorted(
            map(str, (one.objects for one in many))
        )


def test_a_probe_reads_what_is_linear() -> None:
    probe = Probe({"molecule": Counts()}, EXAMPLES[::2], "probe")
    assert probe.answers(EXAMPLES[1::2]) == [one.answer for one in EXAMPLES[1::2]]
    unknown = Example("[MOLECULE]?", (Molecule("C"),), "3", "rings", ("3", "4"))
    assert probe.answers([unknown]) == [None]


def test_a_probe_compares_two_objects() -> None:
    def pair(first: str, second: str) -> Example:
        longer = "the first" if len(first) > len(second) else "the second"
        objects = (Molecule(first), Molecule(second))
        choices = ("the first", "the second")
        return Example("[MOLECULE] or [MOLECULE]?", objects, longer, "heavier of two", choices)

    rng = np.random.default_rng(0)
    pairs = [pair(*rng.choice(OTHERS, 2, replace=False).tolist()) for _ in range(200)]
    answers = Probe({"molecule": Counts()}, pairs[:100], "probe").answers(pairs[100:])
    assert np.mean([one.answer == given for one, given in zip(pairs[100:], answers)]) > 0.9


def test_a_probe_answers_with_masses_and_formulas() -> None:
    smiles = [f"{'C' * a}{'O' * b}{'N' * c}" for a in range(1, 7) for b in range(3) for c in range(3)]
    train, test = smiles[::2], smiles[1::2]

    def asks(task: str, one: str) -> Example:
        facts = facts_of(one)
        answer = facts.formula if task == "formula" else f"{facts.exact_mass_da:.2f}"
        return Example("[MOLECULE]?", (Molecule(one),), answer, task)

    for task in ("formula", "exact mass"):
        probe = Probe({"molecule": Atoms()}, [asks(task, one) for one in train], "probe")
        questions = [asks(task, one) for one in test]
        found = probe.answers(questions)
        if task == "formula":
            assert found == [one.answer for one in questions]
        else:
            wrong = [abs(float(given or 0) - float(one.answer)) for one, given in zip(questions, found)]
            assert max(wrong) < 1.0
    free = [Example("[MOLECULE]?", (Molecule("C" * n),), "words", "formula") for n in range(1, 20)]
    assert Probe({"molecule": Atoms()}, free, "probe").answers(free) == [None] * 19


def asks_for_groups(smiles: str, answer: str | None = None) -> Example:
    groups = listed_groups(facts_of(smiles).groups) if answer is None else answer
    return Example("[MOLECULE]?", (Molecule(smiles),), groups, "functional groups", group=smiles)


def test_lists_of_groups_are_scored_by_the_groups_that_they_name() -> None:
    truths = ["alcohol, ether", "none", "ester, alkene", "ketone"]
    given: Answers = ["ether, alcohol", "none", "It contains an ester and a nitrile.", "amine"]
    asked_for = [asks_for_groups("C" * n, answer) for n, answer in enumerate(truths, 1)]
    (row,) = scored(asked_for, {"m": given})["functional groups, molecule"]
    assert figure(row, "exact") == 0.25  # another order is another answer
    assert figure(row, "micro_f1") == pytest.approx(2 * 3 / (4 + 5))  # "amine" is none of the three amines
    true = [[1, 1, 0, 0, 0, 0], [0] * 6, [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]]
    named = [[1, 1, 0, 0, 0, 0], [0] * 6, [0, 0, 1, 0, 0, 1], [0] * 6]  # the last one is the nitrile
    expected = f1_score(true, named, average="micro")
    assert figure(row, "micro_f1") == pytest.approx(expected)
    interval = row.figures["micro_f1"]
    assert isinstance(interval, Estimate)
    assert 0 <= interval.low < interval.mean < interval.high <= 1


def test_every_group_of_the_table_is_found_in_a_list() -> None:
    names = [one.name for one in GROUPS]
    assert groups_listed(listed_groups(names)) == set(names)
    assert groups_listed("none") == groups_listed("no ester") == frozenset()


def test_the_best_constant_list_is_the_best() -> None:
    """Against all lists of the groups that there are."""
    names = ("alcohol", "ether", "ester", "ketone")
    rng = np.random.default_rng(1)
    truths = [
        [name for at, name in enumerate(names) if rng.random() < (0.8, 0.5, 0.3, 0.1)[at]] for _ in range(30)
    ]
    asked_for = [asks_for_groups("C" * n, listed_groups(one)) for n, one in enumerate(truths, 1)]

    def micro_f1(answer: str) -> float:
        (row,) = scored(asked_for, {"m": [answer] * len(asked_for)})["functional groups, molecule"]
        return figure(row, "micro_f1")

    lists = [listed_groups(some) for count in range(5) for some in combinations(names, count)]
    found = ConstantList().answers([*asked_for, EXAMPLES[0]])
    assert set(found[:-1]) == {max(lists, key=micro_f1)}
    assert found[-1] is None
    assert found[0] not in ("none", "alcohol", listed_groups(names))


def test_a_probe_lists_groups() -> None:
    """Alcohols and amines by their atoms; no list has the thiol, which four molecules have."""
    smiles = [f"{end}{'C' * n}" for end in ("O", "N", "", "OCC(N)") for n in range(3, 15)]
    rare = ["S" + "C" * n for n in range(1, 5)]
    train = [asks_for_groups(one) for one in (*smiles[::2], *rare)]
    test = [asks_for_groups(one) for one in smiles[1::2]]
    found = Probe({"molecule": Atoms()}, train, "probe").answers(test)
    assert found == [one.answer for one in test]
    assert {one.answer for one in test} == {"alcohol", "primary amine", "none", "alcohol, primary amine"}
    assert not any("thiol" in str(one) for one in Probe({"molecule": Atoms()}, train, "p").answers(train))
    everywhere = [
        asks_for_groups(f"O{'C' * n}{'N' * (n % 2)}", f"alcohol{', thiol' * (n % 2)}") for n in range(20)
    ]
    answers = Probe({"molecule": Atoms()}, everywhere, "probe").answers(everywhere)
    assert answers == [one.answer for one in everywhere]


def test_formulas_in_hill_order() -> None:
    assert formula_of({"O": 2, "H": 6, "C": 2, "Br": 1}) == "C2H6BrO2"
    assert formula_of({"O": 1, "H": 2}) == "H2O"
    assert formula_of({"C": 5, "H": 12, "N": 1, "charge": 1, "S": -1}) == "C5H12N+"
    assert formula_of({"C": 2, "O": 4, "charge": -2}) == "C2O4-2"


def test_the_nearest_molecule_lends_its_description() -> None:
    def described(smiles: str, text: str) -> Example:
        return Example("Describe [MOLECULE].", (Molecule(smiles),), text, "description")

    train = [described("CCCCO", "an alcohol"), described("c1ccccc1O", "a phenol"), asked("C", "no")]
    test = [described("CCCCCO", "?"), described("Cc1ccccc1O", "?"), asked("CC", "no")]
    assert NearestDescription(train).answers(test) == ["an alcohol", "a phenol", None]


def test_objects_as_text() -> None:
    record = Record(
        "r",
        (
            HydrogenNMR((Multiplet(1.2, 1.3, 1.1, "t", 3), Multiplet(3.6, 3.7, 3.5, "q", 2))),
            CarbonNMR((57.8, 18.1)),
            TandemMS(np.array([30.0, 47.05]), np.array([5.0, 20.0]), precursor_mz=47.049),
            Infrared(np.array([0, 1, 0, 5, 0, 0, 0], dtype=float), 400, 1000),
        ),
    )
    cell = Cell(np.array([1, 0, 3, 9], dtype=np.float32), ("CD79A", "GNLY", "MS4A1", "RPL3"))
    prompt = "Is [SPECTRUM] of [MOLECULE], [MOLECULE], [PROTEIN] or [CELL]?"
    text = with_text(prompt, (record, Molecule("CCO"), Molecule("CO"), Protein("MKV"), cell))
    assert text == (
        "Is (1H NMR ppm 1.20 t 3H, 3.60 q 2H; 13C NMR ppm 57.8, 18.1; MS/MS positive of m/z 47.0490, m/z 47.050"
        " (100), 30.000 (25); IR cm-1 700, 500) of CCO, CO, MKV or (highest genes: MS4A1, CD79A)?"
    )


def test_wordings_are_told_apart_and_masses_may_be_near() -> None:
    given: Answers = ["yes", "no", "yes", "yes"]
    four = [
        asked(str(n), "yes", phrasing=number) for n, number in enumerate((0, 2, 3, 4))
    ]  # 3 and 4 are held out
    row = scored(four, {"m": given})["aromaticity, molecule"][1]
    assert figure(row, "trained wordings") == 0.5
    assert figure(row, "held-out wordings") == 1
    masses = [
        Example("[MOLECULE]?", (Molecule("C"),), mass, "exact mass", group=mass) for mass in ("16.03", "18.01")
    ]
    row = scored(masses, {"m": ["16.03 Da", "19.5"]})["exact mass, molecule"][0]
    assert (figure(row, "exact"), figure(row, "near")) == (0, 0.5)
    assert row.to_json()["exact"]["n"] == 2


def test_written_descriptions(tmp_path: Path) -> None:
    path = tmp_path / "model-smiles2caption.txt"
    path.write_text("SMILES\tground truth\toutput\nOCC\tan alcohol it is\tan alcohol it was\nC1\tx\ty\n")
    written = WrittenDescriptions(path)
    asked_for = Example("[MOLECULE]", (Molecule("CCO"),), "an alcohol it is", "description")
    assert written.answers([asked_for, EXAMPLES[0]]) == ["an alcohol it was", None]
    assert written.name == "model-smiles2caption"
    path.write_text("SMILES\toutput\nC\tx\n")
    with pytest.raises(DataError, match="line 1: expected the columns SMILES, ground truth, output"):
        WrittenDescriptions(path)
    path.write_text("SMILES\tground truth\toutput\nC\tx\n")
    with pytest.raises(DataError, match="line 2: 2 cells, expected 3"):
        WrittenDescriptions(path)
