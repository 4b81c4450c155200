"""Cells by scGPT (Cui et al. 2024, doi 10.1038/s41592-024-02201-0), a Transformer that was trained on 33
million cells, in the folder in which it is published.

The vector is that of scGPT's own `embed_data`, in float32. Two of its steps draw random numbers, which would
give a cell another vector each time; here rules take their place that spread as evenly: see `bins_of` and
`chosen_of`.

Axes: N cells, G expressed genes of a cell, B cells of a batch, L tokens.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from mmspec_ds.errors import DataError
from mmspec_ds.files import sha256_of
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.encoders.genes import LEAST_SHARED
from mmspec_ds.systems.alignment.encoders.scgpt_folder import CLASS_TOKEN, FILES, read_scgpt
from mmspec_ds.systems.alignment.objects import Cell, Kind, Object

_AT_ONCE = 256
"""Cells whose tokens are held together; those of like length make a batch."""
_TOKENS_AT_ONCE = 4096
"""Of a batch, padding included."""
_GOLDEN = (5**0.5 - 1) / 2

IntArray = NDArray[np.int64]


class ScgptOptions(Settings):
    """Which model.

    Attributes:
        path: the folder of the model.
        longest: tokens of a cell at most: one of the cell, the others of genes. The published models were
            trained with 1,200.
    """

    path: Path
    longest: Annotated[int, Field(ge=2, le=8192)] = 1200


class _Tokens(NamedTuple):
    """The ids of a cell's genes and their bins, [G]."""

    ids: IntArray
    bins: IntArray


class ScgptEncoder:
    """One vector for a cell, of length 1: the last state of scGPT's token of the cell, which attends to the
    genes that are expressed and known to the model. See `ObjectEncoder`."""

    Options = ScgptOptions
    name = "scgpt"
    kind: Kind = "cell"
    vectors = 1

    def __init__(self, options: ScgptOptions) -> None:
        self._arguments, self._network, ids = read_scgpt(options.path)
        self._class = ids[CLASS_TOKEN]
        self._ids = {name: one for name, one in ids.items() if not name.startswith("<")}
        self._longest = options.longest
        self.width = self._arguments.embsize
        self.folder = options.path
        digest = hashlib.sha256("".join(sha256_of(options.path / name) for name in FILES).encode())
        self.identity: Mapping[str, Any] = {
            "encoder": self.name,
            "model": digest.hexdigest(),
            "longest": options.longest,
        }

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, width]."""
        cells = all_of(objects, Cell, self.name)
        found = np.zeros((len(cells), 1, self.width), dtype=np.float32)
        known: dict[int, tuple[IntArray, IntArray]] = {}
        with torch.inference_mode():
            for start in range(0, len(cells), _AT_ONCE):
                tokens = [self._tokens(cell, known) for cell in cells[start : start + _AT_ONCE]]
                for batch in _batches([len(one.ids) + 1 for one in tokens]):
                    vectors = self._network(*self._padded([tokens[at] for at in batch]))
                    found[[start + at for at in batch], 0] = vectors.numpy()
        return found

    def _tokens(self, cell: Cell, known: dict[int, tuple[IntArray, IntArray]]) -> _Tokens:
        """Those of a cell, by rising ids, so that the order of the genes in a file does not matter.

        Args:
            cell: of any file.
            known: for tuples of genes that were met, by their id(), the places and ids of the known ones.
        """
        if id(cell.genes) not in known:  # the cells of a file share them
            known[id(cell.genes)] = self._known(cell)
        places, ids = known[id(cell.genes)]
        values = cell.values[places]
        ids, values = ids[values > 0], values[values > 0]
        bins = bins_of(values, ids, self._arguments.n_bins)
        chosen = chosen_of(values, ids, self._longest - 1)
        return _Tokens(ids[chosen], bins[chosen])

    def _known(self, cell: Cell) -> tuple[IntArray, IntArray]:
        pairs = sorted((self._ids[gene], place) for place, gene in enumerate(cell.genes) if gene in self._ids)
        if not pairs or len(pairs) < LEAST_SHARED * len(cell.genes):
            raise DataError(
                f"cell {cell.name!r}: {len(pairs)} of its {len(cell.genes)} genes are known to encoder"
                f" {self.name}, such as {next(iter(self._ids), 'none')}; its own are such as"
                f" {cell.genes[0] if cell.genes else 'none'}: expected a tenth, by their symbols"
            )
        both = np.array(pairs, dtype=np.int64)
        return both[:, 1], both[:, 0]

    def _padded(self, tokens: Sequence[_Tokens]) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, values and where there is a token, [B, L]."""
        longest = 1 + max(len(one.ids) for one in tokens)
        ids_BL = np.full((len(tokens), longest), self._class)
        values_BL = np.full(ids_BL.shape, self._arguments.pad_value, dtype=np.float32)
        seen_BL = np.zeros(ids_BL.shape, dtype=np.bool_)
        for row, (ids, bins) in enumerate(tokens):
            here = slice(1, 1 + len(ids))
            ids_BL[row, here], values_BL[row, here] = ids, bins
            seen_BL[row, : here.stop] = True
        return torch.from_numpy(ids_BL), torch.from_numpy(values_BL), torch.from_numpy(seen_BL)


def bins_of(values: NDArray[Any], ids: IntArray, bins: int) -> IntArray:
    """The bin of each expressed gene of a cell, from 1 to `bins` - 1, [G].

    The bounds are the quantiles of the cell's own values at `bins` - 1 equal steps from 0 to 1, with linear
    interpolation; where a value equals several bounds, as the many counts of 1 do, scGPT draws one of the bins
    between them at random. Here a gene takes the same place among them in all cells: the fractional part of its
    id times the golden ratio, which spreads any genes evenly. The bins follow from ranks alone, so that counts
    and their logarithms have the same ones.

    Args:
        values: above 0, [G].
        ids: of the genes in the vocabulary, [G].
        bins: one of which is for zero.
    """
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    first = last - counts + 1
    steps, ranks = bins - 2, max(len(values) - 1, 1)
    below = -(-first * steps // ranks)  # bounds below a value; bound k lies at the rank k ranks / steps
    upto = np.where(last == len(values) - 1, bins - 1, last * steps // ranks + 1)  # and those not above it
    found: IntArray = upto[which] - np.floor(_place_of(ids) * (upto - below)[which]).astype(np.int64)
    return found


def chosen_of(values: NDArray[Any], ids: IntArray, most: int) -> IntArray:
    """The places of the genes that are read, in ascending order: all, or `most` of them. scGPT draws them at
    random; here they lie at equal distances in the order of expression, equal values in the order of `bins_of`,
    so that low and high ones are read in the same shares.

    Args:
        values, ids: see `bins_of`.
        most: genes.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    order = np.lexsort((_place_of(ids), values))
    return np.sort(order[(2 * np.arange(most) + 1) * count // (2 * most)])


def _place_of(ids: IntArray) -> NDArray[np.float64]:
    """A number from 0 to 1 for each gene."""
    places: NDArray[np.float64] = np.mod((ids + 1) * _GOLDEN, 1.0)
    return places


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The places of sequences of like length, as many together as `_TOKENS_AT_ONCE` allows."""
    batch: list[int] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[at] * (len(batch) + 1) > _TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch
