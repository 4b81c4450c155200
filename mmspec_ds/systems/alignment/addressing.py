"""Which objects a question is about, and the prompt in which their placeholders stand.

A question may name objects by placeholders, `[MOLECULE]`, or `[MOLECULE 2]` for the second one of a dialogue;
by "it", "the molecule" and the like; or not at all or by "they", where all objects of the dialogue are meant.
"""

import re
from collections.abc import Sequence

from mmspec_ds.errors import DataError
from mmspec_ds.readers.part import counted
from mmspec_ds.settings import nearest
from mmspec_ds.systems.alignment.objects import KINDS, PLACEHOLDERS, Kind
from mmspec_ds.systems.alignment.questions.wording import NOUN

LONGEST = 20_000
"""Letters of a question at most; what a model reads is less."""

_NAMES = {kind.upper(): kind for kind in KINDS}
_BRACKETS = re.compile(r"\[([A-Za-z]{4,20})(?:[ :]?(\d{1,4}))?\]")
_WORDS: dict[Kind, str] = {
    "spectrum": r"(?:the|this) (?:spectrum|sample|unknown|compound|molecule|substance)",
    "molecule": r"(?:the|this) (?:molecule|compound|structure|substance)",
    "protein": r"(?:the|this) (?:protein|enzyme|sequence)",
    "cell": r"(?:the|this) cell",
}
_IT = r"it(?!'s|self)"
_WHICH = re.compile(
    r"which(?: one)?(?: of (?:them|these|the two))? (?:is|has|contains|bears|weighs)\b[^:?]*\?", re.I
)
_THEY = re.compile(r"\b(?:they|the two(?: (?:molecules|compounds|spectra|samples))?)\b(?!')", re.I)
_ITS = re.compile(r"\bits (?P<what>[^?.,;]+)", re.I)


def addressed(question: str, kinds: Sequence[Kind]) -> tuple[str, tuple[int, ...]]:
    """The prompt of a question, and the numbers of the objects that its placeholders stand for, in its order.

    Args:
        question: in words.
        kinds: of the objects of the dialogue, in their order.

    Raises:
        DataError: the question is empty, far too long or no text, or a placeholder stands for no object, or for
            more than one.
    """
    text = " ".join(question.split())
    if not text:
        raise DataError("the question is empty")
    if len(text) > LONGEST:
        raise DataError(f"the question has {len(text):,} letters: expected at most {LONGEST:,}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("the question holds bytes that are no text: expected UTF-8") from None
    found = _by_placeholders(text, kinds)
    if found is None:
        found = _by_words(text, kinds)
    if found is not None:
        return found
    if not kinds:
        return text, ()
    return _about_all(text, [NOUN[kind] for kind in kinds]), tuple(range(len(kinds)))


def _about_all(text: str, nouns: Sequence[str]) -> str:
    """The prompt of a question that names no object and means all, in words like those of training: "Which one
    is heavier?" gets its objects behind it, "they" and "the two" are replaced by them."""
    if len(nouns) == 1:
        return f"About {nouns[0]}: {text}"
    first = ", ".join(nouns[:-1])
    if _WHICH.fullmatch(text):
        return f"{text[:-1].rstrip()}: {first} or {nouns[-1]}?"
    named = f"{first} and {nouns[-1]}"
    replaced, count = _THEY.subn(lambda _: named, text, count=1)
    return replaced[:1].upper() + replaced[1:] if count else f"About {named}: {text}"


def _by_placeholders(text: str, kinds: Sequence[Kind]) -> tuple[str, tuple[int, ...]] | None:
    """The prompt of a question with placeholders; None for one without."""
    matches = [(match, _kind_of(match)) for match in _BRACKETS.finditer(text)]
    named = [(match, kind) for match, kind in matches if kind is not None]
    if not named:
        return None
    places, prompt, at = [], "", 0
    for number, (match, kind) in enumerate(named):
        before = sum(other == kind and not match_[2] for match_, other in named[:number])
        mentions = sum(other == kind and not match_[2] for match_, other in named)
        places.append(_place(match, kind, kinds, before, mentions))
        prompt += text[at : match.start()] + PLACEHOLDERS[kind]
        at = match.end()
    return prompt + text[at:], tuple(places)


def _kind_of(match: "re.Match[str]") -> Kind | None:
    """The kind that a word in brackets names; None for other words in brackets, such as those of a SMILES.

    Raises:
        DataError: it looks like a placeholder and is none.
    """
    name = match[1].upper()
    if name in _NAMES:
        return _NAMES[name]
    if match[1].isupper():
        hint = nearest(name, _NAMES, "placeholders")
        raise DataError(f"{match[0]} is no placeholder; {hint}")
    return None


def _place(match: "re.Match[str]", kind: Kind, kinds: Sequence[Kind], before: int, mentions: int) -> int:
    """The number of the object that a placeholder stands for: by its number; the only one of its kind; else one
    after the other, where as many are mentioned as there are."""
    own = [place for place, other in enumerate(kinds) if other == kind]
    has = f"the dialogue has {counted(len(own), kind)}" if own else f"the dialogue has no {kind}"
    if match[2]:
        if not 1 <= int(match[2]) <= len(own):
            raise DataError(f"{match[0]}: {has}")
        return own[int(match[2]) - 1]
    if not own:
        raise DataError(f"{match[0]}: {has}")
    if len(own) == 1:
        return own[0]
    if mentions != len(own):
        raise DataError(
            f"{match[0]}: {has}, and the question mentions {mentions} without a number: expected"
            f" {PLACEHOLDERS[kind][:-1]} 1] and so on"
        )
    return own[before]


def _by_words(text: str, kinds: Sequence[Kind]) -> tuple[str, tuple[int, ...]] | None:
    """The prompt of a question whose words name one object each: the first "it" or "its" where there is one
    object, "the protein" where one object is a protein; None where it has no such words."""
    its = _ITS.search(text) if len(kinds) == 1 else None
    if its is not None and re.search(rf"\b{_IT}\b", text, re.I) is None:
        noun = NOUN[kinds[0]]
        prompt = f"{text[: its.start()]}the {its['what'].rstrip()} of {noun}{text[its.end() :]}"
        return prompt[:1].upper() + prompt[1:], (0,)
    hits: list[tuple[int, int, int]] = []
    for place, kind in enumerate(kinds):
        if list(kinds).count(kind) > 1:
            continue
        words = _WORDS[kind]
        if kind == "spectrum" and "molecule" in kinds:
            words = r"(?:the|this) (?:spectrum|sample|unknown)"
        match = re.search(rf"\b(?:{words})\b", text, re.I)
        if match is None and len(kinds) == 1:
            match = re.search(rf"\b{_IT}\b", text, re.I)
        if match is not None:
            hits.append((match.start(), match.end(), place))
    if not hits:
        return None
    prompt, at = "", 0
    for start, end, place in sorted(hits):
        if start < at:
            return None
        prompt += text[at:start] + NOUN[kinds[place]]
        at = end
    prompt += text[at:]
    return prompt[:1].upper() + prompt[1:], tuple(place for _, _, place in sorted(hits))


def placeholder_of(kinds: Sequence[Kind], place: int) -> str:
    """How a question names an object: with a number where there are several of its kind."""
    kind = kinds[place]
    if list(kinds).count(kind) == 1:
        return PLACEHOLDERS[kind]
    number = 1 + list(kinds[:place]).count(kind)
    return f"{PLACEHOLDERS[kind][:-1]} {number}]"
