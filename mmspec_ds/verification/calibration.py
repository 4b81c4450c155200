"""What a model's folder says of verification and confidence: `calibration.json`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from mmspec_ds.errors import DataError
from mmspec_ds.files import write_json
from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.settings import Settings, validated
from mmspec_ds.spectra.records import CarbonNMR, HydrogenNMR, Record, TandemMS
from mmspec_ds.verification.error_models import ErrorModels

CALIBRATION = "calibration.json"
MARGIN = 0.05
"""Numbers this share of the known range outside of it are still alike."""


class Known(Settings):
    """What the molecules and spectra of the calibration were like."""

    elements: tuple[str, ...] = Field(description="symbols in the molecules' formulas")
    modalities: tuple[str, ...] = Field(description="kinds of spectra")
    always: tuple[str, ...] = Field(description="those that every record had")
    ranges: dict[str, tuple[float, float]] = Field(description="least and greatest of each number")


class Calibration(Settings):
    """The error models, the weight of the model's own log-probability beside them, and how probable it is that
    the right molecule is among the candidates."""

    errors: ErrorModels = ErrorModels()
    model_weight: float = Field(default=1.0, ge=0, description="factor of the model's log-probability")
    listed: tuple[float, ...] | None = Field(
        default=None, description="logistic weights of the features of a list, the intercept first"
    )
    known: Known | None = None
    checks: dict[str, Any] = Field(
        default={}, description="reliability on molecules of the calibration that were left out of the fit"
    )


def load_calibration(folder: Path) -> Calibration:
    """The calibration in a model's folder, or the defaults where there is none.

    Raises:
        DataError: the file cannot be read.
        ConfigError: it holds something else.
    """
    path = folder / CALIBRATION
    if not path.is_file():
        return Calibration()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from None
    return validated(Calibration, content, str(path))


def save_calibration(calibration: Calibration, folder: Path) -> Path:
    """Write the calibration into a model's folder; returns the file."""
    path = folder / CALIBRATION
    write_json(path, calibration.model_dump(mode="json"))
    return path


def describe_known(records: Iterable[Record]) -> Known:
    """What some records are like."""
    elements: set[str] = set()
    modalities: set[str] = set()
    always: set[str] | None = None
    ranges: dict[str, tuple[float, float]] = {}
    for record in records:
        elements |= _elements(record)
        modalities |= _modalities(record)
        always = _modalities(record) if always is None else always & _modalities(record)
        for name, values in _numbers(record).items():
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = float(min(low, *values)), float(max(high, *values))
    return Known(
        elements=tuple(sorted(elements)),
        modalities=tuple(sorted(modalities)),
        always=tuple(sorted(always or ())),
        ranges=ranges,
    )


def unlike(record: Record, known: Known) -> list[str]:
    """Remarks on what of a record is unlike everything that the confidence was calibrated on; none if it is
    not."""
    remarks = []
    strange = sorted(_elements(record) - set(known.elements))
    if strange:
        remarks.append(f"unlike the known molecules: element {', '.join(strange)}")
    strange = sorted(_modalities(record) - set(known.modalities))
    if strange:
        remarks.append(f"unlike the known records: spectra of {', '.join(strange)}")
    absent = sorted(set(known.always) - _modalities(record))
    if absent:
        remarks.append(f"unlike the known records: no spectra of {', '.join(absent)}")
    for name, values in _numbers(record).items():
        low, high = known.ranges.get(name, (-np.inf, np.inf))
        margin = MARGIN * (high - low)
        outside = [value for value in values if not low - margin <= value <= high + margin]
        if outside:
            remarks.append(
                f"unlike the known records: {name} {outside[0]:.6g}, known are {low:.6g} to {high:.6g}"
            )
    return remarks


def _elements(record: Record) -> set[str]:
    return set(_atoms(record))


def _atoms(record: Record) -> dict[str, int]:
    """Counts by element; none where there is no formula that can be read."""
    try:
        return parse_formula(record.formula or "")[0]
    except ValueError:
        return {}


def _modalities(record: Record) -> set[str]:
    return {spectrum.modality.name.lower() for spectrum in record.spectra}


def _numbers(record: Record) -> dict[str, list[float]]:
    """The numbers of a record that are compared, by their name."""
    found: dict[str, list[float]] = {}
    atoms = _atoms(record)
    if atoms:
        found["number of heavy atoms"] = [float(sum(n for symbol, n in atoms.items() if symbol != "H"))]
    for spectrum in record.spectra:
        match spectrum:
            case CarbonNMR() if spectrum.shifts_ppm:
                found.setdefault("13C shift (ppm)", []).extend(spectrum.shifts_ppm)
                found.setdefault("number of 13C lines", []).append(float(len(spectrum.shifts_ppm)))
            case HydrogenNMR() if spectrum.multiplets:
                found.setdefault("1H shift (ppm)", []).extend(one.centroid_ppm for one in spectrum.multiplets)
                found.setdefault("number of 1H signals", []).append(float(len(spectrum.multiplets)))
            case TandemMS(precursor_mz=float(precursor)):
                found.setdefault("precursor m/z", []).append(precursor)
    return found
