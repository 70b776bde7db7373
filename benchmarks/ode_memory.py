"""Memory of the three gradients over the number of steps."""

from __future__ import annotations

import gc

import torch
from torch import Tensor, nn

from benchmarks.timing import report
from pushforward.dynamics import Controller, odeint

Row = dict[str, str | int | float]


def memory() -> list[Row]:
    """Peak bytes of the tensors that autograd keeps, forward and backward pass together."""
    rows: list[Row] = []
    for gradient in ("direct", "checkpointed", "adjoint"):
        row: Row = {"gradient": gradient}
        for steps in (10, 100, 1000):
            row[f"{steps} steps (kB)"] = saved_bytes(gradient, steps) / 1000
        rows.append(row)
    return rows


def saved_bytes(gradient: str, steps: int) -> int:
    network = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 4))
    y0 = torch.randn(16, 4, requires_grad=True)
    alive = peak = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, peak
            self.tensor = tensor.detach()  # an output that knows its own graph would keep itself alive
            self.size = tensor.numel() * tensor.element_size()
            alive += self.size
            peak = max(peak, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= self.size

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        odeint(
            lambda t, y: network(y), y0, torch.tensor([0.0, 1.0]), rtol=1e9, atol=1e9, first_step=1 / steps,
            gradient=gradient, controller=Controller(smallest=1.0, largest=1.0),
        ).y_end.sum().backward()  # fmt: skip
    gc.collect()
    return peak


def main() -> None:
    torch.manual_seed(0)
    report(
        "ode_memory",
        "Memory of the gradients",
        memory(),
        notes=[
            "Peak of what autograd keeps, forward and backward pass together; 16 samples of 4 numbers, a network of 32 "
            "hidden units, dopri5. The states that the checkpointed gradient keeps for itself are not counted.",
        ],
    )


if __name__ == "__main__":
    main()
