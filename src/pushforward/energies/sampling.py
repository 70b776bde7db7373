r"""Hamiltonian Monte Carlo with replica exchange, vectorised over chains and temperatures.

A row at temperature T samples exp(-U/T): momenta p ~ N(0, 1), a trajectory of leapfrog steps of the Hamiltonian
:math:`H = U(x)/T + p^2/2`, accepted with probability :math:`\min(1, e^{-\Delta H})` (Duane et al. 1987). Neighbouring
temperatures then exchange their states with probability :math:`\min(1, e^{(1/T_i - 1/T_j)(U_i - U_j)})`, which carries
chains over barriers. The step is tuned during warm-up only, and jittered by 20 per cent to avoid periodic trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.dynamics import leapfrog
from pushforward.energies.chains import Chains
from pushforward.energies.energy import Energy
from pushforward.errors import UsageError
from pushforward.tensors.subspace import centre

__all__ = ["Watch", "replica_exchange"]

# The acceptance at which Hamiltonian Monte Carlo is about cheapest per independent draw (Beskos et al. 2013: 0.65;
# higher where trajectories are short).
_ACCEPTANCE = 0.8
_RELAXATION_STEPS = 60

Watch = Callable[[Iterable[int]], Iterable[int]]


def replica_exchange(
    energy: Energy,
    draws: int,
    *,
    chains: int = 500,
    temperatures: tuple[float, ...] = (1.0,),
    warm_up: int = 300,
    thin: int = 5,
    leapfrog: int = 8,
    seed: int = 0,
    initial: Float[Tensor, "chains *shape"] | None = None,
    watch: Watch = iter,
) -> Chains:
    """Draws of exp(-U), in float64.

    Arguments:
        energy: U.
        draws: number of draws kept per chain.
        chains: independent chains, run in parallel.
        temperatures: of the ladder, relative to that of U, ascending from 1; (1,) is plain Hamiltonian Monte Carlo.
        warm_up: steps before the first draw, during which the step size is tuned at each temperature.
        thin: steps from one draw to the next.
        leapfrog: integration steps, and gradients, per step.
        seed: the same seed gives the same draws.
        initial: starting points; by default Gaussian ones about the energy's location, relaxed downhill. Points outside
            the support are replaced by other starting points.
        watch: wraps the range of steps, for a progress bar.

    Raises:
        UsageError: if a number is not positive, the ladder does not ascend from 1, or no starting point has a
            finite energy.
    """
    if min(draws, chains, warm_up, thin, leapfrog) < 1:
        raise UsageError("draws, chains, warm_up, thin and leapfrog must be at least 1")
    if temperatures[0] != 1 or any(a >= b for a, b in pairwise(temperatures)):
        raise UsageError(f"temperatures must ascend from 1; got {temperatures}")
    generator = torch.Generator().manual_seed(seed)
    if initial is None:
        start = _relaxed(energy, energy.start(chains, generator))
    else:
        start = centre(energy.space, initial.double())
    walkers = _Walkers(energy, _supported(energy, start, generator), temperatures, leapfrog, generator)
    drawn: list[Tensor] = []
    energies: list[Tensor] = []
    sizes: list[Tensor] = []
    for step in watch(range(warm_up + draws * thin)):
        walkers.move(tune=step if step < warm_up else None)
        walkers.exchange(step % 2)
        if step == warm_up - 1:
            walkers.forget()
        if step >= warm_up and (step - warm_up) % thin == thin - 1:
            drawn.append(walkers.x[0].clone())
            energies.append(walkers.energy.clone())
            sizes.append((walkers.x - energy.location).square().flatten(2).sum(2))
    return Chains(
        samples=torch.stack(drawn),
        energies=torch.stack(energies),
        sizes=torch.stack(sizes),
        thin=thin,
        temperatures=temperatures,
        acceptance=tuple(walkers.accepted.mean.tolist()),
        exchanges=tuple(walkers.exchanged.mean.tolist()),
        step_sizes=tuple(walkers.log_step.exp().tolist()),
    )


class _Mean:
    """Running mean of tensors of one shape."""

    def __init__(self, size: int) -> None:
        self.total = torch.zeros(size, dtype=torch.float64)
        self.count = 0

    def add(self, value: Tensor) -> None:
        self.total += value
        self.count += 1

    @property
    def mean(self) -> Tensor:
        return self.total / max(1, self.count)


class _Walkers:
    """States ``x (temperatures, chains, *shape)`` with their energies and gradients."""

    def __init__(
        self,
        energy: Energy,
        start: Tensor,
        temperatures: tuple[float, ...],
        leapfrog: int,
        generator: torch.Generator,
    ) -> None:
        self.of = energy
        self.leapfrog = leapfrog
        self.generator = generator
        levels = len(temperatures)
        ladder = torch.tensor(temperatures, dtype=torch.float64)
        self.beta = (1 / ladder)[:, None]
        self.x = start.expand(levels, *start.shape).clone()
        self.energy = self._each(energy, self.x)
        self.gradient = self._each(energy.gradient, self.x)
        self.log_step = (0.1 * energy.scale * ladder.sqrt()).log()
        self.forget()

    def forget(self) -> None:
        """Reset the acceptance rates."""
        self.accepted = _Mean(len(self.x))
        self.exchanged = _Mean(len(self.x) - 1)

    def move(self, tune: int | None) -> None:
        """Take one Hamiltonian step in every row; ``tune`` is the number of the warm-up step, None after warm-up."""
        row = (..., *[None] * (self.x.dim() - 2))
        jitter = 0.8 + 0.4 * self._uniform(self.energy.shape)
        step = (self.log_step.exp()[:, None] * jitter)[row]
        beta = self.beta[row]
        p = torch.randn(self.x.shape, generator=self.generator, dtype=torch.float64)
        p = self._each(lambda rows: centre(self.of.space, rows), p)
        x, after, gradient = leapfrog(
            lambda q: self._each(self.of.gradient, q), self.x, p,
            steps=self.leapfrog, drift=step, kick=-step * beta, start=self.gradient,
        )  # fmt: skip
        energy = self._each(self.of, x)
        gain = self.beta * (self.energy - energy) + _half_square(p) - _half_square(after)
        # a trajectory that left the support has an infinite or undefined energy
        chance = gain.clamp(max=0).exp().nan_to_num(0.0)
        accept = self._uniform(chance.shape) < chance
        self.x = torch.where(accept[row], x, self.x)
        self.gradient = torch.where(accept[row], gradient, self.gradient)
        self.energy = torch.where(accept, energy, self.energy)
        rate = chance.mean(1)
        self.accepted.add(rate)
        if tune is not None:
            self.log_step += 0.5 / math.sqrt(1 + tune) * (rate - _ACCEPTANCE)

    def exchange(self, parity: int) -> None:
        """Exchange the states of every other pair of neighbouring temperatures."""
        levels, chains = self.energy.shape
        if levels == 1:
            return
        lower = torch.arange(levels - 1)
        chance = ((self.beta[:-1] - self.beta[1:]) * (self.energy[:-1] - self.energy[1:])).clamp(max=0).exp()
        self.exchanged.add(chance.mean(1))
        accept = (self._uniform(chance.shape) < chance) & (lower % 2 == parity)[:, None]
        source = torch.arange(levels)[:, None].repeat(1, chains)
        source[:-1] += accept.long()
        source[1:] -= accept.long()
        column = torch.arange(chains)
        self.x, self.gradient = self.x[source, column], self.gradient[source, column]
        self.energy = self.energy[source, column]

    def _each(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """A function of ``(batch, *shape)`` at all temperatures and chains at once."""
        with torch.no_grad():
            result = function(x.flatten(0, 1))
        return result.reshape(*x.shape[:2], *result.shape[1:])

    def _uniform(self, shape: torch.Size) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=torch.float64)


def _half_square(p: Tensor) -> Tensor:
    return p.square().flatten(2).sum(2) / 2


def _relaxed(energy: Energy, x: Tensor) -> Tensor:
    """Relax starting points downhill along the gradient, with a step length adapted per sample."""
    row = (slice(None), *[None] * (x.dim() - 1))
    length = torch.full((len(x),), 0.1 * energy.scale, dtype=x.dtype)
    with torch.no_grad():
        value = energy(x)
        for _ in range(_RELAXATION_STEPS):
            slope = energy.gradient(x)
            largest = slope.flatten(1).abs().amax(1).clamp(min=torch.finfo(x.dtype).tiny)
            trial = x - (length / largest)[row] * slope
            reached = energy(trial)
            better = reached < value
            x, value = torch.where(better[row], trial, x), torch.where(better, reached, value)
            length = length * torch.where(better, 1.2, 0.5)
    return x


def _supported(energy: Energy, x: Tensor, generator: torch.Generator) -> Tensor:
    """Replace starting points without a finite energy and gradient by others.

    Raises:
        UsageError: if no starting point is usable.
    """
    with torch.no_grad():
        usable = energy(x).isfinite()
    usable &= energy.gradient(x).flatten(1).isfinite().all(1)
    if not usable.any():
        raise UsageError(
            f"{energy.name} is infinite or NaN at every starting point; give `initial`, or its location and scale"
        )
    others = x[usable]
    chosen = others[torch.randint(len(others), (len(x),), generator=generator)]
    return torch.where(usable[:, *[None] * (x.dim() - 1)], x, chosen)
