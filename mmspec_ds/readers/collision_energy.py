"""Collision energies as files write them, in eV, and the nearest energy of the benchmark.

The rules; each of them leaves a remark where it had to guess:
- A number is in eV ("20", "20 eV", "45V", "CE30", "HCD 30 eV", "-20"); the sign, which some vendors write for
  negative ions, is dropped.
- "%", "NCE", "normalized" and "nominal" mean a normalised energy: eV = NCE x (precursor m/z / 500) x f(charge)
  with f = 1, 0.9, 0.85, 0.8 and 0.75 for charges 1 to 5 and more, the rule of the makers of Orbitrap
  instruments. Without a precursor, m/z 500 is taken. Where both are written ("NCE=35% 14eV"), eV counts.
- Of a ramp or of steps ("20-40 eV", "Ramp 5-60 V", "HCD (NCE 20-30-40%)", "stepped 20,30,40") the mean counts.
- A comma between two numbers is a decimal mark if the second is smaller: "22,5 eV".
- The energies of the benchmark are 10, 20 and 40 eV, each twice the one before; the nearest is that of the
  nearest ratio, so the borders lie at 14.1 and 28.3 eV.
- What is missing, zero, above 1000 eV or not understood ("scaled by m/z", "20 kV") gives the assumed energy.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from mmspec_ds.spectra.modalities.ms_file import ENERGIES_EV

HIGHEST_EV = 1000.0
_CHARGE_FACTORS = (1.0, 0.9, 0.85, 0.8, 0.75)
_REFERENCE_MZ = 500.0

_UNSIGNED = r"\d+(?:\.\d+)?(?:e[-+]?\d{1,3})?"
_NUMBER = rf"[-+]?{_UNSIGNED}"
_UNIT = r"\s*(?:%|ev\b|volts?\b|v\b|nce\b)?\s*(?:[(\[]\s*(?:nce|ev|%)\s*[)\]])?\s*"
_BETWEEN = r"(?:-|,|;|/|\.\.|&|\+|:|_|to\b|and\b|or\b)+\s*(?:and\b|or\b)?\s*"
_PREFIX = (
    r"(?:ramp(?:ed)?|stepped|steps?|from|nce|ce|hcd|cid|cad|etd|ms/?ms|ms2|collision|energ(?:y|ies)|voltage"
    r"|normali[sz]ed|average|mean|about|ca\.|[~≈:;=@\s_([{])*"
)
_ENERGY = re.compile(rf"{_PREFIX}(?P<list>{_NUMBER}{_UNIT}(?:{_BETWEEN}{_NUMBER}{_UNIT})*).*", re.DOTALL)
_RAMP_COMMA = re.compile(r"(?<=\d),(?=\d+\s*-)")  # "22,9-34.3": a list has no dash
_LIST = re.compile(r"step|ramp|^[\d.\s]+$")
_ONE_COMMA = re.compile(r"([^\d]*\d+),(\d+)(?!\s*[-,;/\d])([^,]*)")
_NOT_AN_ENERGY = re.compile(r"m/?z|kv|kev")
_NORMALISED = re.compile(r"%|nce|nominal|normali[sz]ed")
_BOTH = re.compile(rf".*(?:%|nce)\D+(?P<ev>{_UNSIGNED})\s*ev\b")
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class CollisionEnergy:
    """An energy in eV, None if none is understood, and how it was found ("" if as written)."""

    ev: float | None
    how: str = ""


@lru_cache(maxsize=10_000)
def parse_collision_energy(
    text: str, precursor_mz: float | None = None, charge: int | None = None
) -> CollisionEnergy:
    """The collision energy that a text states; raises nothing. Normalised energies need the m/z and the charge
    of the precursor, which are 500 and 1 if not known."""
    lowered = " ".join(text[:_LONGEST].lower().replace("−", "-").replace("–", "-").split())
    match = None if _NOT_AN_ENERGY.search(lowered) else _ENERGY.fullmatch(_with_points(lowered))
    if match is None:
        return CollisionEnergy(None, f"collision energy {text.strip()[:40]!r} is not understood")
    both = _BOTH.fullmatch(lowered)
    # Neither the dash of a range nor that of a negative ion mode is a sign.
    numbers = [float(number) for number in re.findall(_UNSIGNED, both["ev"] if both else match["list"])]
    value, how = sum(numbers) / len(numbers), ""
    if len(numbers) > 1:
        how = f"mean of {' and '.join(f'{number:g}' for number in numbers[:6])}"
    elif "," in match["list"] or ("," in lowered and "." not in lowered):
        how = "a decimal comma"
    if _NORMALISED.search(lowered) and not both:
        value *= normalised_factor(precursor_mz, charge)
        at = f"m/z {precursor_mz:.1f}" if precursor_mz else "an assumed m/z of 500"
        how = f"{how + ', ' if how else ''}normalised energy at {at}"
    if not 0 < value <= HIGHEST_EV:
        return CollisionEnergy(None, f"collision energy {text.strip()[:40]!r} is out of range")
    return CollisionEnergy(value, how)


def _with_points(text: str) -> str:
    """The text with decimal points for decimal commas that cannot part a list, and with commas for the blanks
    between the steps of one."""
    text = _RAMP_COMMA.sub(".", text)
    if _LIST.search(text):
        text = re.sub(r"(?<=\d)\s+(?=\d)", ",", text)
    match = _ONE_COMMA.fullmatch(text)
    if match is not None and int(match[2][:9]) < int(re.sub(r"\D", "", match[1])[:9]):
        return f"{match[1]}.{match[2]}{match[3]}"
    return text


def normalised_factor(precursor_mz: float | None, charge: int | None) -> float:
    """eV for one unit of normalised collision energy."""
    steps = min(abs(charge or 1), len(_CHARGE_FACTORS))
    return (precursor_mz or _REFERENCE_MZ) / _REFERENCE_MZ * _CHARGE_FACTORS[steps - 1]


def nearest_energy(ev: float) -> float:
    """The energy of the benchmark (10, 20 or 40 eV) of the nearest ratio to `ev`."""
    return float(min(ENERGIES_EV, key=lambda energy: abs(math.log(ev / energy))))
