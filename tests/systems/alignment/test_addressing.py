"""Questions as people write them, and the prompts that a model reads."""

import pytest

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.addressing import addressed, placeholder_of
from mmspec_ds.systems.alignment.objects import placeholders_in

S, M, P, C = "spectrum", "molecule", "protein", "cell"


@pytest.mark.parametrize(
    ("question", "kinds", "prompt", "places"),
    [
        (
            "Does it contain an ester?",
            [S],
            "Does the compound with the spectrum [SPECTRUM] contain an ester?",
            (0,),
        ),
        ("What is its exact mass?", [M], "What is the exact mass of the molecule [MOLECULE]?", (0,)),
        ("Count its rings.", [M], "Count the rings of the molecule [MOLECULE].", (0,)),
        ("How many rings?", [M], "About the molecule [MOLECULE]: How many rings?", (0,)),
        ("is it chiral?", [M], "Is the molecule [MOLECULE] chiral?", (0,)),
        ("How many rings has the molecule?", [M, P], "How many rings has the molecule [MOLECULE]?", (0,)),
        (
            "Could the spectrum be that of the molecule?",
            [S, M],
            "Could the compound with the spectrum [SPECTRUM] be that of the molecule [MOLECULE]?",
            (0, 1),
        ),
        ("What enzyme is this protein?", [P], "What enzyme is the protein [PROTEIN]?", (0,)),
        ("Is it a B cell?", [C], "Is the cell [CELL] a B cell?", (0,)),
        (
            "Which is heavier?",
            [M, M],
            "Which is heavier: the molecule [MOLECULE] or the molecule [MOLECULE]?",
            (0, 1),
        ),
        (
            "which of the two contains an ester?",
            [P, M],
            "which of the two contains an ester: the protein [PROTEIN] or the molecule [MOLECULE]?",
            (0, 1),
        ),
        (
            "Are they similar in structure?",
            [M, M],
            "Are the molecule [MOLECULE] and the molecule [MOLECULE] similar in structure?",
            (0, 1),
        ),
        (
            "The two molecules: do they resemble each other?",
            [M, M],
            "The molecule [MOLECULE] and the molecule [MOLECULE]: do they resemble each other?",
            (0, 1),
        ),
        (
            "Which functional groups have both?",
            [M, M],
            "About the molecule [MOLECULE] and the molecule [MOLECULE]: Which functional groups have both?",
            (0, 1),
        ),
        ("Which is heavier?", [M], "About the molecule [MOLECULE]: Which is heavier?", (0,)),
        ("Is [molecule] chiral?", [S, M], "Is [MOLECULE] chiral?", (1,)),
        (
            "Is [MOLECULE 2] heavier than [MOLECULE 1]?",
            [M, M],
            "Is [MOLECULE] heavier than [MOLECULE]?",
            (1, 0),
        ),
        ("Is [MOLECULE] heavier than [MOLECULE]?", [M, S, M], "Is [MOLECULE] heavier than [MOLECULE]?", (0, 2)),
        ("Is [MOLECULE] equal to [MOLECULE]?", [M], "Is [MOLECULE] equal to [MOLECULE]?", (0, 0)),
        ("What is an ester?", [], "What is an ester?", ()),
        ("Is [Na+] in it? [OH] too?", [M], "Is [Na+] in the molecule [MOLECULE]? [OH] too?", (0,)),
        ("Does  it\tcontain\na ring?", [M], "Does the molecule [MOLECULE] contain a ring?", (0,)),
    ],
)
def test_prompts(question: str, kinds: list[str], prompt: str, places: tuple[int, ...]) -> None:
    found = addressed(question, kinds)  # type: ignore[arg-type]
    assert found == (prompt, places)
    assert placeholders_in(prompt) == tuple(kinds[place] for place in places)


@pytest.mark.parametrize(
    ("question", "kinds", "told"),
    [
        ("  ", [M], "the question is empty"),
        ("Is [PROTEIN] an enzyme?", [M], r"\[PROTEIN\]: the dialogue has no protein"),
        ("Is [MOLECULE 3] chiral?", [M, M], r"\[MOLECULE 3\]: the dialogue has 2 molecules"),
        ("Is [MOLECULE 0] chiral?", [M], r"\[MOLECULE 0\]: the dialogue has 1 molecule"),
        ("Is [MOLECULE] chiral?", [M, M], r"mentions 1 without a number: expected \[MOLECULE 1\]"),
        ("Is [SPECTRA] of it?", [S], r"\[SPECTRA\] is no placeholder; did you mean 'SPECTRUM'"),
        ("a" * 20_001, [M], "has 20,001 letters: expected at most 20,000"),
    ],
)
def test_one_line_for_what_cannot_be_meant(question: str, kinds: list[str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        addressed(question, kinds)  # type: ignore[arg-type]


def test_how_a_question_names_an_object() -> None:
    kinds = [S, M, M]
    names = [placeholder_of(kinds, place) for place in range(3)]  # type: ignore[arg-type]
    assert names == ["[SPECTRUM]", "[MOLECULE 1]", "[MOLECULE 2]"]
    prompt, places = addressed(f"Is {names[2]} in {names[0]}?", kinds)  # type: ignore[arg-type]
    assert (prompt, places) == ("Is [MOLECULE] in [SPECTRUM]?", (2, 0))


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises(DataError, match="holds bytes that are no text: expected UTF-8"):
        addressed("Is it \udcff?", ["molecule"])
