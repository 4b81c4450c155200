"""Keys of surroundings: equal for equal surroundings, apart for others, and the same for ever."""

from rdkit import Chem

from mmspec_ds.simulator.environments import MAX_RADIUS, hybridisation, surroundings


def keys(smiles: str) -> list[list[int]]:
    return surroundings(Chem.MolFromSmiles(smiles)).keys


def test_coarse_names_keep_hybridisation_hydrogens_and_neighbours() -> None:
    assert surroundings(Chem.MolFromSmiles("CC(=O)OC")).names == [
        "C sp3 H3 -C",
        "C sp2 H0 -C -O =O",
        "O sp2 H0 =C",
        "O sp3 H0 -C -C",
        "C sp3 H3 -O",
    ]


def test_hybridisation_of_triple_cumulated_and_aromatic_bonds() -> None:
    assert [hybridisation(a) for a in Chem.MolFromSmiles("C=C=C").GetAtoms()] == ["sp2", "sp", "sp2"]
    assert [hybridisation(a) for a in Chem.MolFromSmiles("CC#N").GetAtoms()] == ["sp3", "sp", "sp"]
    assert {hybridisation(a) for a in Chem.MolFromSmiles("c1ccsc1").GetAtoms()} == {"sp2"}


def test_atoms_differ_from_the_radius_at_which_their_surroundings_do() -> None:
    # The first carbons of butane and pentane see CH3-CH2-CH2 alike; the third bond tells CH3 from CH2.
    butane, pentane = keys("CCCC")[0], keys("CCCCC")[0]
    assert [a == b for a, b in zip(butane, pentane)] == [True, True, True, True, False, False]
    assert len(butane) == MAX_RADIUS + 2


def test_the_second_key_tells_the_neighbours_hybridisation_but_not_their_hydrogens() -> None:
    acetone, butanone, enone = keys("CC(C)=O")[1], keys("CCC(C)=O")[2], keys("C=CC(C)=O")[2]
    assert acetone[0] == butanone[0] == enone[0]
    assert acetone[1] == butanone[1] != enone[1]
    assert acetone[2] != butanone[2]


def test_equivalent_atoms_share_all_keys_whatever_the_order_of_atoms() -> None:
    assert keys("CCO") == [keys("OCC")[i] for i in (2, 1, 0)]
    ring = keys("c1ccccc1")
    assert all(atom == ring[0] for atom in ring)


def test_keys_do_not_change_between_releases() -> None:
    # The shipped table is useless if they do. BLAKE2b, 6 bytes, of "coarse C sp3 H3 -C".
    assert keys("CC")[0][0] == 231566410707015
