"""A trained alignment from its folder, a run or an export: questions about objects in, answers out.

Axes: N prompts or objects, X vectors of an object, D width of a vector, T soft tokens, W width of the language
model, C choices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mmspec_ds.errors import DataError
from mmspec_ds.systems.alignment.additions import with_additions
from mmspec_ds.systems.alignment.batch import AskedObjects, Place, asked_objects, make_batch
from mmspec_ds.systems.alignment.decoding import GREEDY, Decoding
from mmspec_ds.systems.alignment.encoder import ObjectEncoder
from mmspec_ds.systems.alignment.encoder_folders import check_encoder, find_encoder
from mmspec_ds.systems.alignment.factory import ENCODERS, make_model, make_writer, read_shapes
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.generation import Reading, choice_log_probabilities, generate
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.neighbours import NEIGHBOURS, Neighbours, read_known
from mmspec_ds.systems.alignment.objects import Kind, Object
from mmspec_ds.systems.alignment.prompt import Prompt, PromptWriter, TokenRow
from mmspec_ds.systems.alignment.run_settings import AlignmentRun
from mmspec_ds.systems.alignment.shared_beginning import shared_beginnings
from mmspec_ds.systems.alignment.streams import Stream, Streams
from mmspec_ds.systems.alignment.written import write_questions
from mmspec_ds.systems.run_file import load_whole_run_of
from mmspec_ds.trainer.weights import WEIGHTS, load_state, read_weights

LANGUAGE_MODEL = "language_model"
"""A folder, or a link to one, with the language model beside the weights of a run or an export; without it the
path in the settings is used."""

MOST_POSITIONS = 16_384
"""Of all prompts that are read together; what is read of a prompt is held once for each choice."""

FloatArray = npt.NDArray[np.float32]


@dataclass
class Trained:
    """A trained model in evaluation mode.

    Attributes:
        run: the settings.
        model: projections and language model.
        writer: of prompts.
        encoders: by kind; one that is not there yet is made when an object of its kind is asked about.
        neighbours: whose descriptions stand in prompts; None without.
        batch: prompts at a time.
        folder: of the run or the export; None where there is none.
        encoder_folders: by kind, where encoders are that are not where the settings say.
    """

    run: AlignmentRun
    model: AlignmentModel
    writer: PromptWriter
    encoders: dict[Kind, ObjectEncoder] = field(default_factory=dict)
    neighbours: Neighbours | None = None
    batch: int = 16
    folder: Path | None = None
    encoder_folders: Mapping[Kind, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.run.name

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of objects that it knows."""
        return tuple(self.model.encoders)

    def encoder(self, kind: Kind) -> ObjectEncoder:
        """The encoder of a kind, the one that the model was trained with.

        Raises:
            DataError: the model does not know the kind, or this is another encoder.
            UserError: the encoder cannot be made.
        """
        if kind not in self.model.encoders:
            raise DataError(f"a {kind} is not known to model {self.name}: expected {' or '.join(self.kinds)}")
        if kind not in self.encoders:
            made = find_encoder(self.run.encoders[kind], kind, self.folder, self.encoder_folders)
            check_encoder(self.model, kind, made)
            self.encoders[kind] = made
        return self.encoders[kind]

    def vectors(self, kind: Kind, objects: Sequence[Object]) -> FloatArray:
        """What the encoder makes of objects of one kind, [N, X, D].

        Raises:
            DataError: an object that it cannot read.
        """
        return self.encoder(kind).encode(objects)

    @torch.no_grad()
    def project(self, kind: Kind, vectors: FloatArray, prompts: Sequence[Prompt]) -> FloatArray:
        """The soft tokens of objects by their vectors [N, X, D]: [N, T, W].

        Args:
            kind: of the objects.
            vectors: of them.
            prompts: of each object one in which it stands, as the first.
        """
        found = self.model.soft(self._asked(kind, vectors, prompts))[kind]
        soft: FloatArray = found.float().cpu().numpy()
        return soft

    @torch.no_grad()
    def contrast(self, kind: Kind, vectors: FloatArray, prompts: Sequence[Prompt]) -> FloatArray:
        """The vectors of objects that are compared with those of `describe`, [N, W], of length 1.

        Args:
            kind, vectors, prompts: see `project`.

        Raises:
            DataError: the model was not trained to compare.
        """
        self._check_contrast()
        compared: FloatArray = self.model.contrast_vectors(self._asked(kind, vectors, prompts)).cpu().numpy()
        return compared

    def _asked(self, kind: Kind, vectors: FloatArray, prompts: Sequence[Prompt]) -> AskedObjects:
        rows = [self.writer.write(one) for one in prompts]
        asked = asked_objects(rows, [(Place(kind, at),) for at in range(len(rows))], {kind: vectors})
        return asked.mapped(lambda one: one.to(self.model.language.device))

    @torch.no_grad()
    def describe(self, texts: Sequence[str]) -> FloatArray:
        """The vectors of descriptions, [N, W], of length 1: of each its first `longest` tokens.

        Raises:
            DataError: the model was not trained to compare.
        """
        self._check_contrast()
        ids = [self.writer.text_ids(text)[: self.writer.longest] for text in texts]
        states = self.model.language.represent(ids, layer=self.run.objective.layer, batch=self.batch)
        found = self.model.text_vectors(states.to(self.model.language.device))
        compared: FloatArray = found.cpu().numpy()
        return compared

    def _check_contrast(self) -> None:
        if not self.model.heads:
            raise DataError(
                f"model {self.name} was trained without the contrastive loss: expected one of stage 1"
            )

    def answer(
        self,
        prompts: Sequence[Prompt],
        objects: Sequence[Sequence[Object]],
        *,
        decoding: Decoding = GREEDY,
        choices: Sequence[Sequence[str]] | None = None,
        stream: Stream | None = None,
    ) -> list[str]:
        """Answers to questions.

        Args:
            prompts: N questions or dialogues, see `prompt.Prompt`.
            objects: of each prompt, in the order of its placeholders.
            decoding: how tokens are chosen, and how many at most.
            choices: of each prompt, the only answers that are possible, of which the likeliest is taken; a
                prompt without any is answered freely. Without, all are.
            stream: is given an answer's text as it comes.

        Returns:
            N answers, without space around them.

        Raises:
            DataError: an object, or a prompt, that cannot be read; names its number.
        """
        read = self._read(prompts, objects)
        answers = [""] * len(prompts)
        free, limited = list[int](), dict[tuple[str, ...], list[int]]()
        for at in range(len(prompts)):
            own = tuple(choices[at]) if choices is not None else ()
            (limited.setdefault(own, []) if own else free).append(at)
        for own, places in limited.items():
            for at, best in zip(places, self._scores(read, places, own).argmax(1)):
                answers[at] = own[int(best)]
                if stream is not None:
                    stream(at, answers[at])
        for chosen in self._groups(read, free):
            streams = Streams(self.writer, chosen, stream)
            found = generate(
                self._reading(read, chosen), self.writer.stop_ids, decoding, numbers=chosen, see=streams.see
            )
            for at, ids in zip(chosen, found):
                answers[at] = self.writer.decode(ids).strip()
            streams.finish(found)
        return answers

    def score_choices(
        self,
        prompts: Sequence[Prompt],
        objects: Sequence[Sequence[Object]],
        choices: Sequence[str] | Sequence[Sequence[str]],
    ) -> npt.NDArray[np.float64]:
        """How likely each choice is as the whole answer, natural logarithms [N, C].

        Args:
            prompts, objects: see `answer`.
            choices: the same for all prompts, or of each prompt, as many for each.

        Raises:
            DataError: as `answer`.
        """
        read = self._read(prompts, objects)
        everywhere = [one for one in choices if isinstance(one, str)]
        groups: dict[tuple[str, ...], list[int]] = {}
        for at in range(len(prompts)):
            own = tuple(everywhere) if everywhere else tuple(choices[at])
            groups.setdefault(own, []).append(at)
        found = np.zeros((len(prompts), len(everywhere or (choices[0] if choices else ()))))
        for own, places in groups.items():
            found[places] = self._scores(read, places, own)
        return found

    def _scores(self, read: "_Read", places: Sequence[int], choices: Sequence[str]) -> npt.NDArray[np.float64]:
        ids = [self.writer.answer_ids(one) for one in choices]
        found = np.zeros((len(places), len(choices)))
        index = {at: number for number, at in enumerate(places)}
        for chosen in self._groups(read, places, len(choices)):
            scores = choice_log_probabilities(self._reading(read, chosen), ids)
            found[[index[at] for at in chosen]] = scores.double().cpu().numpy()
        return found

    def _groups(self, read: "_Read", places: Sequence[int], times: int = 1) -> list[list[int]]:
        """Prompts that are read together: those of like length, of one beginning where that is read once; at
        most `batch`, and fewer long ones where each is held several times."""
        families: dict[tuple[int, ...], list[int]] = {}
        for at in sorted(places, key=lambda at: len(read.rows[at])):
            families.setdefault(read.beginnings[at], []).append(at)
        found = []
        for order in families.values():
            longest = len(read.rows[order[-1]])
            size = max(1, min(self.batch, MOST_POSITIONS // (longest * times)))
            found += [order[start : start + size] for start in range(0, len(order), size)]
        return found

    @torch.no_grad()
    def _reading(self, read: "_Read", chosen: Sequence[int]) -> Reading:
        beginning, device = read.beginnings[chosen[0]], self.model.language.device
        if beginning and beginning not in read.readings:
            ids = torch.tensor([beginning], device=device)
            embedded = self.model.language.embed(ids)
            read.readings[beginning] = Reading(self.model.language, embedded, torch.ones_like(ids))
        rows = [read.rows[at] for at in chosen]
        batch = make_batch(
            rows,
            [read.places[at] for at in chosen],
            read.vectors,
            self.model.soft_tokens,
            left=True,
            read=len(beginning),
        ).mapped(lambda tensor: tensor.to(device))
        before = read.readings.get(beginning)
        return Reading(self.model.language, self.model.embedded(batch), batch.mask_BL, before)

    def _read(self, prompts: Sequence[Prompt], objects: Sequence[Sequence[Object]]) -> "_Read":
        if len(prompts) != len(objects):
            raise ValueError(f"{len(prompts)} prompts and objects of {len(objects)}: expected as many")
        prompts = with_additions(prompts, objects, self.run, self.neighbours)
        written = write_questions(self.writer, prompts, objects)
        vectors = {kind: self.vectors(kind, some) for kind, some in written.objects.items()}
        beginnings = shared_beginnings(prompts, written.rows)
        return _Read(written.rows, written.places, vectors, beginnings)


@dataclass(frozen=True)
class _Read:
    """Questions as tokens, the objects of each, and the vectors of these by kind; what each begins with that is
    read once, and what was read of that."""

    rows: list[TokenRow]
    places: list[list[Place]]
    vectors: dict[Kind, FloatArray]
    beginnings: list[tuple[int, ...]]
    readings: dict[tuple[int, ...], Reading] = field(default_factory=dict)


def load_alignment(
    path: str | Path,
    language: Path | None = None,
    encoders: Mapping[Kind, ObjectEncoder] | None = None,
    encoder_folders: Mapping[Kind, Path] | None = None,
) -> Trained:
    """Read a trained run of this system, or an export. Where there is a manifest, as in an export, the files
    must have its checksums.

    Args:
        path: its folder.
        language: the folder of the language model; without, `language_model` inside the folder, or where the
            settings say.
        encoders: those to use; others are made when they are needed.
        encoder_folders: by kind, where they are made from; without, `encoders/KIND` inside the folder, or where
            the settings say.

    Raises:
        DataError: no such folder, a file of it is missing, was altered or does not fit, a kind that the model
            does not know, or a language model or encoder that is not the one of the training.
        ConfigError: a configuration that this version cannot read, or a model of another system.
    """
    folder = Path(path)
    run = load_whole_run_of(folder, AlignmentRun, (WEIGHTS, ENCODERS))
    inside = folder / LANGUAGE_MODEL
    base = language or (inside if inside.is_dir() else run.language.base)
    if not base.is_dir():
        raise DataError(
            f"there is no folder {base} with its language model: name it (--language-model DIR, of evaluate"
            f" --language-model DIR), or make a link {inside} to it",
            path=folder,
        )
    model = make_model(run, FrozenLanguage(base, run.language.precision), read_shapes(folder))
    writer = make_writer(run, model.language, model.soft_tokens)
    neighbours = None
    if run.neighbour is not None:
        neighbours = Neighbours(read_known(folder / NEIGHBOURS), run.neighbour, writer)
        model.keep_neighbours(neighbours.checksum)
    tensors, _ = read_weights(folder / WEIGHTS)
    load_state(model, tensors, folder / WEIGHTS)
    for kind, one in (encoders or {}).items():
        check_encoder(model, kind, one)
    found = Trained(run, model.eval(), writer, dict(encoders or {}), neighbours, folder=folder)
    for kind in encoder_folders or {}:
        if kind not in found.kinds:
            raise DataError(f"knows no {kind}: expected {' or '.join(found.kinds)}", path=folder)
    return replace(found, encoder_folders=dict(encoder_folders or {}))
