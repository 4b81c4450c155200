"""Fit the scorer of fragments that the simulator ships, and measure it on molecules left out.

Run from a checkout as `python -m tools.fit_tandem example_data_1.parquet tables/tandem.npz`. The spectra
are those that CFM-ID gave for the benchmark's published sample (Alberts et al. 2024; MIT). The loss is the
cross entropy between the published shares of intensity and those of the model, in which every peak is the sum
over the fragments that could make it. `tables/README.md` has the figures.

Axes: F fragments, P peaks, E energies.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rdkit import Chem
from torch import Tensor, nn

from mmspec_ds.simulator.fragment_features import FEATURES, describe
from mmspec_ds.simulator.fragment_scorer import (
    ENERGIES_EV,
    POLARITIES,
    FragmentScorer,
    IonGrid,
    ion_grid,
)
from mmspec_ds.simulator.fragmentation import fragments
from mmspec_ds.simulator.tandem import tandem_spectra
from mmspec_ds.spectra.parquet import read_records
from mmspec_ds.spectra.records import Modality, Record, TandemMS
from tools.folds import folds_of
from tools.spectrum_comparison import MZ_TOLERANCE, peak_recall, sqrt_cosine

HIDDEN, EPOCHS, BATCH = 48, 120, 10
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 1.0
"""Chosen among 8 to 48 hidden units, 15 to 120 epochs and decays of 0.1 to 3 by threefold cross-validation."""
FLOOR = 1e-6
"""Added to every predicted share in the loss, which limits the cost of a peak that is not predicted."""


@dataclass(frozen=True)
class Example:
    """One molecule: its features [F, FEATURES], the ions of each polarity and the published shares [E, P],
    which are zeros where there is no spectrum."""

    mol: Chem.Mol
    features: npt.NDArray[np.float32]
    grids: tuple[IonGrid, ...]
    published: tuple[npt.NDArray[np.float32], ...]
    spectra: tuple[TandemMS, ...]


class _Network(nn.Module):
    """The scorer as a trainable module, for as many numbers of hydrogens as `bins` says."""

    def __init__(self, hidden: int, bins: int) -> None:
        super().__init__()
        outputs = len(POLARITIES) * len(ENERGIES_EV) * bins
        self.hidden = nn.Linear(FEATURES, hidden)
        self.output = nn.Linear(hidden, outputs, bias=False)
        self.direct = nn.Linear(FEATURES, outputs)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.direct.weight)

    def forward(self, features: Tensor) -> Tensor:
        return self.output(torch.tanh(self.hidden(features))) + self.direct(features)


def read_examples(path: Path) -> list[Example]:
    """Molecules of a file in the benchmark's schema with their six spectra.

    Raises:
        DataError: the file cannot be read.
    """
    return [_example(record) for record in read_records(path, modalities=[Modality.MS])]


def fit(
    examples: Sequence[Example], seed: int = 0, epochs: int = EPOCHS, hidden: int = HIDDEN
) -> FragmentScorer:
    """Fit the scorer to the examples; on one thread the result depends on the arguments alone."""
    torch.manual_seed(seed)
    shuffle = np.random.default_rng(seed)
    rows = np.concatenate([example.features for example in examples])
    shift, scale = rows.mean(axis=0), 1.0 / (rows.std(axis=0) + 0.05)
    network = _Network(hidden, examples[0].grids[0].place.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(examples) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    prepared = [_Prepared.of(example, shift, scale) for example in examples]
    for _ in range(epochs):
        order = shuffle.permutation(len(prepared))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            optimizer.zero_grad()
            for index in batch:
                (prepared[index].loss(network) / len(batch)).backward()
            optimizer.step()
            schedule.step()
    weights = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
    return FragmentScorer(
        shift.astype(np.float32),
        scale.astype(np.float32),
        weights["hidden.weight"].T.copy(),
        weights["hidden.bias"],
        weights["output.weight"].T.copy(),
        weights["direct.weight"].T.copy(),
        weights["direct.bias"],
    )


def held_out_scorers(examples: Sequence[Example], folds: int, epochs: int = EPOCHS) -> list[FragmentScorer]:
    """For each example the scorer that was fitted without its fold; no InChIKey block is in two folds."""
    fold_of = folds_of([example.mol for example in examples], folds)
    scorers = [
        fit([example for example, own in zip(examples, fold_of) if own != fold], epochs=epochs)
        for fold in range(folds)
    ]
    return [scorers[fold] for fold in fold_of]


def cross_validate(
    examples: Sequence[Example], folds: int = 5, epochs: int = EPOCHS
) -> dict[str, npt.NDArray[np.float64]]:
    """Weighted recall, cosine of square roots and number of peaks, each [polarity, energy], of molecules that
    the scorer was not fitted on; the folds go round the rows."""
    sums = {name: np.zeros((len(POLARITIES), len(ENERGIES_EV))) for name in ("recall", "cosine", "peaks")}
    for example, scorer in zip(examples, held_out_scorers(examples, folds, epochs), strict=True):
        for place, (made, published) in enumerate(
            zip(tandem_spectra(example.mol, scorer), example.spectra, strict=True)
        ):
            where = divmod(place, len(ENERGIES_EV))
            sums["recall"][where] += peak_recall(made, published)
            sums["cosine"][where] += sqrt_cosine(made, published)
            sums["peaks"][where] += len(made.mz)
    return {name: values / len(examples) for name, values in sums.items()}


@dataclass(frozen=True)
class _Prepared:
    """An example as tensors: of each polarity the possible (fragment, bin) pairs and their peaks."""

    features: Tensor
    possible: tuple[Tensor, ...]
    place: tuple[Tensor, ...]
    published: tuple[Tensor, ...]

    @classmethod
    def of(cls, example: Example, shift: Any, scale: Any) -> "_Prepared":
        places = [torch.from_numpy(grid.place) for grid in example.grids]
        return cls(
            torch.from_numpy(((example.features - shift) * scale).astype(np.float32)),
            tuple(place >= 0 for place in places),
            tuple(place[place >= 0] for place in places),
            tuple(torch.from_numpy(shares) for shares in example.published),
        )

    def loss(self, network: _Network) -> Tensor:
        out = network(self.features).view(len(self.features), len(POLARITIES), len(ENERGIES_EV), -1)
        total = torch.zeros(())
        for polarity, published in enumerate(self.published):
            logs = out[:, polarity].transpose(1, 2)[self.possible[polarity]].T
            claims = torch.exp(logs - logs.max(dim=1, keepdim=True)[0].detach())
            shares = torch.zeros_like(published).index_add(1, self.place[polarity], claims)
            shares = shares / shares.sum(dim=1, keepdim=True)
            total = total - (published * torch.log(shares + FLOOR)).sum()
        return total / (len(POLARITIES) * len(ENERGIES_EV))


def _example(record: Record) -> Example:
    mol = Chem.MolFromSmiles(record.smiles)
    Chem.RemoveStereochemistry(mol)
    described = describe(mol, fragments(mol))
    spectra = [s for s in record.of(Modality.MS) if isinstance(s, TandemMS)]
    found = {(s.polarity, s.collision_energy_ev): s for s in spectra}
    ordered = tuple(found[polarity, energy] for polarity in POLARITIES for energy in ENERGIES_EV)
    grids, published = [], []
    for index, polarity in enumerate(POLARITIES):
        grid = ion_grid(described, polarity)
        grids.append(grid)
        of_polarity = ordered[index * len(ENERGIES_EV) : (index + 1) * len(ENERGIES_EV)]
        published.append(np.stack([_shares(spectrum, grid.mz) for spectrum in of_polarity]))
    return Example(mol, described.features, tuple(grids), tuple(published), ordered)


def _shares(spectrum: TandemMS, mz: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Shares of the published intensity on the peaks that the fragments can make; the rest is left out."""
    shares = np.zeros(len(mz), dtype=np.float32)
    nearest = np.abs(mz[:, None] - spectrum.mz).argmin(axis=0)
    near = np.abs(mz[nearest] - spectrum.mz) < MZ_TOLERANCE
    np.add.at(shares, nearest[near], spectrum.intensity[near] / spectrum.intensity.sum())
    return shares


def write_scorer(path: Path, scorer: FragmentScorer) -> None:
    """Write the weights of the scorer into a file."""
    np.savez_compressed(path, **{name: getattr(scorer, name) for name in FragmentScorer.__dataclass_fields__})


def main(arguments: list[str] | None = None) -> None:
    """Cross-validate, fit on the whole file, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, help="parquet in the benchmark's schema")
    parser.add_argument("out", type=Path, help="where to write the weights, for instance tables/tandem.npz")
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation; 0 leaves it out")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    examples = read_examples(options.published)
    if options.folds:
        for name, values in cross_validate(examples, options.folds).items():
            for polarity, row in zip(POLARITIES, values):
                print(f"{name}, {polarity}: " + ", ".join(f"{value:.3f}" for value in row))
    write_scorer(options.out, fit(examples))
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
