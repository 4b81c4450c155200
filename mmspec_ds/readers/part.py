"""Parts: what a file says of one molecule; or the reason why a record of the file gives no part."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmspec_ds.spectra.records import FloatArray, Modality, Spectrum

Metadata = Mapping[str, str | float | int]

NAME = "name"
"""What the file calls the record: a title, an accession, a spectrum's native id."""
INCHIKEY = "inchikey"
INSTRUMENT = "instrument"
SOLVENT = "solvent"
FREQUENCY_MHZ = "frequency_mhz"
"""Of the nucleus observed, in MHz."""
PRECURSOR_MZ = "precursor_mz"
CHARGE = "charge"
"""Of the precursor, signed: 2 is [M+2H]2+, -1 is [M-H]-."""
ADDUCT = "adduct"
COLLISION_ENERGY = "collision_energy"
"""As the file writes it; the spectrum carries the model's nearest energy in eV."""
ASSUMED_EV = "assumed_ev"
"""The collision energy in eV that was assumed, where the file has none that is understood."""
MEASURED_EV = "measured_ev"
"""The collision energy in eV that was understood, before it was mapped to one of the model's."""
INSTITUTE = "institute"
"""Who measured the spectrum, as a database writes it."""
LICENCE = "licence"
SPLIT = "split"
"""The part of a data set that the record belongs to: train, val, test."""
ROLE = "role"
"""In a test of searching: library or query."""
CROSS_SOURCE = "cross_source"
"""Whether another institute has the molecule: true or false."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The measured curve behind a list of peaks, for a drawing: `axis` in `unit`, and `values`, both [n]; the
    places that were `picked` from it, if any, [k]."""

    axis: FloatArray
    values: FloatArray
    unit: str
    picked: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The content of one record of a file.

    Attributes:
        id: "<file name>:<number>", numbers from 0 in the order of the file.
        spectra: one or more, each complete and checked: finite, sorted, in the units of `records`.
        smiles: as written, if the file has one that RDKit can read.
        formula: of the neutral molecule or as written, if `parse_formula` can read it.
        metadata: all else that is worth keeping. The keys named above are the same in all formats, others are
            the file's own in lower case.
        remarks: what was changed, guessed or left out, one short sentence each.
        trace: the curve from which the spectrum was picked, if there is one.
    """

    id: str
    spectra: tuple[Spectrum, ...]
    smiles: str | None = None
    formula: str | None = None
    metadata: Metadata = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    trace: Trace | None = None

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Modalities of the spectra in the order of `Modality`, each once."""
        return tuple(sorted({spectrum.modality for spectrum in self.spectra}))


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that gives no part.

    Attributes:
        path: the file.
        number: of the record, from 0.
        reason: one line: what is wrong, and what was expected.
        line: of the file, from 1, where that helps to find the place.
        fault: False for a sound record that is not used: a survey scan, another nucleus.
    """

    path: Path
    number: int
    reason: str
    line: int | None = None
    fault: bool = True

    @property
    def id(self) -> str:
        """The id that a part would have."""
        return part_id(self.path, self.number)

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line is not None else ""
        return f"{self.path}, record {self.number}{line}: {self.reason}"


Item = Part | Rejected


class RecordFault(ValueError):
    """A fault of one record, with its line if known. Readers catch it; callers never see it."""

    def __init__(self, reason: str, *, line: int | None = None, fault: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.line, self.fault = one_line(reason), line, fault

    def rejected(self, path: Path, number: int, line: int | None = None) -> Rejected:
        """The item for this fault; `line` is used where the fault has none."""
        return Rejected(path, number, self.reason, self.line if self.line is not None else line, self.fault)


def read_one(path: Path, make: Callable[[], Part]) -> Iterator[Item]:
    """The one item of a file: the part that `make` returns, or why there is none."""
    try:
        yield make()
    except RecordFault as fault:
        yield fault.rejected(path, 0)


def part_id(path: Path, number: int) -> str:
    """The id of a record: file name and number, counted from 0."""
    return f"{path.name}:{number}"


def counted(count: int, what: str) -> str:
    """ "1 line", "2 lines": a number and the word for what is counted."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def one_line(text: object, limit: int = 200) -> str:
    """A text from elsewhere made fit for one printed line: blanks joined, control characters escaped, cut at
    `limit`."""
    words = " ".join(str(text).split())
    if words.isprintable():
        printable = words
    else:
        printable = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in words)
    return printable if len(printable) <= limit else f"{printable[: limit - 3]}..."
