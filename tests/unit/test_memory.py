"""The memory that is kept: what is freed is used again, and what a user chose is left as it is."""

import os
import subprocess
import sys

import pytest

#: Frees and takes 64 MB again and again; prints whether memory is kept and how many pages were faulted in meanwhile.
_PROGRAM = """
import resource
import numpy as np
from assay._memory import keep_freed_memory

kept = keep_freed_memory()
for _ in range(3):
    np.empty(8_000_000).fill(1.0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.empty(8_000_000).fill(1.0)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**more: str) -> tuple[str, int]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    made = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=plain | more, capture_output=True, text=True, check=True
    )
    kept, faults = made.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_freed_memory_is_used_again() -> None:
    kept, faults = run()
    assert kept == "True"
    assert faults < 100  # 20 times 64 MB in pages of 4 KB would be 312,500; with large pages 600 at least


@pytest.mark.parametrize("name", ["MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"])
def test_what_was_chosen_is_left(name: str) -> None:
    assert run(**{name: "65536"})[0] == "False"
