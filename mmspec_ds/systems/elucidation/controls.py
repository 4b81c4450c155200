"""Two controls that every evaluation has beside it: what a model gets right without reading the spectra,
and what a search among the training spectra gets right without a model.

Axes: N samples to predict, M molecules of a part of the training data, K proposals.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mmspec_ds.data.dataset import SpectraDataset
from mmspec_ds.errors import DataError
from mmspec_ds.evaluation.features import SpectralFeatures
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.spectra.records import Modality
from mmspec_ds.systems.elucidation.predict import ScoredSmiles

_SAMPLES_AT_ONCE = 4096
_MOLECULES_AT_ONCE = 4096

Vectors = dict[Modality, npt.NDArray[np.float32]]


def shuffle_spectra(dataset: SpectraDataset, seed: int = 0) -> SpectraDataset:
    """The same molecules, each with the spectra of another one (another InChIKey first block).

    A model that reads its input finds none of them; what it still finds, it knows of the training data.

    Raises:
        DataError: more than half of the samples are one molecule, so there is no such exchange.
    """
    return dataset.with_spectra_of(derangement(dataset.blocks, seed))


def derangement(groups: Sequence[str], seed: int) -> IntArray:
    """An order of samples in which none stands in the place of one of its own group, random by `seed`.

    The samples are put in a random order that keeps each group together, and shifted by the size of the largest
    group, so that each lands outside its own group.

    Raises:
        DataError: more than half of the samples are one group.
    """
    rng = np.random.default_rng(seed)
    _, group_N, sizes = np.unique(np.array(list(groups), dtype=str), return_inverse=True, return_counts=True)
    if not len(group_N) or 2 * sizes.max() > len(group_N):
        raise DataError(f"{len(group_N)} samples of {len(sizes)} molecules: their spectra cannot be exchanged")
    shuffled = rng.permutation(len(group_N))
    line = shuffled[np.argsort(rng.permutation(len(sizes))[group_N[shuffled]], kind="stable")]
    order = np.empty(len(group_N), dtype=np.int64)
    order[line] = np.roll(line, -int(sizes.max()))
    return order


def nearest_molecules(
    train: SpectraDataset, dataset: SpectraDataset, *, n_best: int = 10
) -> list[list[ScoredSmiles]]:
    """For each sample the `n_best` training molecules whose spectra are most like its own, best first.

    The likeness of two samples is the mean, over the modalities that both have, of the cosine of their
    vectors (`SpectralFeatures`); that of a molecule is the best of its training spectra. Where no test
    molecule was trained on, the control cannot find one: its exact matches are then 0 by construction, and
    its Tanimoto similarity is the figure to compare with, that of an analogue search in a library of the
    training data.

    Compressed spectra make the stronger control, for a model that reads text too: words have no neighbours, and
    on simulated data the similarity falls from 0.34 to 0.23.

    Args:
        train: the library, with structures.
        dataset: the samples, of the same modalities and encoding.
        n_best: proposals per sample.

    Raises:
        ValueError: a training sample without a structure, or other fields in the two datasets.
    """
    common = [modality for modality in dataset.schemas if modality in train.schemas]
    if not common or any(train.schemas[m] != dataset.schemas[m] for m in common):
        raise ValueError("the two datasets are not encoded alike")
    names, molecule_of = np.unique(np.asarray(_structures(train), dtype=object), return_inverse=True)
    features = SpectralFeatures.fit(train)
    proposals: list[list[ScoredSmiles]] = []
    for start in range(0, len(dataset), _SAMPLES_AT_ONCE):
        rows = np.arange(start, min(start + _SAMPLES_AT_ONCE, len(dataset)))
        found, likeness = _search(features, train, molecule_of, features.vectors(dataset, rows), n_best)
        proposals += [
            [ScoredSmiles(str(names[at]), float(score)) for at, score in zip(*row)]
            for row in zip(found, likeness)
        ]
    return proposals


def _structures(train: SpectraDataset) -> list[str]:
    known = [smiles for smiles in train.smiles if smiles is not None]
    if len(known) < len(train):
        raise ValueError("the library of a nearest-neighbour search needs the structure of every sample")
    return known


def _search(
    features: SpectralFeatures, train: SpectraDataset, molecule_of: IntArray, wanted: Vectors, n_best: int
) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """Numbers and likeness of the nearest molecules, both [N, K]; the library is gone through part by
    part."""
    samples = len(next(iter(wanted.values())))
    found = np.empty((samples, 0), dtype=np.int64)
    likeness = np.empty((samples, 0), dtype=np.float32)
    for rows, starts in _parts(molecule_of):
        pairwise = _likeness(wanted, features.vectors(train, rows))
        best_NM = np.maximum.reduceat(pairwise, starts, axis=1)
        numbers = np.broadcast_to(molecule_of[rows[starts]], best_NM.shape)
        found = np.concatenate([found, numbers], axis=1)
        likeness = np.concatenate([likeness, best_NM], axis=1)
        order = _best(likeness, n_best)
        found = np.take_along_axis(found, order, axis=1)
        likeness = np.take_along_axis(likeness, order, axis=1)
    return found, likeness


def _best(likeness: npt.NDArray[np.float32], count: int) -> IntArray:
    """The columns of the `count` largest values of each row, the largest first; equals in the order of
    columns."""
    if likeness.shape[1] > count:
        chosen = np.sort(np.argpartition(-likeness, count - 1, axis=1)[:, :count], axis=1)
    else:
        chosen = np.broadcast_to(np.arange(likeness.shape[1]), likeness.shape)
    order = np.argsort(-np.take_along_axis(likeness, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _parts(molecule_of: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Training samples molecule by molecule, some thousand molecules at a time, and where each one starts."""
    by_molecule = np.argsort(molecule_of, kind="stable")
    edges = np.searchsorted(molecule_of[by_molecule], np.arange(molecule_of.max() + 2))
    for first in range(0, len(edges) - 1, _MOLECULES_AT_ONCE):
        last = min(first + _MOLECULES_AT_ONCE, len(edges) - 1)
        yield by_molecule[edges[first] : edges[last]], edges[first:last] - edges[first]


def _likeness(wanted: Vectors, library: Vectors) -> npt.NDArray[np.float32]:
    """Mean cosine over the modalities that both have, [N, samples of the library]; -1 where they have
    none."""
    pairs = [(wanted[modality], library[modality]) for modality in wanted if modality in library]
    total = np.sum([one @ other.T for one, other in pairs], axis=0)
    shared = np.sum([np.outer(one.any(axis=1), other.any(axis=1)) for one, other in pairs], axis=0)
    return np.divide(total, shared, out=np.full_like(total, -1), where=shared > 0)
