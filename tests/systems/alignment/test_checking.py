"""Answers checked against molecules whose facts are worked out by hand."""

import pytest

from mmspec_ds.systems.alignment.checking import NOTHING, Known, check_answer, check_pair

ASPIRIN = Known("the molecule given", smiles="CC(=O)Oc1ccccc1C(=O)O")  # C9H8O4, 180.0423 Da, 180.16 in the mean
ALANINE = Known("the molecule given", smiles="C[C@H](N)C(=O)O")
BY_FORMULA = Known("the formula given", formula="C9H8O4")
BY_MASS = Known("the precursor in x.mgf", mass_da=(180.0405, 180.0441), adduct="[M+H]+")


def verdicts(question: str, answer: str, known: Known = ASPIRIN) -> list[str]:
    return [one.verdict for one in check_answer(question, answer, known).checks]


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Does it contain a carboxylic acid?", "Yes.", "agrees"),
        ("Does it contain a carboxylic acid?", "no", "disagrees"),
        ("Yes or no: does it contain ester groups?", "yes", "agrees"),
        ("Is nitrogen present in it?", "no", "agrees"),
        ("What is the number of rings of it?", "1", "agrees"),
        ("Does [MOLECULE] contain carboxylic acids?", "yes", "agrees"),
        ("Is there an amine in [MOLECULE]?", "No, there is none.", "agrees"),
        ("Is there a carbonyl group?", "yes", "agrees"),
        ("Is there a hydroxyl group?", "yes", "disagrees"),  # neither an alcohol nor a phenol
        ("Does it contain an ester?", "yes", "agrees"),
        ("Does it contain nitrogen?", "no", "agrees"),
        ("Does it contain chlorine?", "yes", "disagrees"),
        ("Is [MOLECULE] aromatic?", "yes", "agrees"),
        ("Does it have a ring?", "no", "disagrees"),
        ("Has it at least one stereocentre?", "no", "agrees"),
        ("Is there an asymmetric carbon or another stereocentre in it?", "yes", "disagrees"),
        ("Does it obey Lipinski's rule of five?", "yes", "agrees"),
        ("Is its formula C9H8O4?", "yes", "agrees"),
        ("Is its formula C9H8O3?", "yes", "disagrees"),
        ("Is its exact mass 180.04 Da?", "yes", "agrees"),
        ("What is the molecular formula?", "C9H8O4", "agrees"),
        ("What is the molecular formula?", "The formula is C9H8O4.", "agrees"),
        ("What is the molecular formula?", "C8H9NO2", "disagrees"),
        ("What is the exact mass?", "180.04", "agrees"),
        ("What is the exact mass?", "180.05", "disagrees"),
        ("What is the exact mass?", "180.0423 Da", "agrees"),
        ("What is the molecular weight?", "180.16", "agrees"),
        ("What is the molecular weight?", "180.04", "disagrees"),
        ("How heavy is it?", "It weighs 180 Da", "agrees"),
        ("How many rings does it have?", "1", "agrees"),
        ("How many rings does it have?", "two rings", "disagrees"),
        ("How many rings does it have?", "No rings", "disagrees"),
        ("How many aromatic rings are there?", "one", "agrees"),
        ("How many oxygens does it have?", "4", "agrees"),
        ("How many carbon atoms does it have?", "eight", "disagrees"),
        ("Count the stereocentres.", "none", "agrees"),
    ],
)
def test_one_claim_about_aspirin(question: str, answer: str, expected: str) -> None:
    assert verdicts(question, answer) == [expected]


@pytest.mark.parametrize(
    ("question", "answer", "said", "expected"),
    [
        ("How many aromatic rings are there?", "one", "1 aromatic ring", "1 aromatic ring"),
        ("How many aromatic rings are there?", "2", "2 aromatic rings", "1 aromatic ring"),
        ("How many rings does it have?", "two rings", "2 rings", "1 ring"),
        ("Count the stereocentres.", "1", "1 stereocentre", "0 stereocentres"),
        ("How many oxygens does it have?", "4", "4 O", "4 O"),
        ("Does it obey Lipinski's rule of five?", "yes", "rule of five: yes", "0 violations"),
    ],
)
def test_numbers_have_the_right_noun(question: str, answer: str, said: str, expected: str) -> None:
    (found,) = check_answer(question, answer, ASPIRIN).checks
    assert (found.said, found.expected) == (said, expected)


def test_the_claims_of_a_description() -> None:
    answer = (
        "The molecule is an aromatic compound of formula C9H8O4. It contains a carboxylic acid, an ester and a"
        " ketone, but no amine. It has 1 ring and no stereocentre. It has a role as an amide hydrolase blocker."
    )
    found = check_answer("Describe [MOLECULE].", answer, ASPIRIN).checks
    assert [(one.said, one.verdict) for one in found] == [
        ("C9H8O4", "agrees"),
        ("carboxylic acid", "agrees"),
        ("ester", "agrees"),
        ("ketone", "disagrees"),
        ("no amine", "agrees"),
        ("1 ring", "agrees"),
        ("no stereocentre", "agrees"),
    ]


