"""The wordings of questions: several for each task, of which some are kept for testing.

A wording names the objects by `{object}`, or `{first}` and `{second}`, and may name what is asked for.
"""

from mmspec_ds.systems.alignment.objects import PLACEHOLDERS, Kind

HELD_OUT = 2
"""The last so many wordings of each task are in no training question."""

NOUN: dict[Kind, str] = {
    "molecule": "the molecule [MOLECULE]",
    "spectrum": "the compound with the spectrum [SPECTRUM]",
    "protein": "the protein [PROTEIN]",
    "cell": "the cell [CELL]",
}
"""By kind, what stands for an object in a sentence."""

WORDINGS: dict[str, tuple[str, ...]] = {
    "formula": (
        "What is the molecular formula of {object}?",
        "Give the molecular formula of {object}.",
        "Which molecular formula has {object}?",
        "State the elemental composition of {object} as a molecular formula.",
        "Write down the formula of {object}.",
    ),
    "exact mass": (
        "What is the monoisotopic mass of {object} in Da, with two decimals?",
        "Give the exact mass of {object} in Da to two decimals.",
        "How heavy is {object}, as a monoisotopic mass in Da with two decimals?",
        "State the monoisotopic mass of {object} (Da, two decimals).",
        "Which exact mass in Da has {object}? Two decimals, please.",
    ),
    "adduct": (
        "Which adduct was the precursor ion of the spectrum {object}?",
        "Name the adduct of the ion that was fragmented in the spectrum {object}.",
        "What kind of ion gave the spectrum {object}?",
        "The spectrum {object} was measured of which adduct?",
        "Tell the precursor's adduct in the spectrum {object}.",
    ),
    "functional group": (
        "Does {object} contain {a group}?",
        "Is there {a group} in {object}?",
        "Does {object} have {a group}?",
        "Can {a group} be found in {object}?",
        "Tell whether {object} bears {a group}.",
    ),
    "functional groups": (
        "Which functional groups does {object} contain?",
        "List the functional groups of {object}.",
        "What functional groups are there in {object}?",
        "Name all functional groups that {object} has.",
        "Tell which functional groups {object} bears.",
    ),
    "rings": (
        "How many rings does {object} have?",
        "Count the rings of {object}.",
        "What is the number of rings in {object}?",
        "Give the ring count of {object}.",
        "How many rings are there in {object}?",
    ),
    "aromaticity": (
        "Is {object} aromatic?",
        "Does {object} have an aromatic ring?",
        "Is there an aromatic ring in {object}?",
        "Tell whether {object} is an aromatic compound.",
        "Can {object} be called aromatic?",
    ),
    "chirality": (
        "Does {object} have a stereocentre?",
        "Is there an asymmetric carbon or another stereocentre in {object}?",
        "Has {object} at least one stereocentre?",
        "Can {object} have stereoisomers that differ at a tetrahedral centre?",
        "Tell whether {object} has a tetrahedral centre of chirality.",
    ),
    "Lipinski": (
        "Does {object} obey Lipinski's rule of five?",
        "Is Lipinski's rule of five fulfilled by {object}, with at most one violation?",
        "Does {object} pass the rule of five?",
        "Would {object} pass Lipinski's filter for oral drugs?",
        "Tell whether {object} meets the rule of five.",
    ),
    "which of two": (
        "Which one contains {a group}: {first} or {second}?",
        "One of {first} and {second} has {a group}. Which?",
        "Compare {first} with {second}: which one bears {a group}?",
        "Where is {a group}, in {first} or in {second}?",
        "Tell which of the two, {first} or {second}, has {a group}.",
    ),
    "heavier of two": (
        "Which one is heavier: {first} or {second}?",
        "Which has the larger mass, {first} or {second}?",
        "Compare {first} with {second}: which weighs more?",
        "Of {first} and {second}, which has the greater molecular mass?",
        "Tell which of the two is heavier, {first} or {second}.",
    ),
    "similar": (
        "Are {first} and {second} structurally similar?",
        "Do {first} and {second} resemble each other in structure?",
        "Is {first} similar in structure to {second}?",
        "Would you call {first} and {second} analogues?",
        "Tell whether {first} and {second} are alike in structure.",
    ),
    "same molecule": (
        "Are {first} and {second} the same?",
        "Is {first} identical with {second}?",
        "Do {first} and {second} belong to one and the same structure?",
        "Is it true that {first} is {second}?",
        "Tell whether {first} and {second} are one compound.",
    ),
    "description": (
        "Describe {object}.",
        "What can be said about {object}?",
        "Write a short description of {object}.",
        "Give a description of {object}.",
        "Tell what is known about {object}.",
    ),
    "enzyme class": (
        "Which class of enzyme is {object}?",
        "To which of the seven classes of enzymes does {object} belong?",
        "What kind of enzyme is {object}?",
        "Name the EC class of {object}.",
        "Tell the class of the enzyme {object}.",
    ),
    "is it an enzyme of": (
        "Is {object} {a class}?",
        "Does {object} belong to the {class}s?",
        "Would you classify {object} as {a class}?",
        "Is {a class} what {object} is?",
        "Tell whether {object} is {a class}.",
    ),
    "cell type": (
        "What type of cell is {object}? One of: {types}.",
        "Name the type of {object}, one of {types}.",
        "Which of these is {object}: {types}?",
        "Choose the type of {object} from {types}.",
        "Tell what {object} is, out of {types}.",
    ),
    "cell type by markers": (
        "Which type fits {object}? The types with their marker genes: {types with markers}.",
        "Name the type of {object} by its marker genes: {types with markers}.",
        "By their marker genes, {types with markers}: which one is {object}?",
        "Choose for {object} from these, with marker genes: {types with markers}.",
        "Tell what {object} is, out of types with marker genes: {types with markers}.",
    ),
    "marker genes": (
        "Does {object} express the marker genes of {a type} ({markers})?",
        "Do the marker genes {markers} of {a type} fit {object}?",
        "Is {object} {a type}, whose marker genes are {markers}?",
        "Are the marker genes of {a type}, {markers}, high in {object}?",
        "Tell whether {object} fits {a type} with the marker genes {markers}.",
    ),
}
"""By task all wordings, those that are held out last."""

