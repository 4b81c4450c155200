"""Why a structure fits a record: its signals assigned to atoms, its fragments, and what the model read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mmspec_ds.figures.heat_maps import Map
from mmspec_ds.moe.routing_tables import expert_names
from mmspec_ds.molecules.depiction import Colour, Style
from mmspec_ds.spectra.records import Record, TandemMS
from mmspec_ds.spectra.registry import REGISTRY, modality_by_name
from mmspec_ds.systems.elucidation.attribution import (
    Contributions,
    modality_contributions,
    record_routing,
)
from mmspec_ds.systems.elucidation.trained import TrainedModel
from mmspec_ds.verification.assignment import SignalMatch, assign
from mmspec_ds.verification.error_models import ErrorModels
from mmspec_ds.verification.fragment_peaks import PeakMatch, explained_share, match_peaks
from mmspec_ds.verification.predicted import RDKIT_ERRORS

GRADES = ("error as expected", "up to twice", "larger", "not observed")
"""What the colours of signals and atoms mean, in the order of COLOURS."""
COLOURS: tuple[Colour, ...] = ((122, 205, 150), (246, 200, 95), (240, 140, 128), (200, 205, 212))
PEAKS = 12
"""Peaks named of an MS/MS spectrum, the strongest ones."""
NUCLEI = {"h_nmr": ("1H NMR", 2), "c_nmr": ("13C NMR", 1)}
"""Spectra whose signals are assigned: label, and decimals of a shift in ppm."""


def error_ppm(match: SignalMatch) -> float | None:
    """Observed less predicted shift; None for a signal that lacks one of them."""
    if match.observed_ppm is None or match.predicted_ppm is None:
        return None
    return match.observed_ppm - match.predicted_ppm


def grade(match: SignalMatch) -> int | None:
    """The place in GRADES of a predicted signal; None for an observed one that no atom explains."""
    if match.predicted_ppm is None:
        return None
    error = error_ppm(match)
    if error is None:
        return 3
    size = abs(error) / match.spread_ppm
    return 0 if size <= 1 else 1 if size <= 2 else 2


def of_nucleus(matches: Iterable[SignalMatch], modality: str) -> list[SignalMatch]:
    """The signals of one kind of spectrum, a key of NUCLEI."""
    return [one for one in matches if one.modality == modality]


def coloured(matches: Sequence[SignalMatch], modality: str, bond: float) -> Style:
    """How to draw the structure: atoms in the colour of the error (the worst, of several signals), with the
    observed shifts beside them."""
    grades: dict[int, int] = {}
    notes: dict[int, list[str]] = {}
    for match in of_nucleus(matches, modality):
        found = grade(match)
        for atom in match.atoms:
            assert found is not None
            grades[atom] = max(grades.get(atom, 0), found)
            if match.observed_ppm is not None:
                notes.setdefault(atom, []).append(shift(match.observed_ppm, modality))
    return Style(
        bond,
        {atom: COLOURS[one] for atom, one in grades.items()},
        {atom: ", ".join(dict.fromkeys(texts)) for atom, texts in notes.items()},
    )


def shift(ppm: float | None, modality: str) -> str:
    """A chemical shift as text, empty where there is none."""
    return "" if ppm is None else f"{ppm:.{NUCLEI[modality][1]}f}"


@dataclass(frozen=True)
class ExplainedCandidate:
    """A candidate and what speaks for it.

    Attributes:
        smiles: canonical.
        probability: that the model gives it.
        confidence: the probability that it is right; None where the model is not calibrated.
        verification: by the name of each kind of spectrum, the log-likelihood in nats of what was measured.
        matches: its 1H and 13C signals.
        fragments: by the label of each MS/MS spectrum, its peaks.
    """

    smiles: str
    probability: float
    confidence: float | None
    verification: Mapping[str, float]
    matches: tuple[SignalMatch, ...]
    fragments: Mapping[str, tuple[PeakMatch, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """Why a model proposes what it does for one record.

    Attributes:
        id: of the record.
        facts: by name, ready to print: formula or mass of the candidates, what was read, the confidence.
        candidates: the first ones, best first; none where the model proposes nothing.
        remarks: what was changed, assumed or left out on the way.
        contributions: to the log probability of the first candidate.
        routing: of the tokens of each kind, the share that went to each expert, over all layers; None for a
            dense model.
    """

    id: str
    facts: Mapping[str, str]
    candidates: tuple[ExplainedCandidate, ...]
    remarks: tuple[str, ...] = ()
    contributions: Contributions | None = None
    routing: Map | None = None


def label_of(name: str) -> str:
    """The label of a kind of spectrum by its name."""
    return REGISTRY[modality_by_name(name)].label


def heading(explanation: Explanation) -> str:
    """One line: the record and what is known of it."""
    return "   ".join([explanation.id, *(f"{name}: {text}" for name, text in explanation.facts.items())])


def summary(candidate: ExplainedCandidate) -> str:
    """One line: how probable the candidate is (that it is right, else that the model gives it), and how many of
    its signals are where they are expected."""
    texts = [f"p = {candidate.probability:.2g}"]
    if candidate.confidence is not None:
        texts = [f"confidence {candidate.confidence:.0%}"]
    for name, (label, _) in NUCLEI.items():
        grades = [grade(one) for one in of_nucleus(candidate.matches, name)]
        if grades:
            texts.append(f"{label} {sum(at in (0, 1) for at in grades)}/{len(grades)}")
    return ",  ".join(texts)


def strongest(peaks: Sequence[PeakMatch], most: int) -> list[PeakMatch]:
    """The strongest peaks, by rising m/z."""
    return sorted(sorted(peaks, key=lambda one: -one.intensity)[:most], key=lambda one: one.mz)


def fragments_title(label: str, peaks: Sequence[PeakMatch]) -> str:
    """One line: the spectrum and how much of it fragments explain."""
    return f"{label}: {explained_share(peaks):.0%} of the intensity explained"


def labels_of(match: SignalMatch, labels: Sequence[str]) -> str:
    """The atoms of a signal, by the labels of all atoms."""
    return ",".join(labels[atom] for atom in match.atoms[:3]) + ("..." if len(match.atoms) > 3 else "")


def explain(trained: TrainedModel, record: Record, answer: Mapping[str, Any], top: int) -> Explanation:
    """Explain an answer (see `predict_files.predict_requests`) by the record and the model that gave it."""
    explanation = explain_answer(answer, record, top, trained.calibration.errors)
    if not explanation.candidates:
        return explanation
    return replace(
        explanation,
        contributions=modality_contributions(trained, record, explanation.candidates[0].smiles),
        routing=_routing_map(trained, record),
    )


def explain_answer(answer: Mapping[str, Any], record: Record, top: int, errors: ErrorModels) -> Explanation:
    """What can be said of an answer without the model: the signals of its first candidates."""
    what, _, composition = (answer.get("composition") or "").partition(" ")
    facts = {
        what: composition,
        "read": ", ".join(map(label_of, answer["read"])),
        "not read by the model": ", ".join(map(label_of, answer["unused"])),
    }
    listed = answer.get("confidence", {}).get("listed")
    if listed is not None:
        facts["right one listed"] = f"{listed:.0%}"
    candidates = (_candidate(one, record, errors) for one in answer["candidates"][:top])
    return Explanation(
        answer["id"],
        {name: text for name, text in facts.items() if text},
        tuple(candidates),
        remarks=tuple(answer["remarks"]),
    )


def _candidate(one: Mapping[str, Any], record: Record, errors: ErrorModels) -> ExplainedCandidate:
    """A candidate of an answer with its signals and peaks; without them where nothing is predicted for it, as
    for a salt."""
    smiles = one["smiles"]
    found = ExplainedCandidate(
        smiles, one["probability"], one.get("confidence"), one.get("verification", {}), matches=()
    )
    try:
        matches = tuple(assign(record, smiles, errors))
    except RDKIT_ERRORS:
        return found
    fragments: dict[str, tuple[PeakMatch, ...]] = {}
    alike: Counter[str] = Counter()
    for spectrum in record.spectra:
        if isinstance(spectrum, TandemMS):
            label = _label(spectrum)
            alike[label] += 1
            number = f" ({alike[label]})" if alike[label] > 1 else ""
            fragments[label + number] = tuple(match_peaks(spectrum, smiles))
    return replace(found, matches=matches, fragments=fragments)


def _label(spectrum: TandemMS) -> str:
    """Polarity and energy, that of the instrument where it is known."""
    measured = spectrum.measured_energy_ev
    energy = spectrum.collision_energy_ev if measured is None else measured
    return f"MS/MS {spectrum.polarity}{'' if energy is None else f' {energy:.3g} eV'}"


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation in JSON's types; of the routing, the `rows`, the `columns` and the `values`."""
    table = explanation.routing
    routing = None
    if table is not None:
        routing = {"rows": [*table.rows], "columns": [*table.columns], "values": table.values_RC.tolist()}
    return {**asdict(replace(explanation, routing=None)), "routing": routing}


def _routing_map(trained: TrainedModel, record: Record) -> Map | None:
    """The share of each modality's token-expert pairs that went to each expert, over all layers."""
    table = record_routing(trained, record)
    if table is None:
        return None
    assert trained.run.moe is not None
    load_ME = table.load_YME.sum(0)
    read = [modality for modality in trained.encoding.modalities if load_ME[modality].sum()]
    share_ME = load_ME[read] / load_ME[read].sum(axis=1, keepdims=True)
    labels = [REGISTRY[modality].label for modality in read]
    moe = trained.run.moe
    return Map("Share of tokens by expert", share_ME, labels, expert_names(moe.experts), high=1 / moe.k)