@pytest.mark.parametrize(
    ("answer", "denied"),
    [
        ("It does not contain an amide, an ester or a ketone.", {"amide", "ester", "ketone"}),
        ("It contains an ester and no amide or ketone.", {"amide", "ketone"}),
        ("It has an ester without an amide.", {"amide"}),
        ("It has an ester, but no amide.", {"amide"}),
        ("It doesn't have an ester; it has an amide.", {"ester"}),
    ],
)
def test_what_is_said_not_to_be_there(answer: str, denied: set[str]) -> None:
    found = check_answer("Describe it.", answer, ASPIRIN).checks
    assert {one.said.removeprefix("no ") for one in found if one.said.startswith("no ")} == denied
    right = {"no amide", "no ketone", "ester"}
    assert all((one.verdict == "agrees") == (one.said in right) for one in found)


def test_yes_and_no_after_a_few_words() -> None:
    assert verdicts("Does it contain an ester?", "The answer is yes.") == ["agrees"]
    assert verdicts("Does it contain an ester?", "Answer: no") == ["disagrees"]
    assert verdicts("Does it contain an amide?", "It does not contain an amide.") == ["agrees"]


ALL_GROUPS = "Which functional groups does it contain?"
HEXANE = Known("the molecule given", smiles="CCCCCC")


def test_a_list_of_groups() -> None:
    found = check_answer(ALL_GROUPS, "carboxylic acid, ester, thiol", ASPIRIN)
    assert found.lines() == [
        "checked: carboxylic acid agrees with the molecule given (it contains carboxylic acid)",
        "checked: ester agrees with the molecule given (it contains ester)",
        "checked: thiol disagrees with the molecule given (no thiol)",
        "checked: no other group disagrees with the molecule given"
        " (it also contains aromatic ring, benzene ring)",
    ]


@pytest.mark.parametrize(
    ("question", "answer", "known", "expected"),
    [
        (ALL_GROUPS, "carboxylic acid, ester, aromatic ring, benzene ring", ASPIRIN,
         (True, "it contains no other")),
        (ALL_GROUPS, "It has an ester, arenes, phenyl groups and a carboxyl group.", ASPIRIN,
         (True, "it contains no other")),
        (ALL_GROUPS, "amine, carboxylic acid", ALANINE, (True, "it contains no other")),  # a primary one
        (ALL_GROUPS, "carboxylic acid, but no amine", ALANINE, (False, "it also contains primary amine")),
        (ALL_GROUPS, "none", HEXANE, (True, "it contains none")),
        (ALL_GROUPS, "No functional groups.", HEXANE, (True, "it contains none")),
        (ALL_GROUPS, "It does not have any functional groups.", ALANINE,
         (False, "it contains carboxylic acid, primary amine")),
        (ALL_GROUPS, "alcohol", HEXANE, (True, "it contains no other")),
        ("What groups has it?", "none", HEXANE, (True, "it contains none")),
        ("Name two functional groups of it.", "ester", ASPIRIN, None),
        ("Which other functional groups does it have?", "ester", ASPIRIN, None),
        ("Which carbonyl groups are there?", "an ester", ASPIRIN, None),
        ("Which methyl groups are near the ester?", "that of the ester", ASPIRIN, None),
        (ALL_GROUPS, "It is hard to say.", ASPIRIN, None),
        (ALL_GROUPS, "none", BY_FORMULA, None),
    ],
)  # fmt: skip
def test_what_a_list_of_all_groups_leaves_out(
    question: str, answer: str, known: Known, expected: tuple[bool, str] | None
) -> None:
    found = [one for one in check_answer(question, answer, known).checks if one.what == "groups"]
    assert [(one.verdict == "agrees", one.expected) for one in found] == (
        [] if expected is None else [expected]
    )


MORE = "the question asks for more than can be checked"
NOTHING_ASKED = "the question asks for nothing that can be checked"


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("Does it lack an ester?", "yes", "the question is put in the negative"),
        ("Doesn't it contain an ester?", "yes", "the question is put in the negative"),
        ("Does it contain no ester?", "no", "the question is put in the negative"),
        ("Is there no ring?", "no", "the question is put in the negative"),
        ("Does it violate the rule of five?", "no", "the question is put in the negative"),
        ("Is it a tertiary alcohol?", "no", MORE),
        ("Is there an ester of glycerol?", "no", MORE),
        ("Is the ester hydrolysed?", "no", MORE),
        ("Does it contain two esters?", "no", MORE),
        ("Does it have two rings?", "no", MORE),
        ("Does it have more than one ring?", "no", MORE),
        ("Does it have a five-membered ring?", "no", MORE),
        ("Does it have two stereocentres?", "no", MORE),
        ("Does it contain at least ten oxygen atoms?", "no", MORE),
        ("Does it contain only carbon?", "no", MORE),
        ("Is it fully aromatic?", "no", MORE),
        ("Is its mass above 300 Da?", "no", MORE),
        ("Is it non-aromatic?", "no", NOTHING_ASKED),
        ("How many aromatic carbons does it have?", "6", MORE),
        ("How many hydrogen bond donors has it?", "1", MORE),
        ("How many six-membered rings are there?", "1", MORE),
        ("Does it contain an ester or an amide?", "yes", "the question asks for more than one thing"),
        ("Is it tasty?", "yes", NOTHING_ASKED),
        ("What is it good for?", "It relieves pain.", NOTHING_ASKED),
        ("What is the molecular formula?", "It is unknown.", "the answer states nothing that can be checked"),
        ("What peaks has the mass spectrum?", "The base peak is 43.", NOTHING_ASKED),
        ("Is its formula unknown?", "no", MORE),
    ],
)
def test_what_is_not_checked_says_why(question: str, answer: str, reason: str) -> None:
    found = check_answer(question, answer, ASPIRIN)
    assert (found.checks, found.reason) == ((), reason)
    assert found.lines() == [f"not checked: {reason}"]


