"""Writer of JCAMP-DX 5.01: what is written reads back as it was.

IR is XYDATA; 13C a peak table; 1H assignments, whose text has couplings and ranges, with a table of its
first-order lines beside them for the programs that read only tables. Labels that the standard requires are
there, in its order; lines have at most 80 characters.
"""

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np

from mmspec_ds.files import replacing
from mmspec_ds.readers import part as keys
from mmspec_ds.readers.nmr_lists import BENCHMARK_MHZ
from mmspec_ds.readers.part import Part, one_line
from mmspec_ds.readers.picking.first_order import LETTERS
from mmspec_ds.spectra.records import CarbonNMR, FloatArray, HydrogenNMR, Infrared, Multiplet

LONGEST_LINE = 80
_ORIGIN = "mmspec-ds"
_MOST_LINES = 4096  # of the first-order lines of a multiplet


def write_jcamp(path: Path | str, parts: Iterable[Part]) -> int:
    """Write the NMR and IR spectra of parts, a block each, in a LINK block if there are several; the file
    appears whole or not at all. Spectra of other kinds are left out.

    Returns:
        The number of spectra written.

    Raises:
        ValueError: there is no NMR or IR spectrum.
    """
    blocks: list[list[str]] = []
    written = 0
    for part in parts:
        for spectrum in part.spectra:
            if isinstance(spectrum, Infrared):
                blocks.append(_infrared(part, spectrum))
            elif isinstance(spectrum, CarbonNMR):
                blocks.append(_carbon(part, spectrum))
            elif isinstance(spectrum, HydrogenNMR):
                blocks += [_assignments(part, spectrum), _lines(part, spectrum)]
            else:
                continue
            written += 1
    if not blocks:
        raise ValueError("no NMR or IR spectrum to write")
    if len(blocks) > 1:
        head = ["##TITLE= " + _ORIGIN, "##JCAMP-DX= 5.01", "##DATA TYPE= LINK", f"##BLOCKS= {len(blocks)}"]
        blocks = [[*head, *_owner()], *blocks, ["##END="]]
    with replacing(Path(path)) as partial:
        text = "\n".join(line for block in blocks for line in block) + "\n"
        partial.write_text(text, encoding="utf-8", newline="\n")
    return written


def _head(part: Part, data_type: str, data_class: str) -> list[str]:
    title = _plain(str(part.metadata.get(keys.NAME, part.id)))
    lines = [
        f"##TITLE= {title}",
        "##JCAMP-DX= 5.01",
        f"##DATA TYPE= {data_type}",
        f"##DATA CLASS= {data_class}",
    ]
    lines += _owner()
    return [*lines, f"##MOLFORM= {part.formula}"] if part.formula else lines


def _owner() -> list[str]:
    return [f"##ORIGIN= {_ORIGIN}", "##OWNER= unknown"]


def _plain(text: str) -> str:
    """Without what would end a label or begin a comment."""
    return one_line(text.replace("##", "# #").replace("$$", "$ $"), 60)


def _infrared(part: Part, spectrum: Infrared) -> list[str]:
    count = len(spectrum.absorbance)
    places = np.linspace(spectrum.start_cm1, spectrum.stop_cm1, count)
    step = (spectrum.stop_cm1 - spectrum.start_cm1) / (count - 1)
    return [
        *_head(part, "INFRARED SPECTRUM", "XYDATA"),
        "##XUNITS= 1/CM",
        "##YUNITS= ABSORBANCE",
        f"##FIRSTX= {float(places[0])!r}",
        f"##LASTX= {float(places[-1])!r}",
        f"##DELTAX= {step!r}",
        f"##MAXY= {float(spectrum.absorbance.max())!r}",
        f"##MINY= {float(spectrum.absorbance.min())!r}",
        "##XFACTOR= 1",
        "##YFACTOR= 1",
        f"##NPOINTS= {count}",
        f"##FIRSTY= {float(spectrum.absorbance[0])!r}",
        "##XYDATA= (X++(Y..Y))",
        *_affn(places, spectrum.absorbance),
        "##END=",
    ]


def _affn(places: FloatArray, values: FloatArray) -> list[str]:
    """Lines of a place and as many values as fit, all digits written."""
    lines, line = [], ""
    for place, value in zip(places.tolist(), values.tolist()):
        text = repr(value)
        if line and len(line) + 1 + len(text) <= LONGEST_LINE:
            line += " " + text
        else:
            lines += [line] if line else []
            line = f"{place:.10g} {text}"
    return [*lines, line]


