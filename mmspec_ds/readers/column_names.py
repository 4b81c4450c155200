"""What columns are called that tell of samples or of features, in tables of programs and databases.

All in lower case. `describes_samples` and `names_patients` compare names without case, blanks, marks, units in
brackets and endings such as "nr".
"""

import re
from collections.abc import Set as AbstractSet

SAMPLE = "sample"
"""What the column of the names of samples is called where the file does not name it."""

IDENTIFIERS = (
    *("sample", "samples", "sample_id", "sampleid", "sample id", "sample name", "sample_name", "id"),
    *("patient", "patient_id", "patient id", "subject", "subject_id", "subject id", "name", "local_sample_id"),
)
"""Columns that name samples, the likeliest first."""

FEATURE_NAMES = (
    *("metabolite_identification", "metabolite", "metabolite_name", "compound", "feature", "feature_id"),
)
"""Columns that name features where these are rows."""

MASSES = ("mass_to_charge", "mz", "m/z", "mzmed", "precursor_mz", "average mz", "row m/z")
SHIFTS = ("chemical_shift", "ppm")

ABOUT_FEATURES = frozenset(
    (
        *FEATURE_NAMES[1:],
        *MASSES,
        *SHIFTS,
        *("database_identifier", "chemical_formula", "formula", "smiles", "inchi", "inchikey", "inchi_key"),
        *("fragmentation", "modifications", "charge", "retention_time", "rt", "rtmed", "retention time"),
        *("taxid", "species", "database", "database_version", "reliability", "uri", "search_engine"),
        *("search_engine_score", "smallmolecule_abundance_sub", "smallmolecule_abundance_stdev_sub"),
        *("smallmolecule_abundance_std_error_sub", "multiplicity", "kegg", "kegg_id", "hmdb", "hmdb_id"),
        *("pubchem", "pubchem_id", "cas", "adduct", "annotation", "refmet_name", "ri", "quantified m/z"),
    )
)
"""Columns beside the samples where features are rows: what databases and programs say of a feature."""

PATIENTS = frozenset(
    (
        *("patient", "patients", "patienten", "pat", "subject", "subjects", "donor", "donors", "individual"),
        *("participant", "person", "proband", "probanden", "volunteer", "animal", "mouse", "family", "litter"),
    )
)
"""Columns that name whom samples are of."""

DESCRIPTIONS = PATIENTS | frozenset(
    (
        *("age", "sex", "gender", "bmi", "weight", "height", "idx", "index", "number", "no", "nr", "order"),
        *("run", "injection", "injectionorder", "runorder", "plate", "well", "position", "batch", "group"),
        *("groups", "class", "label", "diagnosis", "status", "outcome", "stage", "grade", "time", "timepoint"),
        *("visit", "smoking", "alcohol", "qc", "sampletype", "acquisitionorder", "analysisorder", "date"),
        *("sample", "samples", "localsample", "name", "id", "unnamed0"),
    )
)
"""Columns that describe samples. Numbers in them are not used, unless the file says that they are measured."""

_ENDINGS = (
    *("number", "nummer", "num", "nr", "no", "id", "code", "name"),
    *("years", "year", "yrs", "yr", "y", "months", "days", "kg", "cm", "m"),
)
_BRACKETS = re.compile(r"\([^)]*\)|\[[^]]*\]")


def describes_samples(name: str) -> bool:
    """Whether a column is called as one that describes samples: "Age_years", "Injection Order", "PatientNr"."""
    return _is_called(name, DESCRIPTIONS)


def names_patients(name: str) -> bool:
    """Whether a column is called as one that names patients, or what else samples are of: "Subject ID"."""
    return _is_called(name, PATIENTS)


def _is_called(name: str, words: AbstractSet[str]) -> bool:
    plain = "".join(one for one in _BRACKETS.sub("", name).casefold() if one.isalnum())
    tried = [plain, *(plain.removesuffix(one) for one in _ENDINGS), plain.removeprefix("id")]
    return any(one in words for one in tried)
