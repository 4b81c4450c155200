"""The choice between Triton kernels and plain torch."""

from importlib.util import find_spec
from typing import Literal

from torch import Tensor

Backend = Literal["auto", "triton", "reference"]


def uses_triton(backend: Backend, tensor: Tensor) -> bool:
    """Whether Triton kernels run: for "auto", on CUDA and ROCm devices where triton is installed.

    Raises:
        ValueError: an unknown name, or Triton asked for where it is not installed.
    """
    if backend not in ("auto", "triton", "reference"):
        raise ValueError(f"backend is {backend!r}: expected 'auto', 'triton' or 'reference'")
    if backend == "reference" or (backend == "auto" and not tensor.is_cuda):
        return False
    if find_spec("triton") is not None:
        return True
    if backend == "triton":
        raise ValueError("backend 'triton' asked for, but triton is not installed")
    return False