def test_a_formula_alone() -> None:
    assert verdicts("What is the exact mass?", "180.04", BY_FORMULA) == ["agrees"]
    assert verdicts("Does it contain bromine?", "yes", BY_FORMULA) == ["disagrees"]
    assert verdicts("Does it contain nitrogen?", "no", BY_FORMULA) == ["agrees"]
    assert check_answer("Does it contain an ester?", "yes", BY_FORMULA).reason == "the structure is not known"
    ion = Known("the formula given", formula="CH6N+")
    assert verdicts("What is the exact mass?", "32.0495", ion) == ["agrees"]  # 32.0500 less an electron


def test_a_mass_by_the_precursor_refutes_and_proves_nothing() -> None:
    assert verdicts("What is the formula?", "C9H8O4", BY_MASS) == ["possible"]
    assert verdicts("What is the formula?", "C9H8O5", BY_MASS) == ["disagrees"]
    assert verdicts("What is the exact mass?", "180.04", BY_MASS) == ["possible"]
    assert verdicts("What is the exact mass?", "180.14", BY_MASS) == ["disagrees"]
    assert verdicts("Which adduct was it?", "[M+H]+", BY_MASS) == ["agrees"]
    assert verdicts("Which adduct was it?", "[M+Na]+", BY_MASS) == ["disagrees"]
    assert verdicts("Which adduct was it?", "[M+H]+", ASPIRIN) == []


def test_nothing_known() -> None:
    assert check_answer("Does it contain an ester?", "yes", NOTHING).reason == "the structure is not known"


def test_the_line_says_what_is_right_and_by_what() -> None:
    (line,) = check_answer("What is the molecular formula?", "C8H9NO2", ASPIRIN).lines()
    assert line == "checked: C8H9NO2 disagrees with the molecule given (C9H8O4)"


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Which one contains an amine: [MOLECULE] or [MOLECULE]?", "the second", "agrees"),
        ("Which one contains an amine: [MOLECULE] or [MOLECULE]?", "the first", "disagrees"),
        ("Which one is heavier: [MOLECULE] or [MOLECULE]?", "The first one.", "agrees"),
        ("Are [MOLECULE] and [MOLECULE] the same?", "no", "agrees"),
        ("Are [MOLECULE] and [MOLECULE] structurally similar?", "yes", "disagrees"),
    ],
)
def test_two_molecules(question: str, answer: str, expected: str) -> None:
    assert [one.verdict for one in check_pair(question, answer, ASPIRIN, ALANINE).checks] == [expected]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which of [MOLECULE] and [MOLECULE] lacks an ester?", "the second"),
        ("Which of [MOLECULE] and [MOLECULE] has no ester?", "the second"),
        ("Which of [MOLECULE] and [MOLECULE] has fewer esters?", "the second"),
        ("Which of [MOLECULE] and [MOLECULE] has an ester of glycerol?", "the first"),
        ("Do [MOLECULE] and [MOLECULE] have the same number of rings?", "yes"),
        ("Do [MOLECULE] and [MOLECULE] have similar masses?", "yes"),
        ("Is [MOLECULE] different from [MOLECULE]?", "yes"),
    ],
)
def test_what_is_not_checked_of_two_molecules(question: str, answer: str) -> None:
    assert check_pair(question, answer, ASPIRIN, ALANINE).checks == ()


def test_two_molecules_without_a_single_answer() -> None:
    question = "Which one contains a carboxylic acid: [MOLECULE] or [MOLECULE]?"
    assert "no single answer" in check_pair(question, "the first", ASPIRIN, ALANINE).reason
    assert check_pair(question, "the first", ASPIRIN, NOTHING).reason == "the structures of both are not known"
    mirror = Known("the molecule given", smiles="C[C@@H](N)C(=O)O")
    (same,) = check_pair("Are they the same?", "yes", ALANINE, mirror).checks  # stereoisomers: one skeleton
    assert same.verdict == "agrees"
