"""Subsets, exchanged spectra, splits and overlap."""

import numpy as np
import pytest

from mmspec_ds.data.dataset import SpectraDataset, shared_blocks
from mmspec_ds.errors import DataError
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.simulator.parts import Molecule as Part
from mmspec_ds.simulator.parts import divided
from mmspec_ds.spectra.packed import PackedTokens, offsets_of
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.tokens import DiscreteField, TokenSchema

SCHEMA = TokenSchema(discrete=(DiscreteField("bin", 99),))
SMILES = ("CCO", "OC(F)C", "F[C@H](O)C", "c1ccccc1", None)


def dataset(smiles=SMILES, h_counts=(1, 2, 3, 1, 1), c_counts=(2, 0, 1, 0, 4)):
    tokens = {}
    for modality, counts in ((Modality.H_NMR, h_counts), (Modality.C_NMR, c_counts)):
        values = np.arange(sum(counts), dtype=np.int16)[:, None]
        tokens[modality] = PackedTokens(values, np.empty((len(values), 0), np.float32), offsets_of(counts))
    names = tuple(f"r{at}" for at in range(len(smiles)))
    return SpectraDataset(names, smiles, tokens, dict.fromkeys(tokens, SCHEMA))


def values(data, modality=Modality.H_NMR):
    return data.tokens[modality].discrete[:, 0].tolist()


def test_lengths_are_encoder_tokens():
    assert dataset().lengths.tolist() == [3, 2, 4, 1, 5]


def test_blocks_ignore_stereo_and_keep_unknown_structures_apart():
    blocks = dataset(smiles=("OC(F)C", "F[C@H](O)C", "CCO", None, None)).blocks
    assert blocks[0] == blocks[1] != blocks[2]
    assert blocks[3] != blocks[4]
    assert blocks[2] == "LFQSCWFLJHTTHZ"  # ethanol, as every database has it


def test_a_structure_without_an_inchikey_is_its_own_block():
    complexes = ("C[C]12[CH2][Pt]13456([CH2]=2)[CH]1[CH]3=[CH]4[CH]5=[CH]16", "CCO")
    blocks = dataset(smiles=complexes, h_counts=(1, 1), c_counts=(1, 1)).blocks
    assert blocks == (complexes[0], "LFQSCWFLJHTTHZ")


def test_subset_keeps_the_order_asked_for():
    part = dataset().subset([2, 0])
    assert part.ids == ("r2", "r0")
    assert part.smiles == (SMILES[2], "CCO")
    assert values(part) == [3, 4, 5, 0]
    assert values(part, Modality.C_NMR) == [2, 0, 1]


def test_targets_follow_their_samples():
    vocabulary = Vocabulary.build([["C", "O", "c", "1", "F", "(", ")", "[C@H]"]])
    data = dataset().subset([0, 1, 2, 3]).with_targets(vocabulary)
    assert vocabulary.decode(data.targets.subset(np.array([0])).values) == ["C", "C", "O"]
    assert data.targets.counts.tolist() == [5, 8, 8, 10]
    assert "".join(vocabulary.decode(data.subset([3]).targets.values)) == "c1ccccc1"


def test_exchanged_spectra_leave_structures_in_place():
    other = dataset().with_spectra_of([1, 2, 3, 4, 0])
    assert other.smiles == SMILES
    assert other.ids == dataset().ids
    assert values(other) == [1, 2, 3, 4, 5, 6, 7, 0]
    with pytest.raises(ValueError, match="5 samples"):
        dataset().with_spectra_of([0, 1])


def test_fewer_modalities():
    assert dataset().only([Modality.H_NMR]).lengths.tolist() == [1, 2, 3, 1, 1]
    with pytest.raises(DataError, match="record r1 and 1 others have no spectrum of c_nmr"):
        dataset().only([Modality.C_NMR])
    with pytest.raises(ValueError, match="no ms"):
        dataset().only([Modality.H_NMR, Modality.MS])


def test_a_molecule_keeps_its_side_when_data_are_added():
    chain = tuple("C" * n for n in range(1, 61))
    small, large = (
        dataset(part, h_counts=(1,) * len(part), c_counts=(1,) * len(part)) for part in (chain[:30], chain)
    )
    _, held_back = small.split_by_block(0.3, seed=5)
    train, more = large.split_by_block(0.3, seed=5)
    assert set(held_back.smiles) <= set(more.smiles)
    assert len(train) + len(more) == 60
    # 18 expected, standard deviation 3.5
    assert 8 <= len(more) <= 28
    assert set(large.split_by_block(0.3, seed=6)[1].smiles) != set(more.smiles)


@pytest.mark.parametrize("rule", ["inchikey", "scaffold"])
def test_a_part_of_the_training_file_of_mmspec_simulate_is_held_back(rule):
    """Its files are parted by another draw: by the same one nothing would be left to hold back."""
    smiles = [f"{start}{'C' * length}{end}" for start in ("", "c1ccccc1", "C1CC1") for length in range(2, 42)
              for end in ("O", "N")]  # fmt: skip
    train = tuple(divided([Part(one) for one in smiles], rule, 0.2, 0.2)["train"])
    assert len(train) > 100
    counts = (1,) * len(train)
    _, held_back = dataset(train, h_counts=counts, c_counts=counts).split_by_block(0.2)
    assert 0.1 < len(held_back) / len(train) < 0.3


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match="cannot be split"):
        dataset().split_by_block(1e-9)
    with pytest.raises(ValueError, match="between 0 and 1"):
        dataset().split_by_block(1.0)


def test_shared_blocks():
    train = dataset(smiles=("CCO", "C[C@@H](O)F", "C", "CC", None))
    with pytest.raises(DataError, match=r"2 molecules .* such as CCO \(record r0\)"):
        shared_blocks(train, dataset())
    assert shared_blocks(train, dataset(), allow=True) == 2
    assert shared_blocks(train, dataset(smiles=("N", "O", "S", "P", None))) == 0
