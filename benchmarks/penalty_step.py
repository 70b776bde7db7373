"""Training step of wgan-gp against its common formulation, in two and three dimensions.

The common formulation has the same networks and weights, with plain convolutions of contiguous channels in float32
(`torch.nn.functional.conv2d` after circular padding), separate passes for data, samples and the interpolates, and
`torch.autograd.grad` through the latter, as in public implementations of Gulrajani et al. 2017 (arXiv:1704.00028). A
step is three turns of the critic and one of the generator, with Adam. Gradients of the critic are compared in float32;
the steps are timed in turn, ours in the precision that `fit` chooses.

    python -m benchmarks penalty_step
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.timing import report, time_in_turn
from pushforward.models import Batch
from pushforward.models.wgan import WGANGP
from pushforward.networks import convolutional, unet
from pushforward.networks.layers import Convolution
from pushforward.randomness import Draws
from pushforward.runs.devices import choose_precision
from pushforward.spaces import Field

SPACES = {"map, 64 x 64": Field(1, (64, 64), periodic=True), "cube, 32^3": Field(1, (32, 32, 32), periodic=True)}
BATCH, WIDTH, REPEATS = 16, 32, 5


class PlainConvolution(nn.Module):
    """The same convolution as textbooks write it, with the same weights."""

    def __init__(self, other: Convolution) -> None:
        super().__init__()
        self.convolution, self.kernel, self.halve = other.convolution, other.kernel, other.halve
        self.convolution.weight.data = self.convolution.weight.data.contiguous()

    def forward(self, x: Tensor) -> Tensor:
        total = self.kernel - (2 if self.halve else 1)
        edges = (total // 2, total - total // 2) * (x.dim() - 2)
        return self.convolution(nn.functional.pad(x, edges, mode="circular") if total else x)


def plain(model: WGANGP) -> WGANGP:
    """A copy of which every convolution is plain."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Convolution):
                setattr(module, name, PlainConvolution(child))
    return model


@contextmanager
def contiguous() -> Iterator[None]:
    """Networks leave the layout of their input as it is."""
    kept = convolutional.channels_last
    convolutional.channels_last = unet.channels_last = lambda x: x
    try:
        yield
    finally:
        convolutional.channels_last = unet.channels_last = kept


def common_critic_loss(model: WGANGP, batch: Batch) -> Tensor:
    """The critic's loss as it is commonly written."""
    real = model.coordinates(batch.x).detach()
    with torch.no_grad():
        fake = model.generator(model.generator.noise(batch.draws))
    epsilon = batch.draws.uniform(1, 1, 1, *[1] * (real.dim() - 4))
    between = (epsilon * real + (1 - epsilon) * fake).requires_grad_(True)
    scores = model.critic(between)
    (slope,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True, retain_graph=True)
    penalty = ((slope.reshape(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()
    return model.critic(fake).mean() - model.critic(real).mean() + model.penalty * penalty


def common_generator_loss(model: WGANGP, batch: Batch) -> Tensor:
    return -model.critic(model.generator(model.generator.noise(batch.draws))).mean()


def main() -> None:
    torch.set_num_threads(1)
    rows = [row(name, space) for name, space in SPACES.items()]
    report(
        "penalty_step",
        "Training step of wgan-gp",
        rows,
        notes=[
            f"Batches of {BATCH}, width {WIDTH}, one core; median of {REPEATS} steps, each formulation in turn.",
            "Both work on the same wavelet coefficients. Ours trains in the precision of the last column.",
            "Target: at least 2 times faster than the common formulation, with gradients equal to 1e-4 in float32.",
        ],
    )


def row(name: str, space: Field) -> dict[str, Any]:
    torch.manual_seed(0)
    ours = WGANGP(space, settings=WGANGP.Settings(width=WIDTH, critic_width=WIDTH))
    x = torch.randn(BATCH, *space.shape)
    ours.prepare(Batch(x, None, Draws(0, BATCH)))
    with torch.no_grad():
        for parameter in ours.parameters():  # networks start with layers of zeros
            parameter.add_(0.02 * torch.randn_like(parameter))
    other = plain(ours)
    difference = gradient_difference(ours, other, x)
    precision = choose_precision("auto", torch.device("cpu"), space)
    steps = {
        "common": common_step(other, x),
        "float32": our_step(ours, x, "32-true"),
        "ours": our_step(ours, x, precision),
    }
    times = {key: value.median for key, value in time_in_turn(steps, REPEATS, warmup=1).items()}
    return {
        "space": name,
        "difference of gradients": difference,
        "common, ms": 1e3 * times["common"],
        "ours in float32, ms": 1e3 * times["float32"],
        "ratio": times["common"] / times["float32"],
        "ours, ms": 1e3 * times["ours"],
        "ratio of ours": times["common"] / times["ours"],
        "precision": precision,
    }


def gradient_difference(ours: WGANGP, other: WGANGP, x: Tensor) -> float:
    """Largest difference of the critic's gradients, relative to the largest gradient."""
    batch = [Batch(x, None, Draws(7, BATCH)) for _ in range(2)]
    loss = next(iter(ours.turns(iter(batch[:1])))).loss
    first = torch.autograd.grad(loss, list(ours.critic.parameters()), allow_unused=True)
    with contiguous():
        loss = common_critic_loss(other, batch[1])
        second = torch.autograd.grad(loss, list(other.critic.parameters()), allow_unused=True)
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    return float(max((a - b).abs().max() for a, b in pairs) / max(b.abs().max() for _, b in pairs))


def our_step(model: WGANGP, x: Tensor, precision: str) -> Callable[[], None]:
    optimisers = adam(model)
    numbers = count()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            turns = model.turns(Batch(x, None, Draws(number, BATCH)) for number in numbers)
            for turn in turns:
                advance(model, optimisers, turn.player, turn.loss)

    return step


def common_step(model: WGANGP, x: Tensor) -> Callable[[], None]:
    optimisers = adam(model)
    numbers = count()

    def step() -> None:
        with contiguous():
            for _ in range(model.settings.critic_turns):
                advance(
                    model, optimisers, "critic", common_critic_loss(model, Batch(x, None, Draws(next(numbers), BATCH)))
                )
            advance(
                model,
                optimisers,
                "generator",
                common_generator_loss(model, Batch(x, None, Draws(next(numbers), BATCH))),
            )

    return step


def adam(model: WGANGP) -> dict[str, torch.optim.Optimizer]:
    return {
        name: torch.optim.Adam(player.parameters, lr=2e-4, betas=(0.0, 0.9), fused=True)
        for name, player in model.players().items()
    }


def advance(model: WGANGP, optimisers: dict[str, torch.optim.Optimizer], player: str, loss: Tensor) -> None:
    optimisers[player].zero_grad()
    with torch.autocast("cpu", enabled=False):
        loss.backward(inputs=[*model.players()[player].parameters])
    optimisers[player].step()


if __name__ == "__main__":
    main()
