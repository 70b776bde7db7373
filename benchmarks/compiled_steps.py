"""Training step of the default U-Net compiled by `torch.compile`, and what compiling costs before the first step.

Two ways: the whole network, and only what is computed cell by cell (normalisation with its modulation, activation,
sum with the input), around convolutions as they are. Forward, backward and AdamW, in turn with the network that is not
compiled, in processor time on one thread. A process per row: compiling with an empty cache, then the same again with
what the first process left there, as a second training on the same machine would find it. Time of the C++ compiler is
included; the difference of the two first steps from a later one is what compiling cost.

    python -m benchmarks compiled_steps
    python -m benchmarks.compiled_steps measure 1      # the next row that is missing, without a table
"""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.stored_results import measure_in_turn, measure_once, run_part
from benchmarks.timing import ROOT, report
from benchmarks.unet import GRID, step
from pushforward.networks import UNet, layers, shifted_products, unet
from pushforward.networks.periodic import wrap
from pushforward.runs.devices import native_bfloat16
from pushforward.spaces import Field
from pushforward.tensors import keep_freed_memory, products_are_faster

LIMITS: dict[str, dict[str, str]] = {
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "none": {},
}
WHOLE, BY_CELL = "whole network", "cell by cell"
PRECISIONS = ("float32", *(["bfloat16"] if native_bfloat16(torch.device("cpu")) else []))
ROWS = [
    (limits, precision, way)
    for limits, precision in [("AVX2", "float32"), *(("none", each) for each in PRECISIONS)]
    for way in (WHOLE, BY_CELL)
]
"""Limits, precision and way."""
MAPS, ROUNDS = 8, 15
BUDGET = 240.0


def main(seconds: float = math.inf, *, table: bool = True) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if measure_in_turn(ROWS, lambda row: cell(*row), seconds) and table:
        tabulate()


def tabulate() -> None:
    """Write the table of what has been measured."""
    rows = []
    for limits, precision, way in ROWS:
        found = cell(limits, precision, way)
        saved, left = found["step"] - found["compiled"], max(0.0, 1 - found["compiling"] / BUDGET)
        rows.append(
            {
                "limits": limits,
                "precision": precision,
                "compiled": way,
                "step (ms)": f"{1e3 * found['step']:.1f}",
                "compiled step (ms)": f"{1e3 * found['compiled']:.1f}",
                "faster by": f"{found['step'] / found['compiled']:.2f}",
                "compiling (s)": f"{found['compiling']:.1f}",
                "from the cache (s)": f"{found['cached']:.1f}",
                "repaid after steps": f"{found['compiling'] / saved:,.0f}" if saved > 0 else "never",
                f"in {BUDGET:.0f} s": f"{left * found['step'] / found['compiled']:.2f}",
                "largest difference of outputs": f"{found['difference']:.1e}",
            }
        )
    report(
        "compiled_steps",
        "Training step of the default U-Net, compiled",
        rows,
        notes=[
            f"{MAPS} maps of {GRID[0]} x {GRID[1]}; forward, backward and AdamW (fused). Processor time on one thread, "
            f"medians of {ROUNDS} steps, in turn with the network that is not compiled.",
            "AVX2: ATen, oneDNN and the compiled code are limited to AVX2. bfloat16, by autocast, is measured where "
            "the processor has instructions for it.",
            "compiling: processor time of Python and of the C++ compiler until the second step is done, without those "
            "of two steps; from the cache: the same in a second process, with the compiled code of the first.",
            "whole network: with PyTorch's circular padding, and with oneDNN's convolutions where the network that is "
            "not compiled takes products.",
            f"in {BUDGET:.0f} s: steps in so much processor time with compiling, relative to those without; the time "
            "of `make demo`, of one thread.",
        ],
    )


def cell(limits: str, precision: str, way: str) -> dict[str, float]:
    setting = {"maps": MAPS, "grid": list(GRID), "rounds": ROUNDS, "torch": torch.__version__}
    name = f"{limits}, {precision}, {way}"
    return measure_once("compiled_steps", name, setting, lambda: in_processes(limits, precision, way))


