"""Suspected structures in the order in which the spectra of a record speak for them."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from mmspec_ds.errors import DataError
from mmspec_ds.molecules.smiles import parse_smiles, without_stereo
from mmspec_ds.readers.candidate_list import Suspect
from mmspec_ds.spectra.records import FloatArray, Modality, Record
from mmspec_ds.systems.elucidation.likelihood import Likelihood
from mmspec_ds.systems.elucidation.trained import TrainedModel
from mmspec_ds.verification.calibration import Calibration
from mmspec_ds.verification.verifier import Verifier

KEPT = 500
"""Candidates of a longer list that are judged by everything."""
DOUBT = 0.2
"""Probability that a model's order of a list is worth nothing: measured molecules can be unlike all that it was
trained on, which its own probabilities do not tell."""
PIECE = 1024
"""Candidates that a first pass judges together."""

Score = Callable[[Sequence[Suspect]], FloatArray]


@dataclass(frozen=True, slots=True)
class RankedMolecule:
    """A suspected structure and what speaks for it.

    Attributes:
        rank: from 1; those with equal scores share the best rank of them.
        smiles, name: as the list gives them, the SMILES canonical.
        score: the sum of the weighted parts and of the model's evidence, in nats. Differences within one record
            have a meaning, the number alone has none.
        share: the probability of this molecule if one of the list is the right one and the errors of the
            predictions are as they are taken to be, between 0 and 1.
        parts: the log-likelihood of each kind of spectrum if this is the molecule, before its weight.
        log_probability: of the SMILES by the model; None without a model, and -inf where it cannot write it.
    """

    rank: int
    smiles: str
    name: str
    score: float
    share: float
    parts: Mapping[str, float]
    log_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The molecules, best first. `judged` is the number of all candidates; `first_pass` says by what the
    molecules were chosen from them ("c_nmr", "h_nmr" or "model"), None where all were judged by everything."""

    molecules: tuple[RankedMolecule, ...]
    judged: int
    first_pass: str | None = None


def rank(
    record: Record,
    suspects: Iterable[Suspect],
    trained: TrainedModel | None = None,
    *,
    keep: int = KEPT,
    progress: Callable[[int], None] | None = None,
) -> Ranking:
    """Rank the suspects by the spectra that are predicted for them and, if there is a model, by the probability
    that it gives to their SMILES. The error models and weights are those of the model's calibration, or those
    that ship.

    A list of more than `keep` is read as a stream, and a first pass chooses the `keep` best of it: by the 13C
    spectrum, by the 1H spectrum where there is no 13C (both predicted from narrower surroundings), or by the
    model where there is neither. Without any of them all are judged by everything.

    Args:
        record: the spectra.
        suspects: the candidates, their SMILES canonical.
        trained: the model, None for prediction alone.
        keep: candidates that are judged by everything.
        progress: told how many the first pass has judged.

    Raises:
        DataError: the record has no spectrum by which structures can be judged.
    """
    calibration = Calibration() if trained is None else trained.calibration
    verifier = Verifier(record, calibration.errors)
    likelihood = None if trained is None else Likelihood(trained, record)
    judges = _Judges(verifier, likelihood, calibration.model_weight)
    if not judges.verifier.modalities and judges.likelihood is None:
        raise DataError(f"{record.id}: no spectrum by which structures can be ranked")
    stream = iter(suspects)
    kept = list(islice(stream, keep))
    following = list(islice(stream, 1))
    if not following:
        return Ranking(judges.ranked(kept), len(kept))
    rest = chain(kept, following, stream)
    first_pass = _first_pass(record, judges)
    if first_pass is None:
        everything = list(rest)
        return Ranking(judges.ranked(everything), len(everything))
    name, score = first_pass
    best, judged = _best(rest, score, keep, progress)
    return Ranking(judges.ranked(best), judged, name)


