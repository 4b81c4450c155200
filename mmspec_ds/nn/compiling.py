"""What `torch.compile` needs on a processor."""

from mmspec_ds.errors import DataError


def check_compiler(option: str) -> None:
    """Make sure of a C++ compiler before anything is compiled for a processor.

    Args:
        option: that asks for it, as an error names it.

    Raises:
        DataError: there is none.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise DataError(
            f"{option} is true, but there is no C++ compiler: expected g++ or clang++, or false"
        ) from None
