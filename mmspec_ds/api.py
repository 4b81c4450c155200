"""Spectra in, structures out, from Python: `load` a model, `read` the files of a molecule, `predict`.

    answer = mmspec_ds.load("starter").predict(mmspec_ds.read("proton.jdx", "carbon.csv", formula="C9H8O4"))

An answer shows itself in a notebook, prints as a table and gives plain dictionaries. Whatever is wrong with a
file, a record or a model is raised as `mmspec_ds.errors.UserError`, with a message of one line.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmspec_ds.errors import DataError
from mmspec_ds.readers.adduct import parse_adduct
from mmspec_ds.readers.batches import SPECTRA, sources_of
from mmspec_ds.readers.inspection import described
from mmspec_ds.readers.requests import Request, Source, request_of_sources
from mmspec_ds.reporting.explanation import Explanation, explain, explain_answer, explanation_json
from mmspec_ds.reporting.explanation_figure import save_figure
from mmspec_ds.reporting.explanation_page import explanation_html, save_page
from mmspec_ds.reporting.explanation_text import answer_lines, explanation_lines
from mmspec_ds.spectra.records import Record, TandemMS
from mmspec_ds.spectra.registry import REGISTRY
from mmspec_ds.systems.elucidation.constrained import Constrain
from mmspec_ds.systems.elucidation.predict import BEAM
from mmspec_ds.systems.elucidation.predict_files import DEFAULT, Asked, predict_record, predict_requests
from mmspec_ds.systems.elucidation.trained import TrainedModel, load_model
from mmspec_ds.verification.error_models import ErrorModels


@dataclass(frozen=True, repr=False)
class Measurement:
    """What was measured of one molecule: its spectra, and what the readers changed or assumed."""

    record: Record
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        formula = [f"formula {self.record.formula}"] if self.record.formula else []
        return "\n".join([self.record.id, *formula, *map(described, self.record.spectra), *self.remarks])


@dataclass(frozen=True)
class Candidate:
    """One structure of an answer, with what speaks for it.

    Attributes:
        smiles: canonical.
        probability: that the model gives it, from 0 to 1: of all its spellings that were found.
        verification: by the name of each kind of spectrum, the log-likelihood (nats) of what was measured if
            this were the molecule; empty where candidates were not verified.
        confidence: the probability that it is the right molecule; None where the model is not calibrated.
    """

    smiles: str
    probability: float
    verification: Mapping[str, float]
    confidence: float | None


@dataclass(frozen=True, repr=False)
class Answer:
    """What a model says of one record.

    Attributes:
        content: what `mmspec predict` writes, in JSON's types.
        record: the spectra that it is about.
        errors: the model's error models of predicted spectra, by which signals are assigned to atoms.
    """

    content: Mapping[str, Any]
    record: Record
    errors: ErrorModels

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The proposed structures, best first, none of them twice."""
        return tuple(
            Candidate(one["smiles"], one["probability"], one.get("verification", {}), one.get("confidence"))
            for one in self.content["candidates"]
        )

    @property
    def confidence(self) -> Mapping[str, float | None]:
        """The probability that the first candidate is right (`first`), and that the right one is in the list
        (`listed`); None where the model is not calibrated."""
        known: Mapping[str, float | None] = self.content.get("confidence", {"first": None, "listed": None})
        return known

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was changed, assumed or left out on the way, a line each."""
        return tuple(self.content["remarks"])

    def to_dict(self) -> dict[str, Any]:
        """The answer in JSON's types, as `mmspec predict` writes it."""
        return dict(self.content)

    def __repr__(self) -> str:
        return "\n".join(answer_lines(self._explained(len(self.candidates))))

    def _repr_html_(self) -> str:
        return explanation_html(self._explained(3))

    def _explained(self, top: int) -> Explanation:
        return explain_answer(self.content, self.record, top, self.errors)


