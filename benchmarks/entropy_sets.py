"""Five sets of 6 to 63 dimensions whose densities are known exactly, for benchmarks of densities.

Each is drawn number by number, or by a smooth bijection of independent numbers, so that log p(x) is exact and its mean
over members is the entropy, up to the error of a mean:

- ``mixture-6``: eight correlated Gaussians.
- ``chain-8``: a nonlinear chain, each number's mean and width set by the two before it.
- ``decays-21``: three decays of a particle of about one unit of mass into two of .1: the momenta of both (from the
  parent's momentum, a Breit-Wigner-like mass and an isotropic direction), and the logarithm of the flight distance.
- ``chain-43``: a chain with two possible jumps, whose odds depend on where it is.
- ``calorimeter-63``: logarithms of energies of a shower in nine layers of seven cells: a layer's depends on the two
  layers before it, a cell's on its layer's and its neighbour's, with skewed fluctuations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SETS", "KnownSet"]

DAUGHTER = 0.1
LAYERS, CELLS = 9, 7


@dataclass(frozen=True)
class KnownSet:
    """A set of vectors.

    Attributes:
        dim: length of one.
        draw: of a count and a seed, float64 (count, dim).
        log_prob: exact log-density of float64 (n, dim), nats.
    """

    dim: int
    draw: Callable[[int, int], Tensor]
    log_prob: Callable[[Tensor], Tensor]


def normal(x: Tensor, mean: Tensor | float = 0.0, scale: Tensor | float = 1.0) -> Tensor:
    """Log-density of independent normal numbers, each."""
    scale = torch.as_tensor(scale, dtype=torch.float64)
    return -0.5 * ((x - mean) / scale).square() - scale.log() - 0.5 * math.log(2 * math.pi)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(count: int, dim: int, seed: int) -> Tensor:
    return torch.randn(count, dim, generator=generator(seed), dtype=torch.float64)


def mixture(dim: int = 6, components: int = 8) -> KnownSet:
    fixed = generator(1234)
    means = 2.0 * torch.randn(components, dim, generator=fixed, dtype=torch.float64)
    roots = 0.35 * torch.randn(components, dim, dim, generator=fixed, dtype=torch.float64)
    covariances = roots @ roots.mT + 0.05 * torch.eye(dim, dtype=torch.float64)
    roots = torch.linalg.cholesky(covariances)
    gaussians = torch.distributions.MultivariateNormal(means, scale_tril=roots)

    def draw(count: int, seed: int) -> Tensor:
        which = torch.randint(components, (count,), generator=generator(seed))
        return means[which] + (roots[which] @ randn(count, dim, seed + 1)[..., None])[..., 0]

    def log_prob(x: Tensor) -> Tensor:
        return torch.logsumexp(gaussians.log_prob(x[:, None]), 1) - math.log(components)

    return KnownSet(dim, draw, log_prob)


def sequential(dim: int, moments: Callable[[Tensor, int], tuple[Tensor, Tensor]]) -> KnownSet:
    """Normal numbers whose mean and width are functions of those before: ``moments(x[:, :i], i)``."""

    def draw(count: int, seed: int) -> Tensor:
        noise, x = randn(count, dim, seed), torch.zeros(count, 0, dtype=torch.float64)
        for place in range(dim):
            mean, width = moments(x, place)
            x = torch.cat([x, (mean + width * noise[:, place])[:, None]], 1)
        return x

    def log_prob(x: Tensor) -> Tensor:
        return torch.stack([normal(x[:, i], *moments(x[:, :i], i)) for i in range(dim)]).sum(0)

    return KnownSet(dim, draw, log_prob)


def chain(x: Tensor, place: int) -> tuple[Tensor, Tensor]:
    """Moments of `chain-8`."""
    last = x[:, -1] if place > 0 else torch.zeros(len(x), dtype=torch.float64)
    before = x[:, -2] if place > 1 else torch.zeros_like(last)
    return 1.5 * torch.sin(1.7 * last) + 0.3 * before, 0.25 * (1.2 + torch.tanh(before)) * (2.0 if place == 0 else 1.0)


def jumps(dim: int = 43) -> KnownSet:
    """Each number is near to one of two functions of the number before."""

    def parts(last: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        odds = torch.nn.functional.logsigmoid(torch.stack([2 * last, -2 * last]))
        return odds, torch.stack([0.6 * last + 0.9, 0.6 * last - 0.9]), torch.stack([0.25 + 0 * last, 0.35 + 0 * last])

    def draw(count: int, seed: int) -> Tensor:
        noise = randn(count, dim, seed)
        uniform = torch.rand(count, dim, generator=generator(seed + 1), dtype=torch.float64)
        numbers = [noise[:, 0]]
        for place in range(1, dim):
            odds, means, widths = parts(numbers[-1])
            second = (uniform[:, place] > odds[0].exp()).long()[None]
            mean, width = means.gather(0, second)[0], widths.gather(0, second)[0]
            numbers.append(mean + width * noise[:, place])
        return torch.stack(numbers, 1)

    def log_prob(x: Tensor) -> Tensor:
        total = normal(x[:, 0])
        for place in range(1, dim):
            odds, means, widths = parts(x[:, place - 1])
            total = total + torch.logsumexp(odds + normal(x[:, place], means, widths), 0)
        return total

    return KnownSet(dim, draw, log_prob)


def decays(count_of_decays: int = 3) -> KnownSet:
    """Two-body decays, a bijection of seven independent numbers each."""

    def momenta(u: Tensor) -> Tensor:
        """(7,) independent numbers to the momenta of both daughters and the logarithm of the distance."""
        parent, mass = u[:3], 1.0 + 0.05 * torch.sinh(u[3])
        mass = 2 * DAUGHTER + torch.nn.functional.softplus(8 * (mass - 2 * DAUGHTER)) / 8
        cosine, phi = 2 * torch.special.ndtr(u[4]) - 1, 2 * math.pi * torch.special.ndtr(u[5])
        size = (0.25 * mass.square() - DAUGHTER**2).sqrt()
        sine = (1 - cosine.square()).sqrt()
        direction = torch.stack([sine * phi.cos(), sine * phi.sin(), cosine])
        energy = (parent.square().sum() + mass.square()).sqrt()
        # Boost of the momentum in the rest frame by the parent's velocity.
        along = (parent * direction).sum() * size
        boosted = size * direction + parent * (along / (mass * (energy + mass)) + 0.5)
        distance = (parent.square().sum() / mass.square() + 0.01).log() * 0.5 + 0.6 * u[6]
        return torch.cat([boosted, parent - boosted, distance[None]])

    def undone(x: Tensor) -> Tensor:
        """The independent numbers of (7,) momenta and distance."""
        first, second = x[:3], x[3:6]
        parent = first + second
        energies = [(p.square().sum() + DAUGHTER**2).sqrt() for p in (first, second)]
        energy = energies[0] + energies[1]
        mass = (energy.square() - parent.square().sum()).sqrt()
        rest = first + parent * ((parent * first).sum() / (mass * (energy + mass)) - energies[0] / mass)
        cosine, phi = rest[2] / rest.norm(), torch.atan2(rest[1], rest[0]).remainder(2 * math.pi)
        soft = torch.log(torch.expm1(8 * (mass - 2 * DAUGHTER))) / 8 + 2 * DAUGHTER
        normal_mass = torch.asinh((soft - 1.0) / 0.05)
        last = (x[6] - 0.5 * (parent.square().sum() / mass.square() + 0.01).log()) / 0.6
        angles = [torch.special.ndtri((cosine + 1) / 2), torch.special.ndtri(phi / (2 * math.pi))]
        return torch.cat([parent, torch.stack([normal_mass, *angles, last])])

    def draw(count: int, seed: int) -> Tensor:
        u = randn(count * count_of_decays, 7, seed)
        return torch.func.vmap(momenta)(u).view(count, 7 * count_of_decays)

    def log_prob(x: Tensor) -> Tensor:
        rows = x.reshape(-1, 7)
        u, jacobian = torch.func.vmap(undone)(rows), torch.func.vmap(torch.func.jacrev(undone))(rows)
        each = normal(u).sum(1) + torch.linalg.slogdet(jacobian).logabsdet
        return each.view(len(x), count_of_decays).sum(1)

    return KnownSet(7 * count_of_decays, draw, log_prob)


def calorimeter() -> KnownSet:
    def moments(x: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """Of the latent normal number: location and width of a cell's logarithm of energy."""
        layer, cell = divmod(place, CELLS)
        zero = torch.zeros(len(x), dtype=torch.float64)
        sums = [x[:, CELLS * i : CELLS * (i + 1)].exp().sum(1).log() for i in range(max(0, layer - 2), layer)]
        profile = 1.5 - 0.12 * (layer - 3.5) ** 2
        level = profile + (0.6 * sums[-1] if sums else zero) - (0.25 * sums[0] if len(sums) > 1 else zero)
        neighbour = x[:, -1] - level if cell else zero
        return level - 0.45 * abs(cell - 3) + 0.5 * torch.tanh(neighbour), 0.3 + 0.15 * torch.sigmoid(-level)

    def skewed(latent: Tensor) -> Tensor:
        return torch.sinh(torch.asinh(latent) + 0.4)

    def draw(count: int, seed: int) -> Tensor:
        noise, x = randn(count, LAYERS * CELLS, seed), torch.zeros(count, 0, dtype=torch.float64)
        for place in range(LAYERS * CELLS):
            mean, width = moments(x, place)
            x = torch.cat([x, (mean + width * skewed(noise[:, place]))[:, None]], 1)
        return x

    def log_prob(x: Tensor) -> Tensor:
        total = torch.zeros(len(x), dtype=torch.float64)
        for place in range(LAYERS * CELLS):
            mean, width = moments(x[:, :place], place)
            y = (x[:, place] - mean) / width
            latent = torch.sinh(torch.asinh(y) - 0.4)
            # d latent / d y = cosh(asinh(y) - 0.4) / sqrt(1 + y^2)
            log_slope = torch.cosh(torch.asinh(y) - 0.4).log() - 0.5 * torch.log1p(y.square())
            total = total + normal(latent) + log_slope - width.log()
        return total

    return KnownSet(LAYERS * CELLS, draw, log_prob)


SETS: dict[str, KnownSet] = {
    "mixture-6": mixture(),
    "chain-8": sequential(8, chain),
    "decays-21": decays(),
    "chain-43": jumps(),
    "calorimeter-63": calorimeter(),
}
