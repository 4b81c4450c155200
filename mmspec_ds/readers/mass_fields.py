"""The fields of a mass spectrum under one set of names, and what kind of spectrum they tell of."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from mmspec_ds.readers import part as keys
from mmspec_ds.readers.part import RecordFault, one_line
from mmspec_ds.spectra.records import Modality

# Further fields under one name for all formats.
SMILES = "smiles"
FORMULA = "formula"
POLARITY = "polarity"
MS_LEVEL = "ms_level"
ACCESSION = "accession"
INSTRUMENT_TYPE = "instrument_type"
IONIZATION = "ionization"
IONIZATION_ENERGY = "ionization_energy"
_NORMALISED = "normalised_energy"

_SPELLINGS = {
    keys.NAME: ("name", "title", "compoundname", "recordtitle"),
    ACCESSION: ("accession", "spectrumid", "identifier", "db"),
    SMILES: ("smiles", "computedsmiles"),
    keys.INCHIKEY: ("inchikey", "inchikey14"),
    FORMULA: ("formula", "molecularformula", "chemicalformula"),
    keys.PRECURSOR_MZ: ("pepmass", "precursormz", "precursorm/z"),
    keys.CHARGE: ("charge", "precursorcharge"),
    keys.ADDUCT: ("adduct", "precursortype", "iontype"),
    POLARITY: ("polarity", "ionmode", "ionizationmode"),
    keys.COLLISION_ENERGY: ("collisionenergy", "ce"),
    _NORMALISED: ("nce", "normalizedcollisionenergy", "normalisedcollisionenergy"),
    keys.INSTRUMENT: ("instrument", "sourceinstrument", "instrumentname"),
    INSTRUMENT_TYPE: ("instrumenttype",),
    IONIZATION: ("ionization", "ionisation", "ionsource", "ionizationmethod"),
    IONIZATION_ENERGY: ("ionizationenergy", "ionisationenergy", "electronenergy"),
    keys.INSTITUTE: ("institute", "instdir", "contributor"),
    keys.LICENCE: ("licence", "license"),
    keys.SPLIT: ("split", "fold"),
    keys.ROLE: ("role",),
    keys.CROSS_SOURCE: ("crosssource",),
    MS_LEVEL: ("mslevel", "mstype", "spectrumtype"),
}
_FIELD_OF = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}

_NOTHING = frozenset({"", "n/a", "na", "nan", "none", "null", "unknown"})
_MOST_FIELDS = 60

_MS_LEVEL = re.compile(
    r"(?:ms)?\s*(?P<level>\d)(?!\d).*|(?P<survey>ms|full ms|full scan)|(?P<tandem>ms/?ms)"
    r"|(?P<source>in.?source.*)"
)
_IN_SOURCE = -1
"""Stands for an MS level where fragments were made in the ion source."""
NOT_TANDEM = "an EI spectrum (electron ionisation), not MS/MS"
_ELECTRON_IONISATION = re.compile(r"(?<![a-z])ei(?![a-z])|electron (?:ioni[sz]ation|impact)")
_GAS_CHROMATOGRAPHY = re.compile(r"(?<![a-z])gc(?![a-z])")
RETENTION_INDEX = frozenset({"retentionindex", "ri", "quantmass"})
"""Fields of gas chromatography."""


@dataclass(slots=True)
class Fields:
    """The fields of one record by the names above, others by their own in lower case; and the isolation window,
    its lowest, highest and target m/z, where the format has one."""

    values: dict[str, str] = field(default_factory=dict)
    window: tuple[float, float, float] | None = None

    def set(self, name: str, value: str, *, keep: bool = True) -> None:
        """Note a field by any of its spellings; the first value counts, of a precursor m/z the first that is
        not zero. With `keep` False a field that has no name above is dropped."""
        name, known = _known(name)
        value = value.strip()
        if value.lower() in _NOTHING:
            return
        if known == MS_LEVEL and _level(value) is None:
            return  # "Spectrum_type: Centroid"
        if known == keys.PRECURSOR_MZ and not value.strip("0.,"):
            return
        if known == _NORMALISED:
            known, value = keys.COLLISION_ENERGY, f"{value} NCE"
        if known is None and (not keep or len(self.values) >= _MOST_FIELDS):
            return
        self.values.setdefault(known or name.lower(), value)

    def pop(self, name: str) -> str | None:
        """Remove a field and return its text; None where there is none."""
        return self.values.pop(name, None)


@lru_cache(maxsize=1000)
def _known(name: str) -> tuple[str, str | None]:
    """A name fit for a line, and the one above that it is a spelling of."""
    name = one_line(name, 60)
    return name, _FIELD_OF.get("".join(letter for letter in name.lower() if letter not in " _-#$."))


def kind_of(fields: Fields) -> Modality:
    """MS/MS or EI; a spectrum that states neither is taken for MS/MS.

    The MS level decides where it is stated: a spectrum of level 2 of an ion that was made by EI is MS/MS. In
    the titles of MassBank the method stands after the name: "Ethyl benzoate; EI-B; MS".

    Raises:
        RecordFault: the spectrum is neither, but of another MS level; not a fault of the file.
    """
    values = fields.values
    title = [word.strip().lower() for word in values.get(keys.NAME, "").split(";")[1:]]
    level = _level(values[MS_LEVEL]) if MS_LEVEL in values else 1 if "ms" in title else None
    if level == 2:
        return Modality.MS
    methods = [values.get(name, "").lower() for name in (IONIZATION, INSTRUMENT_TYPE, keys.INSTRUMENT)]
    if any(_ELECTRON_IONISATION.search(method) for method in (*methods, *title)):
        return Modality.EI
    if level == _IN_SOURCE:
        kind = "an in-source spectrum, not MS/MS"
    elif level is not None:
        kind = f"a spectrum of MS level {level}; MS/MS is level 2"
    elif keys.PRECURSOR_MZ not in values and any(_GAS_CHROMATOGRAPHY.search(method) for method in methods):
        kind = "a spectrum of a GC-MS without a precursor, not MS/MS"
    else:
        return Modality.MS
    raise RecordFault(kind, fault=False)


def _level(text: str) -> int | None:
    """The MS level that a text states."""
    match = _MS_LEVEL.fullmatch(text.strip().lower())
    if match is None:
        return None
    if match["source"]:
        return _IN_SOURCE
    return int(match["level"]) if match["level"] else 1 if match["survey"] else 2