@dataclass(frozen=True)
class _Judges:
    """All that speaks for or against a structure."""

    verifier: Verifier
    likelihood: Likelihood | None
    model_weight: float

    def ranked(self, suspects: Sequence[Suspect]) -> tuple[RankedMolecule, ...]:
        """The suspects judged by everything, best first; equal ones in the order of their SMILES."""
        smiles = [one.smiles for one in suspects]
        verdicts = self.verifier.judge(smiles)
        scores = np.array([verdict.score for verdict in verdicts])
        log_probabilities: list[float | None] = [None] * len(suspects)
        if self.likelihood is not None:
            values = spelling_log_probabilities(self.likelihood, smiles)
            log_probabilities = [float(one) for one in values]
            scores = scores + model_evidence(values, self.model_weight)
        shares = np.exp(scores - np.logaddexp.reduce(scores))
        order = sorted(range(len(suspects)), key=lambda at: (-scores[at], smiles[at]))
        best_rank = {float(scores[at]): place for place, at in reversed(list(enumerate(order, 1)))}
        return tuple(
            RankedMolecule(
                best_rank[float(scores[at])],
                suspects[at].smiles,
                suspects[at].name,
                float(scores[at]),
                float(shares[at]),
                verdicts[at].parts,
                log_probabilities[at],
            )
            for at in order
        )


def spelling_log_probabilities(likelihood: Likelihood, smiles: Sequence[str]) -> FloatArray:
    """The model's log probability of each molecule, [N]: of its canonical SMILES, and of the one without
    stereochemistry where that is another, together."""
    plain = [without_stereo(one) for one in smiles]
    found, flat = (likelihood.log_probabilities(texts) for texts in (smiles, plain))
    same = np.array([one == other for one, other in zip(smiles, plain)], dtype=np.bool_)
    return np.where(same, found, np.logaddexp(found, flat))


def model_evidence(log_probabilities: FloatArray, weight: float) -> FloatArray:
    """What a model's log probabilities [N] of the candidates say for each, in nats against even odds, [N].

    A model may know nothing of molecules like these: with the probability DOUBT its word counts nothing. The
    evidence is log((1 - DOUBT) N softmax(weight * log_probabilities) + DOUBT), never below log(DOUBT), also for
    what the model cannot write.
    """
    if not np.isfinite(log_probabilities).any():
        return np.zeros(len(log_probabilities))
    weighted = weight * log_probabilities
    shares = np.exp(weighted - np.logaddexp.reduce(weighted))
    return np.log((1 - DOUBT) * len(shares) * shares + DOUBT)


def _first_pass(record: Record, judges: _Judges) -> tuple[str, Score] | None:
    """What a first pass judges by, and its scores; None where nothing is quick enough."""
    there = {spectrum.modality for spectrum in record.spectra}
    modality = next((one for one in (Modality.C_NMR, Modality.H_NMR) if one in there), None)
    likelihood = judges.likelihood
    if modality is not None:
        quick = Verifier(replace(record, spectra=tuple(record.of(modality))), judges.verifier.models)
        return modality.name.lower(), lambda suspects: _quick_scores(quick, suspects)
    if likelihood is not None:
        return "model", lambda some: spelling_log_probabilities(likelihood, [one.smiles for one in some])
    return None


def _quick_scores(verifier: Verifier, suspects: Sequence[Suspect]) -> FloatArray:
    """Scores of a first pass, [N]; -inf for several molecules in one."""
    scores = np.full(len(suspects), -np.inf)
    single = [at for at, one in enumerate(suspects) if "." not in one.smiles]
    molecules = [suspects[at].molecule or parse_smiles(suspects[at].smiles) for at in single]
    scores[single] = verifier.judge_quickly(molecules)
    return scores


def _best(
    suspects: Iterable[Suspect], score: Score, keep: int, progress: Callable[[int], None] | None
) -> tuple[list[Suspect], int]:
    """The `keep` suspects with the highest scores, and the number of all; memory holds a piece of them."""
    best: list[tuple[float, int, Suspect]] = []
    judged, source = 0, iter(suspects)
    while piece := list(islice(source, PIECE)):
        scores = score(piece).tolist()
        numbered = zip(scores, range(-judged, -judged - len(piece), -1), piece)  # of equal ones the earlier
        best = heapq.nlargest(keep, chain(best, numbered))
        judged += len(piece)
        if progress is not None:
            progress(judged)
    return [one for _, _, one in best], judged
