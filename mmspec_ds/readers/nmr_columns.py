"""Columns of NMR lists: what their names mean, whatever case, language, brackets and units they have."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from mmspec_ds.readers.picking.solvents import find_solvent

ALIASES: dict[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "shift": "shift shifts chemicalshift chemicalshifts chemshift delta deltah deltac δ δh δc ppm centroid"
        " center centre verschiebung chemischeverschiebung",
        "weak shift": "position peak peaks signal d 1h 13c h1 c13",
        "range": "range ppmrange shiftrange region interval bereich",
        "high": "rangemax max from start begin maxppm high upper rangehigh von",
        "low": "rangemin min to end stop minppm low lower rangelow bis",
        "multiplicity": "multiplicity multiplicities mult category pattern splitting class multiplet m type"
        " multiplizitat aufspaltung",
        "hydrogens": "nh h hs hydrogens protons noofh numh numberofh numberofhydrogens numberofprotons"
        " attachedhydrogens attachedh",
        "integral": "integral integrals integration int count n",
        "coupling": "j js jhz jvalue jvalues coupling couplings couplingconstant couplingconstants jcoupling"
        " jcouplings kopplung kopplungskonstante kopplungskonstanten",
        "area": "area areas volume",
        "intensity": "intensity intensities height heights relintensity relativeintensity i intensitat",
        "dept": "dept carbontype ctype ch chtype chn",
        "note": "flags impurity compound annotation annotations comment comments note notes remark remarks"
        " assignment",
    }.items()
}
"""Names of columns, without case, accents, blanks, punctuation and what is in brackets."""

_POSITION = re.compile(r"(?:f[12]?|freq(?:uency)?|nu|v|w|x|peakpos(?:ition)?|location|h|c|1h|13c|h1|c13)?")
"""Names of a position, the unit taken off."""

_ROLES = re.compile(
    r"compound|solvent|impurit|art[ie]fact|satellite|13c sat|reference|standard|noise|rotational", re.I
)
_NOT_SAMPLE = re.compile(
    r"\b(?:solvent|impurit(?:y|ies)|art[ie]facts?|satellites?|tms|water|hdo|residual|grease)\b", re.I
)
_COUNTS = frozenset(["no", "nr", "#", "n", "index", "idx", "id", "entry", "row", "line", "number"])
_MASS = re.compile(r"m\s*/\s*z|mass|wave", re.IGNORECASE)


@dataclass(slots=True)
class Columns:
    """Places of the columns by kind.

    Attributes:
        places: of each kind; the first of a kind counts, but all couplings and notes do.
        count: of columns; None where rows may have more cells.
    """

    places: dict[str, list[int]] = field(default_factory=dict)
    count: int | None = None

    def __contains__(self, kind: str) -> bool:
        return kind in self.places

    def cell(self, cells: Sequence[str], kind: str) -> str:
        """The cell of the first column of a kind, empty where the row or the table has none."""
        place = self.places.get(kind, [-1])[0]
        return cells[place] if 0 <= place < len(cells) else ""

    def cells(self, cells: Sequence[str], kind: str) -> list[str]:
        """The cells of all columns of a kind."""
        return [cells[place] for place in self.places.get(kind, []) if place < len(cells)]


def find_columns(header: Sequence[str]) -> Columns | None:
    """The columns of an NMR list, or None where the header names no shift, range or limits.

    A column called Peak, Signal or Position is the shift only where no other is, beside a column that is known.
    """
    if {"ADDRESS", "FREQUENCY"} <= {cell.upper() for cell in header}:
        # TopSpin's peak list; the units are in the next line: [Hz] [PPM].
        return Columns({"hz": [2], "shift": [3], "intensity": [4], "note": [5]}, 7)
    places: dict[str, list[int]] = {}
    for place, cell in enumerate(header):
        kind = kind_of(cell)
        if kind is not None and (kind in ("coupling", "note") or kind not in places):
            places.setdefault(kind, []).append(place)
    weak = places.pop("weak shift", None)
    if {"shift", "range"} & places.keys() or {"high", "low"} <= places.keys():
        return Columns(places, len(header))
    if weak is None or not places or any(_MASS.search(cell) for cell in header):
        return None
    return Columns({"shift": weak, **places}, len(header))


def is_nmr_header(cells: Sequence[str]) -> bool:
    """Whether a line names the columns of an NMR list."""
    return len(cells) <= 40 and find_columns(cells) is not None


def kind_of(cell: str) -> str | None:
    """The kind of a column by its name, a key of `ALIASES` or "hz" (a position in Hz), or None."""
    text = unicodedata.normalize("NFKD", cell.lower())
    in_hz, in_ppm = re.search(r"\bhz\b", text), re.search(r"(?<![a-z])ppm\b", text)
    plain = re.sub(r"\(.*?\)|\[.*?\]|/.*", "", text)
    name = re.sub(r"[^a-z0-9δ]", "", plain) or re.sub(r"[^a-z0-9δ]", "", text)
    kind = next((kind for kind, names in ALIASES.items() if name in names), None)
    if kind is None and re.fullmatch(r"j\d*(hz)?|\d*j[hf]*(hz)?", name):
        return "coupling"
    if kind is None and re.fullmatch(r"dept\d{0,3}", name):
        return "dept"
    position = _POSITION.fullmatch(re.sub(r"ppm|hz|δ", "", name)) is not None
    if in_hz and (position or kind in ("shift", "weak shift", "range", "high", "low")):
        return "hz" if position or kind in ("shift", "weak shift") else None
    if in_ppm and (kind == "weak shift" or (kind is None and position)):
        return "shift"
    return kind


def is_whole(name: str) -> bool:
    """Whether a column of this name has no decimals: a count of the rows, or of hydrogens."""
    return not name or name.lower().strip(" .°") in _COUNTS or kind_of(name) in ("hydrogens", "weak shift")


def is_index(column: Sequence[str]) -> bool:
    """Whether cells count the rows: 1, 2, 3 ... or 0, 1, 2 ..."""
    if len(column) < 2 or not all(re.fullmatch(r"\d{1,5}\.?", cell) for cell in column):
        return False
    numbers = [int(cell.rstrip(".")) for cell in column]
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def is_role(text: str) -> bool:
    """Whether a cell says what a line belongs to ("Compound", "Solvent") instead of its multiplicity."""
    return bool(_ROLES.match(text.strip()))


def not_of_sample(role: str, notes: Sequence[str]) -> bool:
    """Whether a line is one of the solvent, an impurity or an artifact, by its role and the notes beside it."""
    if is_role(role) and not role.strip().lower().startswith("compound"):
        return True
    return any(_NOT_SAMPLE.search(note) or find_solvent(note) is not None for note in notes if note)
