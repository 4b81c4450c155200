"""Questions that are checked, and those that are left unchecked because they ask for something else."""

import pytest

from mmspec_ds.systems.alignment.checking import Known, check_answer, check_pair
from mmspec_ds.systems.alignment.claim import What
from mmspec_ds.systems.alignment.question_shapes import shape_of

PHENYLETHANOL = Known("the molecule given", smiles="OCCc1ccccc1")
"""C8H10O: 122.0732 Da, 122.17 in the mean; one ring, an alcohol, no stereocentre."""
PYRIMIDINE = Known("the molecule given", smiles="c1cncnc1CCN")
TARTARIC = Known(
    "the molecule given", smiles="O[C@H](C(=O)O)[C@@H](O)C(=O)O"
)  # meso: achiral, two stereocentres
ALANINE = Known("the molecule given", smiles="CC(N)C(=O)O")  # a stereocentre that is not defined
ETHYL_ACETATE = Known("the molecule given", smiles="CC(=O)OCC")


@pytest.mark.parametrize(
    ("question", "answer", "known"),
    [
        # Each answer is right, and what it names is not what can be counted or looked up.
        ("How many nitrogen atoms are in the ring?", "2", PYRIMIDINE),
        ("How many nitrogens does the ring have?", "2", PYRIMIDINE),
        ("How many rings are aromatic?", "1", Known("x", smiles="C1CCCCC1c1ccccc1")),
        ("How many carbon atoms are in its longest chain?", "2", PHENYLETHANOL),
        ("How many carbon atoms are aromatic?", "6", PHENYLETHANOL),
        ("How many rings does the largest ring system have?", "1", PHENYLETHANOL),
        ("How many benzene rings does it have?", "1", PHENYLETHANOL),
        ("How many stereocentres are defined?", "0", ALANINE),
        ("How many stereocentres are defined?", "It has 0 stereocentres.", ALANINE),
        ("Is it chiral?", "no", TARTARIC),
        ("Does the ring have an alcohol?", "no", PHENYLETHANOL),
        ("Does the ring have an alcohol?", "It does not contain an alcohol.", PHENYLETHANOL),
        ("Is there an alcohol on the ring?", "no", PHENYLETHANOL),
        ("Does its ring contain oxygen?", "no", PHENYLETHANOL),
        ("What is the mass of the [M+H]+ ion?", "123.08", PHENYLETHANOL),
        ("What is the mass of the base peak?", "91.05", PHENYLETHANOL),
        ("What is the exact mass of its largest fragment?", "104.06", PHENYLETHANOL),
        ("What is its nominal mass?", "122", PHENYLETHANOL),
        ("What is the formula of the fragment?", "C8H8", PHENYLETHANOL),
        ("What is its empirical formula?", "C2H4O", ETHYL_ACETATE),
        ("Which adduct would it form with sodium?", "[M+Na]+", Known("x", smiles="C", adduct="[M+H]+")),
        ("Does it react with an alcohol?", "yes", ETHYL_ACETATE),
        ("Can an ester be hydrolysed?", "no", PHENYLETHANOL),
        ("Is it made of an alcohol?", "yes", ETHYL_ACETATE),
        ("Can it be reduced to an alcohol?", "yes", ETHYL_ACETATE),
        ("Is the ring aromatic?", "no", Known("x", smiles="C1CCCCC1")),
        ("Which functional groups could it be converted to?", "alcohol, carboxylic acid", ETHYL_ACETATE),
        ("Which functional groups react with sodium?", "alcohol", PHENYLETHANOL),
        ("What does hydrolysis give?", "The product has a carboxylic acid.", ETHYL_ACETATE),
        ("Does it contain {group}?", "yes", ETHYL_ACETATE),
    ],
)
def test_other_questions_are_left_unchecked(question: str, answer: str, known: Known) -> None:
    found = check_answer(question, answer, known)
    assert found.checks == ()
    assert found.reason.startswith("the question asks for ")


