"""Multiplicities as reports write them: of 1H signals in the benchmark's letters, of 13C lines as hydrogens."""

import re
from collections.abc import Sequence

from mmspec_ds.spectra.modalities.h_nmr import CATEGORY

_WORDS = {
    word: letters
    for letters, words in {
        "s": "singlet",
        "d": "doublet",
        "t": "triplet",
        "q": "quartet quadruplet",
        "p": "quintet pentet quint quin pent qn",
        "h": "sextet hextet sext sxt hex",
        "hept": "septet heptet sept spt sep",
        "m": "multiplet",
    }.items()
    for word in words.split()
}
_BROAD = re.compile(r"\b(broad|br\.?|app(arent)?\.?)(?=\s|$|[a-z)])|\bof\b|[\s.,;:()/-]+")
_LONGEST_WORDS = sorted(_WORDS, key=len, reverse=True)


def multiplicity(text: str) -> str | None:
    """The benchmark's letters for a multiplicity as reports write it: "br s" is s, "quint." is p, "dt" is dt,
    "doublet of triplets" is dt; None if it cannot be read."""
    if len(text) > 80:
        return None
    rest = _BROAD.sub(" ", f" {text.lower()} ").replace(" ", "")
    letters = ""
    while rest:
        word = next((one for one in _LONGEST_WORDS if rest.startswith(one)), None)
        if word is not None:
            letters += _WORDS[word]
            rest = rest[len(word) :].removeprefix("s") if len(word) > 5 else rest[len(word) :]
        elif rest.startswith("hept"):
            letters, rest = letters + "hept", rest[4:]
        elif rest[0] in "sdtqphm":
            letters, rest = letters + rest[0], rest[1:]
        elif rest[0] == "b" and not letters:  # "bs", "bd"
            rest = rest[1:]
        else:
            return None
    if "m" in letters:
        return "m"
    return letters if CATEGORY.fullmatch(letters) else None


_CARBON_TYPE = re.compile(r"[-–]?\s*C(?:\s*H\s*([123]?))?", re.IGNORECASE)
_QUATERNARY = re.compile(r"c\s*q|c\s*\(q\)|c?\s*quat(?:ernary)?\.?|c0|qc", re.IGNORECASE)
_SUBSCRIPTS = str.maketrans("₀₁₂₃", "0123")
_OFF_RESONANCE = {"s": 0, "d": 1, "t": 2, "q": 3, "singlet": 0, "doublet": 1, "triplet": 2, "quartet": 3}
_DEPT_135 = {"-": 2, "−": 2, "neg": 2, "negative": 2, "down": 2, "0": 0, "1": 1, "2": 2, "3": 3}


def carbon_type(text: str) -> int | None:
    """Hydrogens on a carbon that is written as CH3, CH2, CH, C or Cq; None for anything else."""
    plain = text.strip().translate(_SUBSCRIPTS)
    if _QUATERNARY.fullmatch(plain):
        return 0
    found = _CARBON_TYPE.fullmatch(plain)
    if found is None:
        return None
    return 0 if found[1] is None else int(found[1] or 1)


def attached_hydrogens(texts: Sequence[str]) -> tuple[tuple[int | None, ...], str]:
    """Hydrogens on the carbon of each 13C line by its multiplicity as written, and a remark on how it was read.

    Understood are CH3, CH2, CH, C and Cq; counts 0 to 3; the off-resonance letters q, t, d and s; and the sign
    in a DEPT-135, where a negative line is CH2. Where every line is a singlet the spectrum is a decoupled one.

    Returns:
        A count or None for each text, and an empty tuple where nothing is known.
    """
    plain = [text.strip() for text in texts]
    types = [carbon_type(text) for text in plain]
    lettered = all(one is None for one in types)
    found: list[int | None] = []
    for text, known in zip(plain, types):
        lower = text.lower()
        if known is None and lower in _OFF_RESONANCE:
            known = _OFF_RESONANCE[lower] if lettered or lower != "q" else 0  # q beside CH2: quaternary
        elif known is None:
            known = _DEPT_135.get(lower)
        found.append(known)
    if all(one is None for one in found):
        return (), ""
    if len(found) > 1 and all(one in (0, None) for one in found):
        return (), "all 13C lines are singlets: nothing is taken from that about hydrogens on the carbons"
    if lettered and any(text.lower() in _OFF_RESONANCE for text in plain):
        return tuple(found), "multiplicities s, d, t, q of 13C lines read as C, CH, CH2, CH3"
    return tuple(found), ""
