"""Sets of SMARTS patterns, each behind a gate: what all of the set contain and many molecules lack."""

from collections.abc import Mapping
from functools import cache

from rdkit import Chem


def matches_any(mol: Chem.Mol, gated: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a molecule has any of the patterns, which `gated` holds by their gates. Patterns whose gate is
    not met are not looked for."""
    return any(
        mol.HasSubstructMatch(compiled(gate))
        and any(mol.HasSubstructMatch(compiled(pattern)) for pattern in patterns)
        for gate, patterns in gated.items()
    )


@cache
def compiled(pattern: str) -> Chem.Mol:
    """The query molecule of a SMARTS pattern, made once."""
    return Chem.MolFromSmarts(pattern)
