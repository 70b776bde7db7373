import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.statistics import lattice_observables, mean_difference, two_point_function


def ising_chain(count, sites, coupling, rng):
    """Open Ising chains drawn exactly: neighbours are equal with probability 1 / (1 + exp(-2 coupling))."""
    first = rng.choice([-1.0, 1.0], (count, 1))
    turns = np.where(rng.random((count, sites - 1)) < 1 / (1 + np.exp(-2 * coupling)), 1.0, -1.0)
    return np.hstack([first, first * np.cumprod(turns, 1)])[:, None]


def periodic_ising_chain(count, sites, coupling, rng):
    """Chains that wrap around, by rejection of open ones on their last bond."""
    spins = ising_chain(20 * count, sites, coupling, rng)
    accepted = rng.random(len(spins)) < np.exp(coupling * (spins[:, 0, 0] * spins[:, 0, -1] - 1))
    return spins[accepted][:count]


@pytest.mark.parametrize("grid", [(7,), (6, 4), (3, 4, 5)])
@pytest.mark.parametrize("periodic", [True, False])
def test_energy_and_two_point_function_are_sums_over_pairs(grid, periodic):
    s = np.random.default_rng(0).normal(size=(4, 2, *grid))
    energy, found = 0.0, np.zeros((len(grid), 4, 2, min(grid) // 2 + 1))
    for axis, cells in enumerate(grid):
        for r in range(min(grid) // 2 + 1):
            pairs = [
                np.take(s, x, axis + 2) * np.take(s, (x + r) % cells, axis + 2)
                for x in range(cells if periodic else cells - r)
            ]
            found[axis, :, :, r] = np.stack([p.reshape(4, 2, -1).mean(2) for p in pairs]).mean(0)
            if r == 1:
                energy = energy - sum(p.reshape(4, 2, -1).sum(2) for p in pairs) / np.prod(grid)
    np.testing.assert_allclose(lattice_observables(s, periodic=periodic).energy, energy)
    np.testing.assert_allclose(two_point_function(s, periodic=periodic).correlation, found.mean(0), atol=1e-12)
    connected = two_point_function(s, periodic=periodic, connected=True).correlation
    np.testing.assert_allclose(connected, found.mean(0) - (s.mean((0, *range(2, s.ndim))) ** 2)[:, None], atol=1e-12)


def test_ising_chain_has_its_exact_two_point_function_susceptibility_and_energy():
    coupling, sites = 0.6, 12
    spins = periodic_ising_chain(4000, sites, coupling, np.random.default_rng(1))
    t = np.tanh(coupling)
    r = np.arange(sites)
    exact = (t**r + t ** (sites - r)) / (1 + t**sites)
    two_point = two_point_function(spins).correlation
    error = two_point.std(0)[0] / len(spins) ** 0.5
    assert ((two_point.mean(0)[0] - torch.tensor(exact[: sites // 2 + 1])).abs() < 4 * error + 1e-12).all()
    found = lattice_observables(spins)
    size = found.magnetisation.abs().mean()
    assert abs(found.susceptibility.estimate - (exact.sum() - sites * size**2)) < 5 * found.susceptibility.error
    assert float(found.energy.mean()) == pytest.approx(-exact[1], abs=4 * float(error[1]))
    low = np.sum(exact * np.cos(2 * np.pi * r / sites))
    length = np.sqrt(exact.sum() / low - 1) / (2 * np.sin(np.pi / sites))
    assert abs(found.correlation_length.estimate - length) < 5 * found.correlation_length.error


@pytest.mark.parametrize("grid", [(16, 16), (8, 8, 8)])
def test_binder_cumulant_of_disorder_and_order(grid):
    rng = np.random.default_rng(2)
    disordered = lattice_observables(rng.choice([-1.0, 1.0], (2000, 1, *grid)))
    # Independent spins: the fourth cumulant of m leaves 2 / (3 V).
    assert abs(disordered.binder.estimate - 2 / (3 * np.prod(grid))) < 4 * disordered.binder.error
    assert disordered.susceptibility.estimate == pytest.approx(1 - 2 / np.pi, rel=0.1)
    ordered = rng.choice([-1.0, 1.0], (500, 1, 1, 1)) * np.where(rng.random((500, 1, 16, 16)) < 0.99, 1, -1)
    assert float(lattice_observables(ordered).binder.estimate) == pytest.approx(2 / 3, abs=1e-3)


def test_a_wrong_temperature_is_seen_and_groups_widen_the_errors():
    rng = np.random.default_rng(3)
    cold, warm = (two_point_function(ising_chain(500, 20, j, rng), periodic=False) for j in (0.65, 0.55))
    assert mean_difference(cold.correlation, warm.correlation).z[0, 1] > 4
    repeated = torch.tensor(ising_chain(100, 20, 0.5, rng)).repeat_interleave(5, 0)
    groups = torch.arange(100).repeat_interleave(5)
    grouped = lattice_observables(repeated, groups, periodic=False)
    assert grouped.binder.error > 1.5 * lattice_observables(repeated, periodic=False).binder.error
    with pytest.raises(UsageError, match="sites"):
        two_point_function(np.ones((3, 1, 1, 4)))
