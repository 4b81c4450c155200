"""Constraints of the search against RDKit: what they let through, and what they stop.

Axes: N strings, V vocabulary.
"""

import gzip
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from rdkit import Chem, rdBase
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from torch import Tensor

from mmspec_ds.molecules.formula import parse_formula
from mmspec_ds.molecules.grammar import build_grammar
from mmspec_ds.molecules.smiles import tokenize_smiles
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import SearchRules, search
from mmspec_ds.nn.constraints import Constraint, GrammarConstraint
from mmspec_ds.nn.formula_constraint import FormulaConstraint, FormulaTables

CPU = torch.device("cpu")
Written = tuple[Vocabulary, FormulaTables]
WRITTEN = (
    *("C", "CC(C)(C)O", "C#N", "O=C=O", "N#CC(=O)C#N", "FC(F)(F)Cl", "CS(=O)(=O)N", "CP(=O)(O)O"),
    *(
        "c1ccccc1",
        "c1ccc2[nH]ccc2c1",
        "O=c1cc[nH]c(=O)[nH]1",
        "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
        "c1ccc(-c2ccccn2)cc1",
    ),
    *("C1CC2CCC1C2", "C12C3C4C1C5C2C3C45", "O=C1c2ccccc2-c2ccccc21", "C1C(CC=1C)O", "CC12CC1C2"),
    *("C[C@H](N)C(=O)O", "F/C=C/F", "C[N+](=O)[O-]", "C[n+]1ccccc1.[Cl-]", "[O-][n+]1ccccc1", "C[S@](=O)CC"),
    *("CC(C)[Si](C)(C)OB(O)O", "C[Se]c1cccs1", "BrCCI", "[2H]C([2H])O", "O=c1c2oc3ccccc3oc=2c(=O)c2ccccc12"),
)
REFUSED = (
    *("C(", "C)", "C()C", "CC(C)", "C=", "C==C", "(C)C", "=C", "C1CC", "C11", "C1C1", "C12CC12", "C1CC1C1"),
    *(
        "FC(F)(F)(F)F",
        "C=O=C",
        "CN(C)(C)C",
        "C#CC#C#C",
        "O(C)(C)C",
        "c",
        "cC",
        "c1ccc1C=c",
        "c1cccc1",
        "n1cccc1",
    ),
    *("CF(C)", "C1=CC=CF1", "C.", ".C", "C..C", "C1CCF"),
)


def tables_for(written: Sequence[str]) -> tuple[Vocabulary, FormulaTables]:
    vocabulary = Vocabulary.build(tokenize_smiles(one) for one in written)
    return vocabulary, FormulaTables(build_grammar(vocabulary.tokens), CPU)


