"""Checks of the Triton kernels: on a GPU where there is one, else under Triton's interpreter.

They are not collected with the other tests, because the interpreter must be chosen before triton is imported
and then holds for the whole process: `tests/kernels/test_interpreted.py` runs them in a process of their own,
and `launch/gpu_check.sh` on a device.
"""

import pytest
import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float16) + ((torch.bfloat16,) if torch.cuda.is_available() else ())
"""bfloat16 arithmetic is wrong in the interpreter."""


@pytest.fixture(params=DTYPES, ids=lambda d: str(d).removeprefix("torch."))
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory holds NaN: what a kernel does not write shows."""
    empty = torch.empty

    def poisoned(*size: int, **options: object) -> Tensor:
        out = empty(*size, **options)
        return out.fill_(float("nan")) if out.is_floating_point() else out.fill_(7)

    monkeypatch.setattr(torch, "empty", poisoned)
