"""Overhead of a sampler beyond the network calls.

    python -m benchmarks sampling_overhead

A sampler is run with the network replaced by one that does nothing, which leaves the rest of its work; beside it stands
a bare call of the real network on inputs of the same shape. Times are of the processor, on one thread, so that what
else runs on the machine does not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.timing import report
from pushforward.models import model_class
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector

CASES = {
    "field 64 x 64, 8 samples": (Field(1, (64, 64), periodic=True), 8, 20),
    "vector of 16, 1024 samples": (Vector(16), 1024, 20),
}
METHODS = (("flow-matching", "adams"), ("flow-matching", "dpm-solver"), ("edm", "edm"), ("pfgm++", "edm"))


def main() -> None:
    torch.set_num_threads(1)
    rows = [measure(case, name, method) for case in CASES for name, method in METHODS]
    report(
        "sampling_overhead",
        "Sampling beside bare calls of the network",
        rows,
        notes=[
            "untrained networks of default size, one thread; medians, time of the processor",
            "everything else: the sampler with a network that returns at once; overhead: that over as many bare calls",
        ],
    )


@torch.no_grad()
def measure(case: str, name: str, method: str) -> dict[str, object]:
    space, count, steps = CASES[case]
    torch.manual_seed(0)
    model = model_class(name)(space).eval()
    sampling = model.Sampling(method=method, steps=steps)
    calls = _count_calls(model, sampling, count)
    z, t = torch.randn(count, *space.shape), torch.rand(count)

    def sampled() -> None:
        model.sample(Draws(0, count), None, sampling)

    network, model.network = model.network, _Nothing(z)
    call, rest = processor_time(lambda: network(z, t, None), 12), processor_time(sampled, 20)
    return {
        "samples": case,
        "model": name,
        "method": method,
        "calls": calls,
        "a bare call (ms)": 1e3 * call,
        "everything else (ms)": 1e3 * rest,
        "overhead (%)": 100 * rest / (calls * call),
    }


def processor_time(function: Callable[[], object], repeats: int) -> float:
    """Median time of the processor that a call takes, in seconds."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds[1:])


class _Nothing(nn.Module):
    """A network whose answer is always the same."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, z: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        return self.answer


def _count_calls(model: nn.Module, sampling: object, count: int) -> int:
    calls = []
    hook = model.network.register_forward_hook(lambda *_: calls.append(1))
    model.sample(Draws(0, count), None, sampling)
    hook.remove()
    return len(calls)


if __name__ == "__main__":
    main()
