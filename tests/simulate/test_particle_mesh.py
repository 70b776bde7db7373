"""Gravity on a mesh: symmetries, two bodies, linear growth, reversal, and gradients through the steps."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.simulate import Cosmology
from pushforward.simulate.expansion import Expansion
from pushforward.simulate.initial_conditions import linear_overdensity, perturbed_lattice
from pushforward.simulate.particle_mesh import ParticleMesh
from pushforward.statistics import power_spectrum

MATTER = 0.3


def universe(particles=16, box=64.0, a=0.1, sigma_8=0.8, seeds=((0,),), dtype=torch.float32):
    cosmology = Cosmology(Omega_m=MATTER, sigma_8=sigma_8)
    field = linear_overdensity(cosmology, particles, box, list(seeds)).to(dtype)
    return perturbed_lattice(field, cosmology, box, a)


def plane_wave(amplitude, mesh=32, box=64.0, dtype=torch.float64):
    """A lattice displaced by the longest wave along x: where it starts, and where it is, for delta = A cos kx."""
    k = 2 * np.pi / box
    axis = (torch.arange(mesh, dtype=dtype) + 0.5) * box / mesh
    q = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(1, -1, 3)
    psi = torch.zeros_like(q)
    psi[..., 0] = -amplitude * torch.sin(k * q[..., 0]) / k
    return q, psi


def random_positions(batch=1, count=50, box=16.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, count, 3, generator=generator, dtype=torch.float64) * box


def test_two_particles_attract_each_other():
    gravity = ParticleMesh(16, 16.0)
    pair = torch.tensor([[[4.2, 8.0, 8.0], [9.1, 8.0, 8.0]]], dtype=torch.float64)
    force = gravity.force(pair, MATTER)[0]
    assert force[0, 0] > 0 > force[1, 0]
    torch.testing.assert_close(force[0], -force[1])
    assert force[:, 1:].abs().max() < 1e-5 * force[0, 0]


def test_a_plane_wave_is_pulled_as_the_closed_form_says():
    """delta = A cos kx gives F = -3/2 Omega_m A sin(kx) / k, less the windows of painting and reading."""
    q, psi = plane_wave(0.02)
    found = ParticleMesh(32, 64.0).force(q + psi, MATTER)
    expected = 1.5 * MATTER * psi
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.parametrize("mesh", [12, 16])
def test_total_momentum_is_constant(mesh):
    force = ParticleMesh(mesh, 16.0).force(random_positions(batch=2), MATTER)
    assert force.sum(1).abs().max() < 1e-6 * force.abs().sum(1).max()


def test_the_force_moves_with_the_particles_by_cells_and_around_the_box():
    gravity, x = ParticleMesh(16, 16.0), random_positions()
    shift = torch.tensor([3.0, -5.0, 16.0], dtype=torch.float64)
    torch.testing.assert_close(gravity.force(x + shift, MATTER), gravity.force(x, MATTER))


def test_the_order_of_axes_does_not_matter():
    gravity, x = ParticleMesh(16, 16.0), random_positions()
    order = [2, 0, 1]
    torch.testing.assert_close(gravity.force(x[..., order], MATTER), gravity.force(x, MATTER)[..., order])


@pytest.mark.parametrize("steps", [2, 8])
def test_large_scales_grow_as_linear_theory_says(steps):
    box, a = 1000.0, torch.tensor([0.1, 0.5, 1.0])
    cosmology, gravity = Cosmology(Omega_m=MATTER), ParticleMesh(64, box)
    x, p = universe(particles=32, box=box)
    path, _ = gravity.evolve(x, p, a, Omega_m=MATTER, steps=steps)
    power = torch.stack([power_spectrum(gravity.overdensity(each)[:, None], box).power[0, 0, :3] for each in path])
    for row, scale in zip(power[1:], a[1:].tolist(), strict=True):
        expected = (cosmology.growth(1 / scale - 1) / cosmology.growth(9.0)) ** 2
        np.testing.assert_allclose(row / power[0], expected, rtol=0.04)


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_a_plane_wave_grows_as_zeldovich_says_whatever_the_steps(steps):
    """One dimension is exact at first order: x = q + D(a) psi and p = G(a) psi until particles cross."""
    q, psi = plane_wave(0.02)
    e, gravity, a = Expansion(MATTER), ParticleMesh(32, 64.0), (0.05, 1.0)
    start = (q + e.growth(a[0]) * psi, e.momentum_growth(a[0]) * psi)
    x, p = gravity.evolve(*start, torch.tensor(a), Omega_m=MATTER, steps=steps)
    for found, expected in ((x[-1] - q, e.growth(1.0) * psi), (p[-1], e.momentum_growth(1.0) * psi)):
        assert (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_a_simulation_is_retraced_backwards():
    x, p = universe(dtype=torch.float64)
    gravity = ParticleMesh(16, 64.0)
    a = torch.tensor([0.1, 0.4, 1.0], dtype=torch.float64)
    there, momenta = gravity.evolve(x, p, a, Omega_m=MATTER, steps=5)
    back, final = gravity.evolve(there[-1], momenta[-1], a.flip(0), Omega_m=MATTER, steps=5)
    torch.testing.assert_close(back[-1], x, atol=1e-9, rtol=0)
    torch.testing.assert_close(final[-1], p, atol=1e-9, rtol=0)


def test_more_steps_converge_at_second_order():
    x, p = universe(dtype=torch.float64, box=500.0, a=0.5, sigma_8=0.2)  # no particle leaves its cell: a smooth force
    gravity = ParticleMesh(16, 500.0)
    ends = [gravity.evolve(x, p, torch.tensor([0.5, 1.0]), Omega_m=MATTER, steps=n)[0][-1] for n in (2, 4, 8)]
    coarse, fine = ((a - b).norm().item() for a, b in pairwise(ends))
    assert np.log2(coarse / fine) == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize("gradient", ["direct", "checkpointed"])
def test_the_gradient_through_the_steps_is_that_of_finite_differences(gradient):
    """Of a sum of the final positions, with respect to the initial field, the correction and the initial momenta."""
    cosmology, gravity, box = Cosmology(Omega_m=MATTER), ParticleMesh(4, 32.0), 32.0
    field = linear_overdensity(cosmology, 4, box, [(3,)]).double().requires_grad_()
    factor = torch.ones(4, 4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(64, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def final(field, factor):
        x, p = perturbed_lattice(field, cosmology, box, 0.2)
        options = {"Omega_m": MATTER, "steps": 2, "gradient": gradient}
        path, _ = gravity.evolve(x, p, torch.tensor([0.2, 0.5, 1.0]), correction=lambda a: factor, **options)
        return (path[-1] * weights).sum()

    torch.autograd.gradcheck(final, (field, factor), eps=1e-7, atol=1e-4, rtol=1e-4)


def test_simulations_of_a_batch_may_have_matter_densities_of_their_own():
    x, p = universe(seeds=((0,), (1,)))
    gravity, a = ParticleMesh(16, 64.0), torch.tensor([0.1, 1.0])
    both, _ = gravity.evolve(x, p, a, Omega_m=np.array([0.2, 0.4]), steps=3)
    for row, matter in enumerate((0.2, 0.4)):
        alone, _ = gravity.evolve(x[row : row + 1], p[row : row + 1], a, Omega_m=matter, steps=3)
        torch.testing.assert_close(both[:, row], alone[:, 0], atol=2e-4, rtol=0)


def test_impossible_arguments_are_refused():
    with pytest.raises(UsageError, match="at least 4"):
        ParticleMesh(2, 10.0)
    with pytest.raises(UsageError, match="positive"):
        ParticleMesh(8, 10.0).evolve(*[torch.zeros(1, 8, 3)] * 2, torch.tensor([0.0, 1.0]), Omega_m=0.3, steps=1)
