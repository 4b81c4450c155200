"""What columns are called that tell of samples or of features, in tables of programs and databases.

All in lower case.
"""

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

DESCRIPTIONS = frozenset(
    (
        *("age", "sex", "gender", "bmi", "weight", "height", "idx", "index", "number", "no", "nr", "order"),
        *("run", "injection", "injection_order", "run_order", "plate", "well", "position", "batch", "group"),
        *("groups", "class", "label", "diagnosis", "status", "outcome", "stage", "grade", "time", "timepoint"),
        *("visit", "smoking", "alcohol", "qc", "sampletype", "sample_type", "patient", "patient_id", "subject"),
        *("subject_id", "unnamed: 0"),
    )
)
"""Columns that describe samples. Numbers in them are not used, unless the file says that they are measured."""