LATER: dict[str, tuple[str, ...]] = {
    "formula": ("Its molecular formula?", "What is its formula?"),
    "exact mass": ("Its exact mass in Da, with two decimals?", "Its monoisotopic mass (Da, two decimals)?"),
    "functional group": ("Is there {a group}?", "Does it have {a group}?", "Does it contain {a group}?"),
    "functional groups": ("Which functional groups does it contain?", "Which functional groups has it?"),
    "rings": ("How many rings?", "How many rings does it have?"),
    "aromaticity": ("Is it aromatic?", "Is there an aromatic ring?"),
    "chirality": ("Is there a stereocentre?", "Has it a stereocentre?"),
    "Lipinski": ("Does it pass the rule of five?", "Does it obey Lipinski's rule of five?"),
}
"""By task short wordings of a question that goes on a dialogue about one molecule or the spectra of one."""


def a(noun: str) -> str:
    """A noun with its indefinite article; "bromine" and the like have none."""
    if noun in ("fluorine", "chlorine", "bromine", "iodine", "quaternary ammonium"):
        return noun
    vowel = noun[0] in "aeio" or noun.startswith(("NK", "FCGR"))
    return f"{'an' if vowel else 'a'} {noun}"


def of_object(kind: Kind, task: str) -> str:
    """What stands for an object in the wordings of a task: a noun with its placeholder, or that alone."""
    return PLACEHOLDERS[kind] if task == "adduct" else NOUN[kind]


def trained_wordings(task: str) -> int:
    """How many wordings of a task are used in training; the numbers of the others begin there."""
    return len(WORDINGS[task]) - HELD_OUT


def worded(task: str, number: int, **values: str) -> str:
    """A wording with everything filled in; `a_group` fills `{a group}`."""
    return _filled(WORDINGS[task][number], **values)


def worded_later(task: str, prompt: str, kind: Kind, about: str) -> str:
    """A question about one object as it goes on a dialogue in which the object was named: in a short wording
    where the prompt is one of `WORDINGS` that has such, else with "the molecule" in place of the object.

    Args:
        task: of the question.
        prompt: of it, with the object's placeholder.
        kind: of the object.
        about: what is asked for beside the object.
    """
    values = {"object": of_object(kind, task)} | ({"a_group": a(about)} if about else {})
    known = [worded(task, number, **values) for number in range(len(WORDINGS[task]))] if task in LATER else []
    if prompt in known:
        return _filled(LATER[task][known.index(prompt) % len(LATER[task])], **values)
    named = f"the {kind} {PLACEHOLDERS[kind]}"
    text = prompt.replace(named, f"the {kind}").replace(PLACEHOLDERS[kind], f"the {kind}")
    return text[:1].upper() + text[1:]


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace("{" + name.replace("_", " ") + "}", value)
    return text[:1].upper() + text[1:]
