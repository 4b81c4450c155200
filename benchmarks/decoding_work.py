"""What the decoding benchmark decodes: models of random weights, spectra of random tokens, and the least work.

All contestants write exactly `steps` tokens: the end of a sequence is made impossible, so that random weights
do not decide how much is done.

Axes: B samples, K hypotheses of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from runner import Cost
from torch import Tensor

from mmspec_ds.data.batch import Batch, ModalityTokens, SpectraBatch
from mmspec_ds.data.encoding import text_schema
from mmspec_ds.moe.expert_settings import MoESettings
from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import Candidate, SearchRules, search
from mmspec_ds.nn.decoding import CachedDecoding, Decoding
from mmspec_ds.nn.model_settings import ModelSettings
from mmspec_ds.nn.packed_weights import packed
from mmspec_ds.spectra.records import Modality
from mmspec_ds.spectra.registry import CompressionSettings, schema_of
from mmspec_ds.spectra.tokens import TokenSchema
from mmspec_ds.systems.elucidation.factory import build_elucidator
from mmspec_ds.systems.elucidation.model import Elucidator

NEVER = -1e9
"""Logit of a token that must not be written."""

SMILES_TOKENS = 100
"""Size of the vocabulary that is written."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the model, and how much is read and written."""

    settings: ModelSettings
    source_tokens: int
    steps: int
    batch: int
    beam: int


SHAPES = {
    "paper": Shape(ModelSettings(), source_tokens=400, steps=40, batch=8, beam=10),
    "paper-64": Shape(ModelSettings(), source_tokens=400, steps=40, batch=64, beam=10),
    "tiny": Shape(
        ModelSettings(d_model=64, heads=4, encoder_layers=2, decoder_layers=2, ffn_width=128),
        source_tokens=24,
        steps=10,
        batch=3,
        beam=4,
    ),
}

# Tokens of a molecule of each modality, the means of the benchmark's published sample (example_data_1.parquet,
# read with ds_configs/runs/alberts.yaml): as the paper compresses spectra, and as the benchmark's text.
COMPRESSED = {Modality.H_NMR: 9, Modality.C_NMR: 16, Modality.IR: 256, Modality.MS: 69}
TEXT = {Modality.H_NMR: 59, Modality.C_NMR: 17, Modality.IR: 401, Modality.MS: 143}
TEXT_WORDS = {Modality.H_NMR: 896, Modality.C_NMR: 864, Modality.IR: 105, Modality.MS: 1840}


class Endless:
    """A decoding whose hypotheses never end."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        self.reorder, self.keep = decoding.reorder, decoding.keep

    def logits(self, tokens_BK: Tensor) -> Tensor:
        """See `Decoding`."""
        logits_BKV = self._decoding.logits(tokens_BK)
        logits_BKV[..., Vocabulary.EOS] = NEVER
        return logits_BKV


@dataclass(frozen=True)
class Work:
    """A model and the spectra that it is to decode."""

    model: Elucidator
    spectra: SpectraBatch

    def packed(self) -> "Work":
        """As `predict_dataset` decodes it."""
        return Work(packed(self.model), self.spectra)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Work":
        """The model in this dtype, both on this device."""
        batch = Batch(self.spectra, torch.empty(0, dtype=torch.int64), torch.empty(0))
        return Work(self.model.to(device, dtype), batch.to(device).spectra)


def decode(work: Work, shape: Shape) -> list[list[Candidate]]:
    """`beam_search`, of exactly as many steps as the shape says."""
    model, spectra = work.model, work.spectra
    rules = SearchRules(shape.beam, shape.beam, shape.steps, length_penalty=1.0)
    with torch.inference_mode():
        encoded = model.encode(spectra)
        decoding = CachedDecoding(model.decoder, encoded, beams=shape.beam, max_tokens=shape.steps)
        return search(Endless(decoding), len(spectra.modality_BS), rules, spectra.modality_BS.device)


def one_modality(shape: Shape) -> Work:
    """A dense model that reads words of one modality, as many of each sample as the shape says."""
    schemas = {Modality.C_NMR: text_schema(1000)}
    model = _spread(build_elucidator(shape.settings, None, schemas, SMILES_TOKENS))
    return Work(model, random_spectra(schemas, {Modality.C_NMR: shape.source_tokens}, shape.batch))


def sparse_compressed(shape: Shape) -> Work:
    """The paper's model: compressed spectra and its eight experts."""
    schemas = {modality: schema_of(modality, CompressionSettings()) for modality in COMPRESSED}
    model = _spread(build_elucidator(shape.settings, MoESettings(), schemas, SMILES_TOKENS))
    return Work(model, random_spectra(schemas, COMPRESSED, shape.batch))


