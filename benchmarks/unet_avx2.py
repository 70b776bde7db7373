"""Training step of the U-Net in float32 with libraries limited to AVX2, and without limits in both precisions.

A process per setting of the environment and precision times its networks in turn: ours as chosen by
`products_are_faster`, in float32 also ours with every convolution by oneDNN, and diffusers' UNet2DModel where it is as
large.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.timing import ROOT, report
from benchmarks.unet import GRID, Network, diffusers, name_of_ours, ours, step
from pushforward.networks import UNet
from pushforward.runs.devices import native_bfloat16
from pushforward.spaces import Field
from pushforward.tensors import keep_freed_memory, products_are_faster

LIMITS: dict[str, dict[str, str]] = {
    "ATen and oneDNN to AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "MKL too": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "none": {},
}
PRECISIONS = (*((limits, "float32") for limits in LIMITS), ("none", "bfloat16"))
DEFAULT = "pushforward, defaults of 64 x 64"
ROUNDS = 7


def networks() -> dict[str, tuple[nn.Module, Network, int, int]]:
    """Module, how to call it, channels of its input, and maps per batch."""
    default = UNet(Field(1, GRID, periodic=True), width=16, in_channels=2)
    return {
        DEFAULT: (default, default, 2, 8),
        name_of_ours("diffusers"): (*ours("diffusers"), 1, 16),
        "diffusers": (*diffusers(), 1, 16),
    }


def measure(precision: str) -> dict[str, list[float]]:
    """Milliseconds of processor time per step: median of ours as chosen, and in float32 by convolutions alone."""
    low = precision == "bfloat16"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    chosen = products_are_faster()
    steps = {name: step_of(*made, low) for name, made in networks().items()}
    ways = {name: (chosen,) if low or name == "diffusers" else (chosen, False) for name in steps}
    spent: dict[str, list[list[float]]] = {name: [[] for _ in ways[name]] for name in steps}
    for number in range(ROUNDS + 1):
        for name, take in steps.items():
            for way, times in zip(ways[name], spent[name], strict=True):
                seconds = timed(take, way)
                if number:
                    times.append(1e3 * seconds)
    return {name: [statistics.median(times) for times in each] for name, each in spent.items()}


def step_of(module: nn.Module, network: Network, channels: int, maps: int, low: bool) -> Callable[[], None]:
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)
    x, t, target = torch.randn(maps, channels, *GRID), torch.rand(maps), torch.randn(maps, 1, *GRID)
    return lambda: step(network, optimiser, x, t, target, low)


def timed(take: Callable[[], None], by_products: bool) -> float:
    where = [f"pushforward.networks.{module}.products_are_faster" for module in ("layers", "shifted_products")]
    with patch(where[0], lambda: by_products), patch(where[1], lambda: by_products):
        start = time.process_time()
        take()
        return time.process_time() - start


def main() -> None:
    rows = []
    for limits, precision in PRECISIONS:
        found = json.loads(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.unet_avx2", "--worker", precision],
                env=os.environ | LIMITS[limits] | {"OMP_NUM_THREADS": "1"},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        )
        for name, (chosen, *convolutions) in found.items():
            rows.append(
                {
                    "limits": limits,
                    "precision": precision,
                    "network": name,
                    "step (ms)": f"{chosen:.1f}",
                    "by convolutions alone (ms)": "".join(f"{each:.1f}" for each in convolutions),
                    "faster by": "".join(f"{each / chosen:.2f}" for each in convolutions),
                    "against ours of its size": f"{chosen / found[name_of_ours('diffusers')][0]:.2f}"
                    if name == "diffusers"
                    else "",
                }
            )
    has = "with" if native_bfloat16(torch.device("cpu")) else "without"
    report(
        "unet_avx2",
        "Training step of the U-Net, with shorter vectors and in both precisions",
        rows,
        notes=[
            f"Maps of {GRID[0]} x {GRID[1]}, 8 for the default U-Net, 16 for the others; forward, backward and AdamW "
            f"(fused). Processor time on one thread, medians of {ROUNDS} steps, in turn within one process per limit "
            "and precision.",
            f"bfloat16 is `torch.autocast`, on a processor {has} instructions for it.",
            "Convolutions are computed by matrix products only where `products_are_faster` measures that: where both "
            "libraries use vectors of one length it does not, and both columns are of the same computation.",
        ],
        packages=("diffusers",),
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        main()