def in_processes(limits: str, precision: str, way: str) -> dict[str, float]:
    """Seconds, of a process with an empty cache; ``cached``: of compiling in a second one."""
    with tempfile.TemporaryDirectory() as cache:
        variables = {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.compiled_steps", "--worker", limits, precision, way]
        environment = os.environ | LIMITS[limits] | variables
        first, second = (
            json.loads(subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
            for _ in range(2)
        )
    return {**first, "cached": second["compiling"]}


def measure(limits: str, precision: str, way: str) -> dict[str, float]:
    from torch._inductor import config

    torch.set_num_threads(1)
    keep_freed_memory()
    if limits == "AVX2":
        config.cpp.simdlen = 256
    low = precision == "bfloat16"
    eager, (network, call) = default_unet(), MADE[way]()
    plain, compiled = step_of(eager, eager, low), step_of(network, call, low)
    with followed_by_the_compiler():
        plain(), plain()
        start = used()
        compiled(), compiled()
        spent = used() - start
        times: dict[str, list[float]] = {"step": [], "compiled": []}
        for _ in range(ROUNDS):
            for name, take in (("step", plain), ("compiled", compiled)):
                start = time.process_time()
                take()
                times[name].append(time.process_time() - start)
        apart = difference(network, call, eager)
    found = {name: statistics.median(each) for name, each in times.items()}
    return {**found, "compiling": spent - 2 * found["compiled"], "difference": apart}


@contextmanager
def followed_by_the_compiler() -> Iterator[None]:
    """The network without what interrupts the compiler: a measured choice, and a derivative written by hand.

    Where convolutions by products are chosen, the whole network is compiled with those of oneDNN in their place.
    """
    chosen = products_are_faster()
    with (
        patch.object(layers, "products_are_faster", lambda: chosen),
        patch.object(shifted_products, "products_are_faster", lambda: chosen),
        patch.object(layers, "wrap", wrapped),
    ):
        yield


def wrapped(x: Tensor, edges: Sequence[tuple[int, int]]) -> Tensor:
    if not (torch.compiler.is_compiling() and any(map(any, edges))):
        return wrap(x, edges)
    return nn.functional.pad(x, [cells for edge in reversed(edges) for cells in edge], mode="circular")


def default_unet() -> UNet:
    torch.manual_seed(0)
    return UNet(Field(1, GRID, periodic=True), width=16, in_channels=2)


def whole_network() -> tuple[nn.Module, Callable[..., Tensor]]:
    network = default_unet()
    return network, torch.compile(network)


def cell_by_cell() -> tuple[nn.Module, Callable[..., Tensor]]:
    """Blocks of whose layers only the convolutions are not compiled."""
    network = default_unet()

    @torch.compile(dynamic=False)
    def modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return nn.functional.group_norm(x, 1) * (1 + scale) + shift

    activated = torch.compile(nn.functional.silu, dynamic=False)

    @torch.compile(dynamic=False)
    def added(x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def block(self: Any, x: Tensor, modulation: Iterator[Tensor]) -> Tensor:
        h = self.first(modulated(x, next(modulation), next(modulation)))
        return added(x, self.second(activated(h)))

    def call(*arguments: Tensor) -> Tensor:
        with patch.object(unet._Block, "forward", block):
            return network(*arguments)

    return network, call


MADE = {WHOLE: whole_network, BY_CELL: cell_by_cell}


def step_of(network: nn.Module, call: Callable[..., Tensor], low: bool) -> Callable[[], None]:
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    x, t, target = torch.randn(MAPS, 2, *GRID), torch.rand(MAPS), torch.randn(MAPS, 1, *GRID)
    return lambda: step(call, optimiser, x, t, target, low)


def difference(network: nn.Module, call: Callable[..., Tensor], eager: nn.Module) -> float:
    """Largest difference of the outputs with equal weights, relative to their standard deviation."""
    eager.load_state_dict(network.state_dict())
    x, t = torch.randn(MAPS, 2, *GRID), torch.rand(MAPS)
    found, expected = call(x, t).detach(), eager(x, t).detach()
    return float((found - expected).abs().max() / expected.std())


def used() -> float:
    """Processor seconds of this process and of those that it has started."""
    return sum(
        found.ru_utime + found.ru_stime
        for found in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        run_part(sys.argv[1:], main, tabulate)
