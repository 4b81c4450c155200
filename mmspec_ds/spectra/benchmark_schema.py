"""The parquet schema of the multimodal benchmark (Alberts et al. 2024): its columns, types and units."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from mmspec_ds.spectra.records import Modality, Polarity

SMILES = "smiles"
FORMULA = "molecular_formula"
H_NMR = "h_nmr_peaks"
C_NMR = "c_nmr_peaks"
IR = "ir_spectra"
HSQC = "hsqc_nmr_peaks"
CARBON_SHIFT = "delta (ppm)"

POLARITIES: tuple[Polarity, ...] = ("positive", "negative")
ENERGIES_EV = (10, 20, 40)

CATEGORY = re.compile(r"(?:hept|[sdtqphm])+")
"""The multiplicities of the benchmark: letters s d t q p h (sextet) m and hept, one after the other."""

_MS_COLUMN = re.compile(r"msms_(?P<cfmid>cfmid_)?(?P<polarity>positive|negative)_(?P<energy>10|20|40)ev")

_H_NMR_FIELDS = {
    "category": pa.string(),
    "centroid": pa.float64(),
    "delta": pa.float64(),
    "j_values": pa.string(),
    "nH": pa.int64(),
    "rangeMax": pa.float64(),
    "rangeMin": pa.float64(),
}
_C_NMR_FIELDS = (CARBON_SHIFT, "integral", "intensity", "width (ppm)")

H_NMR_NEEDED = ("category", "centroid", "j_values", "nH", "rangeMax", "rangeMin")

PEAK_PAIRS = pa.list_(pa.list_(pa.float64()))


@dataclass(frozen=True, slots=True)
class MSColumn:
    """A column of MS/MS spectra: all of one polarity and one collision energy."""

    name: str
    polarity: Polarity
    energy_ev: int


def ms_columns(names: Iterable[str]) -> list[MSColumn]:
    """The MS/MS columns among `names`, positive before negative and by rising energy.

    Both spellings are known: msms_positive_10ev, which the benchmark's script reads, and
    msms_cfmid_positive_10ev, which the published sample has. A file with both gives the first.
    """
    found: dict[tuple[Polarity, int], MSColumn] = {}
    for name in names:
        match = _MS_COLUMN.fullmatch(name)
        if match is None:
            continue
        polarity: Polarity = "positive" if match["polarity"] == "positive" else "negative"
        key = (polarity, int(match["energy"]))
        if key not in found or not match["cfmid"]:
            found[key] = MSColumn(name, *key)
    order = [(polarity, energy) for polarity in POLARITIES for energy in ENERGIES_EV]
    return [found[key] for key in order if key in found]


def ms_column_name(polarity: Polarity, energy_ev: int) -> str:
    """The column in which a written file keeps such spectra."""
    return f"msms_{polarity}_{energy_ev}ev"


def modality_column(modality: Modality) -> str:
    """The column that a modality needs, as an error message names it."""
    return {
        Modality.H_NMR: H_NMR,
        Modality.C_NMR: C_NMR,
        Modality.IR: IR,
        Modality.MS: "msms_{positive,negative}_{10,20,40}ev",
        Modality.FORMULA: FORMULA,
        Modality.HSQC: HSQC,
    }[modality]


def written_schema() -> pa.Schema:
    """The columns and types of a written file: those of the benchmark, as far as a record carries them."""
    h_nmr = pa.struct(list(_H_NMR_FIELDS.items()))
    c_nmr = pa.struct([(name, pa.float64()) for name in _C_NMR_FIELDS])
    columns = {
        SMILES: pa.string(),
        FORMULA: pa.string(),
        H_NMR: pa.list_(h_nmr),
        C_NMR: pa.list_(c_nmr),
        IR: pa.list_(pa.float32()),
    }
    for polarity in POLARITIES:
        columns |= {ms_column_name(polarity, energy): PEAK_PAIRS for energy in ENERGIES_EV}
    return pa.schema(list(columns.items()))
