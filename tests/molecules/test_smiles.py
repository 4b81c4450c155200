"""SMILES tokens join to what they came from; canonical forms and facts agree with values known by hand."""

import gzip
from pathlib import Path

import pytest
from rdkit import Chem

from mmspec_ds.molecules.identity import identify
from mmspec_ds.molecules.smiles import (
    canonical_smiles,
    inchikey_block,
    is_flat,
    parse_smiles,
    random_smiles,
    tokenize_smiles,
    tokens_of_spellings,
    without_stereo,
)

HAND_CASES = {
    "CCO": ["C", "C", "O"],
    "ClCBr": ["Cl", "C", "Br"],
    "N[C@@H](C)C(=O)O": ["N", "[C@@H]", "(", "C", ")", "C", "(", "=", "O", ")", "O"],
    "F/C=C\\F": ["F", "/", "C", "=", "C", "\\", "F"],
    "[NH4+].[Cl-]": ["[NH4+]", ".", "[Cl-]"],
    "[13CH4]": ["[13CH4]"],
    "[2H]C#N": ["[2H]", "C", "#", "N"],
    "c1cc[nH]c1": ["c", "1", "c", "c", "[nH]", "c", "1"],
    "C%10CC%10": ["C", "%10", "C", "C", "%10"],
    "C%(123)CC%(123)": ["C", "%(123)", "C", "C", "%(123)"],
    "c1ccc2c(c1)[se]cc2": [
        *["c", "1", "c", "c", "c", "2", "c", "(", "c", "1", ")"],
        *["[se]", "c", "c", "2"],
    ],
    "[O-][N+](=O)c1ccccc1": [
        *["[O-]", "[N+]", "(", "=", "O", ")"],
        *["c", "1", "c", "c", "c", "c", "c", "1"],
    ],
    "[CH3:7]*": ["[CH3:7]", "*"],
    "": [],
}


@pytest.mark.parametrize("smiles", HAND_CASES, ids=lambda text: text or "empty")
def test_tokens_by_hand(smiles: str) -> None:
    assert tokenize_smiles(smiles) == HAND_CASES[smiles]


def test_round_trip_of_a_hundred_thousand_molecules(shared_data: Path) -> None:
    lines = gzip.decompress((shared_data / "moses_100k.smi.gz").read_bytes()).decode().split()
    assert len(lines) == 100_000
    tokens = [tokenize_smiles(smiles) for smiles in lines]
    assert ["".join(parts) for parts in tokens] == lines
    kinds = {token for parts in tokens for token in parts}
    assert {"Cl", "Br", "[nH]"} <= kinds
    assert not kinds & {"l", "r", "[", "]"}


@pytest.mark.parametrize(
    ("smiles", "character", "place"),
    [("CCX", "X", 2), ("C C", " ", 1), ("[CH3", "[", 0), ("CC]", "]", 2), ("C%1C", "%", 1), ("C@C", "@", 1)],
)
def test_characters_without_a_place(smiles: str, character: str, place: int) -> None:
    with pytest.raises(ValueError, match="which is not a token") as caught:
        tokenize_smiles(smiles)
    assert f"has {character!r} at {place}," in str(caught.value)


def test_one_canonical_form_for_one_molecule() -> None:
    assert {canonical_smiles(s) for s in ("OCC", "C(O)C", "[CH3][CH2][OH]")} == {"CCO"}
    assert canonical_smiles("C1=CC=CC=C1") == "c1ccccc1"


def test_canonical_form_keeps_stereo_apart() -> None:
    left, right = canonical_smiles("N[C@@H](C)C(=O)O"), canonical_smiles("N[C@H](C)C(=O)O")
    assert left != right
    assert "@" in left
    assert "@" in right
    assert canonical_smiles("F/C=C/F") != canonical_smiles("F/C=C\\F")


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", "is empty"),
        ("CCO ethanol", "contains a blank"),
        ("C1CC", "cannot be parsed"),
        ("C(C)(C)(C)(C)C", "valence"),
        ("c1cccc1", "kekulize"),
        ("not", "cannot be parsed"),
    ],
)
@pytest.mark.parametrize("function", [canonical_smiles, inchikey_block, parse_smiles])
def test_invalid_smiles_say_why(function, smiles: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=f"(?i){reason}") as caught:
        function(smiles)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == "", "RDKit's own log must stay silent"


