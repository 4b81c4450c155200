"""The expression of genes in many cells, on one scale: natural logarithms of 1 + counts per 10,000.

Axes: N cells, G genes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

Form = Literal["counts", "linear", "logarithms"]
"""What a file holds: whole numbers of molecules, other numbers in proportion to them, or logarithms."""

PER = 10_000.0
LARGEST_LOGARITHM = 30.0
"""Values above it are no logarithms."""
LARGEST_NATURAL = 14.0
"""Natural logarithms above it would be of more than a million parts per million."""
MILLION = 1_000_000.0
_EVEN = 0.01
"""The sums of cells differ by less than this share where they were made equal."""
_WHOLE_AMONG = 100_000
_ENSEMBL = re.compile(r"ENS[A-Z]{0,6}G\d{6,}(?:\.\d+)?")
_WITH_ID = re.compile(rf"(\S+?)[_|]{_ENSEMBL.pattern}")
"""A symbol with an id that makes it the only one of its name."""


@dataclass(frozen=True)
class CellTable:
    """The expression values of the N cells of a file in G genes, and what the file says of each cell.

    Attributes:
        values: natural logarithms of 1 + counts per 10,000, a sparse matrix of float32, [N, G].
        genes: their names, each once.
        names: of the cells.
        columns: what the file says of each cell, as text, by the name of the column.
        form: what was found in the file.
        remarks: what was found, assumed or changed, one short sentence each.
    """

    values: sparse.csr_matrix
    genes: tuple[str, ...]
    names: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    form: Form = "counts"
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


def make_table(
    values: Any,
    genes: Sequence[str],
    names: Sequence[str],
    columns: Mapping[str, tuple[str, ...]],
    remarks: Sequence[str] = (),
) -> CellTable:
    """A table of the numbers of a file, after a look at what they are.

    Values that are all whole are counts. Others up to `LARGEST_LOGARITHM` are logarithms of 1 + x, natural ones
    or of base 2: whichever makes the sums of all cells equal, which then say per how many; else natural ones up
    to `LARGEST_NATURAL`, taken to be per 10,000 unless a cell has more than that, then per million. Larger ones
    are linear. Counts and linear values are divided by the sum of their cell. Where an Ensembl id follows a
    symbol, as in CD79A_ENSG00000105369, the symbol is the name. The values of a gene that is named several
    times are added.

    Args:
        values: [N, G], a matrix of scipy or an array.
        genes: the name of each column.
        names: of the cells.
        columns: what else is known of them.
        remarks: of the reader, which come first.

    Raises:
        ValueError: a value is negative or not finite, or there are no cells or genes; says what was expected.
    """
    if sparse.issparse(values):
        values.check_format(full_check=True)  # scipy's code reads beyond its arrays where indices lie
    matrix = sparse.csr_matrix(values, dtype=np.float64)
    matrix.sum_duplicates()
    if not all(matrix.shape) or matrix.shape != (len(names), len(genes)):
        raise ValueError(f"has values of shape {matrix.shape} for {len(names)} cells and {len(genes)} genes")
    if not np.isfinite(matrix.data).all():
        raise ValueError("holds values that are not finite numbers: expected counts or their logarithms")
    if matrix.nnz and matrix.data.min() < 0:
        raise ValueError(
            f"holds negative values, down to {matrix.data.min():.3g}, as of genes that were centred: expected"
            " counts or their logarithms"
        )
    form, linear, found = _linear(matrix)
    genes, shortened = _without_ids(genes)
    linear, unique, added = _without_repeats(linear, genes)
    sums = np.asarray(linear.sum(axis=1)).ravel()
    remarks = [*remarks, found, *shortened, *added, *_of_names(unique)]
    empty = int((sums == 0).sum())
    if empty:
        remarks.append(f"{empty} of {len(names)} cells have no expression at all")
    if form != "logarithms":
        linear = sparse.diags(PER / np.where(sums > 0, sums, 1.0)) @ linear
    logs = sparse.csr_matrix(linear.log1p(), dtype=np.float32)
    return CellTable(logs, unique, tuple(names), columns, form, tuple(remarks))


def _linear(matrix: sparse.csr_matrix) -> tuple[Form, sparse.csr_matrix, str]:
    """What the values are, the same as linear ones, and that in words."""
    data = matrix.data
    sample = data[:: max(1, len(data) // _WHOLE_AMONG)]
    if np.array_equal(sample, np.round(sample)) and np.array_equal(data, np.round(data)):
        return "counts", matrix, "values are whole numbers: read as counts, scaled to 10,000 for each cell"
    largest = float(data.max())
    if largest > LARGEST_LOGARITHM:
        told = f"values are not whole and up to {largest:.4g}: read as linear, scaled to 10,000 for each cell"
        return "linear", matrix, told
    powers = {"natural": np.expm1(data), "base 2": np.exp2(data) - 1}
    sums = {base: _sums(matrix, power) for base, power in powers.items()}
    even = [base for base, one in sums.items() if one.std() < _EVEN * one.mean()]
    base = even[0] if even else "base 2" if largest > LARGEST_NATURAL else "natural"
    most, per = float(sums[base].max()), PER
    if even:
        per, known = float(np.median(sums[base])), "per"
    else:
        known = "taken to be per"
        if most > per * (1 + _EVEN):
            per = MILLION if most <= MILLION * (1 + _EVEN) else most
    told = f"values are not whole, up to {largest:.3g}: read as {base} logarithms of 1 + x, {known} {per:,.0f}"
    linear = sparse.csr_matrix((powers[base] * (PER / per), matrix.indices, matrix.indptr), matrix.shape)
    return "logarithms", linear, told


def _sums(matrix: sparse.csr_matrix, data: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums = np.bincount(rows, weights=data, minlength=matrix.shape[0]).astype(np.float64)
    return sums[sums > 0]


def _without_ids(genes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names without the Ensembl ids behind symbols, and a remark if there are such."""
    found = [match[1] if (match := _WITH_ID.fullmatch(gene)) else gene for gene in genes]
    changed = [gene for gene, symbol in zip(genes, found) if gene != symbol]
    if not changed:
        return found, []
    remark = f"{len(changed)} names are a symbol and an Ensembl id, such as {changed[0]}: the symbol is kept"
    return found, [remark]


def _without_repeats(
    matrix: sparse.csr_matrix, genes: Sequence[str]
) -> tuple[sparse.csr_matrix, tuple[str, ...], list[str]]:
    """The matrix with a column for each name, in the order of first appearance, and a remark if names recur."""
    place: dict[str, int] = {}
    target = np.array([place.setdefault(gene, len(place)) for gene in genes], dtype=np.int64)
    if len(place) == len(genes):
        return matrix, tuple(genes), []
    onto = sparse.csr_matrix(
        (np.ones(len(genes)), (np.arange(len(genes)), target)), shape=(len(genes), len(place))
    )
    again = len(genes) - len(place)
    repeated = next(gene for at, gene in enumerate(genes) if target[at] < at and gene in genes[:at])
    remark = f"{again} columns repeat the name of a gene, such as {repeated}: their values are added"
    return sparse.csr_matrix(matrix @ onto), tuple(place), [remark]


def _of_names(genes: Sequence[str]) -> list[str]:
    if 2 * sum(is_ensembl(gene) for gene in genes) > len(genes):
        return ["genes are named by Ensembl ids, not by symbols: encoders that go by symbols know none of them"]
    return []


def is_ensembl(name: str) -> bool:
    """Whether a name is the id of a gene in Ensembl, such as ENSG00000141510."""
    return _ENSEMBL.fullmatch(name) is not None
