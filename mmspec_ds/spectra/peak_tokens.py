"""Mass spectra in new tokens of a language model: `<mz_57>` and its like, one token for each thing told.

A text is a header and peaks, the strongest first. Header: `<positive>`, `<negative>` or `<ei>`; the adduct,
`<[M+H]+>`; the energy to 5 eV, `<ev_35>`; `<precursor>` and its m/z. A peak is the nearest integer to its m/z
or, where decimals are told, the integer part and the hundredths: `<mz_57><d_03>` is 57.03. `<i_3>` says that
the peaks from here on have level 3: between 1/16 and 1/8 of the strongest.
"""

import math
import re
from collections.abc import Collection, Iterator

from mmspec_ds.errors import DataError
from mmspec_ds.spectra.modalities.ms import ADDUCTS
from mmspec_ds.spectra.told import Kind, Told

LOWEST_SHARE = 0.001
_LEVELS = 10
"""Levels of intensity, each half as high as the one before: down to 2^-10, which is under the lowest share."""
_ENERGY_STEP_EV, _MOST_EV = 5, 200
_KINDS: dict[str, Kind] = {"positive": "positive", "negative": "negative", "ei": "ei"}
_UNKNOWN, _OTHER = ADDUCTS[:2]
_PRECURSOR = "<precursor>"
_TOKEN = re.compile(r"<[^<>\s]+>")
_NUMBERED = re.compile(r"<([a-z]+)_(\d+)>")


def vocabulary(max_mz: int, *, decimals: bool, levels: bool, header: bool, precursor: bool) -> tuple[str, ...]:
    """All tokens, those of m/z first, from `<mz_1>` to `<mz_MAX>`."""
    tokens = [f"<mz_{mz}>" for mz in range(1, max_mz + 1)]
    if decimals:
        tokens += [f"<d_{number:02d}>" for number in range(100)]
    if levels:
        tokens += [f"<i_{number}>" for number in range(_LEVELS)]
    if header:
        tokens += [f"<{kind}>" for kind in _KINDS]
        tokens += [f"<{adduct}>" for adduct in ADDUCTS if adduct != _UNKNOWN]
        tokens += [f"<ev_{energy}>" for energy in range(0, _MOST_EV + 1, _ENERGY_STEP_EV)]
    if precursor:
        tokens.append(_PRECURSOR)
    return tuple(tokens)


def write(content: Told, *, decimals: bool, summed: bool) -> str:
    """The text: without blanks, levels of intensity named where they change; or, `summed`, a word for each peak
    with its level, one for the header and one for the precursor, parted by blanks."""
    header = "".join(_header(content))
    precursor = ""
    if content.precursor_mz is not None:
        precursor = f"{_PRECURSOR}{_mz(content.precursor_mz, decimals)}"
    peaks = [_mz(mz, decimals) for mz in content.mz]
    levels = [level(share) for share in content.shares or ()]
    for place, number in enumerate(levels):
        if summed or number != (levels[place - 1] if place else 0):
            peaks[place] = f"<i_{number}>{peaks[place]}"
    return (" " if summed else "").join(word for word in (header, precursor, *peaks) if word)


def parse(text: str, *, decimals: bool, levels: bool) -> Told:
    """What a text tells, summed or not, that tells these of its peaks.

    Raises:
        DataError: a word that is no token, or stands where none is expected.
    """
    tokens = _Tokens(tokens_of(text))
    kind, adduct = tokens.one_of(_KINDS), tokens.one_of(ADDUCTS)
    energy = tokens.number("ev")
    precursor = tokens.mz(decimals) if tokens.one_of((_PRECURSOR[1:-1],)) else None
    mz, shares, current = [], [], 0
    while tokens.left:
        found = tokens.number("i") if levels else None
        current = current if found is None else found
        mz.append(tokens.mz(decimals))
        shares.append(level_share(current))
    return Told(
        mz=tuple(mz),
        shares=tuple(shares) if levels else None,
        kind=_KINDS[kind] if kind else None,
        adduct=adduct,
        energy_ev=None if energy is None else float(energy),
        precursor_mz=precursor,
    )


