"""Choice of devices, processes and precision, on top of Lightning Fabric."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pushforward.errors import UsageError
from pushforward.spaces import Space

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = [
    "PRECISIONS",
    "choose_device",
    "choose_precision",
    "laid_out",
    "make_fabric",
    "native_bfloat16",
    "started_outside",
]

# `fit` reports processes and precision itself. Set at import, so that started processes are silent too.
for _talkative in ("lightning_fabric.utilities.distributed", "lightning_fabric.utilities.rank_zero"):
    logging.getLogger(_talkative).setLevel(logging.ERROR)
logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)

PRECISIONS = {"32": "32-true", "32-true": "32-true", "bf16": "bf16-mixed", "bf16-mixed": "bf16-mixed"}
_KINDS = ("cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """Device by name; ``auto`` is the best one available.

    Raises:
        UsageError: if it is unknown or not on this machine.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    kind, _, index = {"gpu": "cuda"}.get(name, name).partition(":")
    if kind not in _KINDS or (index and not index.isdigit()):
        raise UsageError(f"there is no device called {name!r}; known devices are auto, cpu, cuda, cuda:N, mps")
    if not there[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"this machine has no device {name!r}; use device auto or cpu")
    return torch.device(f"{kind}:{index}" if index else kind)


def native_bfloat16(device: torch.device) -> bool:
    """Whether arithmetic in bfloat16 is faster than in float32 on a device."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return False


def choose_precision(name: str, device: torch.device, space: Space, preferred: str | None = None) -> str:
    """Precision by name; ``auto`` is the model's preference, else bfloat16 for fields if the device has it.

    Raises:
        UsageError: if the name is unknown.
    """
    if name == "auto":
        name = preferred or ("bf16" if space.grid and native_bfloat16(device) else "32")
    if name not in PRECISIONS:
        raise UsageError(f"there is no precision called {name!r}; known ones are auto, 32, bf16")
    return PRECISIONS[name]


def laid_out(module: nn.Module, space: Space) -> None:
    """For maps, store convolution kernels with channels last in memory, which is faster."""
    if len(space.grid) == 2:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def started_outside() -> bool:
    """Whether the processes were started by torchrun or by SLURM's srun."""
    return "TORCHELASTIC_RUN_ID" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1


def make_fabric(device: torch.device, devices: int, precision: str) -> Fabric:
    """A Fabric with this many processes per machine, one per device.

    Under torchrun or SLURM the processes exist already and ``devices`` need not be given.

    Raises:
        UsageError: if the number of existing processes differs from ``devices``, or there are too few GPUs.
    """
    from lightning_fabric import Fabric

    nodes = 1
    if started_outside():
        devices, nodes = _outside(devices)
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise UsageError(f"{devices} processes need {devices} GPUs; this machine has {torch.cuda.device_count()}")
    if device.type == "mps" and devices > 1:
        raise UsageError("mps is one device; use devices 1")
    several = devices * nodes > 1
    strategy = ("ddp" if started_outside() else "ddp_spawn") if several else "auto"
    chosen: Any = [device.index] if device.index is not None and devices == 1 else devices
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if several and strategy == "ddp_spawn" and hasattr(sys, "ps1"):
            raise UsageError(
                "several processes cannot be started from an interactive session; use a script or the command line"
            )
        return Fabric(accelerator=device.type, devices=chosen, num_nodes=nodes, strategy=strategy, precision=precision)  # type: ignore[arg-type]


def _outside(devices: int) -> tuple[int, int]:
    """Processes per machine and number of machines under torchrun or SLURM."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        total, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    else:
        total = int(os.environ["SLURM_STEP_NUM_TASKS"])
        local = total // int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))
    if devices not in (1, local):
        raise UsageError(f"devices is {devices}, but {local} processes were started on this machine; leave devices out")
    return local, total // local
