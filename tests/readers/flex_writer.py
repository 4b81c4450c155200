"""Folders of MALDI-TOF spectra as flexControl writes them, made for tests."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

POINTS, DELAY, STEP = 20_000, 19_462, 2
ML1, ML2, ML3 = 5392738.36267813, 417.483287542185, -0.0156441528320176
PARAMETERS: Mapping[str, str] = {
    "TITLE": "XMASS Parameter file",
    ".IONIZATION MODE": "LD+",
    "$AQ_DATE": "<2014-05-06T13:03:42.324+02:00>",
    "$BYTORDA": "0",
    "$DELAY": str(DELAY),
    "$DW": str(STEP),
    "$HPClUse": "no",
    "$HPCStr": "<>",
    "$ML1": repr(ML1),
    "$ML2": repr(ML2),
    "$ML3": repr(ML3),
    "$NTBCal": "<V3.0CCalibrator V3.0CTOFCalibrationConstants 19462 2>",
    "$SPOTNO": "<F9>",
    "$TD": str(POINTS),
    "$TgIDS": "<G_1>",
}


def flight_time(mz: np.ndarray) -> np.ndarray:
    """The time in ns at which an m/z arrives: the inverse of what the reader computes."""
    return ML2 + np.sqrt(1e12 / ML1) * np.sqrt(mz) + ML3 * mz


def counts_of(peaks: Mapping[float, float], seed: int = 0) -> np.ndarray:
    """Counts of Gaussian lines at some m/z with some heights, on a falling baseline with noise, int32."""
    rng = np.random.default_rng(seed)
    time = DELAY + STEP * np.arange(POINTS)
    curve = 800 + 3000 * np.exp(-np.arange(POINTS) / 5000) + rng.normal(0, 15, POINTS)
    for mz, height in peaks.items():
        centre = flight_time(np.array(mz))
        curve += height * np.exp(-0.5 * ((time - centre) / (centre / 3000)) ** 2)
    return curve.round().astype("<i4")


def write_flex(
    folder: Path, counts: np.ndarray, parameters: Mapping[str, str | None] | None = None, order: str = "<"
) -> Path:
    """Write `acqu` and `fid` into a folder, which is returned. Parameters replace those of `PARAMETERS`, None
    leaves one out."""
    folder.mkdir(parents=True)
    known = PARAMETERS | (parameters or {})
    lines = [f"##{name}= {value} " for name, value in known.items() if value is not None]
    (folder / "acqu").write_bytes("\r\n".join([*lines, "##END=", ""]).encode("latin-1"))
    (folder / "fid").write_bytes(counts.astype(f"{order}i4").tobytes())
    return folder
