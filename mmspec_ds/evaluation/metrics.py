"""Scores of proposed structures, by the rules of the benchmark (Alberts et al. 2024)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from mmspec_ds.evaluation.reliability import Reliability
from mmspec_ds.molecules.smiles import canonical_smiles

TOP_K = tuple(range(1, 11))
"""The ranks in a JSON report."""

SHOWN_K = (1, 3, 5, 10)
"""The ranks in a table."""

Rule = Literal["raw", "unique", "verified"]
"""What is ranked. raw: strings as a search wrote them; by the benchmark's rule, invalid and repeated structures
keep their rank. unique: valid structures, none twice. verified: these, ranked by their predicted spectra as
well."""


@dataclass(frozen=True)
class EvaluationResult:
    """Scores over `n` molecules: `top_k[k]`, k = 1 .. 10, and `validity` in per cent, `tanimoto` between 0 and
    1, `seconds` of decoding, the rule by which candidates have their ranks, and by name how reliable the stated
    probabilities are."""

    n: int
    top_k: Mapping[int, float]
    validity: float
    tanimoto: float
    seconds: float
    rule: Rule = "raw"
    confidence: Mapping[str, Reliability] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary: n, top_1 .. top_10, validity, tanimoto, seconds, rule and, where probabilities
        are stated, confidence."""
        ranks = {f"top_{k}": self.top_k[k] for k in TOP_K}
        rest = {"validity": self.validity, "tanimoto": self.tanimoto, "seconds": self.seconds}
        stated = {name: one.to_json() for name, one in self.confidence.items()}
        return {"n": self.n, **ranks, **rest, "rule": self.rule} | ({"confidence": stated} if stated else {})


def canonical_or_none(smiles: str) -> str | None:
    """The canonical form with stereochemistry, or None for an invalid structure."""
    try:
        return canonical_smiles(smiles)
    except ValueError:
        return None


def rank_of(truth: str, candidates: Sequence[str | None]) -> int | None:
    """Return the first rank, from 1, of a canonical SMILES among canonical candidates, None if absent.

    Invalid structures and repeated structures keep their rank: a model that spends its list on them has fewer
    guesses. That is the benchmark's rule.
    """
    return next((rank for rank, candidate in enumerate(candidates, start=1) if candidate == truth), None)


def top_k_shares(ranks: Sequence[int | None]) -> dict[int, float]:
    """Per cent of molecules found at rank k or before, for each k of TOP_K."""
    return {k: 100 * sum(rank is not None and rank <= k for rank in ranks) / len(ranks) for k in TOP_K}


def validity_share(candidates: Iterable[Sequence[str | None]]) -> float:
    """Per cent of all candidates of all molecules that are valid structures; 0 without candidates."""
    valid = [candidate is not None for one in candidates for candidate in one]
    return 100 * sum(valid) / len(valid) if valid else 0.0


def tanimoto(first: str, second: str) -> float:
    """Tanimoto similarity of two structures by Morgan fingerprints of radius 2 and 2,048 bits."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in (first, second)]
    return float(DataStructs.TanimotoSimilarity(*prints))


def score_candidates(
    candidates: Sequence[Sequence[str]], truths: Sequence[str], *, seconds: float = 0.0, rule: Rule = "raw"
) -> EvaluationResult:
    """Return all scores of the proposals of one model.

    Args:
        candidates: per molecule its proposals as SMILES, best first.
        truths: per molecule its structure.
        seconds: how long the proposals took.
        rule: by which they have their ranks; noted in the result.

    Returns:
        Exact match of canonical SMILES, stereochemistry kept; the similarity is that of the first proposal
        which is valid, 0 where none is.

    Raises:
        ValueError: no molecule, lists of unequal length, or an invalid truth.
    """
    if not truths or len(candidates) != len(truths):
        raise ValueError(f"{len(candidates)} lists of candidates for {len(truths)} molecules")
    expected = [canonical_or_none(truth) for truth in truths]
    if None in expected:
        raise ValueError(f"{truths[expected.index(None)]!r} is not a valid structure")
    canonical = [[canonical_or_none(candidate) for candidate in one] for one in candidates]
    best = [next((candidate for candidate in one if candidate is not None), None) for one in canonical]
    pairs = [(truth, guess) for truth, guess in zip(expected, best) if truth is not None]
    ranks = [rank_of(truth, one) for (truth, _), one in zip(pairs, canonical)]
    similar = [0.0 if guess is None else tanimoto(truth, guess) for truth, guess in pairs]
    return EvaluationResult(
        n=len(truths),
        top_k=top_k_shares(ranks),
        validity=validity_share(canonical),
        tanimoto=sum(similar) / len(similar),
        seconds=seconds,
        rule=rule,
    )


def describe_overlap(train_smiles: Iterable[str], test_smiles: Iterable[str]) -> int:
    """Return the number of distinct test SMILES that are also in the training set; both canonical."""
    return len(set(train_smiles) & set(test_smiles))