def test_inchikey_block_is_the_published_one_and_blind_to_stereo() -> None:
    assert inchikey_block("CCO") == "LFQSCWFLJHTTHZ"
    assert inchikey_block("N[C@@H](C)C(=O)O") == inchikey_block("NC(C)C(=O)O") == "QNAYBMKLOCPYGJ"


CARBOXYLATE = "O=C([O-][K+])c1ccccc1"


@pytest.mark.parametrize(
    ("smiles", "canonical"),
    [
        (CARBOXYLATE, CARBOXYLATE),
        ("c1ccc(C(=O)[O-][K+])cc1", CARBOXYLATE),
        ("O=C([O-]->[K+])c1ccccc1", CARBOXYLATE),
        ("[K+]<-[O-]C(=O)c1ccccc1", CARBOXYLATE),
        ("CC(=O)[O-][Na+]", "CC(=O)[O-][Na+]"),
        ("F/C=C/C(=O)[O-][K+]", "O=C(/C=C/F)[O-][K+]"),
        ("CC[NH2]->[Pd]", "CC[NH2][Pd]"),
        ("O=C([O-])c1ccccc1.[K+]", "O=C([O-])c1ccccc1.[K+]"),
    ],
)
def test_bonds_to_metals_are_written_without_an_arrow(smiles: str, canonical: str) -> None:
    """RDKit's own canonical form of the first four is "O=C([O-]->[K+])c1ccccc1"."""
    assert canonical_smiles(smiles) == canonical
    assert canonical_smiles(canonical) == canonical
    assert "".join(tokenize_smiles(canonical)) == canonical
    assert identify(smiles, "skeleton").canonical == canonical
    assert Chem.MolToInchiKey(Chem.MolFromSmiles(canonical)) == Chem.MolToInchiKey(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize("smiles", ["[Cu+2]<-[n]1ccccc1", "B<-[N+](C)(C)C", "[Cl-]->[Zn+2]<-[Cl-]"])
def test_an_arrow_that_the_structure_needs_stays_and_is_a_token(smiles: str) -> None:
    """With a single bond instead, RDKit refuses the first and the third and reads the second as another
    molecule."""
    assert canonical_smiles(smiles) == smiles
    tokens = tokenize_smiles(smiles)
    assert "".join(tokens) == smiles
    assert {"->", "<-"} & set(tokens)


SPELLED = (
    *(
        "CC(=O)Oc1ccccc1C(=O)O",
        "C[C@H](N)C(=O)O",
        "F/C=C/c1ccc(Cl)cc1",
        "C1CC2CCC1C2",
        "O=[N+]([O-])c1cc[nH]c1",
    ),
    *("C[C@@H]1CC[C@H]2C[C@H]2C1=O", "C12C3C4C1C5C2C3C45"),
)


@pytest.mark.parametrize("smiles", SPELLED)
def test_random_smiles_are_of_the_same_molecule_and_of_known_tokens(smiles: str) -> None:
    canonical = canonical_smiles(smiles)
    found = {random_smiles(canonical, seed) for seed in range(60)}
    assert {canonical_smiles(one) for one in found} == {canonical}
    assert len(found) > 2
    assert random_smiles(canonical, 7) == random_smiles(canonical, 7)
    known = tokens_of_spellings(tokenize_smiles(canonical))
    assert {token for one in found for token in tokenize_smiles(one)} <= known


def test_a_molecule_with_a_dative_bond_keeps_its_spelling() -> None:
    assert {random_smiles("CC(=O)[O-][K+]", seed) for seed in range(9)} == {"CC(=O)[O-][K+]"}


def test_tokens_of_spellings_by_hand() -> None:
    assert tokens_of_spellings(["C", "O"]) == {*"CO()"}
    assert tokens_of_spellings(["[C@H]", "[C@@]", "/"]) == {"[C@H]", "[C@@H]", "[C@]", "[C@@]", *"/\\()"}
    assert tokens_of_spellings(["C", "2"]) == {*"C()123456789"}


@pytest.mark.parametrize(
    ("smiles", "flat"),
    [
        ("C[C@H](O)CC", "CCC(C)O"),
        ("F/C=C/F", "FC=CF"),
        ("[13CH4]", "C"),
        ("[2H]OC", "CO"),
        ("OCC", "OCC"),
    ],
)
def test_without_stereo(smiles: str, flat: str) -> None:
    assert without_stereo(smiles) == flat
    assert is_flat(smiles) == (smiles == flat)