def _nmr_head(part: Part, data_type: str, data_class: str, nucleus: str) -> list[str]:
    frequency = part.metadata.get(keys.FREQUENCY_MHZ)
    if frequency is None:
        frequency = BENCHMARK_MHZ if nucleus == "1H" else round(BENCHMARK_MHZ * 0.25145, 4)
    lines = [
        *_head(part, data_type, data_class),
        f"##.OBSERVE FREQUENCY= {frequency}",
        f"##.OBSERVE NUCLEUS= ^{nucleus}",
    ]
    if solvent := part.metadata.get(keys.SOLVENT):
        lines.append(f"##.SOLVENT NAME= {_plain(str(solvent))}")
    return [*lines, "##XUNITS= PPM", "##YUNITS= ARBITRARY UNITS"]


def _table(peaks: list[tuple[float, float]]) -> list[str]:
    first, last = peaks[0], peaks[-1]
    return [
        f"##FIRSTX= {first[0]!r}",
        f"##LASTX= {last[0]!r}",
        "##XFACTOR= 1",
        "##YFACTOR= 1",
        f"##NPOINTS= {len(peaks)}",
        f"##FIRSTY= {first[1]!r}",
        "##PEAK TABLE= (XY..XY)",
        *(f"{x!r}, {y!r}" for x, y in peaks),
        "##END=",
    ]


def _carbon(part: Part, spectrum: CarbonNMR) -> list[str]:
    peaks = [(float(shift), 1.0) for shift in spectrum.shifts_ppm]
    return [*_nmr_head(part, "NMR PEAK TABLE", "PEAK TABLE", "13C"), *_table(peaks)]


def _assignments(part: Part, spectrum: HydrogenNMR) -> list[str]:
    return [
        *_nmr_head(part, "NMR PEAK ASSIGNMENTS", "ASSIGNMENTS", "1H"),
        f"##NPOINTS= {len(spectrum.multiplets)}",
        "##PEAK ASSIGNMENTS= (XYMA)",
        *(line for multiplet in spectrum.multiplets for line in _entry(multiplet)),
        "##END=",
    ]


def _entry(multiplet: Multiplet) -> list[str]:
    couplings = ", ".join(repr(float(j)) for j in multiplet.j_hz)
    text = [f"J= {couplings} Hz;"] if couplings else []
    text.append(f"{float(multiplet.max_ppm)!r} to {float(multiplet.min_ppm)!r} ppm")
    head = f"({float(multiplet.centroid_ppm)!r}, {multiplet.hydrogens}, {multiplet.category},"
    whole = f"{head} <{' '.join(text)}>)"
    if len(whole) <= LONGEST_LINE:
        return [whole]
    lines = [head, *(f"<{one}" if place == 0 else one for place, one in enumerate(text))]
    return [*lines[:-1], lines[-1] + ">)"]


def _lines(part: Part, spectrum: HydrogenNMR) -> list[str]:
    mhz = float(part.metadata.get(keys.FREQUENCY_MHZ, BENCHMARK_MHZ))
    peaks = sorted((peak for m in spectrum.multiplets for peak in _first_order(m, mhz)), reverse=True)
    return [*_nmr_head(part, "NMR PEAK TABLE", "PEAK TABLE", "1H"), *_table(peaks)]


def _first_order(multiplet: Multiplet, mhz: float) -> list[tuple[float, float]]:
    """Shifts and heights of the lines of a multiplet; one line in its middle where it has no couplings."""
    counts = [LETTERS.index(letter) for letter in re.findall(r"hept|[sdtqph]", multiplet.category)]
    falling = sorted(multiplet.j_hz, reverse=True)
    couplings = [j for j, count in zip(falling, counts) for _ in range(count)]
    if len(counts) != len(falling) or 2 ** len(couplings) > _MOST_LINES:
        couplings = []
    heights: dict[float, float] = {}
    share = max(multiplet.hydrogens, 1) / 2 ** len(couplings)
    for signs in product((-0.5, 0.5), repeat=len(couplings)):
        place = round(multiplet.centroid_ppm + sum(s * j for s, j in zip(signs, couplings)) / mhz, 6)
        heights[place] = heights.get(place, 0.0) + share
    return list(heights.items())
