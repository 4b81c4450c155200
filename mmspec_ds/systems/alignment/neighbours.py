"""Known molecules with their descriptions: that of the nearest one stands in the prompt that asks to describe a
molecule. `similar_descriptions` makes answers of several.

The known ones are the molecules that the training examples describe. A run and an export keep them in a file
beside the weights, and the weights hold its checksum.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.files import replacing
from mmspec_ds.molecules.fingerprints import morgan_fingerprints, tanimoto_similarities
from mmspec_ds.molecules.identity import Identity, identify
from mmspec_ds.readers.part import one_line
from mmspec_ds.readers.source import read_lines
from mmspec_ds.systems.alignment.objects import PLACEHOLDERS, Example, Molecule, Object
from mmspec_ds.systems.alignment.prompt import Prompt, PromptWriter, Turn
from mmspec_ds.systems.alignment.questions.wording import NOUN, WORDINGS
from mmspec_ds.systems.alignment.run_settings import NeighbourSettings

NEIGHBOURS = "neighbours.jsonl"
"""The file of a run or an export with the known molecules: a line of JSON each with `smiles`, `group` and
`description`."""
TOLD = "{question}\nA similar molecule ({similarity:.2f} of 1) has this description: {description}"
"""The question with the description of a neighbour and its Tanimoto similarity."""
ASKED_BEFORE = "Describe a similar molecule ({similarity:.2f} of 1)."
"""The question that the description of a neighbour answers, where it is an earlier turn."""
AT_ONCE = 256
"""Molecules whose neighbours are looked for together: 256 times 30,000 similarities are 30 MB."""

_KEYS = ("smiles", "group", "description")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\[(])")


@dataclass(frozen=True)
class Described:
    """A molecule with its description.

    Attributes:
        smiles: canonical.
        group: the first block of its InChIKey.
        description: in words.
    """

    smiles: str
    group: str
    description: str


def asks_description(text: str) -> bool:
    """Whether a question asks to describe one molecule, in a wording of `mmspec questions`, whatever its case
    and the mark at its end."""
    return _plain(text) in _QUESTIONS


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".!?").lower()


_QUESTIONS = {
    _plain(one.replace("{object}", named))
    for one in WORDINGS["description"]
    for named in (NOUN["molecule"], PLACEHOLDERS["molecule"])
}


def known_of(examples: Iterable[Example]) -> list[Described]:
    """The molecules that examples describe, each once.

    Raises:
        DataError: one of them is no valid structure.
    """
    found: dict[str, Described] = {}
    for one in examples:
        if asks_description(one.prompt) and isinstance(one.objects[0], Molecule):
            smiles = one.objects[0].smiles
            identity = identity_of(smiles)
            if identity is None:
                raise DataError(f"a molecule that is described is no valid structure: {one_line(smiles)}")
            known = Described(identity.canonical, identity.group, one.answer)
            found.setdefault(identity.canonical, known)
    return list(found.values())


def asked_molecules(prompts: Sequence[Prompt], objects: Sequence[Sequence[Object]]) -> dict[int, str]:
    """By the places of the prompts whose last question asks to describe a molecule, the SMILES of that one.

    Args:
        prompts: questions or dialogues.
        objects: of each.
    """
    asked: dict[int, str] = {}
    for at, (prompt, given) in enumerate(zip(prompts, objects)):
        last = given[-1] if given else None
        if isinstance(last, Molecule) and asks_description(_question_of(prompt)):
            asked[at] = last.smiles
    return asked


class Neighbours:
    """Finds the nearest known molecule, by Morgan fingerprints and Tanimoto similarity.

    Args:
        known: molecules with their descriptions.
        settings: from which similarity on, how long a description may be, and where it stands.
        writer: counts tokens.

    Attributes:
        settings, known: as given.
        checksum: of the known molecules and their descriptions, SHA-256.
    """

    def __init__(self, known: Sequence[Described], settings: NeighbourSettings, writer: PromptWriter) -> None:
        self.known, self.settings, self._writer = tuple(known), settings, writer
        self._prints = morgan_fingerprints([one.smiles for one in known])
        self._group = np.array([one.group for one in known])
        self.checksum = checksum_of(known)

    def nearest(self, smiles: Sequence[str]) -> list[tuple[Described, float] | None]:
        """Of each molecule the most similar known one, of another InChIKey block, with the similarity; None
        where that is below the least one, or the SMILES is not valid."""
        if not self.known:
            return [None] * len(smiles)
        found: list[tuple[Described, float] | None] = []
        for start in range(0, len(smiles), AT_ONCE):
            some = smiles[start : start + AT_ONCE]
            identities = [identity_of(one) for one in some]
            groups = ["" if one is None else one.group for one in identities]
            similarity = tanimoto_similarities(morgan_fingerprints(some), self._prints)
            similarity[np.array(groups)[:, None] == self._group] = -1.0  # below any least similarity
            for row, group in zip(similarity, groups):
                place = int(row.argmax())
                near = bool(group) and row[place] >= self.settings.least_similarity
                found.append((self.known[place], float(row[place])) if near else None)
        return found

    def prompts(self, prompts: Sequence[Prompt], objects: Sequence[Sequence[Object]]) -> list[Prompt]:
        """Prompts whose last question asks to describe a molecule with the description of its neighbour; the
        others as they are.

        Args:
            prompts: questions or dialogues.
            objects: of each.
        """
        asked = asked_molecules(prompts, objects)
        found = list(prompts)
        if self.settings.place == "answer":
            return found
        for (at, _), near in zip(asked.items(), self.nearest(list(asked.values()))):
            description = "" if near is None else self._shortened(near[0].description)
            if near is not None and description:
                found[at] = self._told(prompts[at], near[1], description)
        return found

    def _told(self, prompt: Prompt, similarity: float, description: str) -> Prompt:
        """The prompt with the description, in its last question or as the turn before it."""
        if self.settings.place == "turn":
            asked = Turn("user", ASKED_BEFORE.format(similarity=similarity))
            turns = [Turn("user", prompt)] if isinstance(prompt, str) else list(prompt)
            return [*turns[:-1], asked, Turn("assistant", description), turns[-1]]
        text = TOLD.format(question=_question_of(prompt), similarity=similarity, description=description)
        return text if isinstance(prompt, str) else [*prompt[:-1], Turn(prompt[-1].role, text)]

    def _shortened(self, description: str) -> str:
        """Its first sentences, as many as may be told; empty where the first is too long. What looks like the
        place of an object is none."""
        text, kept = " ".join(description.split()), ""
        for placeholder in PLACEHOLDERS.values():
            text = text.replace(placeholder, placeholder.strip("[]").lower())
        for sentence in _SENTENCE_END.split(text):
            longer = f"{kept} {sentence}".strip()
            if len(self._writer.text_ids(longer)) > self.settings.most_tokens:
                break
            kept = longer
        return kept


@lru_cache(maxsize=200_000)
def identity_of(smiles: str) -> Identity | None:
    """The identity of a molecule; None for what is no valid structure."""
    try:
        return identify(smiles, "skeleton")
    except ValueError:
        return None


def _question_of(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else (prompt[-1].text if prompt else "")


def _line(one: Described) -> str:
    content = {"smiles": one.smiles, "group": one.group, "description": one.description}
    return json.dumps(content, ensure_ascii=False) + "\n"


def checksum_of(known: Iterable[Described]) -> str:
    """SHA-256 of the file that `write_known` writes, in hexadecimal digits."""
    return hashlib.sha256("".join(map(_line, known)).encode()).hexdigest()


def write_known(path: Path, known: Iterable[Described]) -> None:
    """Write known molecules, a line of JSON each."""
    with replacing(path) as partial:
        partial.write_text("".join(map(_line, known)), encoding="utf-8", newline="\n")


def read_known(path: Path) -> list[Described]:
    """The known molecules that `write_known` wrote.

    Raises:
        DataError: the file cannot be read, or a line is no such molecule; names the line.
    """
    found = []
    for line in read_lines(path):
        if not line.text.strip():
            continue
        try:
            content = json.loads(line.text)
        except (ValueError, RecursionError):
            content = None
        texts = isinstance(content, dict) and set(content) == set(_KEYS)
        if not texts or not all(isinstance(content[key], str) for key in _KEYS):
            raise DataError(f"line {line.number}: expected JSON with {', '.join(_KEYS)}, all text", path=path)
        found.append(Described(content["smiles"], content["group"], content["description"]))
    return found
