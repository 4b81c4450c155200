"""Candidates in the order of their combined score: what the model gives them, and how well the spectra that are
predicted for them agree with the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmspec_ds.evaluation.reliability import Reliability, reliability
from mmspec_ds.spectra.records import Record
from mmspec_ds.systems.elucidation.candidates import Candidates
from mmspec_ds.verification.calibration import Calibration
from mmspec_ds.verification.verifier import Verifier

NMR = ("h_nmr", "c_nmr", "hsqc")
SURE = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logarithms are taken."""


@dataclass(frozen=True, slots=True)
class VerifiedCandidate:
    """A molecule and its evidence.

    Attributes:
        smiles: canonical.
        log_probability: of the model, in nats.
        score: the weighted sum of that and of the parts.
        parts: log-likelihoods of the record's spectra, in nats by modality.
        share: of the list's probability, between 0 and 1.
    """

    smiles: str
    log_probability: float
    score: float
    parts: Mapping[str, float]
    share: float


@dataclass(frozen=True, slots=True)
class VerifiedCandidates:
    """Molecules, the best first, and the probability that the right one is among them (None where the model has
    no calibration)."""

    molecules: tuple[VerifiedCandidate, ...]
    listed: float | None

    def confidence(self, rank: int) -> float | None:
        """The probability that the molecule at a rank, from 1, is the right one."""
        return None if self.listed is None else self.listed * self.molecules[rank - 1].share


def verify(candidates: Candidates, record: Record, calibration: Calibration) -> VerifiedCandidates:
    """The candidates in the order of their combined score. Without a spectrum that can be predicted, the
    model's probability decides alone."""
    verdicts = Verifier(record, calibration.errors).judge([one.smiles for one in candidates.molecules])
    return combine(candidates, [one.parts for one in verdicts], record, calibration)


def combine(
    candidates: Candidates, parts: Sequence[Mapping[str, float]], record: Record, calibration: Calibration
) -> VerifiedCandidates:
    """The same, from the parts of each candidate's score."""
    if not candidates.molecules:
        return VerifiedCandidates((), None if calibration.listed is None else 0.0)
    own = calibration.model_weight * np.array([one.log_probability for one in candidates.molecules])
    scores = own + np.array([calibration.errors.total(one) for one in parts])
    shares = np.exp(scores - np.logaddexp.reduce(scores))
    molecules = tuple(
        VerifiedCandidate(one.smiles, one.log_probability, float(scores[at]), parts[at], float(shares[at]))
        for at, one in sorted(enumerate(candidates.molecules), key=lambda entry: -scores[entry[0]])
    )
    listed = None
    if calibration.listed is not None:
        features = np.array([1.0, *list_features(molecules, record)])
        listed = float(1 / (1 + np.exp(-features @ np.array(calibration.listed))))
    return VerifiedCandidates(molecules, listed)


def list_features(molecules: Sequence[VerifiedCandidate], record: Record) -> tuple[float, float, float]:
    """What tells whether the right molecule is among some, best first: how well the first one agrees with the
    record's NMR spectra (nats a signal), how much of the model's probability the list lacks (log), and how far
    the first is before the others (log of the odds)."""
    first = molecules[0]
    missed = 1 - float(np.exp([one.log_probability for one in molecules]).sum())
    share = min(max(first.share, SURE), 1 - SURE)
    agreement = sum(first.parts.get(name, 0.0) for name in NMR) / max(_signals(record), 1)
    return agreement, float(np.log(max(missed, SURE))), float(np.log(share / (1 - share)))


def check_confidence(
    found: Sequence[VerifiedCandidates], truths: Sequence[str | None]
) -> dict[str, Reliability]:
    """How reliable the stated probabilities are, that the first candidate is right ("first") and that the right
    one is among them ("listed"). Records without a stated probability are left out.

    Raises:
        ValueError: none states a probability.
    """
    first, listed = [], []
    for one, truth in zip(found, truths):
        if one.listed is None:
            continue
        smiles = [molecule.smiles for molecule in one.molecules]
        listed.append((one.listed, truth in smiles))
        first.append((one.confidence(1) or 0.0 if smiles else 0.0, bool(smiles) and smiles[0] == truth))
    return {
        name: reliability([stated for stated, _ in pairs], [true for _, true in pairs])
        for name, pairs in (("first", first), ("listed", listed))
    }


def _signals(record: Record) -> int:
    """Signals of the record's NMR spectra."""
    count = 0
    for spectrum in record.spectra:
        for name in ("multiplets", "shifts_ppm", "peaks"):
            count += len(getattr(spectrum, name, ()))
    return count
