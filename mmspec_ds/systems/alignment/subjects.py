"""The objects of a dialogue, with their names and what is known of the molecules behind them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.facts import facts_of
from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.smiles import canonical_smiles
from mmspec_ds.readers.adduct import parse_adduct
from mmspec_ds.readers.batches import sources_in
from mmspec_ds.readers.cell_table import CellTable
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.readers.fasta import clean_sequence
from mmspec_ds.readers.inspection import described
from mmspec_ds.readers.known_composition import known_composition
from mmspec_ds.readers.part import counted, one_line
from mmspec_ds.readers.requests import Request, Source, request_of_sources
from mmspec_ds.spectra.records import Record, TandemMS
from mmspec_ds.systems.alignment.checking import NOTHING, Known
from mmspec_ds.systems.alignment.object_files import Cells, read_proteins
from mmspec_ds.systems.alignment.objects import Kind, Molecule, Object, Protein, kind_of

PRECURSOR_PPM = 10.0


@dataclass(frozen=True)
class Subject:
    """An object of a dialogue.

    Attributes:
        object: what the model is given.
        name: for the reader.
        known: of its molecule; answers are checked by it. The model is not told.
        details: what was read, a line each.
        remarks: what the readers changed, assumed or left out.
    """

    object: Object
    name: str
    known: Known = NOTHING
    details: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """The kind of the object."""
        return kind_of(self.object)

    def inferred(self, smiles: str, model: str, confidence: float | None) -> Self:
        """The subject with a structure that a model proposes for it.

        Args:
            smiles: canonical.
            model: its name.
            confidence: the probability that it is right; None where that is not known.
        """
        told = "" if confidence is None else f", {confidence:.0%} sure"
        source = f"the structure that {model} proposes, {smiles}{told}"
        known = replace(self.known, source=source, smiles=smiles, formula=facts_of(smiles).formula)
        return replace(self, known=known)


def molecule_subject(smiles: str) -> Subject:
    """A molecule by its SMILES, which answers are checked by.

    Raises:
        DataError: it is no valid structure.
    """
    try:
        canonical = canonical_smiles(smiles.strip())
        facts = facts_of(canonical)
    except ValueError as error:
        raise DataError(one_line(error)) from None
    known = Known("the structure given", canonical, facts.formula)
    return Subject(Molecule(canonical), one_line(smiles, 60), known, (facts.formula,))


def sample_subject(path: Path, formula: str | None) -> Subject:
    """The sample of a file or a folder, whose spectra are taken to be of one molecule.

    Args:
        path: of any format that is read.
        formula: of the sample; None where it is not known.

    Raises:
        DataError: nothing could be read, or the records contradict each other.
    """
    is_folder = path.is_dir()
    sources = sources_in(path) if is_folder else [Source(path)]
    request = request_of_sources(path.name or str(path), sources, formula, unknown_files=is_folder)
    return spectrum_subject(request, formula_given=formula is not None)


def spectrum_subject(request: Request, *, formula_given: bool = False) -> Subject:
    """The spectra of a sample. Their structure and formula, where the files have them, are kept from the model,
    and answers are checked by them.

    Args:
        request: of the readers.
        formula_given: whether its formula is the user's own.

    Raises:
        DataError: nothing could be read.
    """
    record = request.record
    if record is None:
        raise DataError(request.error or "nothing was read")
    if not record.spectra:
        raise DataError(f"{request.id}: has no spectrum")
    known, remarks = _known_of(record, "the formula given" if formula_given else "")
    return Subject(
        Record(record.id, record.spectra),
        request.id,
        known,
        tuple(described(one) for one in record.spectra),
        (*request.remarks, *remarks),
    )


def _known_of(record: Record, formula_source: str) -> tuple[Known, tuple[str, ...]]:
    """What a record says of its molecule, and remarks."""
    adducts = {one.adduct for one in record.spectra if isinstance(one, TandemMS)}
    adduct = next(iter(adducts)) if len(adducts) == 1 else None
    adduct = adduct if adduct is not None and parse_adduct(adduct) is not None else None
    if record.smiles is not None:
        try:
            canonical = canonical_smiles(record.smiles)
            formula = facts_of(canonical).formula
            return Known(f"the structure in {record.id}", canonical, formula, None, adduct), ()
        except ValueError:
            pass
    if record.formula is not None:
        try:
            parse_formula(record.formula)
            source = formula_source or f"the formula in {record.id}"
            return Known(source, None, record.formula, None, adduct), ()
        except ValueError as error:
            return Known(f"{record.id}", adduct=adduct), (f"{one_line(error)}: not used",)
    try:
        composition = known_composition(record, PRECURSOR_PPM)
    except DataError as error:
        return Known(f"{record.id}", adduct=adduct), (f"{error}: not used",)
    mass = None if composition is None else composition.mass_da
    return Known(f"the precursor in {record.id}", None, None, mass, adduct), ()


def protein_subjects(given: str) -> list[Subject]:
    """Proteins: those of a FASTA file, or one by its letters.

    Raises:
        DataError: there is no such file, it holds no protein, or the letters are none of amino acids.
    """
    path = Path(given)
    if len(given) < 200 and path.is_file():
        proteins = read_proteins(path)
        return [protein_subject(one) for one in proteins]
    if not (given.isascii() and given.rstrip("*").isalpha() and given.isupper()):
        raise DataError(
            "there is no such file: expected FASTA, or the letters of a protein in upper case",
            path=one_line(given, 100),
        )
    try:
        sequence = clean_sequence(given)
    except ValueError as error:
        raise DataError(f"the protein {one_line(given, 40)!r} {error}") from None
    return [protein_subject(Protein(sequence, "the sequence given"))]


def protein_subject(one: Protein) -> Subject:
    """A protein, by what its file calls it."""
    return Subject(one, one_line(one.name, 60), details=(counted(len(one.sequence), "amino acid"),))


def cell_subjects(path: Path, chosen: Sequence[str]) -> list[Subject]:
    """Cells of a file.

    Args:
        path: h5ad or NPZ, see `readers.cells`.
        chosen: names of cells, or their numbers from 0; may be empty for a file of one cell.

    Raises:
        DataError: the file cannot be read, has several cells and none is chosen, or none of that name.
        UserError: a library that the file needs is not installed.
    """
    table = read_cells(path)
    if not chosen and len(table) > 1:
        raise DataError(
            f"has {len(table):,} cells: expected --cell with a name or a number from 0 (`mmspec annotate` names"
            " the types of all)",
            path=path,
        )
    places = [_cell_place(table, name, path) for name in chosen] or [0]
    return [cell_subject(table, place) for place in places]


def cell_subject(table: CellTable, place: int) -> Subject:
    """The cell of a table by its number, from 0."""
    details = _expressed(table, place)
    return Subject(Cells(table)[place], one_line(table.names[place], 60), NOTHING, details, table.remarks)


def _cell_place(table: CellTable, name: str, path: Path) -> int:
    if table.names.count(name) == 1:
        return table.names.index(name)
    if name in table.names:
        raise DataError(f"has several cells named {one_line(name, 60)!r}: expected a number from 0", path=path)
    if name.isdecimal() and len(name) < 10 and int(name) < len(table):
        return int(name)
    raise DataError(
        f"has no cell {one_line(name, 60)!r}: expected a name such as {one_line(table.names[0], 40)!r} or a"
        f" number from 0 to {len(table) - 1:,}",
        path=path,
    )


def _expressed(table: CellTable, place: int) -> tuple[str, ...]:
    start, end = int(table.values.indptr[place]), int(table.values.indptr[place + 1])
    found = int((table.values.data[start:end] > 0).sum())
    return (f"{found:,} of {len(table.genes):,} genes expressed",)
