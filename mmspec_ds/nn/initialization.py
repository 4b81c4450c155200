"""How weights start. Every module of this room initialises itself, so that an injected one keeps its own way.

- Matrices: normal with variance 2 / (fan in + fan out) (Glorot and Bengio 2010); a fused projection starts
  like the separate ones that it replaces. Biases: zero. LayerNorm: one and zero.
- Everything that is summed into an embedding (table rows, places, projected numbers): each summand has the
  same standard deviation EMBEDDING_STD in every component, so that no field drowns another before training
  has said which matters.
- The decoder's table is tied to the output: with EMBEDDING_STD and a normalised hidden state of width D the
  first logits have a standard deviation of EMBEDDING_STD * sqrt(D) (0.45 for 512), so the first loss is close
  to ln V.
"""

import math

from torch import nn

EMBEDDING_STD = 0.02


def init_linear(linear: nn.Linear, *, parts: int = 1) -> nn.Linear:
    """Start a linear layer that fuses `parts` equal projections; returns the layer."""
    fan_out, fan_in = linear.weight.shape
    nn.init.normal_(linear.weight, std=math.sqrt(2.0 / (fan_in + fan_out / parts)))
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def init_embedding(embedding: nn.Embedding) -> nn.Embedding:
    """Start a table of embeddings; returns the table."""
    nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
    return embedding
