# mypy: ignore-errors
"""Triton: routing in one pass over the hidden states, forward and backward. Arithmetic is float32."""

import triton
import triton.language as tl


@triton.jit
def sigmoid_gates(scaled, real):
    """Affinities, and affinities over their sum, as the softmax of log sigmoid: also where all are nearly 0."""
    affinity = tl.where(real, 1.0 / (1.0 + tl.exp(-scaled)), 0.0)
    log_affinity = tl.minimum(scaled, 0.0) - tl.log(1.0 + tl.exp(-tl.abs(scaled)))
    log_affinity = tl.where(real, log_affinity, float("-inf"))
    power = tl.exp(log_affinity - tl.max(log_affinity, axis=1)[:, None])
    return affinity, power / tl.sum(power, axis=1)[:, None]


@triton.jit
def route_tokens(
    hidden_ptr, modality_ptr, weight_ptr, prior_ptr, selection_ptr,
    index_ptr, chosen_ptr, probability_ptr, lse_ptr, logit_ptr, count_ptr,
    tokens, inverse_temperature, share,
    D: tl.constexpr, E: tl.constexpr, EP: tl.constexpr, TOPK: tl.constexpr,
    PRIOR: tl.constexpr, SELECTION: tl.constexpr, SIGMOID: tl.constexpr, RENORMALISE: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Logits, gates, top-k and counts of BLOCK tokens. EP is E filled up to a power of two, at least 16.
    SELECTION: 0 without a selection bias, 1 with one for all modalities, 2 with one for each."""
    token = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = token < tokens
    expert = tl.arange(0, EP)
    real = (expert < E)[None, :]
    inner = tl.arange(0, BLOCK_D)
    logits = tl.zeros((BLOCK, EP), dtype=tl.float32)
    for start in range(0, D, BLOCK_D):
        feature = start + inner
        h = tl.load(
            hidden_ptr + token.to(tl.int64)[:, None] * D + feature[None, :],
            mask=inside[:, None] & (feature < D)[None, :], other=0.0,
        )  # fmt: skip
        w = tl.load(
            weight_ptr + expert[None, :] * D + feature[:, None], mask=real & (feature < D)[:, None], other=0.0
        )
        logits = tl.dot(h.to(tl.float32), w.to(tl.float32), logits, input_precision="ieee")
    modality = tl.load(modality_ptr + token, mask=inside, other=-1)
    routed = modality >= 0
    safe = tl.where(routed, modality, 0)
    if PRIOR:
        logits += tl.load(prior_ptr + safe[:, None] * E + expert[None, :], mask=real, other=0.0)
    places = token[:, None] * E + expert[None, :]
    kept = inside[:, None] & real
    tl.store(logit_ptr + places, logits, mask=kept)

    logits = tl.where(real, logits, float("-inf"))
    largest = tl.max(logits, axis=1)
    lse = largest + tl.log(tl.sum(tl.exp(logits - largest[:, None]), axis=1))
    tl.store(lse_ptr + token, tl.where(routed, lse, 0.0), mask=inside)
    if SIGMOID:
        affinity, probability = sigmoid_gates(logits * inverse_temperature, real)
    else:
        power = tl.exp((logits - largest[:, None]) * inverse_temperature)
        probability = power / tl.sum(power, axis=1)[:, None]
        affinity = probability
    tl.store(probability_ptr + places, tl.where(routed[:, None], probability, 0.0), mask=kept)

    start_score = affinity
    if SELECTION == 1:
        start_score += tl.load(selection_ptr + expert, mask=expert < E, other=0.0)[None, :]
    if SELECTION == 2:
        start_score += tl.load(selection_ptr + safe[:, None] * E + expert[None, :], mask=real, other=0.0)
    start_score = tl.where(real, start_score, float("-inf"))
    score = start_score
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    first = tl.zeros((BLOCK,), dtype=tl.float32)
    chosen_here = tl.zeros((BLOCK, EP), dtype=tl.int32)
    for choice in tl.static_range(TOPK):
        best = tl.argmax(score, axis=1)
        hit = expert[None, :] == best[:, None]
        weight = tl.sum(tl.where(hit, affinity, 0.0), axis=1)
        if choice == 0:
            first = weight
        used = routed & ((weight >= share * first) | (choice == 0))
        weight = tl.where(used, weight, 0.0)
        total += weight
        chosen_here += (hit & used[:, None]).to(tl.int32)
        tl.store(index_ptr + token * TOPK + choice, tl.where(used, best, -1), mask=inside)
        if not RENORMALISE:
            tl.store(chosen_ptr + token * TOPK + choice, weight, mask=inside)
        score = tl.where(hit, float("-inf"), score)
    if RENORMALISE:
        # A second walk over the choices: their sum is known only now, and the affinities are in registers.
        score = start_score
        total = tl.maximum(total, 1.1754943508222875e-38)
        for choice in tl.static_range(TOPK):
            best = tl.argmax(score, axis=1)
            hit = expert[None, :] == best[:, None]
            weight = tl.sum(tl.where(hit, affinity, 0.0), axis=1)
            used = routed & ((weight >= share * first) | (choice == 0))
            tl.store(chosen_ptr + token * TOPK + choice, tl.where(used, weight / total, 0.0), mask=inside)
            score = tl.where(hit, float("-inf"), score)
    tl.atomic_add(count_ptr + expert, tl.sum(chosen_here, axis=0), mask=expert < E)


@triton.jit
def route_gradient(
    logit_ptr, modality_ptr, weight_ptr, index_ptr, chosen_ptr, lse_ptr,
    dchosen_ptr, dprobability_ptr, dlse_ptr, dlogit_ptr, dhidden_ptr,
    tokens, inverse_temperature,
    D: tl.constexpr, E: tl.constexpr, EP: tl.constexpr, TOPK: tl.constexpr,
    SIGMOID: tl.constexpr, RENORMALISE: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """dlogits from the gradients of chosen weights, probabilities and log-sum-exp; dhidden = dlogits W."""
    token = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = token < tokens
    expert = tl.arange(0, EP)
    real = (expert < E)[None, :]
    kept = inside[:, None] & real
    places = token[:, None] * E + expert[None, :]
    routed = tl.load(modality_ptr + token, mask=inside, other=-1) >= 0
    logits = tl.load(logit_ptr + places, mask=kept, other=float("-inf"))
    logits = tl.where(inside[:, None], logits, 0.0)
    if SIGMOID:
        affinity, probability = sigmoid_gates(logits * inverse_temperature, real)
    else:
        largest = tl.max(logits, axis=1)
        power = tl.exp((logits - largest[:, None]) * inverse_temperature)
        power = tl.where(real, power, 0.0)
        probability = power / tl.sum(power, axis=1)[:, None]
        affinity = probability

    total = tl.zeros((BLOCK,), dtype=tl.float32)
    slope = tl.zeros((BLOCK,), dtype=tl.float32)
    if RENORMALISE:
        # w_k = a_k / s with s = sum a: da_k = (dw_k - sum_j dw_j w_j) / s.
        for choice in tl.static_range(TOPK):
            index = tl.load(index_ptr + token * TOPK + choice, mask=inside, other=-1)
            hit = expert[None, :] == index[:, None]
            total += tl.sum(tl.where(hit, affinity, 0.0), axis=1)
            weight = tl.load(chosen_ptr + token * TOPK + choice, mask=inside, other=0.0)
            grad = tl.load(dchosen_ptr + token * TOPK + choice, mask=inside, other=0.0)
            slope += weight * grad
        total = tl.maximum(total, 1.1754943508222875e-38)
    dp = tl.load(dprobability_ptr + places, mask=kept, other=0.0)
    da = tl.zeros((BLOCK, EP), dtype=tl.float32)
    for choice in tl.static_range(TOPK):
        index = tl.load(index_ptr + token * TOPK + choice, mask=inside, other=-1)
        hit = expert[None, :] == index[:, None]
        grad = tl.load(dchosen_ptr + token * TOPK + choice, mask=inside, other=0.0)
        if RENORMALISE:
            grad = (grad - slope) / total
        da += tl.where(hit, grad[:, None], 0.0)
    if SIGMOID:
        # d log a / dlogit = (1 - a) / temperature, and probabilities are the softmax of log a.
        dlog = affinity * da + probability * (dp - tl.sum(probability * dp, axis=1)[:, None])
        dlogits = (1.0 - affinity) * dlog * inverse_temperature
    else:
        dp += da
        dlogits = probability * (dp - tl.sum(probability * dp, axis=1)[:, None]) * inverse_temperature
    lse = tl.load(lse_ptr + token, mask=inside, other=0.0)
    dlse = tl.load(dlse_ptr + token, mask=inside, other=0.0)
    dlogits += tl.where(real, dlse[:, None] * tl.exp(logits - lse[:, None]), 0.0)
    dlogits = tl.where(routed[:, None] & real, dlogits, 0.0)
    tl.store(dlogit_ptr + places, dlogits, mask=kept)
    inner = tl.arange(0, BLOCK_D)
    for start in range(0, D, BLOCK_D):
        feature = start + inner
        mask = (expert < E)[:, None] & (feature < D)[None, :]
        w = tl.load(weight_ptr + expert[:, None] * D + feature[None, :], mask=mask, other=0.0)
        dh = tl.dot(dlogits, w.to(tl.float32), input_precision="ieee")
        tl.store(
            dhidden_ptr + token.to(tl.int64)[:, None] * D + feature[None, :],
            dh.to(dhidden_ptr.dtype.element_ty), mask=inside[:, None] & (feature < D)[None, :],
        )  # fmt: skip


@triton.jit
def route_weight_gradient(
    dlogit_ptr, hidden_ptr, dweight_ptr, tokens,
    D: tl.constexpr, E: tl.constexpr, EP: tl.constexpr, SPLITS: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One split's dlogits^T h [E, D] float32; splits are summed afterwards. Grid: tiles of D, splits."""
    feature = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    expert = tl.arange(0, EP)
    share = tl.cdiv(tl.cdiv(tokens, SPLITS), BLOCK) * BLOCK
    begin = tl.program_id(1) * share
    end = tl.minimum(begin + share, tokens)
    total = tl.zeros((EP, BLOCK_D), dtype=tl.float32)
    for start in range(begin, end, BLOCK):
        token = start + tl.arange(0, BLOCK)
        inside = token < end
        mask = (expert < E)[:, None] & inside[None, :]
        g = tl.load(dlogit_ptr + token[None, :] * E + expert[:, None], mask=mask, other=0.0)
        mask = inside[:, None] & (feature < D)[None, :]
        h = tl.load(hidden_ptr + token.to(tl.int64)[:, None] * D + feature[None, :], mask=mask, other=0.0)
        total = tl.dot(g, h.to(tl.float32), total, input_precision="ieee")
    place = dweight_ptr + (tl.program_id(1) * E + expert)[:, None] * D + feature[None, :]
    tl.store(place, total, mask=(expert < E)[:, None] & (feature < D)[None, :])
