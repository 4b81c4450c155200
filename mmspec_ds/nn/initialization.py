"""Initial weights. Every module initialises itself.

- Matrices: normal with variance 2 / (fan in + fan out) (Glorot and Bengio 2010); a fused projection starts
  like the separate ones that it replaces. Biases: zero. LayerNorm: one and zero.
- Everything that is summed into an embedding (table rows, positions, projected numbers): standard deviation
  EMBEDDING_STD in every component, so that no field outweighs another at the start.
- The decoder's table is also the output layer: the first logits have a standard deviation of EMBEDDING_STD *
  sqrt(D) (0.45 for D = 512), so the first loss is close to ln V.
"""

import math

from torch import nn

EMBEDDING_STD = 0.02


def init_linear(linear: nn.Linear, *, parts: int = 1) -> nn.Linear:
    """Initialise and return a linear layer that fuses `parts` equal projections."""
    fan_out, fan_in = linear.weight.shape
    nn.init.normal_(linear.weight, std=math.sqrt(2.0 / (fan_in + fan_out / parts)))
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def init_embedding(embedding: nn.Embedding, std: float = EMBEDDING_STD) -> nn.Embedding:
    """Initialise and return a table of embeddings."""
    nn.init.normal_(embedding.weight, std=std)
    return embedding
