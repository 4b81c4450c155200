"""Where solvents show in NMR spectra: residual 1H signals, 13C signals, water.

Shifts, multiplicities and J(C,D) of the common deuterated solvents: Gottlieb, Kotlyar and Nudelman, J. Org.
Chem. 1997, 62, 7512, and Fulmer et al., Organometallics 2010, 29, 2176.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SolventLine:
    """One signal of a solvent: its middle in ppm, half its extent in Hz, and the coupling to deuterium in Hz
    where its lines are apart."""

    ppm: float
    half_hz: float = 0.0
    j_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Solvent:
    """The signals of one solvent; `names` in the spelling of `_key`."""

    names: tuple[str, ...]
    hydrogen: tuple[SolventLine, ...]
    carbon: tuple[SolventLine, ...]
    water_ppm: float | None


def _methyl(ppm: float) -> SolventLine:
    return SolventLine(ppm, 4.4)  # CHD2: a quintet of J(H,D) = 2.2 Hz


def _carbon(ppm: float, deuterons: int = 0, j_hz: float = 0.0) -> SolventLine:
    return SolventLine(ppm, deuterons * j_hz, j_hz)


SOLVENTS = (
    Solvent(("cdcl3", "chloroform", "chcl3"), (SolventLine(7.26),), (_carbon(77.16, 1, 32.0),), 1.56),
    Solvent(
        ("dmso", "(cd3)2so", "c2d6so", "dimethylsulfoxide", "dimethylsulphoxide"),
        (_methyl(2.50),),
        (_carbon(39.52, 3, 21.0),),
        3.33,
    ),
    Solvent(("cd3od", "meod", "meoh", "methanol"), (_methyl(3.31),), (_carbon(49.00, 3, 21.4),), 4.87),
    Solvent(
        ("acetone", "(cd3)2co", "c3d6o", "cd3cocd3"),
        (_methyl(2.05),),
        (_carbon(29.84, 3, 19.4), _carbon(206.26)),
        2.84,
    ),
    Solvent(
        ("cd3cn", "mecn", "acn", "acetonitrile"),
        (_methyl(1.94),),
        (_carbon(1.32, 3, 21.0), _carbon(118.26)),
        2.13,
    ),
    Solvent(("d2o", "water", "h2o+d2o", "h2o"), (SolventLine(4.79, 10.0),), (), None),
    Solvent(("c6d6", "benzene"), (SolventLine(7.16),), (_carbon(128.06, 1, 24.3),), 0.40),
    Solvent(
        ("cd2cl2", "dichloromethane", "methylenechloride"),
        (SolventLine(5.32, 1.2),),
        (_carbon(53.84, 2, 27.0),),
        1.52,
    ),
    Solvent(
        ("thf", "c4d8o", "tetrahydrofuran"),
        (SolventLine(1.72, 3.0), SolventLine(3.58, 3.0)),
        (_carbon(25.31, 2, 20.2), _carbon(67.21, 2, 22.2)),
        2.46,
    ),
    Solvent(
        ("toluene", "c7d8", "tol"),
        (_methyl(2.08), SolventLine(6.97), SolventLine(7.01), SolventLine(7.09)),
        (
            _carbon(137.48),
            _carbon(128.87, 1, 23.0),
            _carbon(127.96, 1, 24.0),
            _carbon(125.13, 1, 24.0),
            _carbon(20.43, 3, 19.0),
        ),
        0.43,
    ),
    Solvent(
        ("pyridine", "c5d5n"),
        (SolventLine(7.22), SolventLine(7.58), SolventLine(8.74)),
        (_carbon(123.44, 1, 25.0), _carbon(135.43, 1, 24.5), _carbon(149.84, 1, 27.5)),
        4.96,
    ),
)

_DEUTERATED = re.compile(r"[-_]?d\d+$|^d\d+-?|[-_]d$|\[d\d*\]")


def find_solvent(name: str) -> Solvent | None:
    """The solvent that a file means by "CDCl3", "DMSO-d6", "Acetone_d6" or "methanol-D4"; None if unknown."""
    key = _key(name)
    return next((solvent for solvent in SOLVENTS if key in solvent.names), None) if key else None


def _key(name: str) -> str:
    text = "".join(name.lower().split()).strip("<>\"'")
    whole = text if any(text in solvent.names for solvent in SOLVENTS) else _DEUTERATED.sub("", text)
    return whole.strip("-_")
