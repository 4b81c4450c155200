"""The model of an alignment: a projection for each kind of objects, in front of a frozen language model.

Axes: B prompts, L positions, N objects of a kind, X vectors of an object, D width of a vector, T soft tokens, W
width of the language model, A tokens of all answers.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec_ds.errors import DataError
from mmspec_ds.language.adapters import LoraSettings, adapter_parameters, add_adapters
from mmspec_ds.nn.initialization import init_linear
from mmspec_ds.systems.alignment.batch import AskedObjects, PromptBatch, QuestionWords
from mmspec_ds.systems.alignment.comparison import Comparison
from mmspec_ds.systems.alignment.frozen_language import FrozenLanguage
from mmspec_ds.systems.alignment.objects import KINDS, Kind
from mmspec_ds.systems.alignment.projection import SMALLEST, Projection, of_unit_size
from mmspec_ds.systems.alignment.projection_settings import ProjectionSettings
from mmspec_ds.systems.alignment.question_reading import EmbeddedQuestions

LANGUAGE_IDENTITY = "language_identity"
"""The buffer with the checksum of the language model."""
NEIGHBOURS_IDENTITY = "neighbours_identity"
"""The buffer with the checksum of the known descriptions, where prompts have such."""
_IDENTIFIED = {LANGUAGE_IDENTITY: "language model", NEIGHBOURS_IDENTITY: "file of known descriptions"}


@dataclass(frozen=True)
class EncoderShape:
    """What a model knows of an encoder.

    Attributes:
        name: in the registry.
        vectors, width: of an object, X and D.
        identity: what decides its vectors, in JSON's types.
    """

    name: str
    vectors: int
    width: int
    identity: Mapping[str, Any]

    @property
    def checksum(self) -> str:
        """Of name, shape and identity."""
        content = [self.name, self.vectors, self.width, dict(self.identity)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class AnswerTokens(NamedTuple):
    """The tokens of all answers of a batch, each with its end: the logarithm of the probability, whether the
    token is the likeliest, and the number of its answer, in the order of prompts and places, [A]."""

    log_p_A: Tensor
    likeliest_A: Tensor
    answer_A: Tensor

    def exact(self, answers: int) -> Tensor:
        """Whether a greedy answer would be the whole right one, bool, of each of so many answers. In a dialogue
        the answers before it are the right ones."""
        wrong = torch.zeros(answers, device=self.answer_A.device)
        wrong.index_add_(0, self.answer_A, (~self.likeliest_A).float())
        return wrong == 0

    def mean_loss(self, answers: int) -> Tensor:
        """The mean over so many answers of the mean of -log p over the tokens of each, nats; a scalar."""
        total = self.log_p_A.new_zeros(answers).index_add(0, self.answer_A, -self.log_p_A)
        count = torch.bincount(self.answer_A, minlength=answers)
        return (total / count).mean()


class AlignmentModel(nn.Module):
    """Projections in front of a frozen language model; new weights are drawn from torch's generator.

    Args:
        language: never changed, and no part of the state dict.
        encoders: by kind.
        projection: sizes.
        contrast: give each kind a linear head that compares its soft tokens with descriptions.
        lora: adapters of the language model; none without.

    Attributes:
        projections: by kind.
        comparison: of the objects of a question; None without `projection.compare`.
        heads: by kind, from the mean of the soft tokens to the space of descriptions; empty without `contrast`.
        adapter: the parameters of the adapters by their place; empty without `lora`.
    """

    language_identity: Tensor
    text_center_W: Tensor
    text_factor_W: Tensor

    def __init__(
        self,
        language: FrozenLanguage,
        encoders: Mapping[Kind, EncoderShape],
        projection: ProjectionSettings,
        *,
        contrast: bool = False,
        lora: LoraSettings | None = None,
    ) -> None:
        super().__init__()
        self.language = language
        self.encoders = {kind: encoders[kind] for kind in KINDS if kind in encoders}
        self.projections = nn.ModuleDict(
            {
                kind: Projection(one.vectors, one.width, language.width, projection)
                for kind, one in self.encoders.items()
            }
        )
        self.comparison = Comparison(language.width, projection) if projection.compare else None
        names = self.encoders if contrast else ()
        self.heads = nn.ModuleDict(
            {kind: init_linear(nn.Linear(language.width, language.width)) for kind in names}
        )
        if lora is not None:
            add_adapters(language.layers, lora)
        self.adapter = nn.ParameterDict(adapter_parameters(language.layers) if lora is not None else {})
        if contrast:
            self.register_buffer("text_center_W", torch.zeros(language.width))
            self.register_buffer("text_factor_W", torch.ones(language.width))
        self.register_buffer(LANGUAGE_IDENTITY, _digest(language.identity))
        for kind, one in self.encoders.items():
            self.register_buffer(f"{kind}_identity", _digest(one.checksum))

    @property
    def soft_tokens(self) -> dict[Kind, int]:
        """Places that an object takes in a prompt, by kind."""
        return {kind: self.projection(kind).soft_tokens for kind in self.encoders}

    def projection(self, kind: Kind) -> Projection:
        """The projection of the objects of a kind."""
        found = self.projections[kind]
        assert isinstance(found, Projection)
        return found

    def keep_neighbours(self, checksum: str) -> None:
        """Let the weights hold the checksum of the known descriptions that stand in prompts."""
        self.register_buffer(NEIGHBOURS_IDENTITY, _digest(checksum))

    def fit(self, vectors: Mapping[Kind, Tensor], texts_MW: Tensor | None = None) -> None:
        """Take the scales of what comes in and goes out from vectors of a training set, [N, X, D] by kind, and
        from what the language model makes of its descriptions."""
        if texts_MW is not None and self.heads:
            self.text_center_W.copy_(texts_MW.mean(0))
            self.text_factor_W.copy_(1 / texts_MW.std(0, correction=0).clamp_min(SMALLEST))
        mean_W, spread = self.language.table_statistics()
        for kind, one in vectors.items():
            self.projection(kind).fit(one, mean_W, spread)
        if self.comparison is not None:
            self.comparison.fit(mean_W, spread)

    def contrast_vectors(self, objects: AskedObjects) -> Tensor:
        """The vectors that are compared with descriptions, of length 1, one for each turn that names objects,
        [turns, W]: the sum over its objects."""
        heads = {kind: self.heads[kind](one.mean(1)) for kind, one in self.directions(objects).items()}
        turn_N = torch.cat([objects.words[kind].turn_N for kind in heads])
        of_objects_NW = torch.cat(list(heads.values())).float()
        of_turns_NW = torch.zeros_like(of_objects_NW).index_add(0, turn_N, of_objects_NW)
        return F.normalize(of_turns_NW[: int(turn_N.max()) + 1], dim=-1)

    def directions(self, objects: AskedObjects) -> dict[Kind, Tensor]:
        """The soft tokens of objects, by kind, as directions from the mean of the table, [N, T, W]."""
        questions = {kind: self.questions(kind, objects.words[kind]) for kind in objects.vectors}
        found = {
            kind: self.projection(kind).directions(one, questions[kind])
            for kind, one in objects.vectors.items()
        }
        if self.comparison is None or not found:
            return found
        alone_NTW = torch.cat(list(found.values()))
        turn_N = torch.cat([objects.words[kind].turn_N for kind in found])
        read = [one for one in questions.values() if one is not None]  # all: a comparison reads the question
        changed_NTW = of_unit_size(alone_NTW + self.comparison(alone_NTW, read, turn_N))
        return dict(zip(found, changed_NTW.split([len(one) for one in found.values()])))

    def soft(self, objects: AskedObjects) -> dict[Kind, Tensor]:
        """The soft tokens of objects, by kind, [N, T, W]."""
        return {kind: self.projection(kind).placed(one) for kind, one in self.directions(objects).items()}

    def text_vectors(self, states_MW: Tensor) -> Tensor:
        """The vectors of M descriptions that objects are compared with, [M, W], of length 1, from what the
        language model makes of them: each component with mean 0 and standard deviation 1 over the training set,
        for the states of a language model have a large common part."""
        return F.normalize((states_MW - self.text_center_W) * self.text_factor_W, dim=-1)

    def embedded(self, batch: PromptBatch) -> Tensor:
        """Input embeddings [B, L, W] with soft tokens at their places, float32. Gradients reach these alone."""
        tokens_BLW = self.language.embed(batch.ids_BL.clamp_min(0)).float()
        if not batch.objects.vectors:
            return tokens_BLW
        soft = [one.float().flatten(0, 1) for one in self.soft(batch.objects).values()]
        return tokens_BLW.masked_scatter((batch.ids_BL < 0)[..., None], torch.cat(soft)[batch.source_S])

    def questions(self, kind: Kind, words: QuestionWords) -> EmbeddedQuestions | None:
        """Embedded questions for a projection that reads them, in the order of its objects."""
        if self.projection(kind).reading is None:
            return None
        return EmbeddedQuestions(self.language.embed(words.ids_NL).float(), words.mask_NL, words.place_N)

    def answers(self, batch: PromptBatch) -> "AnswerTokens":
        """How likely the tokens of the answers are after what stands before them. The padding of the batch
        stands after the prompts."""
        states_BLW = self.language.states(self.embedded(batch))
        told_BL = batch.answer_BL[:, 1:]  # the state before a token tells it
        logits_AV = self.language.logits(states_BLW[:, :-1][told_BL])
        ids_A = batch.ids_BL[:, 1:][told_BL]
        log_p_A = -F.cross_entropy(logits_AV, ids_A, reduction="none")
        starts_BL = told_BL & ~batch.answer_BL[:, :-1]  # a prompt begins with no answer
        answer_A = (starts_BL.flatten().cumsum(0) - 1)[told_BL.flatten()]
        return AnswerTokens(log_p_A, logits_AV.detach().argmax(-1) == ids_A, answer_A)

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off, that of adapters too."""
        self.language.train(mode and bool(self.adapter))
        return super().train(mode)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Move the language model too, in its own precision. The adapters' parameters belong to both."""
        self.language.to(fn(torch.empty(0)).device)
        if self.adapter:
            self.adapter = nn.ParameterDict(adapter_parameters(self.language.layers))
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        for name, own in self._identities().items():
            stored = state_dict.get(prefix + name)
            if stored is not None and not torch.equal(stored.cpu().to(torch.uint8), own.cpu()):
                what = _IDENTIFIED.get(name, f"encoder of a {name.split('_')[0]}")
                raise DataError(
                    f"the {what} is not the one that these weights were trained with: expected one with"
                    f" checksum {_told(stored)}..., found {_told(own)}..."
                )
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _identities(self) -> dict[str, Tensor]:
        return {name: one for name, one in self.named_buffers(recurse=False) if name.endswith("_identity")}


def _digest(checksum: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(checksum), dtype=torch.uint8).clone()


def _told(digest: Tensor) -> str:
    return bytes(digest.cpu().to(torch.uint8).tolist()).hex()[:16]