def refused(constraint: Constraint, written: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """The strings that a constraint of as many samples does not let through, end included."""
    rows = [[*vocabulary.encode(tokenize_smiles(one)), Vocabulary.EOS] for one in written]
    places, first = range(max(map(len, rows))), torch.zeros(len(rows), 1, dtype=torch.int64)
    stopped: dict[str, None] = {}
    for place in places:
        token_N = torch.tensor([row[place] if place < len(row) else Vocabulary.PAD for row in rows])
        allowed_N = constraint.allowed()[:, 0].gather(1, token_N.unsqueeze(1))[:, 0]
        for at in (~allowed_N & (token_N != Vocabulary.PAD)).nonzero()[:, 0].tolist():
            stopped[written[at]] = None
        constraint.advance(first, token_N.unsqueeze(1))
    return list(stopped)


def formula_of(smiles: str) -> dict[str, int]:
    found = Counter(parse_formula(CalcMolFormula(Chem.MolFromSmiles(smiles)))[0])
    found["H"] += found.pop("D", 0)
    return dict(found)


@pytest.fixture(scope="module")
def written() -> tuple[Vocabulary, FormulaTables]:
    return tables_for((*WRITTEN, *REFUSED))


def test_valid_strings_are_let_through_token_by_token(written: Written) -> None:
    vocabulary, tables = written
    assert refused(GrammarConstraint(tables, len(WRITTEN), 40), WRITTEN, vocabulary) == []
    formulas = [[formula_of(one)] for one in WRITTEN]
    assert refused(FormulaConstraint(tables, formulas, 40), WRITTEN, vocabulary) == []


@pytest.mark.parametrize("text", REFUSED)
def test_strings_that_are_no_molecule_are_stopped(written: Written, text: str) -> None:
    vocabulary, tables = written
    assert refused(GrammarConstraint(tables, 1, 40), [text], vocabulary) == [text]


def test_every_string_must_fit_into_the_limit(written: Written) -> None:
    vocabulary, tables = written
    for one in WRITTEN[1:]:
        length = len(tokenize_smiles(one)) + 1
        assert refused(GrammarConstraint(tables, 1, length), [one], vocabulary) == []
        assert refused(GrammarConstraint(tables, 1, length - 1), [one], vocabulary) == [one]


@pytest.mark.parametrize(
    ("text", "formula", "fits"),
    [
        ("CCO", "C2H6O", True),
        ("CC=O", "C2H6O", False),
        ("CC=O", "C2H4O", True),
        ("C1CO1", "C2H4O", True),
        ("CCO", "C3H8O", False),
        ("CCN", "C2H6O", False),
        ("CS(C)=O", "C2H6OS", True),
        ("c1cc[nH]c1", "C4H5N", True),
        ("Cn1cccc1", "C5H7N", True),
        ("C[N+](=O)[O-]", "CH3NO2", True),
        ("C[N+](=O)[O-]", "CH5NO2", False),
    ],
)
def test_formulas_count_every_hydrogen(written: Written, text: str, formula: str, fits: bool) -> None:
    vocabulary, tables = written
    constraint = FormulaConstraint(tables, [[parse_formula(formula)[0]]], 20)
    assert (refused(constraint, [text], vocabulary) == []) == fits


def test_one_of_many_formulas_is_enough(written: Written) -> None:
    vocabulary, tables = written
    many = [{"C": count, "H": 2 * count + 2} for count in range(1, 140)]
    for samples in ([many], [[*many, {"C": 2, "H": 4, "O": 1}]], [None]):
        found = refused(FormulaConstraint(tables, samples, 20), ["CC=O"], vocabulary)
        assert found == (["CC=O"] if samples == [many] else [])
    assert refused(FormulaConstraint(tables, [many], 20), ["CCCC"], vocabulary) == []


class Walks:
    """Logits drawn at random, and what is written less often the longer a string is: the end."""

    def __init__(self, tokens: int, generator: torch.Generator) -> None:
        self.tokens, self.generator, self.length = tokens, generator, 0

    def logits(self, tokens_BK: Tensor) -> Tensor:
        self.length += 1
        drawn = torch.randn(*tokens_BK.shape, self.tokens, generator=self.generator, dtype=torch.float64)
        drawn[..., Vocabulary.EOS] += 0.2 * self.length
        return drawn

    def reorder(self, parents_BK: Tensor) -> None: ...

    def keep(self, samples: Tensor) -> None: ...


def walked(constraint: GrammarConstraint, vocabulary: Vocabulary, samples: int, limit: int) -> list[list[str]]:
    """What a beam of 4 writes for each sample; only what ended."""
    rules = SearchRules(beam=4, n_best=4, max_tokens=limit, length_penalty=0.0)
    walks = Walks(len(vocabulary), torch.Generator().manual_seed(0))
    found = search(walks, samples, rules, CPU, constraint)
    return [["".join(vocabulary.decode(c.tokens)) for c in row if c.finished] for row in found]


def test_random_walks_are_molecules() -> None:
    vocabulary, tables = tables_for(["CC(=O)N1CC1#N", "BrF", "ClS2OC23"])
    rows = walked(GrammarConstraint(tables, 500, 24), vocabulary, 500, 24)
    written = [one for row in rows for one in row]
    assert len(written) > 1900
    with rdBase.BlockLogs():
        assert [one for one in written if Chem.MolFromSmiles(one) is None] == []


def test_random_walks_have_the_formula() -> None:
    vocabulary, tables = tables_for(["CC(=O)N1CC1#N", "F", "S2OC2"])
    wanted = [
        {"C": 4, "H": 7, "N": 1, "O": 1},
        {"C": 5, "H": 4, "F": 2, "O": 1},
        {"C": 3, "H": 8, "O": 2, "S": 1},
    ]
    rows = walked(FormulaConstraint(tables, [[one] for one in wanted * 60], 24), vocabulary, 180, 24)
    assert sum(map(len, rows)) > 150
    for row, formula in zip(rows, wanted * 60):
        assert all(formula_of(one) == formula for one in row)


def test_hypotheses_keep_their_own_states() -> None:
    """Two samples of two hypotheses, exchanged and dropped as a search does."""
    vocabulary, tables = tables_for(["C(=O)C1CC1"])
    ids = {token: at for at, token in enumerate(vocabulary.tokens)}
    constraint = GrammarConstraint(tables, 2, 20)

    def write(parents: list[list[int]], tokens: list[list[str]]) -> None:
        constraint.advance(torch.tensor(parents), torch.tensor([[ids[t] for t in row] for row in tokens]))

    def allowed(sample: int, hypothesis: int) -> set[str]:
        mask = constraint.allowed()[sample, hypothesis].tolist()
        return {token for token, one in zip(vocabulary.tokens, mask) if one}

    write([[0, 0], [0, 0]], [["C", "O"], ["O", "C"]])
    write([[0, 1], [0, 1]], [["(", "="], ["1", "C"]])
    assert allowed(0, 0) == {"C", "O", "="}
    assert allowed(0, 1) == {"C", "O"}
    assert allowed(1, 0) == {"C", "O"}
    write([[1, 0], [1, 0]], [["O", "C"], ["1", "C"]])
    assert allowed(0, 0) == {"<eos>"}  # O=O
    assert allowed(0, 1) == {"C", "O", "=", "(", ")", "1"}  # C(C
    constraint.keep(torch.tensor([1]))
    assert allowed(0, 0) == {"C", "O", "=", "(", "1"} - {"1"}  # CC1: its own ring cannot be closed here
    assert "1" not in allowed(0, 1)  # O1C: a ring of two


@pytest.mark.parametrize("canonical", [True, False], ids=["canonical", "random spelling"])
def test_published_molecules_are_let_through(shared_data: Path, canonical: bool) -> None:
    lines = gzip.decompress((shared_data / "moses_100k.smi.gz").read_bytes()).decode().split()[1:]
    chosen = random.Random(0).sample(lines, 1000)
    if not canonical:
        molecules = [Chem.MolFromSmiles(one) for one in chosen]
        chosen = [Chem.MolToRandomSmilesVect(one, 1, randomSeed=1)[0] for one in molecules]
    vocabulary, tables = tables_for(chosen)
    assert refused(GrammarConstraint(tables, len(chosen), 70), chosen, vocabulary) == []
    formulas = [[formula_of(one)] for one in chosen]
    assert refused(FormulaConstraint(tables, formulas, 70), chosen, vocabulary) == []