@pytest.mark.parametrize(
    ("question", "right", "wrong", "what"),
    [
        ("Does it contain an alcohol?", "yes", "no", "group"),
        ("Does this molecule have any alcohol groups?", "Yes.", "No.", "group"),
        ("Does [MOLECULE 2] bear an ester?", "no", "yes", "group"),
        ("Is there an alcohol in the compound?", "yes", "no", "group"),
        ("Is there an alcohol present?", "yes", "no", "group"),
        ("Has it an ester?", "no", "yes", "group"),
        ("Can a hydroxyl group be found in it?", "yes", "no", "group"),
        ("Tell me whether it contains an ester.", "no", "yes", "group"),
        ("Please tell me if there is an ester in it.", "no", "yes", "group"),
        ("Does it contain oxygen?", "yes", "no", "element"),
        ("Is there any nitrogen?", "no", "yes", "element"),
        ("Does it contain a ring?", "yes", "no", "rings"),
        ("Does it have any stereocenters?", "no", "yes", "stereocentres"),
        ("Is it aromatic?", "yes", "no", "aromatic rings"),
        ("Does it pass the rule of 5?", "yes", "no", "rule of five"),
        ("Is the formula C8H10O?", "yes", "no", "formula"),
        ("Is its molecular weight 122.17 g/mol?", "yes", "no", "molecular weight"),
        ("How many rings?", "1", "2", "rings"),
        ("How many rings are there in it?", "one", "none", "rings"),
        ("How many aromatic rings does it contain?", "1", "There are 2.", "aromatic rings"),
        ("How many oxygen atoms are in the molecule?", "1", "2", "element"),
        ("How many chlorine atoms does it have?", "0", "1", "element"),
        ("What is the number of carbon atoms?", "8", "7", "element"),
        ("Count its stereocentres.", "0", "1", "stereocentres"),
        ("How many chiral centers has it?", "0", "1", "stereocentres"),
        ("What's its formula?", "C8H10O", "C8H10", "formula"),
        ("What is the molecular formula of this compound?", "C8H10O", "C8H10", "formula"),
        ("What is its exact mass?", "122.07", "122.17", "exact mass"),
        ("What is the monoisotopic mass in Da?", "122.0732", "122.0743", "exact mass"),
        ("What is its molecular weight?", "122.17", "122.07", "molecular weight"),
        ("What is its mass?", "122.07", "121.07", "mass"),
        ("What is its mass?", "122.17", "122.27", "mass"),
        ("How much does it weigh?", "122 Da", "123 Da", "mass"),
    ],
)
def test_usual_questions_are_checked(question: str, right: str, wrong: str, what: What) -> None:
    found = [check_answer(question, answer, PHENYLETHANOL).checks for answer in (right, wrong)]
    assert [(one.what, one.verdict) for checks in found for one in checks] == [
        (what, "agrees"),
        (what, "disagrees"),
    ]


def test_an_answer_with_two_numbers_is_left_unchecked() -> None:
    for question, answer in (
        ("How many carbon atoms does it have?", "8, of which 6 are aromatic"),
        ("What is its exact mass?", "122.07, and 123.08 as [M+H]+"),
    ):
        assert check_answer(question, answer, PHENYLETHANOL).reason == (
            "the answer states nothing that can be checked"
        )


def test_a_mass_without_a_kind_is_only_confirmed_by_a_formula() -> None:
    known = Known("the formula given", formula="C8H10O")
    assert [one.verdict for one in check_answer("What is its mass?", "122.07", known).checks] == ["agrees"]
    assert check_answer("What is its mass?", "122.17", known).checks == ()  # right as a molecular weight
    precursor = Known("x.mgf", mass_da=(122.07, 122.08))
    assert [one.verdict for one in check_answer("How heavy is it?", "122.07", precursor).checks] == ["possible"]
    assert check_answer("How heavy is it?", "122.17", precursor).checks == ()


def test_some_groups_are_no_list_of_all() -> None:
    for question in ("Name two functional groups of it.", "Which other functional groups does it have?"):
        (check,) = check_answer(question, "alcohol", PHENYLETHANOL).checks
        assert (check.what, check.verdict) == ("group", "agrees")


def test_what_a_shape_tells() -> None:
    shape = shape_of("How many chlorine atoms are there?")
    assert shape is not None
    assert (shape.form, shape.what, shape.names) == ("count", "element", ("Cl",))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Are they similar and do both contain an ester?", "no"),
        ("Is the first one similar in mass?", "yes"),
        ("Are [MOLECULE] and [MOLECULE] similar in mass?", "yes"),
        ("Do they have the same formula?", "no"),
        ("Are they the same kind of compound?", "no"),
        ("Do both contain an ester?", "no"),
        ("Which one is made of an ester?", "the first"),
        ("Which one has an alcohol and is heavier?", "the second"),
        ("Which of them is heavier, the second or the first?", "the second"),
        ("Which has the larger mass number of fragments?", "the first"),
    ],
)
def test_other_questions_about_two_are_left_unchecked(question: str, answer: str) -> None:
    found = check_pair(question, answer, ETHYL_ACETATE, PHENYLETHANOL)
    assert found.checks == ()
    assert found.reason.startswith("the question is none of those")


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("Are they similar?", "no", "yes"),
        ("Is the first one similar to the second one?", "no", "yes"),
        ("Are they the same compound?", "no", "yes"),
        ("Is [MOLECULE 1] identical to [MOLECULE 2]?", "no", "yes"),
        ("Which one has an ester?", "the first", "the second"),
        ("Which of the two contains an alcohol?", "The second one.", "The first one."),
        ("Which of them is heavier?", "the second", "the first"),
        ("Which molecule weighs more, [MOLECULE] or [MOLECULE]?", "the second", "the first"),
    ],
)
def test_usual_questions_about_two_are_checked(question: str, right: str, wrong: str) -> None:
    for answer, verdict in ((right, "agrees"), (wrong, "disagrees")):
        found = check_pair(question, answer, ETHYL_ACETATE, PHENYLETHANOL)
        assert [one.verdict for one in found.checks] == [verdict], found.reason
