"""What a sampler costs beyond the network that it calls.

    python -m benchmarks sampling_overhead

The sampler is timed with the network replaced by one that does nothing, which leaves the rest of its work, and beside
it as many bare calls of the real network on inputs of the same shape.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.timing import report, time_in_turn
from pushforward.models import model_class
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector

CASES = {
    "field 64 x 64, 8 samples": (Field(1, (64, 64), periodic=True), 8, 5),
    "vector of 16, 4096 samples": (Vector(16), 4096, 10),
}
METHODS = (("flow-matching", "adams"), ("flow-matching", "dpm-solver"), ("edm", "edm"), ("pfgm++", "edm"))
ROUNDS = 9


def main() -> None:
    torch.set_num_threads(1)
    rows = [measure(case, name, method) for case in CASES for name, method in METHODS]
    report(
        "sampling_overhead",
        "Sampling beside bare calls of the network",
        rows,
        notes=[
            f"untrained networks of default size, one thread; fastest of {ROUNDS} rounds, both timed in each round",
            "everything else: the sampler with a network that returns at once; overhead: that over the bare calls",
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

    def bare(network: nn.Module) -> None:
        for _ in range(calls):
            network(z, t, None)

    def sampled() -> None:
        model.sample(Draws(0, count), None, sampling)

    network, model.network = model.network, _Nothing(z)
    timings = time_in_turn({"bare": lambda: bare(network), "rest": sampled}, ROUNDS)
    rest, calls_only = timings["rest"].minimum, timings["bare"].minimum
    return {
        "samples": case,
        "model": name,
        "method": method,
        "calls": calls,
        "bare calls (ms)": 1e3 * calls_only,
        "everything else (ms)": 1e3 * rest,
        "overhead (%)": 100 * rest / calls_only,
    }


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
