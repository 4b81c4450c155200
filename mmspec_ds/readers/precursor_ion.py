"""Polarity, charge and adduct of a precursor, from what a file says of each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mmspec_ds.readers.adduct import Adduct, parse_adduct
from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.spectra.records import Polarity

HIGHEST_CHARGE = 50

_POLARITIES: Mapping[str, Polarity] = {
    **dict.fromkeys(("positive", "pos", "p", "+", "1+", "positive scan", "positive ion mode"), "positive"),
    **dict.fromkeys(("negative", "neg", "n", "-", "1-", "negative scan", "negative ion mode"), "negative"),
}
_CHARGE = re.compile(r"\(?(?P<before>[-+]?)(?P<size>\d{1,4})(?:\.0+)?(?P<after>[-+]?)\)?")
_SEVERAL_CHARGES = re.compile(r"[-+\d]+(?:(?:\s*,\s*|\s+and\s+|\s+)[-+\d]+)+")
_ADDUCT_IN_NAME = re.compile(r"\[?\d?M[-+]\S+|\[\d?M\]\S+")


@dataclass(frozen=True, slots=True)
class Ion:
    """The precursor ion of an MS/MS spectrum.

    Attributes:
        polarity: positive where nothing is known.
        charge: with the sign of the polarity, None if it is not known.
        adduct: in bracket form, None if it is not known.
        written: the adduct as the file writes it.
    """

    polarity: Polarity
    charge: int | None
    adduct: str | None
    written: str | None


def read_ion(
    stated: str | None, written: str | None, charge_text: str | None, name: str | None, remarks: list[str]
) -> Ion:
    """The ion by the stated polarity, else by the written adduct (GNPS has it as the last word of the name),
    else by the sign of the charge, else positive. What was assumed, and what contradicts, is added to
    `remarks`.

    Raises:
        RecordFault: stated polarity and charge of the adduct contradict each other, or the charge is not one.
    """
    polarity = _POLARITIES.get(stated.lower()) if stated is not None else None
    adduct = _adduct(written, name, remarks)
    by_adduct = _sign(adduct.charge) if adduct is not None else None
    if adduct is not None and by_adduct is not None:
        if polarity not in (None, by_adduct):
            told = (
                f"the ion mode is {polarity}, but the adduct {one_line(written or adduct, 30)} is {by_adduct}"
            )
            if adduct.is_stated:
                raise RecordFault(told)
            remarks.append(f"{told}: the ion mode counts, the adduct is left out")
            adduct = by_adduct = None
        elif _sign(adduct.of_ions) not in (None, by_adduct):
            remarks.append(f"the adduct {adduct} is {by_adduct}, but its ions are {_sign(adduct.of_ions)}")
    charge, by_charge = _charge(charge_text, remarks)
    found = polarity or by_adduct or by_charge
    if found is None:
        remarks.append("polarity not stated, taken as positive")
        found = "positive"
    elif by_charge not in (None, found):
        remarks.append(
            f"the sign of the charge {one_line(charge_text, 10)} is not that of the {found} ion mode"
        )
    size = abs(charge or 0)
    if adduct is not None and adduct.charge:
        if size not in (0, abs(adduct.charge)):
            remarks.append(f"charge {one_line(charge_text, 10)} stated, that of the adduct {adduct} taken")
        size = abs(adduct.charge)
    signed = (-size if found == "negative" else size) or None
    if adduct is not None and not adduct.charge:
        adduct = Adduct(adduct.bracket, signed or 0, False, 0, adduct.is_radical)
    return Ion(found, signed, str(adduct) if adduct is not None and adduct.charge else None, written)


def _adduct(written: str | None, name: str | None, remarks: list[str]) -> Adduct | None:
    if written is None:
        last = (name or "").split()[-1:]
        if not last or _ADDUCT_IN_NAME.fullmatch(last[0]) is None:
            return None
        adduct = parse_adduct(last[0])
        if adduct is not None:
            remarks.append(f"the adduct {adduct} is read from the name")
        return adduct
    adduct = parse_adduct(written)
    if adduct is None or abs(adduct.charge) > HIGHEST_CHARGE:
        remarks.append(f"adduct {one_line(written, 30)} is not understood")
        return None
    return adduct


def _charge(text: str | None, remarks: list[str]) -> tuple[int | None, Polarity | None]:
    """A charge like "2+", "-1" or "1", and the polarity if it has a sign; 0 and "2+ and 3+" are not known."""
    if text is None:
        return None, None
    match = _CHARGE.fullmatch(text.strip())
    if match is None:
        if _SEVERAL_CHARGES.fullmatch(text.strip()):
            remarks.append(f"several charges are stated, {one_line(text, 30)}: none is used")
            return None, None
        raise RecordFault(f"charge {one_line(text, 30)!r}, expected one like 1+, 2+ or 1-")
    size, signs = int(match["size"]), match["before"] + match["after"]
    if size > HIGHEST_CHARGE:
        raise RecordFault(f"charge {one_line(text, 30)!r} is above {HIGHEST_CHARGE}")
    if signs in ("+-", "-+"):
        remarks.append(f"the charge {one_line(text, 10)} has two signs, taken as negative")
    if not size or not signs:
        return size or None, None
    return (-size, "negative") if "-" in signs else (size, "positive")


def _sign(charge: int) -> Polarity | None:
    return None if not charge else "positive" if charge > 0 else "negative"
