"""mzTab-M 2.0 (Hoffmann et al. 2019, Anal Chem 91, 3302): abundances of features or molecules in assays.

The samples of the table are the assays. `study_variable` holds the name of the study variable that an assay
belongs to; `sample_ref` and `ms_run` what the metadata say.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.readers.column_names import SAMPLE
from mmspec_ds.readers.feature_positions import NOWHERE, Axis
from mmspec_ds.readers.number_cells import is_missing
from mmspec_ds.readers.part import counted
from mmspec_ds.readers.sample_columns import Columns, shortened, unique_columns
from mmspec_ds.readers.text_grid import Cells

Section = Literal["auto", "features", "molecules"]


@dataclass
class _Section:
    """The names of the columns of a section, and its rows."""

    head: Cells = ()
    rows: list[Cells] = field(default_factory=list)

    @property
    def assays(self) -> dict[int, str]:
        """The numbers of the assays by the places of their abundances."""
        return {at: match[1] for at, name in enumerate(self.head) if (match := _ABUNDANCE.fullmatch(name))}

    def column(self, name: str) -> Cells | None:
        """The cells of a column, None without one."""
        return tuple(row[self.head.index(name)] for row in self.rows) if name in self.head else None


_HEADS = {"SFH": "SMF", "SMH": "SML"}
_CODES = {"features": "SMF", "molecules": "SML"}
_ABUNDANCE = re.compile(r"abundance_assay\[(\d+)\]")
_ASSAY = re.compile(r"assay\[(\d+)\](?:-(.+))?")
_VARIABLE = re.compile(r"study_variable\[(\d+)\](?:-(.+))?")
_REFERENCE = re.compile(r"assay\[(\d+)\]")


def looks_like_mztab(head: str) -> bool:
    """Whether a text begins as mzTab does: metadata lines, among them the version."""
    return bool(re.search(r"^MTD\tmzTab-version\t", head[:4096], re.MULTILINE))


def read_mztab(path: Path, lines: Sequence[str], section: Section = "auto") -> Columns:
    """The abundances of an mzTab-M file, by assay.

    Args:
        path: of the file.
        lines: its text.
        section: "features" (SMF, with their m/z) or "molecules" (SML, with the m/z of their first feature);
            "auto" takes the features, or the molecules if there are none.

    Raises:
        DataError: it is mzTab 1.0 of proteins, holds no such section, or a row does not fit its header.
    """
    metadata: dict[str, str] = {}
    sections = {code: _Section() for code in _CODES.values()}
    for number, line in enumerate(lines, 1):
        cells = tuple(cell.strip() for cell in line.rstrip("\t \r").split("\t"))
        if cells[0] == "MTD" and len(cells) > 2:
            metadata[cells[1]] = cells[2]
        elif cells[0] in _HEADS:
            sections[_HEADS[cells[0]]].head = cells[1:]
        elif cells[0] in sections:
            sections[cells[0]].rows.append(_filled(path, number, cells, sections[cells[0]].head))
    version = metadata.get("mzTab-version", "")
    if not version.startswith("2"):
        raise DataError(f"is mzTab {version or 'of no version'}: expected mzTab-M 2", path=path)
    found = [code for code, one in sections.items() if one.rows and one.assays]
    wanted = _CODES.get(section) or (found[0] if found else "SMF")
    if wanted not in found:
        raise DataError(f"has no section {wanted} with columns abundance_assay[1-n]", path=path)
    return _columns(path, metadata, sections, wanted)


def _filled(path: Path, number: int, cells: Cells, head: Cells) -> Cells:
    """A row with as many cells as its header, those missing null."""
    if not head:
        raise DataError(f"line {number} of section {cells[0]} comes before its header", path=path)
    if len(cells) - 1 > len(head):
        raise DataError(f"line {number} has {len(cells)} cells, but its header has {len(head) + 1}", path=path)
    return (*cells[1:], *["null"] * (len(head) - len(cells) + 1))


def _columns(path: Path, metadata: Mapping[str, str], sections: Mapping[str, _Section], code: str) -> Columns:
    section = sections[code]
    assays = section.assays
    names = _feature_names(section, code)
    cells = [tuple(row[place] for place in assays) for row in section.rows]
    columns, remarks = unique_columns(names, cells, "row")
    described, told = _assays(metadata, list(assays.values()))
    clash = sorted(set(columns) & set(described))
    if clash:
        raise DataError(f"a feature is called {clash[0]!r}: expected another name", path=path)
    axis = _axis(sections, code) if len(columns) == len(names) else NOWHERE
    about = f"mzTab-M, section {code}: {counted(len(columns), 'feature')} of {counted(len(assays), 'assay')}"
    places = tuple(f"assay[{number}]" for number in assays.values())
    remarks = [about, *told, *remarks]
    return Columns(
        path, {**described, **columns}, SAMPLE, places, tuple(columns), axis=axis, remarks=tuple(remarks)
    )


def _feature_names(section: _Section, code: str) -> list[str]:
    """The name of a molecule where there is one, else its number; a number is added where names recur."""
    numbers = section.column(f"{code}_ID") or tuple(str(at) for at in range(1, len(section.rows) + 1))
    ids = [f"{code}_{number}" for number in numbers]
    told = section.column("chemical_name")
    if told is None:
        return ids
    count = Counter(told)
    return [
        one if is_missing(name) else name if count[name] == 1 else f"{name} ({one})"
        for name, one in zip(told, ids)
    ]


def _assays(metadata: Mapping[str, str], numbers: Sequence[str]) -> tuple[dict[str, Cells], list[str]]:
    """What the metadata say of assays: their names, samples, runs and study variables."""
    names = {number: metadata.get(f"assay[{number}]", "") or f"assay[{number}]" for number in numbers}
    variables: dict[str, list[str]] = {number: [] for number in numbers}
    for key, value in metadata.items():
        match = _VARIABLE.fullmatch(key)
        if match and match[2] == "assay_refs":
            title = metadata.get(f"study_variable[{match[1]}]", "")
            title = title or metadata.get(f"study_variable[{match[1]}]-description", "") or key.split("-")[0]
            for number in _REFERENCE.findall(value):
                if number in variables:
                    variables[number].append(title)
    columns: dict[str, Cells] = {SAMPLE: tuple(names.values())}
    columns["study_variable"] = tuple(" | ".join(found) for found in variables.values())
    for key, name in (("sample_ref", "sample_ref"), ("ms_run_ref", "ms_run")):
        values = [metadata.get(f"assay[{number}]-{key}", "") for number in numbers]
        if any(values):
            columns[name] = tuple(metadata.get(value, "") or value for value in values)
    told = []
    several = sum(len(found) > 1 for found in variables.values())
    without = sum(not found for found in variables.values())
    if several:
        told.append(f"{counted(several, 'assay')} in several study variables, named together")
    if without:
        told.append(f"{counted(without, 'assay')} in no study variable")
    kinds = list(dict.fromkeys(filter(None, columns["study_variable"])))
    if kinds:
        told.append(f"study variables: {shortened(kinds)}")
    return columns, told


def _axis(sections: Mapping[str, _Section], code: str) -> Axis:
    """The m/z of features; of a molecule that of the first feature that it refers to."""
    features = sections["SMF"]
    masses = [_mass(cell) for cell in features.column("exp_mass_to_charge") or ()]
    if code == "SML":
        known = dict(zip(features.column("SMF_ID") or (), masses))
        references = sections[code].column("SMF_ID_REFS") or ()
        masses = [known.get(one.split("|")[0].strip(), math.nan) for one in references]
    position_F = np.array(masses)
    known_F = position_F[np.isfinite(position_F)]
    if not len(known_F):
        return NOWHERE
    return Axis(position_F, "m/z", f"exp_mass_to_charge: m/z {known_F.min():g} to {known_F.max():g}")


def _mass(cell: str) -> float:
    try:
        mass = float(cell)
    except ValueError:
        return math.nan
    return mass if 0 < mass < 1e6 else math.nan