def dense_text(shape: Shape) -> Work:
    """The paper's dense baseline: the benchmark's text, all of it."""
    schemas = {modality: text_schema(words) for modality, words in TEXT_WORDS.items()}
    model = _spread(build_elucidator(shape.settings, None, schemas, SMILES_TOKENS))
    return Work(model, random_spectra(schemas, TEXT, shape.batch))


def _spread(model: Elucidator) -> Elucidator:
    """Far enough from its first weights that what it writes depends on what it reads, and that neighbours in a
    beam differ by more than rounding."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.add_(torch.randn_like(weight) * 0.1)
            elif name.startswith(("decoder.tokens", "decoder.places")):
                weight.normal_(0.0, 2.0 * weight.shape[1] ** -0.5)
    return model.eval()


def random_spectra(
    schemas: Mapping[Modality, TokenSchema], counts: Mapping[Modality, int], batch: int
) -> SpectraBatch:
    """Random tokens, so many of each modality in every sample."""
    places = sum(counts.values())
    modality_BS = torch.cat([torch.full((batch, count), int(m)) for m, count in counts.items()], dim=1)
    tokens, first = {}, 0
    for modality, count in counts.items():
        schema, order = schemas[modality], torch.arange(count).repeat(batch)
        row = torch.arange(batch).repeat_interleave(count)
        discrete = [torch.randint(field.size, (len(order),)) for field in schema.discrete]
        tokens[modality] = ModalityTokens(
            place_T=row * places + first + order,
            order_T=order,
            discrete_TF=torch.stack(discrete, 1) if discrete else torch.empty(len(order), 0, dtype=torch.int64),
            continuous_TF=torch.rand(len(order), len(schema.continuous)),
        )
        first += count
    return SpectraBatch(modality_BS, tokens)


def mean_active_width() -> float:
    """Of the experts of a token, together, where the router chooses all alike."""
    moe = MoESettings()
    return moe.k * sum(expert.width for expert in moe.experts) / len(moe.experts)


def least_work(shape: Shape, places: int, width: float, item: int) -> Cost:
    """Products that beam search cannot do without, and bytes that each step reads at least: the decoder's
    weights and the encoder's keys and values. `width` is that of the encoder's feed-forward network, `item` the
    size of a number."""
    s, d = shape.settings, shape.settings.d_model
    read, rows = shape.batch * places, shape.batch * shape.beam
    encoder = s.encoder_layers * 2.0 * read * (4 * d * d + 2 * d * width + 2 * places * d)
    memory = s.decoder_layers * 4.0 * read * d * d
    weights = s.decoder_layers * (6 * d * d + 2 * d * s.ffn_width) + SMILES_TOKENS * d
    # All hypotheses begin with the same token: the first step has one for each sample.
    products = 2.0 * weights * (shape.batch + (shape.steps - 1) * rows)
    seen = sum(places + step for step in range(1, shape.steps + 1))
    attention = s.decoder_layers * 4.0 * rows * d * seen
    moved = shape.steps * (weights + s.decoder_layers * 2.0 * read * d)
    return Cost(encoder + memory + products + attention, item * moved)
