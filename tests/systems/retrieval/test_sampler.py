"""Batches of molecules: what is in them, that they depend on seed and number alone, and how ranks share
them."""

from collections import Counter

import numpy as np
import pytest

from mmspec_ds.systems.retrieval.batch import Arrangement
from mmspec_ds.systems.retrieval.mining import LEAD, Schedule, nearest_molecules
from mmspec_ds.systems.retrieval.sampler import MoleculeSampler, PairSampler, side_by_side

MOLECULE = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 5, 5])


def test_a_round_has_each_molecule_once_with_a_few_records() -> None:
    sampler = MoleculeSampler(MOLECULE, size=5, spectra=2, seed=1)
    assert len(sampler) == 2, "10 records in a round"
    seen = Counter[int]()
    for rows, molecules in sampler.round((0, 0)):
        assert len(rows) == 5
        assert molecules.tolist() == MOLECULE[rows].tolist()
        seen += Counter(rows.tolist())
    assert set(seen.values()) == {1}
    assert Counter(MOLECULE[list(seen)].tolist()) == {0: 2, 1: 1, 2: 2, 3: 2, 4: 1, 5: 2}


def test_molecules_with_one_record_come_with_a_repeat_of_it() -> None:
    sampler = MoleculeSampler(MOLECULE, size=12, spectra=2, seed=1, repeats=True)
    (rows, molecules), *more = sampler.round((3,))
    assert not more
    assert Counter(molecules.tolist()) == dict.fromkeys(range(6), 2)
    assert Counter(rows.tolist())[3] == Counter(rows.tolist())[10] == 2
    assert len(set(rows[molecules == 3].tolist())) == 2


def test_a_round_depends_on_seed_and_number() -> None:
    one, other = (MoleculeSampler(MOLECULE, 5, 2, seed) for seed in (1, 2))
    rounds = [
        [rows.tolist() for rows, _ in s.round((0, n))] for s, n in ((one, 0), (one, 0), (one, 1), (other, 0))
    ]
    assert rounds[0] == rounds[1]
    assert len({str(one) for one in rounds}) == 3


def test_neighbours_come_beside_a_molecule() -> None:
    neighbours = np.array([[2, 1], [2, 0], [0, 1], [4, 5], [3, 5], [3, 4]])
    assert side_by_side(np.array([1, 5, 0, 2, 3, 4]), neighbours).tolist() == [1, 2, 0, 5, 3, 4]
    alone = np.array([True, False, True, True, True, True])
    assert side_by_side(np.array([1, 5, 0, 2, 3, 4]), neighbours, alone).tolist() == [1, 5, 3, 4, 0, 2]
    sampler = MoleculeSampler(np.arange(6), 3, 1, 0)
    batches = [set(molecules.tolist()) for _, molecules in sampler.round((0,), neighbours)]
    assert sorted(map(sorted, batches)) == [[0, 1, 2], [3, 4, 5]]


def test_too_large_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 11 records is more than the 10 of a round"):
        MoleculeSampler(MOLECULE, 11, 2, 0)
    with pytest.raises(ValueError, match="even"):
        PairSampler(5, 3, 0)


def test_pairs_are_records_twice() -> None:
    batches = PairSampler(records=5, size=4, seed=0).round((0,))
    assert len(batches) == 2
    assert all(set(Counter(rows.tolist()).values()) == {2} for rows, _ in batches)
    assert all(rows.tolist() == molecules.tolist() for rows, molecules in batches)


@pytest.mark.parametrize("world", [1, 2])
def test_ranks_share_a_batch(world: int) -> None:
    rows = np.array([4, 7, 2, 2, 9, 0])
    lengths = np.array([5, 0, 1, 0, 8, 0, 0, 2, 0, 3])
    shares = [Arrangement.of(rows, rows % 3, lengths, rank, world) for rank in range(world)]
    assert all((one.rows_G == shares[0].rows_G).all() for one in shares)
    assert sorted(shares[0].rows_G.tolist()) == sorted(rows.tolist())
    assert (shares[0].molecule_G == shares[0].rows_G % 3).all()
    own = [shares[0].rows_G[piece].tolist() for one in shares for piece in one.pieces(2)]
    assert own == ([[2, 2], [7, 9], [0, 4]] if world == 1 else [[2, 7], [0], [2, 9], [4]])
    assert len(set(shares[0].keys_G.tolist())) == 6, "a row that comes twice has two numbers"
    assert set(shares[0].keys_G % len(lengths)) == set(rows)


def test_nearest_molecules_by_the_mean_of_their_vectors() -> None:
    vectors = np.array([[1, 0], [1, 0.2], [0, 1], [0.8, 0.6], [-1, 0]], dtype=np.float32)
    molecule = np.array([0, 0, 1, 2, 3])
    assert nearest_molecules(vectors, molecule, 2).tolist() == [[2, 1], [2, 0], [0, 1], [1, 2]]
    assert nearest_molecules(vectors, molecule, 9).shape == (4, 3)


def test_neighbours_decide_later_batches_and_survive_a_checkpoint() -> None:
    schedule = Schedule(every=2)
    assert [schedule.advance(1) for _ in range(4)] == [False, True, False, True]
    schedule.add(np.array([[1], [0]]))
    assert schedule.at(3 + LEAD).neighbours_MH is None
    assert schedule.at(4 + LEAD).neighbours_MH is not None
    for _ in range(2):
        schedule.advance(1)
    schedule.add(np.array([[0], [1]]))
    again = Schedule(every=2)
    again.load(schedule.to_json(10), 10)
    assert (again.updates, again.batches) == (6, 6)
    for batch in range(6, 20):
        one, other = schedule.at(batch), again.at(batch)
        assert one.start == other.start
        assert str(one.neighbours_MH) == str(other.neighbours_MH)
    again.load(schedule.to_json(10), 5)
    assert again.batches == 3
    assert again.at(2 + LEAD // 2).neighbours_MH is not None