@dataclass(frozen=True, repr=False)
class ExplainedAnswer:
    """An answer with its reasons; it shows itself in a notebook and prints as text."""

    answer: Answer
    explanation: Explanation

    def to_dict(self) -> dict[str, Any]:
        """The reasons in JSON's types: `candidates` with their signals, `contributions`, `routing`."""
        return explanation_json(self.explanation)

    def save_png(self, path: str | Path) -> None:
        """Draw the reasons as one picture.

        Raises:
            DataError: the file cannot be written.
        """
        save_figure(self.explanation, Path(path))

    def save_html(self, path: str | Path) -> None:
        """Write the reasons as one page that needs no other file.

        Raises:
            DataError: the file cannot be written.
        """
        save_page(self.explanation, Path(path))

    def __repr__(self) -> str:
        return "\n".join(explanation_lines(self.explanation))

    def _repr_html_(self) -> str:
        return explanation_html(self.explanation)


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model that reads spectra; `load` gives one."""

    trained: TrainedModel

    def __repr__(self) -> str:
        read = ", ".join(REGISTRY[modality].label for modality in self.trained.encoding.modalities)
        size = sum(weight.numel() for weight in self.trained.model.parameters())
        return f"model of {read}; {size:,} parameters"

    def predict(
        self,
        measured: Measurement | Record,
        *,
        top: int = 10,
        beam: int = BEAM,
        verified: bool = True,
        constrain: Constrain = "composition",
        precursor_ppm: float = 10.0,
    ) -> Answer:
        """The structures that the model proposes for the spectra of one molecule.

        Args:
            measured: as `read` gives it, or a record.
            top: candidates, at most.
            beam: hypotheses that the search keeps; some of them spell one molecule.
            verified: rank them by the spectra that are predicted for them as well.
            constrain: what is searched: molecules of the formula, or of the mass by the precursors, as far as
                these are known ("composition"); all molecules ("grammar"); any text ("none").
            precursor_ppm: how far the mass of a candidate may be from that of the precursors.

        Raises:
            DataError: the record holds nothing that this model reads, or what it cannot read.
            ConfigError: an argument is not one of those that are possible.
        """
        measured = measured if isinstance(measured, Measurement) else Measurement(measured)
        asked = Asked(top, max(beam, top), verified, constrain, precursor_ppm)
        content = predict_record(self.trained, measured.record, measured.remarks, asked)
        return Answer(content, measured.record, self.trained.calibration.errors)

    def answers(self, requests: Iterable[Request], asked: Asked = DEFAULT) -> Iterator[dict[str, Any]]:
        """An answer in JSON's types for each of many records, in their order, as `mmspec predict` writes it;
        memory holds a few hundred. One that cannot be read has an `error`."""
        return predict_requests(self.trained, requests, asked)

    def explain(self, measured: Measurement | Record, *, top: int = 3) -> ExplainedAnswer:
        """Why the model proposes its first candidates: their signals assigned to atoms, what each spectrum adds
        to the probability of the first one, and which experts read which spectra.

        Raises:
            DataError: as `predict`.
        """
        answer = self.predict(measured, top=top)
        return ExplainedAnswer(answer, explain(self.trained, answer.record, answer.content, top))


def load(model: str | Path) -> Model:
    """A trained model: the folder of a run or an export, or `starter`, the one that comes with the package.

    Raises:
        DataError: no such folder, or a file of it is missing or damaged.
        ConfigError: it is of a version that this one cannot read.
    """
    return Model(load_model(model))


def read(
    *files: str | Path,
    formula: str | None = None,
    precursor_mz: float | None = None,
    adduct: str | None = None,
    **named: str | Path | Sequence[str | Path],
) -> Measurement:
    """The spectra of one molecule from its files, of any format that `mmspec inspect` reads.

    Args:
        files: the kind of spectrum is found from the file. A folder stands for all files in it.
        formula: of the molecule, where it is known.
        precursor_mz: m/z of the ion whose MS/MS was measured, where the files do not say.
        adduct: of that ion, such as "[M+H]+", in any common spelling.
        named: a file, or several, by the kind of spectrum: `h_nmr`, `c_nmr`, `ir`, `msms`, `hsqc`, `ei`.

    Raises:
        DataError: a file cannot be read, has no spectrum, or leaves open what it holds; the files contradict
            each other; or the precursor is none.
    """
    unknown = next((name for name in named if name not in SPECTRA), None)
    if unknown is not None:
        raise DataError(f"{unknown}= is no kind of spectrum (known: {', '.join(SPECTRA)})")
    sources = sources_of(map(Path, files))
    for name, given in named.items():
        paths = [given] if isinstance(given, str | Path) else given
        sources += [Source(Path(path), SPECTRA[name]) for path in paths]
    if not sources:
        raise DataError("no file to read: expected at least one")
    request = request_of_sources("+".join(dict.fromkeys(one.path.name for one in sources)), sources, formula)
    if request.record is None:
        raise DataError(request.error or "nothing was read")
    return Measurement(_with_precursor(request.record, precursor_mz, adduct), request.remarks)


def _with_precursor(record: Record, mz: float | None, adduct: str | None) -> Record:
    """The record whose MS/MS spectra have this precursor, where they name none.

    Raises:
        DataError: there is no MS/MS spectrum, the m/z is no number above 0, or the adduct is not understood.
    """
    if mz is None and adduct is None:
        return record
    if not any(isinstance(one, TandemMS) for one in record.spectra):
        raise DataError("precursor_mz= and adduct= are of an MS/MS spectrum, and there is none")
    if mz is not None and not 0 < mz < math.inf:
        raise DataError(f"precursor_mz={mz:g}: expected a number above 0")
    ion = None if adduct is None else parse_adduct(adduct)
    if adduct is not None and (ion is None or not ion.charge):
        raise DataError(f"adduct={adduct!r} is not understood: expected one like [M+H]+")
    spectra = []
    for one in record.spectra:
        if isinstance(one, TandemMS) and one.precursor_mz is None:
            one = replace(one, precursor_mz=mz)
        if isinstance(one, TandemMS) and one.adduct is None and ion is not None:
            one = replace(one, adduct=str(ion), charge=ion.charge)
        spectra.append(one)
    return replace(record, spectra=tuple(spectra))
