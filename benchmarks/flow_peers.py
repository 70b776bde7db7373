"""Normalizing flows of other packages as models here, so that one loop trains them all.

The packages are `zuko`, `nflows` and `normflows`; each class builds that package's autoregressive rational-quadratic
spline flow, or its masked autoregressive flow, with the number of transforms, the width and the depth that it is given.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

import torch
from pydantic import Field as Setting
from torch import Tensor, nn

from benchmarks.timing import Timing
from pushforward.conditions import Condition
from pushforward.models import Batch, Model, Settings, Turn
from pushforward.randomness import Draws

__all__ = [
    "NFlows",
    "NormFlows",
    "Peer",
    "Zuko",
    "count",
    "process_seconds",
    "processor_in_turn",
    "stepper",
    "width_for",
]


class PeerSettings(Settings):
    """
    Attributes:
        affine: scale and shift instead of a spline.
        transforms, width, depth, bins: as of `maf` and `nsf`.
    """

    affine: bool = False
    transforms: int = Setting(default=5, ge=1)
    width: int = Setting(default=128, ge=1)
    depth: int = Setting(default=2, ge=1)
    bins: int = Setting(default=8, ge=2)


class Peer(Model):
    """A flow of another package; a subclass builds it and says how it is called."""

    Settings = PeerSettings
    settings: PeerSettings
    spaces = ("vector",)

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.net = self.build(self.space.size, self.condition.numbers, self.settings)

    def build(self, dim: int, context: int, settings: PeerSettings) -> nn.Module:
        raise NotImplementedError

    @classmethod
    def training_defaults_for(cls, space: Any) -> dict[str, Any]:
        from pushforward.models import model_class

        return model_class("nsf").training_defaults_for(space)

    def turns(self, batches: Any) -> Any:
        batch = next(batches)
        loss = -self.log_prob(batch.x, batch.condition).mean() / self.space.size
        yield Turn("model", loss, {"nll_per_dim": loss.detach()})


class Zuko(Peer):
    """`zuko.flows.NSF` or `MAF`."""

    def build(self, dim: int, context: int, settings: PeerSettings) -> nn.Module:
        import zuko

        sizes = {"transforms": settings.transforms, "hidden_features": (settings.width,) * settings.depth}
        if settings.affine:
            return zuko.flows.MAF(dim, context, **sizes)
        return zuko.flows.NSF(dim, context, bins=settings.bins, **sizes)

    def log_prob(self, x: Tensor, condition: Any = None) -> Tensor:
        return self.net(self.condition.numbers_of(condition)).log_prob(x)

    def sample(self, draws: Any, condition: Any = None, sampling: Any = None) -> Tensor:
        given = self.condition.numbers_of(condition)
        flow = self.net(given)
        return flow.sample(() if given is not None else (draws.count,))


class NFlows(Peer):
    """A chain of `nflows` masked autoregressive transforms with reversals between them."""

    def build(self, dim: int, context: int, settings: PeerSettings) -> nn.Module:
        from nflows import distributions, flows, transforms

        shared = {
            "features": dim,
            "hidden_features": settings.width,
            "context_features": context or None,
            "num_blocks": settings.depth // 2,
            "use_residual_blocks": True,
        }
        chain: list[nn.Module] = []
        for _ in range(settings.transforms):
            chain.append(transforms.ReversePermutation(dim))
            if settings.affine:
                chain.append(transforms.MaskedAffineAutoregressiveTransform(**shared))
            else:
                chain.append(
                    transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                        num_bins=settings.bins, tails="linear", tail_bound=5.0, **shared
                    )
                )
        return flows.Flow(transforms.CompositeTransform(chain), distributions.StandardNormal([dim]))

    def log_prob(self, x: Tensor, condition: Any = None) -> Tensor:
        return self.net.log_prob(x, self.condition.numbers_of(condition))

    def sample(self, draws: Any, condition: Any = None, sampling: Any = None) -> Tensor:
        given = self.condition.numbers_of(condition)
        return self.net.sample(draws.count) if given is None else self.net.sample(1, given)[:, 0]


class NormFlows(Peer):
    """`normflows` autoregressive splines, each followed by a mixing of the features, as in the package's example."""

    def build(self, dim: int, context: int, settings: PeerSettings) -> nn.Module:
        import normflows as nf

        chain: list[nn.Module] = []
        for _ in range(settings.transforms):
            chain.append(
                nf.flows.AutoregressiveRationalQuadraticSpline(
                    dim, settings.depth // 2, settings.width, num_bins=settings.bins, tail_bound=5.0
                )
            )
            chain.append(nf.flows.LULinearPermute(dim))
        return nf.NormalizingFlow(nf.distributions.DiagGaussian(dim, trainable=False), chain)

    def log_prob(self, x: Tensor, condition: Any = None) -> Tensor:
        return self.net.log_prob(x)

    def sample(self, draws: Any, condition: Any = None, sampling: Any = None) -> Tensor:
        return self.net.sample(draws.count)[0]


def width_for(build: Callable[[int], nn.Module], parameters: int) -> int:
    """The width at which a network has about so many parameters."""
    low, high = 1, 4096
    while low < high:
        middle = (low + high) // 2
        if count(build(middle)) < parameters:
            low = middle + 1
        else:
            high = middle
    return min((low, max(1, low - 1)), key=lambda width: abs(count(build(width)) - parameters))


def count(net: nn.Module) -> int:
    """Parameters of a network."""
    return sum(p.numel() for p in net.parameters())


def stepper(
    model: Model, dim: int, condition: Condition | None = None, *, rows: int = 512, progress: float = 0.0
) -> Callable[[], None]:
    """One step of training on a batch of vectors, as the loop takes it at that progress; the first one is taken."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    batch = Batch(torch.randn(rows, dim), condition, Draws(0, rows), progress)

    def step() -> None:
        for turn in model.turns(repeat(batch)):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()

    step()
    return step


def process_seconds(step: Callable[[], object], repeats: int) -> float:
    """Processor seconds per call: those that the process used, however busy the machine is."""
    start = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - start) / repeats


def processor_in_turn(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Processor seconds per call of each function, measured A B A B ... after one call of each."""
    for function in functions.values() if rounds > 1 else ():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            seconds[name].append(process_seconds(function, 1))
    return {name: Timing(statistics.median(found), min(found), max(found)) for name, found in seconds.items()}


torch.set_num_threads(1)
