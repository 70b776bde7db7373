"""Physical processes: continuity by automatic differentiation, integrals, limits, draws, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from examples.genphys.dispersion import is_smoothing
from examples.genphys.processes import (
    Diffusion,
    DissipativeWave,
    Helmholtz,
    Poisson,
    Yukawa,
    continuity_residual,
    process,
    transport_residual,
)
from scipy.stats import kstest

from pushforward.errors import UsageError

ALL = [
    *(kind(dim) for kind in (Diffusion, Poisson) for dim in (1, 2, 3)),
    *(Yukawa(dim, mass=mass) for dim in (1, 2, 3, 5) for mass in (0.3, 4.0)),
    *(Helmholtz(dim, wavenumber=0.2) for dim in (2, 4)),
    *(DissipativeWave(dim, damping=0.7) for dim in (1, 2)),
]
every = pytest.mark.parametrize("kind", ALL, ids=str)


def places(kind, count: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Points that the process itself reaches, at times over two decades, away from its edges."""
    generator = torch.Generator().manual_seed(0)
    t = 10 ** (2 * torch.rand(count, 1, generator=generator, dtype=torch.float64) - 1)
    x = kind.draw(t, generator)[0].clamp(-0.9 * t, 0.9 * t) if isinstance(kind, DissipativeWave) else kind.draw(t)[0]
    return x, t


@every
def test_density_flux_and_source_satisfy_the_continuity_equation(kind):
    assert continuity_residual(kind, *places(kind)).abs().max() < 1e-8


@every
def test_the_velocity_carries_the_normalised_density(kind):
    assert transport_residual(kind, *places(kind)).abs().max() < 1e-6


@every
def test_the_density_is_positive(kind):
    assert bool((kind.density(*places(kind)) > 0).all())


def integral(value, radius: torch.Tensor, dim: int) -> float:
    """Over a ball, of a function of the distance given at radii from 0 on."""
    area = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    return float(torch.trapezoid(area * radius ** (dim - 1) * value, radius))


def along_an_axis(radius: torch.Tensor, dim: int) -> torch.Tensor:
    return torch.nn.functional.pad(radius[:, None], (0, dim - 1))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("t", [0.1, 1.0, 5.0])
def test_the_charge_of_a_screened_process_decays_exponentially(dim, t):
    radius = torch.sinh(torch.linspace(0, 9, 40001, dtype=torch.float64))
    kind, times = Yukawa(dim, mass=0.8), torch.full((len(radius), 1), t, dtype=torch.float64)
    density = kind.density(along_an_axis(radius, dim), times).squeeze(1)
    assert integral(density, radius, dim) == pytest.approx(math.exp(-0.8 * t), rel=1e-6)


@pytest.mark.parametrize("dim", [2, 4])
def test_the_normalised_helmholtz_density_integrates_to_one_within_its_reach(dim):
    kind, t = Helmholtz(dim, wavenumber=0.2), torch.full((40001, 1), 0.5, dtype=torch.float64)
    radius = float(kind.reach(t)[0]) * torch.linspace(0, 1, 40001, dtype=torch.float64)
    density = kind.normalised(along_an_axis(radius, dim), t).squeeze(1)
    assert integral(density, radius, dim) == pytest.approx(1, rel=1e-6)
    assert abs(float(density[-1])) < 1e-9 * float(density[0])


@pytest.mark.parametrize("mass", [0.01, 1.7, 50.0])
def test_the_velocity_in_the_plane_is_the_integral_over_scales(mass):
    kind = Yukawa(2, mass=mass)
    x, t = places(kind)
    torch.testing.assert_close(kind.mean_expansion(x, t), kind._mean_over_scales(x, t), rtol=1e-9, atol=0)


def test_screening_leads_from_a_poisson_process_to_diffusion():
    x, t = places(Poisson(2))
    torch.testing.assert_close(Yukawa(2, mass=1e-4).normalised(x, t), Poisson(2).density(x, t), rtol=0.1, atol=0)
    torch.testing.assert_close(Yukawa(2, mass=1e-6).velocity(x, t), x / t, rtol=1e-2, atol=0)
    x, t = places(Diffusion(2))
    torch.testing.assert_close(
        Yukawa(2, mass=300.0).normalised(x, 600 * t), Diffusion(2).density(x, t), rtol=0.01, atol=0
    )
    torch.testing.assert_close(Yukawa(2, mass=300.0).velocity(x, 600 * t), x / (1200 * t), rtol=0.01, atol=0)


