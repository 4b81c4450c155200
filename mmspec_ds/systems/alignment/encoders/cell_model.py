"""Cells by a small network that learnt to restore hidden genes from the others.

Its input are the genes of a panel, and which of them are seen; so it reads cells of any file, whose missing
genes are hidden ones.

Axes: N cells, P genes of the panel, W width of a vector.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from mmspec_ds.errors import DataError
from mmspec_ds.readers.cell_table import PER
from mmspec_ds.readers.cells import read_cells
from mmspec_ds.settings import Settings
from mmspec_ds.systems.alignment.encoders.checks import all_of
from mmspec_ds.systems.alignment.encoders.descent import DescentSettings, descend
from mmspec_ds.systems.alignment.encoders.folder import read_encoder, write_encoder
from mmspec_ds.systems.alignment.encoders.genes import on_panel
from mmspec_ds.systems.alignment.object_files import Cells
from mmspec_ds.systems.alignment.objects import Cell, Kind, Object
from mmspec_ds.trainer.weights import WEIGHTS, load_state

HELD_BACK = 10
"""One cell in so many is held back, to see how well hidden genes are restored."""
HIDDEN = (0.1, 0.9)
"""The least and the largest share of the genes that is hidden of a cell in training."""
HIDDEN_AT_TEST = 0.5
_AT_ONCE = 512
_SPREAD = 0.1


class CellNetwork(nn.Module):
    """An encoder of genes and a decoder.

    Args:
        genes: P, of the panel.
        hidden: width of the layers between.
        width: of a vector.
    """

    def __init__(self, genes: int, hidden: int, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(2 * genes, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(hidden, width),
            nn.LayerNorm(width),
        )
        self.decoder = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, genes))

    def encode(self, values_NP: Tensor, seen_NP: Tensor) -> Tensor:
        """The vectors, [N, W], of standardised values and which are seen, bool. The seen genes are given more
        weight where they are few, so that the sum into the first layer keeps its size."""
        share_N1 = seen_NP.float().mean(1, keepdim=True).clamp_min(1e-3)
        shown_NP = values_NP * seen_NP / share_N1.sqrt()
        vectors: Tensor = self.encoder(torch.cat([shown_NP, seen_NP.to(shown_NP.dtype)], dim=1))
        return vectors

    def forward(self, values_NP: Tensor, seen_NP: Tensor) -> Tensor:
        """The standardised values of all genes as they are restored, [N, P]; see `encode`."""
        restored: Tensor = self.decoder(self.encode(values_NP, seen_NP))
        return restored


class PanelScales(NamedTuple):
    """What the genes of a panel are like in the cells that were learnt from: mean and scale of the logarithms,
    and the share of each gene in the expression, with a sum of 1; [P] each."""

    mean: Tensor
    scale: Tensor
    shares: Tensor

    @classmethod
    def of(cls, values: NDArray[np.float32], present: NDArray[np.bool_]) -> Self:
        """Those of some cells, each gene among the cells that have it.

        Args:
            values: logarithms of 1 + the expression, [N, P], as `genes.on_panel` gives them.
            present: where a cell has a gene, [N, P].
        """
        count = np.maximum(present.sum(0), 1)
        mean = (values * present).sum(0) / count
        deviation = np.sqrt((np.square(values - mean) * present).sum(0) / count)
        shares = (np.expm1(values.astype(np.float64)) * present).sum(0) / count + 1e-6
        parts = (mean, deviation + _SPREAD, shares / shares.sum())
        return cls(*(torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in parts))

    def rescaled(self, values: Tensor, seen: Tensor) -> Tensor:
        """The logarithms `values` of the genes that are `seen`, [N, P] both, scaled as `genes.on_panel` does:
        as if a cell had these alone; 0 for the others."""
        linear = torch.expm1(values.masked_fill(~seen, 0.0))
        total = PER * (self.shares * seen).sum(1, keepdim=True)
        return torch.log1p(linear * (total / linear.sum(1, keepdim=True).clamp_min(1e-9)))

    def standard(self, values: Tensor, seen: Tensor) -> Tensor:
        """Logarithms [N, P] less the mean, over the scale; 0 where none is `seen`."""
        return (values - self.mean) / self.scale * seen


class CellModelOptions(Settings):
    """Which model.

    Attributes:
        path: a folder that `mmspec fit cell_model` made.
    """

    path: Path


class CellModelEncoder:
    """One vector for a cell, of a network that was trained here. See `ObjectEncoder`."""

    Options = CellModelOptions
    name = "cell_model"
    kind: Kind = "cell"
    vectors = 1

    def __init__(self, options: CellModelOptions) -> None:
        stored = read_encoder(options.path, self.name)
        about, tensors = stored.about, dict(stored.tensors)
        self.genes: tuple[str, ...] = tuple(about["genes"])
        self._scales = PanelScales(*(tensors.pop(name) for name in PanelScales._fields))
        self._network = CellNetwork(len(self.genes), about["hidden"], about["width"])
        load_state(self._network, tensors, options.path / WEIGHTS)
        self._network.eval()
        self.width: int = about["width"]
        self.folder = options.path
        self.identity: Mapping[str, Any] = {"encoder": self.name, "model": stored.checksum}

    def encode(self, objects: Sequence[Object]) -> NDArray[np.float32]:
        """See `ObjectEncoder`; [N, 1, W]."""
        cells = all_of(objects, Cell, self.name)
        found = np.zeros((len(cells), 1, self.width), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(cells), _AT_ONCE):
                some = cells[start : start + _AT_ONCE]
                shares = self._scales.shares.numpy()
                values, seen = map(torch.from_numpy, on_panel(some, self.genes, self.name, shares))
                vectors = self._network.encode(self._scales.standard(values, seen), seen)
                found[start : start + len(vectors), 0] = vectors.numpy()
        return found


class CellModelFit(DescentSettings):
    """How a model is trained.

    Attributes:
        most: genes of the panel at most: of all genes of the files, those that vary most.
        hidden: width of the network's layers.
        width: of the vectors.
    """

    most: Annotated[int, Field(gt=0)] = 2000
    hidden: Annotated[int, Field(gt=0)] = 512
    width: Annotated[int, Field(gt=0)] = 128

    def fit(self, files: Sequence[Path], folder: Path, progress: Callable[[float], None]) -> str:
        """See `EncoderFit`."""
        cells = [cell for path in files for cell in Cells(read_cells(path))]
        if len(cells) < HELD_BACK:
            raise DataError(f"holds {len(cells)} cells: expected {HELD_BACK} or more", path=files[0])
        panel, values, present = _panel(cells, self.most)
        learnt = np.arange(len(cells)) % HELD_BACK != HELD_BACK - 1
        scales = PanelScales.of(values[learnt], present[learnt])
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(self.seed)
            network = CellNetwork(len(panel), self.hidden, self.width)
            train, held_back = ((values[chosen], present[chosen]) for chosen in (learnt, ~learnt))
            self._train(network, scales, *map(torch.from_numpy, train), progress=progress)
            explained = _explained(network, scales, *map(torch.from_numpy, held_back))
        sizes = {"genes": list(panel), "hidden": self.hidden, "width": self.width}
        tensors = {**scales._asdict(), **network.state_dict()}
        write_encoder(folder, CellModelEncoder.name, {**sizes, "fit": self.model_dump()}, tensors)
        return (
            f"{len(panel):,} genes of {len(cells):,} cells; of {(~learnt).sum()} cells that were held back,"
            f" {explained:.1%} of the variance of hidden genes is restored"
        )

    def _train(
        self,
        network: CellNetwork,
        scales: PanelScales,
        values: Tensor,
        present: Tensor,
        *,
        progress: Callable[[float], None],
    ) -> None:
        def loss(step: int) -> Tensor:
            chosen = torch.randint(len(values), (self.batch,))
            share_N1 = torch.empty(self.batch, 1).uniform_(*HIDDEN)
            hidden_NP = (torch.rand(self.batch, values.shape[1]) < share_N1) & present[chosen]
            return squared_error(network, scales, values[chosen], present[chosen], hidden_NP)

        descend(network, self, loss, progress)


def squared_error(
    network: CellNetwork, scales: PanelScales, values: Tensor, present: Tensor, hidden: Tensor
) -> Tensor:
    """The mean squared error of hidden genes, standardised, restored from the other present ones; a scalar.

    Args:
        network: restores them.
        scales: of the genes.
        values, present: see `PanelScales.of`.
        hidden: the genes that are hidden, bool [N, P]; of those that are present.
    """
    seen = present & ~hidden
    restored = network(scales.standard(scales.rescaled(values, seen), seen), seen)
    error = (restored - scales.standard(scales.rescaled(values, present), present)).square()
    return (error * hidden).sum() / hidden.sum().clamp_min(1)


def _panel(cells: Sequence[Cell], most: int) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.bool_]]:
    """The genes that vary most, their values in the cells and where a cell has them, [N, P]."""
    lists = dict.fromkeys(cell.genes for cell in cells)
    everything = tuple(dict.fromkeys(gene for genes in lists for gene in genes))
    place = {gene: at for at, gene in enumerate(everything)}
    count, total, squares = np.zeros((3, len(everything)))
    places = {genes: np.array([place[gene] for gene in genes]) for genes in lists}
    for cell in cells:
        at, logs = places[cell.genes], cell.values.astype(np.float64)
        count[at] += 1
        total[at] += logs
        squares[at] += logs**2
    variance = squares / count - (total / count) ** 2
    chosen = np.sort(np.argsort(-variance, kind="stable")[:most])
    panel = tuple(everything[at] for at in chosen)
    values, present = on_panel(cells, panel, CellModelEncoder.name)
    return panel, values, present


@torch.no_grad()
def _explained(network: CellNetwork, scales: PanelScales, values: Tensor, present: Tensor) -> float:
    """The share of the variance of hidden genes that is restored, where half of the genes are hidden."""
    hidden = (torch.rand(values.shape) < HIDDEN_AT_TEST) & present
    error = squared_error(network, scales, values, present, hidden)
    known = scales.standard(scales.rescaled(values, present), present)
    return 1 - float(error * hidden.sum() / (known.square() * hidden).sum())
