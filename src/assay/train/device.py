"""Where training computes: the device, its memory, and the arithmetic of its products."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from assay.errors import ConfigError
from assay.train.config import DeviceName, PrecisionName

#: Loss scaling of float16: where it starts, and the good steps after which it doubles (torch's GradScaler).
_FIRST_SCALE, _GOOD_STEPS = 2.0**16, 2000


def choose_device(name: DeviceName) -> torch.device:
    """The device asked for; `auto` takes an accelerator where there is one.

    Raises:
        ConfigError: it is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind in ("cuda", "mps") if there[kind]), "cpu"))
    if not there[name]:
        raise ConfigError(
            "the device asked for must be there",
            f"train.device={name}, but torch sees none",
            "Leave train.device=auto, or install a torch build and driver for it.",
        )
    return torch.device(name)


class Precision:
    """The arithmetic of the products; weights and sums stay in float32.

    float16 needs its loss scaled, so that small gradients do not vanish (Micikevicius et al., ICLR 2018, section 3.2).
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.scale = torch.tensor(_FIRST_SCALE if dtype is torch.float16 else 1.0, device=device)
        self._good = torch.zeros((), device=device)

    @property
    def name(self) -> str:
        """`float32`, `bfloat16` or `float16`."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def scales(self) -> bool:
        """Whether the loss is scaled."""
        return self.dtype is torch.float16

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which forward passes run."""
        return nullcontext() if self.dtype is torch.float32 else torch.autocast(self.device.type, self.dtype)

    def after_step(self, finite: Tensor) -> None:
        """Move the scale: half after a step that was not finite (a 0-d bool), double after many that were."""
        if not self.scales:
            return
        self._good = torch.where(finite, self._good + 1.0, 0.0)
        grown = torch.where(self._good >= _GOOD_STEPS, self.scale * 2.0, self.scale)
        self._good = torch.where(self._good >= _GOOD_STEPS, 0.0, self._good)
        self.scale = torch.where(finite, grown, self.scale * 0.5)


def choose_precision(name: PrecisionName, device: torch.device) -> Precision:
    """The arithmetic asked for; `auto` takes a 16-bit type only where the hardware computes in it.

    Raises:
        ConfigError: the hardware would only be slower with it.
    """
    fast = _fast_types(device)
    if name == "auto":
        return Precision(device, fast[0] if fast else torch.float32)
    dtype: torch.dtype = getattr(torch, name)
    if dtype is not torch.float32 and dtype not in fast:
        flags = "AVX-512 BF16 or AMX" if device.type == "cpu" else "a GPU that computes in it"
        raise ConfigError(
            f"train.precision={name} must be faster than float32 here",
            f"it needs {flags}, and without it is about five times slower",
            "Leave train.precision=auto.",
        )
    return Precision(device, dtype)


def _fast_types(device: torch.device) -> list[torch.dtype]:
    """16-bit types that the device multiplies faster than float32, the better one first."""
    if device.type == "cuda":
        return [torch.bfloat16, torch.float16] if torch.cuda.get_device_capability(device)[0] >= 8 else [torch.float16]
    if device.type == "cpu" and {"avx512_bf16", "amx_bf16"} & _cpu_flags():
        return [torch.bfloat16]
    return []


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device, or on the machine within the control group's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    page = os.sysconf("SC_PAGE_SIZE")
    free = page * os.sysconf("SC_AVPHYS_PAGES")
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text("ascii"))
    except (OSError, ValueError):
        return free
    return min(free, max(limit - used, 0))


def peak_memory_mb() -> float:
    """Most memory the process has had resident so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
