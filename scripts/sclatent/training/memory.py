"""How the C library manages the memory of tensors."""

import ctypes

# Parameters of glibc's mallopt.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Make glibc keep the memory of deleted tensors for the next ones, up to 2 GB.

    Otherwise each large tensor gets newly mapped memory, and the system clears every page of it,
    which can take longer than the computation. With another C library this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)  # no memory mapping of its own for any block
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
