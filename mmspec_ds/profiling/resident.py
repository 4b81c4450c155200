"""Memory of this process, as Linux reports it."""

import ctypes
import ctypes.util
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_BLOCK = 65_536
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def give_back_what_is_freed() -> None:
    """Make glibc return freed blocks of 64 KiB and more to the system from now on.

    By default it keeps them, and the resident set is then larger than the live memory. Without glibc this does
    nothing.
    """
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if not hasattr(libc, "mallopt"):
        return
    for parameter, value in ((_M_MMAP_THRESHOLD, _BLOCK), (_M_TRIM_THRESHOLD, _BLOCK), (_M_ARENA_MAX, 2)):
        libc.mallopt(parameter, value)


def is_measured() -> bool:
    """Return whether this system reports the memory of a process (Linux 4.0 and later)."""
    return _STATUS.is_file() and _CLEAR.is_file()


def reset_peak() -> dict[str, int]:
    """Reset VmHWM, the peak of the resident set, to its current value; return `memory_of_process()`."""
    _CLEAR.write_text("5")
    return memory_of_process()


def memory_of_process() -> dict[str, int]:
    """Return the kernel's figures of this process in bytes: VmHWM, VmRSS, RssAnon, RssFile, RssShmem, ..."""
    fields = (line.split() for line in _STATUS.read_text().splitlines() if line.endswith(" kB"))
    return {field[0].rstrip(":"): 1024 * int(field[1]) for field in fields}
