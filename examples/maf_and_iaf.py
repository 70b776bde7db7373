"""Masked autoregressive flow against inverse autoregressive flow (after Bishop and Bishop 2024, figure 18.4).

    python examples/maf_and_iaf.py [FIGURE]

Left: what each number depends on. Middle: the Jacobian of a transform with random weights, triangular in both. Right:
times that a hidden layer of the network is multiplied by, in order, for a density and for a sample of 16 numbers: steps
that have to wait for each other. A few seconds.
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

from pushforward.networks import MADE
from pushforward.transforms import Affine, Inverse, MaskedAutoregressive, Transform

DIM, SHOWN = 16, 4
BLUE, RED, GREY = "#0072b2", "#d55e00", "#777777"


def built() -> MaskedAutoregressive:
    torch.manual_seed(0)
    network = MADE(DIM, 2, width=64, depth=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.25 * torch.randn_like(parameter))
    return MaskedAutoregressive(Affine(), network, decoding="one by one")


def jacobian(transform: Transform) -> torch.Tensor:
    """Absolute derivatives of the codes with respect to the numbers, at the origin."""
    x = torch.zeros(1, DIM)
    return torch.autograd.functional.jacobian(lambda x: transform(x)[0], x)[0, :, 0].abs()


def dependences(axes: Axes, name: str, source: str, target: str) -> None:
    """Arrows from what a number is made of, for the second last of four."""
    for place in range(SHOWN):
        for row, letter in ((0.0, "z"), (1.0, "x")):
            axes.text(place, row, f"${letter}_{place + 1}$", ha="center", va="center", fontsize=13, zorder=3)
            axes.scatter(place, row, s=520, facecolor="white", edgecolor="#333333", zorder=2)
    rows = {"z": 0.0, "x": 1.0}
    for place in range(SHOWN):
        begin, end = rows["z"], rows["x"]
        arrow(axes, (place, begin), (place, end), GREY)
        for before in range(place):
            arrow(axes, (before, rows[source]), (place, rows[target]), BLUE if source == "x" else RED)
    axes.set(xlim=(-0.5, SHOWN - 0.5), ylim=(-0.45, 1.75), title=name)
    axes.axis("off")


def arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    curved = "arc3,rad=-0.45" if begin[1] == end[1] else "arc3"
    style = {"arrowstyle": "-|>", "color": colour, "lw": 1.1, "shrinkA": 12, "shrinkB": 12, "connectionstyle": curved}
    axes.annotate("", end, begin, arrowprops=style)


def steps_in_order(transform: Transform, network: MADE, *, density: bool) -> int:
    """How often something is computed that had to wait for the number before: 1 for a pass, else once a number."""
    passes = 0

    def counted(*_: object) -> None:
        nonlocal passes
        passes += 1

    handle = network.register_forward_hook(counted)
    with torch.no_grad():
        transform(torch.zeros(1, DIM)) if density else transform.inverse(torch.zeros(1, DIM))
    handle.remove()
    return passes or DIM


def main(figure: str = "docs/images/maf_and_iaf.png") -> None:
    transform = built()
    network = transform.network
    flows = {"MAF": transform, "IAF": Inverse(transform)}
    canvas, grid = plt.subplots(2, 3, figsize=(10, 5.6), layout="constrained", width_ratios=(1.3, 1, 1))
    dependences(grid[0, 0], "MAF: $x_i$ from $z_i$ and the numbers before", "x", "x")
    dependences(grid[1, 0], "IAF: $x_i$ from $z_i$ and the noise before", "z", "x")
    for line, (name, flow) in zip(grid, flows.items(), strict=True):
        line[1].imshow(jacobian(flow).log10().clamp(min=-4), cmap="Blues" if name == "MAF" else "Oranges")
        line[1].set(xticks=[], yticks=[], xlabel="number", ylabel="code", title=r"$|\partial z_i/\partial x_j|$")
        steps = [steps_in_order(flow, network, density=density) for density in (True, False)]
        line[2].barh(["density", "sample"], steps, color=BLUE if name == "MAF" else RED)
        for place, value in enumerate(steps):
            line[2].text(value + 0.3, place, str(value), va="center")
        line[2].set(xlim=(0, DIM + 3), title="steps one after another")
        line[2].spines[["top", "right"]].set_visible(False)
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
