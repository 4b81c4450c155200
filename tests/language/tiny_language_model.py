"""A language model of two layers with a tokenizer of letters, as a folder and as a GGUF file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

LETTERS = [*"0123456789abcdefghijklmnopqrstuvwxyz", "Ġ", "@", ",", "_", "ab", "<unk>"]
LAYERS, WIDTH, HEADS, KV_HEADS, FFN = 2, 32, 4, 2, 48


def tokenizer() -> Any:
    """Byte-level BPE with one merge: a token a letter, and "ab"."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.BPE({one: at for at, one in enumerate(LETTERS)}, [("a", "b")], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def config(**changes: Any) -> Any:
    from transformers import LlamaConfig

    sizes = {
        "vocab_size": len(LETTERS), "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "intermediate_size": FFN,
        "max_position_embeddings": 128, "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip
    return LlamaConfig(**{**sizes, **changes})


def make_model(seed: int = 0, **changes: Any) -> Any:
    """With weights large enough for the tokens to see each other."""
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config(initializer_range=0.2, **changes))
    return model.eval()


def save_model(folder: Path, seed: int = 0, **changes: Any) -> Any:
    """Write the folder of a model, and return the model."""
    model = make_model(seed, **changes)
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return model


def save_gguf(path: Path, model: Any) -> None:
    """Write a model as llama.cpp stores it: rows of queries and keys interleaved for its rotary embedding."""
    from gguf import GGUFWriter

    writer = GGUFWriter(str(path), "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(LETTERS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(LETTERS)
    writer.add_token_types([1] * len(LETTERS))
    writer.add_token_merges(["a b"])
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", state["model.norm.weight"])
    names = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    for layer in range(LAYERS):
        for theirs, ours in names.items():
            weight = state[f"model.layers.{layer}.{theirs}.weight"]
            if ours in ("attn_q", "attn_k"):
                weight = interleaved(weight, HEADS if ours == "attn_q" else KV_HEADS)
            writer.add_tensor(f"blk.{layer}.{ours}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """The rows of each head with its two halves interleaved, [heads * 2 * half, width]."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))