def tokens_of(text: str) -> tuple[str, ...]:
    """The tokens of a text, or of a word of it.

    Raises:
        DataError: something else stands between them.
    """
    tokens = tuple(_TOKEN.findall(text))
    rest = _TOKEN.sub("", text).split()
    if rest:
        raise DataError(f"not the text of a spectrum: found {rest[0]!r}, expected tokens such as <mz_57>")
    return tokens


def in_words(token: str) -> str:
    """What a token says in plain words: the number of `<mz_57>`, the name of `<negative>`."""
    match = _NUMBERED.fullmatch(token)
    return match[2] if match else token[1:-1]


def hundredths_told(token: str) -> int:
    """What a token adds to the m/z of its peak, in hundredths: 5700 of `<mz_57>`, 3 of `<d_03>`, else 0."""
    match = _NUMBERED.fullmatch(token)
    factor = {"mz": 100, "d": 1}.get(match[1], 0) if match else 0
    return factor * int(match[2]) if match else 0


def level_told(token: str) -> int | None:
    """The level of intensity that a token tells, 3 of `<i_3>`; None of others."""
    match = _NUMBERED.fullmatch(token)
    return int(match[2]) if match and match[1] == "i" else None


def hundredths(mz: float) -> int:
    """m/z in hundredths, to the nearest."""
    return math.floor(mz * 100 + 0.5)


def level(share: float) -> int:
    """The level of an intensity, which is a share of the strongest above 0: 0 from 1 down to over 1/2, 1 from
    there down to over 1/4."""
    return min(max(math.floor(-math.log2(share)), 0), _LEVELS - 1)


def level_share(number: int) -> float:
    """The share that a level stands for, the geometric middle of its bounds."""
    return float(2.0 ** -(number + 0.5))


def known_adduct(adduct: str | None) -> str | None:
    """The adduct as it is told: itself where it has a token, "other" where it has none; None stays None."""
    if adduct is None or adduct == _UNKNOWN:
        return None
    return adduct if adduct in ADDUCTS else _OTHER


def energy_told(energy_ev: float | None) -> float | None:
    """An energy as it is told: to the nearest 5 eV, 200 eV for all above."""
    if energy_ev is None:
        return None
    nearest = _ENERGY_STEP_EV * math.floor(energy_ev / _ENERGY_STEP_EV + 0.5)
    return float(min(max(nearest, 0), _MOST_EV))


def _header(content: Told) -> Iterator[str]:
    if content.kind is not None:
        yield f"<{content.kind}>"
    if content.adduct is not None:
        yield f"<{content.adduct}>"
    if content.energy_ev is not None:
        yield f"<ev_{content.energy_ev:.0f}>"


def _mz(mz: float, decimals: bool) -> str:
    if not decimals:
        return f"<mz_{mz:.0f}>"
    whole, rest = divmod(hundredths(mz), 100)
    return f"<mz_{whole}><d_{rest:02d}>"


class _Tokens:
    """The tokens of a text, taken from the front."""

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self.left = list(tokens)

    def one_of(self, names: Collection[str]) -> str | None:
        """Take the first token, without its brackets, if it is one of these."""
        if self.left and self.left[0][1:-1] in names:
            return self.left.pop(0)[1:-1]
        return None

    def number(self, name: str) -> int | None:
        """Take the first token if it is a number of this name."""
        match = _NUMBERED.fullmatch(self.left[0]) if self.left else None
        if match is None or match[1] != name:
            return None
        self.left.pop(0)
        return int(match[2])

    def mz(self, decimals: bool) -> float:
        """Take an m/z: its integer, and its hundredths where they are told."""
        whole = self._needed("mz")
        return (100 * whole + self._needed("d")) / 100 if decimals else float(whole)

    def _needed(self, name: str) -> int:
        number = self.number(name)
        if number is None:
            found = repr(self.left[0]) if self.left else "the end"
            raise DataError(f"not the text of a spectrum: found {found}, expected <{name}_...>")
        return number
