"""The alignment task: vectors of objects in, answers of a frozen language model out."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mmspec_ds.errors import ConfigError, UserError
from mmspec_ds.files import write_json
from mmspec_ds.spectra.packed import IntArray
from mmspec_ds.systems.alignment.additions import with_additions
from mmspec_ds.systems.alignment.batch import FloatArray, asked_objects, make_batch
from mmspec_ds.systems.alignment.data import ExampleSet, kinds_of, make_sets, read_examples_of
from mmspec_ds.systems.alignment.descriptions import describe
from mmspec_ds.systems.alignment.dialogue_sampler import Dialogue, DialogueSampler
from mmspec_ds.systems.alignment.encoded import encode_all
from mmspec_ds.systems.alignment.encoder import ObjectEncoder
from mmspec_ds.systems.alignment.encoders.registry import make_encoder
from mmspec_ds.systems.alignment.factory import ENCODERS, make_model, make_writer, shape_of, shapes_to_json
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.model import AlignmentModel
from mmspec_ds.systems.alignment.neighbours import NEIGHBOURS, Neighbours, known_of, write_known
from mmspec_ds.systems.alignment.objective import AlignmentBatch, AlignmentLoss, AlignmentLosses, ContrastBatch
from mmspec_ds.systems.alignment.objects import Example, Kind, Object
from mmspec_ds.systems.alignment.projections_from import load_projections
from mmspec_ds.systems.alignment.prompt import Prompt
from mmspec_ds.systems.alignment.questions.examples_file import read_examples
from mmspec_ds.systems.alignment.recalls import recalls
from mmspec_ds.systems.alignment.run_settings import AlignmentRun
from mmspec_ds.systems.alignment.sampler import ExampleSampler, numbered, share, shared_order
from mmspec_ds.trainer.monitor.layout import lines
from mmspec_ds.trainer.task import System, Task, TaskContext, Validation

LANGUAGE = "language_model"


class AlignmentTask(Task[AlignmentBatch, AlignmentLoss]):
    """A run that learns to put objects before a language model.

    Args:
        run: the settings.
        context: where it runs.
        examples: to learn from, and to validate on; without, what the run file names.

    Raises:
        ConfigError: an encoder is of another kind of objects, or of one that no example is about; no
            description is there for prompts that want some; or a batch is more than the examples.
        DataError: a file cannot be read, an object cannot be encoded, or no example is left.
    """

    model: AlignmentModel
    layout = {
        "alignment": {
            "greedy answers that are right, by task": lines("exact/"),
            "R@1 of descriptions among the held-back ones": lines("recall_at_1/"),
            "right answers among the possible ones, by task": lines("choice/"),
        }
    }

    def __init__(
        self,
        run: AlignmentRun,
        context: TaskContext,
        examples: tuple[Sequence[Example], Sequence[Example]] | None = None,
    ) -> None:
        self.run, self.context = run, context
        self.encoders = {kind: _encoder(run, kind) for kind in run.encoders}
        language = FrozenLanguage(run.language.base, run.language.precision, compiled=run.language.compile)
        torch.manual_seed(run.seed)
        self.model = make_model(run, language, {kind: shape_of(one) for kind, one in self.encoders.items()})
        self.writer = make_writer(run, language, self.model.soft_tokens)
        remarks: dict[str, int] = {}
        if examples is None:
            train, validation, remarks = read_examples_of(run.data, run.encoders, read_examples)
            examples = train, validation
        self.neighbours = self._neighbours_of(examples[0])
        language.to(context.device)
        self.sets = make_sets(
            examples,
            self._prompts,
            self._encode,
            language,
            self.writer,
            run,
            remarks,
            context.progress,
        )
        self._keep_states()
        self._begin()
        self.module = AlignmentLosses(
            self.model, run.objective, dist.group.WORLD if context.world > 1 else None
        )
        self._checksum = language.checksum()
        self.sampler = self._make_sampler(self.sets.train)
        self.batches_per_epoch = len(self.sampler)
        self._round = lru_cache(maxsize=1)(self._batches)
        train_set, held_back = self.sets.train, self.sets.validation
        kinds = ", ".join(f"{one.name} for a {kind}" for kind, one in self.encoders.items())
        most = run.data.questions_together
        together = f"at most {most} in a dialogue; " if most > 1 else ""
        self.summary = (
            f"{len(train_set):,} examples to learn from, {len(held_back):,} to validate on; {together}"
            f"encoders: {kinds};"
            f" language model {language.identity[:12]}, frozen"
        )
        self.about = {"examples": {"train": len(train_set), "validation": len(held_back)}, "data": self._data()}
        self.remarks = tuple(f"{what}: {count}" for what, count in self.sets.remarks.items())
        known = {} if self.neighbours is None else {NEIGHBOURS: self.neighbours.checksum}
        self.identity = {
            ENCODERS: shapes_to_json(self.model.encoders), LANGUAGE: language.identity, **known
        }  # fmt: skip

    def _neighbours_of(self, train: Sequence[Example]) -> Neighbours | None:
        """The molecules whose descriptions stand in prompts, if the run wants that: those that are learnt from.
        The weights get their checksum."""
        if self.run.neighbour is None:
            return None
        known = known_of(train)
        if not known:
            raise ConfigError(
                "neighbour: no example to learn from describes a molecule: expected some, or none"
            )
        found = Neighbours(known, self.run.neighbour, self.writer)
        self.model.keep_neighbours(found.checksum)
        return found

    def _keep_states(self) -> None:
        """Let the weights hold the states of known descriptions, if answers are made of these by comparison."""
        if self.neighbours is None or not self.neighbours.settings.compared:
            return
        texts = [one.description for one in self.neighbours.known]
        states = describe(
            self.model.language,
            self.writer,
            texts,
            self.run.objective.layer,
            self.run.data.cache,
            self.context.progress,
        )
        self.model.keep_neighbours(self.neighbours.checksum, states)

    def _prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """The questions with what the run adds to them."""
        prompts, objects = [one.prompt for one in examples], [one.objects for one in examples]
        return with_additions(prompts, objects, self.run, self.neighbours)

    def _encode(self, kind: Kind, objects: Sequence[Object]) -> FloatArray:
        encoder = self.encoders[kind]
        folder = self.run.data.cache / f"{kind}_{shape_of(encoder).checksum[:16]}"
        found: FloatArray = encode_all(encoder, objects, folder, self.context.progress).of(objects)
        return found

    def _begin(self) -> None:
        """The scales of what comes in, from the training set; or the projections of other runs."""
        sets = self.sets
        vectors = {
            kind: torch.from_numpy(one[sets.train_rows(kind)])
            for kind, one in sets.vectors.items()
            if len(sets.train_rows(kind))
        }
        self.model.fit(vectors, sets.train.states_MW if len(sets.train.states_MW) else None)
        given = load_projections(self.model, self.run.training.projections_from)
        for kind in self.encoders:
            if kind not in vectors and kind not in given and self.run.training.start_from is None:
                raise ConfigError(
                    f"encoders.{kind}: no example to learn from is about a {kind}: expected some in data.train,"
                    " or no such encoder"
                )

    def _make_sampler(self, examples: ExampleSet) -> ExampleSampler | DialogueSampler:
        kinds = self._kinds(examples)
        size = self.run.training.batch_size * self.context.world
        try:
            if examples.later:
                return DialogueSampler(
                    numbered(examples.places),
                    examples.properties,
                    examples.length_N,
                    np.array([len(row) for row in examples.later], dtype=np.int64),
                    self.run.data.questions_together,
                    self.writer.longest,
                    size,
                    self.run.seed,
                )
            return ExampleSampler(examples.length_N, kinds, size, self.run.seed)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _kinds(self, examples: ExampleSet) -> IntArray:
        """A number for each example: a batch has examples of one. Those that are compared with descriptions are
        about objects of the same kinds."""
        compared = self.run.objective.contrastive > 0
        return numbered([kinds_of(places) if compared else "" for places in examples.places])

    def _batches(self, number: int) -> Sequence[IntArray | list[Dialogue]]:
        """The batches of a round, of questions or of dialogues."""
        return self.sampler.round(number)

    def batch(self, number: int) -> AlignmentBatch:
        """Micro-batch `number` of the run, see `Task`."""
        turn, place = divmod(number, self.batches_per_epoch)
        chosen = self._round(turn)[place]
        if isinstance(chosen, list):
            return self._batch_of_dialogues(self.sets.train, chosen)
        return self._batch_of(self.sets.train, chosen)

    def validation_batches(self) -> Iterator[AlignmentBatch]:
        """The held-back examples, see `Task`; the same batches on any number of ranks that divides them."""
        return (self._batch_of(self.sets.validation, rows_G) for rows_G in self._validation_rows())

    def _validation_rows(self) -> list[IntArray]:
        held_back, world = self.sets.validation, self.context.world
        kinds = self._kinds(held_back)
        size, found = self.run.training.batch_size * world, []
        for kind in np.unique(kinds):
            rows = np.flatnonzero(kinds == kind)
            rows = rows[np.argsort(held_back.length_N[rows], kind="stable")]
            rows = rows[: len(rows) // world * world]
            found += [rows[start : start + size] for start in range(0, len(rows), size)]
        return found

    def _batch_of(self, examples: ExampleSet, rows_G: IntArray) -> AlignmentBatch:
        run, rank, world = self.run, self.context.rank, self.context.world
        own = share(rows_G, rank, world).tolist()
        rows = [examples.rows[at] for at in own]
        places = [examples.places[at] for at in own]
        prompts = contrast = None
        if run.objective.autoregressive:
            prompts = make_batch(rows, places, self.sets.vectors, self.model.soft_tokens)
        if run.objective.contrastive:
            order = shared_order(rows_G, world)
            description_G, choices_GK = examples.description_N[order], examples.choices_NK[order]
            chosen = np.arange(len(examples.texts))
            if run.objective.negatives == "batch":
                general = chosen[
                    int(max(examples.description_N.max(), examples.choices_NK.max(initial=0))) + 1 :
                ]
                own = np.unique(np.concatenate([description_G, choices_GK[choices_GK >= 0]]))
                chosen = np.concatenate([own, general])
                description_G = np.searchsorted(chosen, description_G)
                choices_GK = np.where(choices_GK < 0, -1, np.searchsorted(chosen, choices_GK))
            contrast = ContrastBatch(
                asked_objects(rows, places, self.sets.vectors),
                examples.states_MW[chosen],
                torch.from_numpy(description_G),
                torch.from_numpy(choices_GK),
            )
        tokens = int(sum(len(examples.rows[at]) for at in rows_G.tolist()))
        return AlignmentBatch(len(own), len(own) * world, tokens, prompts, contrast)

    def _batch_of_dialogues(self, examples: ExampleSet, dialogues: Sequence[Dialogue]) -> AlignmentBatch:
        """The dialogues of this rank, short and long ones on all. Every rank has one at least, because no
        dialogue has more questions than `training.batch_size`, which is a rank's share."""
        own = dialogues[self.context.rank :: self.context.world]
        rows, places = zip(*map(examples.dialogue, own))
        prompts = make_batch(rows, places, self.sets.vectors, self.model.soft_tokens)
        tokens = sum(len(examples.dialogue(one)[0]) for one in dialogues)
        return AlignmentBatch(sum(map(len, own)), sum(map(len, dialogues)), tokens, prompts, None)

    def validate(self) -> Validation:
        """The mean loss of the held-back examples; of greedy answers the share that is right, by task; and R@1
        among the held-back descriptions, by kind of object."""
        exact: list[Tensor] = []

        def see(loss: AlignmentLoss) -> None:
            if loss.exact_B is not None:
                exact.append(loss.exact_B)

        score = self.mean_loss(see)
        scalars = self._exact_by_task(exact) if exact else {}
        if self.run.objective.contrastive:
            self.module.eval()
            scalars |= recalls(self.model, self.sets, self.context.device)
        return Validation(score, scalars)

    def _exact_by_task(self, exact: Sequence[Tensor]) -> dict[str, float]:
        own = torch.cat(list(exact)).float()
        rows = np.concatenate(
            [share(one, self.context.rank, self.context.world) for one in self._validation_rows()]
        )
        tasks = sorted(set(self.sets.validation.tasks))
        place = {task: at for at, task in enumerate(tasks)}
        task_N = torch.tensor(
            [place[self.sets.validation.tasks[at]] for at in rows.tolist()], device=own.device
        )
        counts = own.new_zeros(2, len(tasks))
        counts[0].index_add_(0, task_N, own)
        counts[1].index_add_(0, task_N, torch.ones_like(own))
        if self.context.world > 1:
            dist.all_reduce(counts)
        return {
            f"exact/{task.replace(' ', '_')}": float(right / total)
            for task, right, total in zip(tasks, counts[0], counts[1])
            if total
        }

    def flops(self, batch: AlignmentBatch, loss: AlignmentLoss) -> float:
        """See `Task`."""
        projections = 6.0 * sum(one.numel() for one in self.model.parameters()) * batch.rows
        if batch.prompts is None:
            return projections
        positions = batch.prompts.ids_BL.numel()
        return projections + self.model.language.flops(positions, int(batch.prompts.answer_BL.sum()))

    def final_figures(self) -> Mapping[str, float]:
        """See `Task`.

        Raises:
            UserError: the language model has changed, which must not be.
        """
        if self.model.language.checksum() != self._checksum:
            raise UserError("the weights of the language model have changed: this is a fault of the program")
        return {"language_model_unchanged": 1.0}

    def save_files(self, folder: Path) -> None:
        """Write the files that the weights depend on, `System.files`, into a run's folder."""
        write_json(folder / ENCODERS, shapes_to_json(self.model.encoders))
        if self.neighbours is not None:
            write_known(folder / NEIGHBOURS, self.neighbours.known)
        else:
            (folder / NEIGHBOURS).unlink(missing_ok=True)  # of an earlier run in this folder

    def _data(self) -> str:
        """A short checksum by which two runs see that they learn from the same examples: of the tokens of
        questions and answers, and of the vectors of the objects."""
        digest, train = hashlib.sha256(), self.sets.train
        for row, places, task in zip(train.rows, train.places, train.tasks):
            digest.update(task.encode())
            digest.update(row.ids.tobytes())
            for one in places:
                digest.update(np.ascontiguousarray(self.sets.vectors[one.kind][one.row]).tobytes())
        return digest.hexdigest()[:16]


def _encoder(run: AlignmentRun, kind: Kind) -> ObjectEncoder:
    choice = run.encoders[kind]
    found = make_encoder(choice.name, choice.options)
    if found.kind != kind:
        raise ConfigError(
            f"encoders.{kind}: {choice.name} is an encoder of a {found.kind}: expected of a {kind}"
        )
    return found


SYSTEM = System(AlignmentTask, files=(ENCODERS,), extras=(NEIGHBOURS,))
