"""The same network in `transformers`, with the same weights, for its beam search.

Pegasus is our network part for part: normalisation before each sublayer and at the end, biases everywhere,
exact GELU, one table for the decoder's tokens and its output. Its encoder is given our embedded tokens and no
positions, its decoder our learnt positions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from decoding_work import NEVER, SMILES_TOKENS, Shape, Work
from torch import Tensor

from mmspec_ds.molecules.vocabulary import Vocabulary
from mmspec_ds.nn.beam import NEVER_WRITTEN

if TYPE_CHECKING:
    from transformers import PegasusForConditionalGeneration

MISSING = "transformers is not installed (pip install 'mmspec-ds[bench]')"

PLACE = re.compile(r"((?:encoder|decoder)(?:\.layers\.\d+)?)\.(.+)\.(weight|bias)")
"""A stack or one of its layers, a module of it, and a parameter of that."""

_SELF, _CROSS = ("self_attn", "encoder_attn")
THEIR_NAMES = {
    "attention.query_key_value": tuple(f"{_SELF}.{part}_proj" for part in "qkv"),
    "attention.output": (f"{_SELF}.out_proj",),
    "attention_norm": (f"{_SELF}_layer_norm",),
    "self_attention.query_key_value": tuple(f"{_SELF}.{part}_proj" for part in "qkv"),
    "self_attention.output": (f"{_SELF}.out_proj",),
    "self_norm": (f"{_SELF}_layer_norm",),
    "cross_attention.query": (f"{_CROSS}.q_proj",),
    "cross_attention.key_value": tuple(f"{_CROSS}.{part}_proj" for part in "kv"),
    "cross_attention.output": (f"{_CROSS}.out_proj",),
    "cross_norm": (f"{_CROSS}_layer_norm",),
    "feedforward.widen": ("fc1",),
    "feedforward.narrow": ("fc2",),
    "feedforward_norm": ("final_layer_norm",),
    "norm": ("layer_norm",),
}
"""Our modules, and what transformers calls them or, one after the other, their parts."""

Found = list[list[tuple[tuple[int, ...], float]]]
"""Token sequences of each sample, best first, with their mean log probability."""


def transformers_is_there() -> bool:
    """Whether it can be imported."""
    try:
        import transformers  # noqa: F401
    except ImportError:
        return False
    return True


def pegasus(work: Work, shape: Shape) -> PegasusForConditionalGeneration:
    """The model of `work` as transformers has it; the end of a sequence never comes."""
    from transformers import PegasusConfig, PegasusForConditionalGeneration

    settings = shape.settings
    config = PegasusConfig(
        vocab_size=SMILES_TOKENS,
        max_position_embeddings=max(settings.max_target_tokens, work.spectra.modality_BS.shape[1]),
        d_model=settings.d_model,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers,
        encoder_attention_heads=settings.heads,
        decoder_attention_heads=settings.heads,
        encoder_ffn_dim=settings.ffn_width,
        decoder_ffn_dim=settings.ffn_width,
        activation_function="gelu",
        scale_embedding=False,
        pad_token_id=Vocabulary.PAD,
        bos_token_id=Vocabulary.BOS,
        eos_token_id=Vocabulary.EOS,
        decoder_start_token_id=Vocabulary.BOS,
        forced_eos_token_id=None,
    )
    theirs = PegasusForConditionalGeneration(config)
    parameter = next(work.model.parameters())
    theirs.to(parameter.dtype)
    _load(theirs, work)
    return theirs.to(parameter.device).eval()


def generate(theirs: PegasusForConditionalGeneration, work: Work, shape: Shape) -> Found:
    """Its beam search, of exactly as many steps as the shape says, as it comes."""
    with torch.inference_mode():
        found = theirs.generate(
            inputs_embeds=work.model.embedding(work.spectra),
            attention_mask=work.spectra.mask_BS.long(),
            num_beams=shape.beam,
            num_return_sequences=shape.beam,
            max_new_tokens=shape.steps,
            suppress_tokens=list(NEVER_WRITTEN),
            do_sample=False,
            length_penalty=1.0,
            output_scores=True,
            return_dict_in_generate=True,
        )
    rows = [tuple(row[1:]) for row in found.sequences.tolist()]
    flat = list(zip(rows, found.sequences_scores.tolist()))
    return [flat[start : start + shape.beam] for start in range(0, len(flat), shape.beam)]


def _load(theirs: PegasusForConditionalGeneration, work: Work) -> None:
    """Our weights under their names; every one of theirs must be met."""
    source = {name: value.detach().cpu() for name, value in work.model.state_dict().items()}
    state: dict[str, Tensor] = {}
    for name, value in source.items():
        if match := PLACE.fullmatch(name):
            stack, module, leaf = match.groups()
            if module in THEIR_NAMES:
                theirs_of = THEIR_NAMES[module]
                pieces = zip(theirs_of, value.chunk(len(theirs_of)))
                state |= {f"model.{stack}.{target}.{leaf}": piece for target, piece in pieces}
    tokens, places = source["decoder.tokens.weight"], source["decoder.places.weight"]
    positions = torch.zeros_like(theirs.model.decoder.embed_positions.weight, dtype=places.dtype)
    state["model.encoder.embed_positions.weight"] = positions.clone()
    positions[: len(places)] = places
    state["model.decoder.embed_positions.weight"] = positions
    state["final_logits_bias"] = torch.zeros(1, len(tokens))
    state["final_logits_bias"][:, Vocabulary.EOS] = NEVER
    for name in ("model.shared", "model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head"):
        state[f"{name}.weight"] = tokens
    theirs.load_state_dict(state)
