"""Made entries and a made model, for the tests of the library."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.library.entry import Entry, FloatMatrix
from mmspec_ds.spectra.records import Record, TandemMS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def block_of(number: int) -> str:
    """A made first block of an InChIKey."""
    return "".join(LETTERS[(number // 26**place) % 26] for place in range(14))


def entry(number: int, **metadata: str | float | int) -> Entry:
    """The entry of a made molecule, with 3 + number % 5 peaks."""
    random = np.random.default_rng(number)
    mz = np.sort(random.uniform(50, 500, 3 + number % 5))
    spectrum = TandemMS(
        mz,
        random.uniform(1, 1000, len(mz)),
        polarity="negative" if number % 3 == 0 else "positive",
        collision_energy_ev=17.5,
        precursor_mz=100 + (37.25 * number) % 400,
        adduct="[M+H]+",
        charge=1,
        measured_energy_ev=17.5,
    )
    known = {"name": f"molecule {number}", "institute": "Eawag", "licence": "CC0", "lab_note": "a", **metadata}
    return Entry(
        Record(f"made.msp:{number}", (spectrum,), "C" * (1 + number % 9), "CH4"), block_of(number), known
    )


@dataclass
class Model:
    """A made model: the vector of a record is drawn from a seed that its first m/z gives."""

    name: str = "made model"
    identity: str = "1111aaaa2222bbbb"
    width: int = 8

    def embed(self, records: Sequence[Record], progress: Callable[[int], None] | None = None) -> FloatMatrix:
        rows = np.zeros((len(records), self.width), np.float32)
        for row, record in zip(rows, records):
            spectrum = record.spectra[0]
            if isinstance(spectrum, TandemMS):
                row[:] = np.random.default_rng(int(spectrum.mz[0] * 1e6)).standard_normal(self.width)
                row /= np.linalg.norm(row)
        return rows
