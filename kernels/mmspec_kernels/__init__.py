"""The operations of a sparse feed-forward layer whose experts differ in width.

Knows torch and, where there is a GPU, triton; nothing of the models that use it:

    route      which experts serve each token, and with what weight
    dispatch   the token-expert pairs in expert order
    expert_ffn every expert on its rows
    combine    the weighted sum of a token's expert outputs

`sparse_ffn` is the last three in a row. Each takes `backend`: "auto" runs Triton kernels on CUDA and ROCm and
plain torch elsewhere. Shapes: T tokens, D model width, F expert width, E experts, K chosen
experts per token, M modalities, N = T * K token-expert pairs less those that are not used.
"""

from mmspec_kernels.combine import combine, gather
from mmspec_kernels.dispatch import Dispatch, dispatch
from mmspec_kernels.experts import expert_ffn
from mmspec_kernels.layer import sparse_ffn
from mmspec_kernels.route import NOT_ROUTED, Routing, route
from mmspec_kernels.weights import Activation, ExpertWeights

__all__ = [
    "NOT_ROUTED",
    "Activation",
    "Dispatch",
    "ExpertWeights",
    "Routing",
    "combine",
    "dispatch",
    "expert_ffn",
    "gather",
    "route",
    "sparse_ffn",
]
