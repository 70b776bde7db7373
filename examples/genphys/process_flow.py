r"""The velocity of any physical process, learnt by regression, and followed backwards to sample.

A process (see `examples.genphys.processes`) moves a point y of the data to x = y + displacement with a velocity u
at the time t. The mean of these velocities over all data is the least-squares prediction of one of them, so a network
is trained on draws. Times run over decades; in log t the velocity is

    dx/dlog t = t u(x, t) = w x dlog l/dlog t + S network(x, t),      S = R s / sqrt(1 + s^2),

with l(t) the reach of the kernel, R^2 = |x|^2 + l^2 + 1, s(t) the root mean square of displacements, and data of unit
variance. The first term is the growth of the kernel, with a weight w that goes from 0 among the data to 1 far from
them. S is the size of what is left: of heavy-tailed noise, whose few long displacements have a mean square of about l,
as of normal noise.

References:
    Liu et al. 2023, GenPhys, https://arxiv.org/abs/2304.02637
"""

from __future__ import annotations

import math

import torch
from examples.genphys.processes import Process
from jaxtyping import Float
from torch import Generator, Tensor, nn

from pushforward.dynamics import shared_step
from pushforward.dynamics.tableau import HEUN
from pushforward.networks import MLP

__all__ = ["ProcessFlow"]


class ProcessFlow(nn.Module):
    """A perceptron for the velocity of a process between two times.

    Arguments:
        process: of the dimension of the data.
        first: time at which the kernel is much narrower than the data.
        last: time at which it is much wider, so that its own distribution is that of the blurred data.
        width, depth: of the hidden layers.

    Example:
        >>> from examples.genphys.processes import Poisson
        >>> flow = ProcessFlow(Poisson(2), first=0.01, last=40.0)
        >>> flow.sample(5, torch.Generator().manual_seed(0), steps=10).shape
        torch.Size([5, 2])
    """

    # Standard deviations of the data within which the network alone decides.
    inner = 4.0

    def __init__(self, process: Process, first: float, last: float, *, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        self.process, self.first, self.last = process, first, last
        self.network = MLP(2 * process.dim + 2, process.dim, (width,) * depth)

    def forward(self, x: Float[Tensor, "batch dim"], t: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch dim"]:
        """dx/dlog t."""
        reach, radius, scale = self._scales(x, t)
        inputs = torch.cat([x / radius, x / (1 + reach), radius.log(), reach.log()], 1)
        far = 1 / (1 + ((radius**2 - 1) / self.inner**2) ** -4)
        growth = torch.log(self.process.length(1.01 * t) / reach) / math.log(1.01)
        # Where hardly any draw ever was, nothing but the growth is to be trusted.
        near = 1 / (1 + (radius / (50 + 20 * reach)) ** 2)
        return far * growth * x + near * scale * self.network(inputs)

    def loss(self, data: Float[Tensor, "batch dim"], generator: Generator | None = None) -> Float[Tensor, ""]:
        """Mean squared error of the velocity, in units of its scale, at times that are even in log t.

        Arguments:
            data: of unit variance and mean zero.
            generator: source of times and displacements.
        """
        strata = (torch.arange(len(data)) + torch.rand(len(data), generator=generator)) / len(data)
        t = self.first * (self.last / self.first) ** strata.double()[:, None]
        displacement, velocity = self.process.draw(t, generator)
        x, velocity, t = data + displacement.to(data), (t * velocity).to(data), t.to(data)
        return ((self(x, t) - velocity) / self._scales(x, t)[2]).square().mean()

    def sample(self, count: int, generator: Generator | None = None, steps: int = 100) -> Float[Tensor, "count dim"]:
        """Samples: the end of `path`."""
        return self.path(count, generator, steps)[-1]

    @torch.no_grad()
    def path(
        self, count: int, generator: Generator | None = None, steps: int = 100
    ) -> list[Float[Tensor, "count dim"]]:
        """States on the way from noise to samples: ``steps`` steps of Heun's method in log t, and a last one to t = 0.

        The first state is drawn from the kernel at the last time, widened by normal noise of the variance of the data.
        """
        end = torch.full((count, 1), self.last, dtype=torch.float64)
        x = self.process.draw(end, generator)[0].float()
        x = x + torch.randn(x.shape, generator=generator)
        step, path = math.log(self.first / self.last) / steps, [x]
        for number in range(steps):
            times = [torch.full((count, 1), self.last * math.exp(step * (number + c))) for c in HEUN.c]
            x, _ = shared_step(HEUN, self, x, step, times)
            path.append(x)
        return [*path, x - self(x, torch.full((count, 1), self.first))]

    def _scales(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reach = self.process.length(t)
        radius = torch.sqrt(x.square().sum(1, keepdim=True) + reach**2 + 1)
        spread = self.process.spread(t)
        return reach, radius, radius * spread / torch.sqrt(1 + spread**2)
