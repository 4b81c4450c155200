# mypy: ignore-errors
"""Triton: the activations of an expert, forward and derivative, in float32."""

import triton
import triton.language as tl


@triton.jit
def gelu_parts(x):
    """x * Phi(x) and its derivative, from one exponential.

    Phi by the rational approximation of erfc in Abramowitz and Stegun, 7.1.26: 1.5e-7 absolute, the precision
    of float32, where the library's erf costs about three times the instructions.
    """
    z = tl.abs(x) * 0.7071067811865476
    t = 1.0 / (1.0 + 0.3275911 * z)
    polynomial = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    density = tl.exp(-z * z)
    tail = 0.5 * polynomial * density
    cdf = tl.where(x < 0, tail, 1.0 - tail)
    return x * cdf, cdf + x * density * 0.3989422804014327


@triton.jit
def silu_parts(gate):
    """gate * sigmoid(gate) and its derivative."""
    sigmoid = 1.0 / (1.0 + tl.exp(-gate))
    return gate * sigmoid, sigmoid * (1.0 + gate * (1.0 - sigmoid))


@triton.jit
def activate(pre, up, GATED: tl.constexpr):
    """gelu(pre), or silu(pre) * up for gated experts (`up` is not read otherwise)."""
    if GATED:
        value, _ = silu_parts(pre)
        value = value * up
    else:
        value, _ = gelu_parts(pre)
    return value
