"""The operations of a sparse feed-forward layer whose experts differ in width.

The package needs torch and, on a GPU, triton:

    route             choose the experts of each token and their weights
    route_by_experts  let each expert choose its tokens
    dispatch          sort the token-expert pairs by expert
    expert_ffn        run every expert on its rows
    combine           add a token's weighted expert outputs
    combine_and_pool  do the same, and add them up over pools, such as all outputs of one expert for one sample

`sparse_ffn` and `sparse_ffn_and_pool` are the last three in a row. Each takes `backend`: "auto" runs Triton
kernels on CUDA and ROCm and plain torch elsewhere. Shapes: T tokens, D model width, F expert width, E experts,
K chosen experts per token, M modalities, N = T * K token-expert pairs less those that are not used.
"""

from mmspec_kernels.combine import Pools, PoolSums, combine, combine_and_pool, gather
from mmspec_kernels.dispatch import Dispatch, dispatch
from mmspec_kernels.expert_choice import route_by_experts
from mmspec_kernels.experts import expert_ffn
from mmspec_kernels.layer import sparse_ffn, sparse_ffn_and_pool
from mmspec_kernels.route import Routing, route
from mmspec_kernels.rule import NOT_ROUTED, GateFunction, RoutingRule
from mmspec_kernels.weights import Activation, Experts, ExpertWeights, StackedWeights, stack

__all__ = [
    "NOT_ROUTED",
    "Activation",
    "Dispatch",
    "ExpertWeights",
    "Experts",
    "GateFunction",
    "PoolSums",
    "Pools",
    "Routing",
    "RoutingRule",
    "StackedWeights",
    "combine",
    "combine_and_pool",
    "dispatch",
    "expert_ffn",
    "gather",
    "route",
    "route_by_experts",
    "sparse_ffn",
    "sparse_ffn_and_pool",
    "stack",
]