@pytest.mark.parametrize("mass", [0.3, 4.0])
def test_the_velocities_that_lead_to_a_place_average_to_that_of_the_flow(mass):
    kind, t = Yukawa(3, mass=mass), torch.full((20_000, 1), 0.7, dtype=torch.float64)
    x, velocity = kind.draw(t, torch.Generator().manual_seed(0))
    drawn = (velocity * x).sum(1) / x.square().sum(1) * t[:, 0]
    expected = kind.mean_expansion(x, t)[:, 0]
    order = x.norm(dim=1).argsort()
    for part in order.tensor_split(10):
        error = float(drawn[part].std()) / math.sqrt(len(part))
        assert float(drawn[part].mean()) == pytest.approx(float(expected[part].mean()), abs=5 * error)


@pytest.mark.parametrize("kind", [Yukawa(2, mass=1.5), Helmholtz(2, wavenumber=0.2), Poisson(2)], ids=str)
def test_draws_follow_the_density(kind):
    t = torch.full((4000, 1), 0.6, dtype=torch.float64)
    drawn = kind.draw(t, torch.Generator().manual_seed(0))[0].norm(dim=1).numpy()
    top = float(kind.reach(t)[0]) if isinstance(kind, Helmholtz) else 1e4
    radius = torch.sinh(torch.linspace(0, math.asinh(top), 20001, dtype=torch.float64))
    density = kind.normalised(along_an_axis(radius, 2), t[:1].expand(len(radius), 1)).squeeze(1)
    cumulative = torch.cumulative_trapezoid(2 * math.pi * radius * density, radius).numpy()
    assert kstest(drawn, lambda r: np.interp(r, radius[1:].numpy(), cumulative)).pvalue > 1e-3


def test_a_damped_wave_is_the_walk_of_kac():
    kind, t = DissipativeWave(1, damping=0.7), torch.full((4000, 1), 2.0, dtype=torch.float64)
    drawn, velocity = kind.draw(t, torch.Generator().manual_seed(0))
    front = drawn.abs() == t
    assert float(front.double().mean()) == pytest.approx(math.exp(-1.4), abs=0.03)
    assert torch.equal(velocity[front], torch.sign(drawn[front]))
    x = torch.linspace(-2, 2, 20001, dtype=torch.float64)[1:-1, None]
    density = kind.density(x, t[:1].expand(len(x), 1)).squeeze(1)
    cumulative = torch.cumulative_trapezoid(density, x.squeeze(1)).numpy()
    assert cumulative[-1] == pytest.approx(1 - math.exp(-1.4), abs=1e-3)
    inside = drawn[~front].numpy()
    assert kstest(inside, lambda r: np.interp(r, x[1:, 0].numpy(), cumulative / cumulative[-1])).pvalue > 1e-3


def test_the_dispersion_criterion():
    k = torch.linspace(0.05, 20, 200)
    for name in ("diffusion", "poisson", "yukawa", "dissipative-wave"):
        assert bool(is_smoothing(name, k, 0.7).all()), name
    for name in ("wave", "schroedinger"):
        assert not bool(is_smoothing(name, k).any()), name
    assert torch.equal(is_smoothing("helmholtz", k, 0.7), k > 0.7)


@pytest.mark.parametrize("name", ["wave", "schroedinger"])
def test_a_process_that_forgets_nothing_is_refused(name):
    with pytest.raises(UsageError, match="does not fall with k"):
        process(name, 2)


def test_conditions_of_a_process_are_checked():
    with pytest.raises(UsageError, match="only before"):
        Helmholtz(2, wavenumber=1.0).reach(torch.tensor([[3.0]]))
    with pytest.raises(UsageError, match="even numbers"):
        Helmholtz(3)
    with pytest.raises(UsageError, match="never die out"):
        DissipativeWave(1, damping=0.0)
    with pytest.raises(UsageError, match="must be positive"):
        Yukawa(2, mass=0.0)
    with pytest.raises(UsageError, match="known ones are"):
        process("gravity", 2)
