"""How this process keeps the memory that it has freed.

glibc takes blocks above 32 MB from the system and gives them back when they are freed, so each activation of a batch
of pictures or series is made of pages that are faulted in and cleared anew: most of a small convolution's time.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

#: Names of `mallopt` in glibc's malloc.h, and what they are set to: no block is a mapping of its own, up to 2 GB stay
#: at the top of the heap, and it grows by 64 MB.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_SETTINGS = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20))
#: Who sets these has chosen.
_CHOSEN = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next block, unless its settings were chosen; whether it does.

    See docs/decisions/memory.md for what it brings and costs. Of other C libraries than glibc nothing is asked.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _CHOSEN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(name, value) for name, value in _SETTINGS)
