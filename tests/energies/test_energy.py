"""Properties of every built-in energy: gradients, symmetries, virial, and refused arguments."""

import pytest
import torch

from pushforward.energies import (
    ENERGIES,
    Energy,
    Facts,
    double_well,
    lattice_phi4,
    lennard_jones,
    named_energy,
    recorded_energy,
)
from pushforward.energies.pairwise import pair_distances
from pushforward.energies.reference import flip_and_shift, turn_and_permute
from pushforward.errors import UsageError
from pushforward.spaces import Particles, Vector
from pushforward.tensors.subspace import centre, degrees

PARTICLES = ("dw4", "lj13")
FIELDS = ("phi4", "free-field")


@pytest.fixture(scope="module", params=ENERGIES)
def drawn(request):
    """An energy and a few of its own samples, where it is moderate."""
    energy = named_energy(request.param)
    return energy, energy.sample(64, seed=3)


def test_the_gradient_is_that_of_autograd_and_of_finite_differences(drawn):
    energy, x = drawn
    gradient = energy.gradient(x)
    by_autograd = Energy(energy.action, energy.space).gradient(x)
    torch.testing.assert_close(gradient, by_autograd, rtol=1e-9, atol=1e-9)
    along = centre(energy.space, torch.randn_like(x))
    step = 1e-5
    difference = (energy(x + step * along) - energy(x - step * along)) / (2 * step)
    torch.testing.assert_close((gradient * along).flatten(1).sum(1), difference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PARTICLES)
def test_particles_may_be_moved_turned_and_exchanged(name):
    energy = named_energy(name)
    x = energy.sample(32, seed=1)
    generator = torch.Generator().manual_seed(0)
    for moved in (x + torch.randn(32, 1, energy.space.dim), turn_and_permute(x, generator)):
        torch.testing.assert_close(energy(moved), energy(x))
    assert not torch.allclose(turn_and_permute(x, generator), x)


@pytest.mark.parametrize("name", FIELDS)
def test_fields_may_be_shifted_and_change_sign(name):
    energy = named_energy(name)
    x = energy.sample(32, seed=1)
    moved = flip_and_shift(x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(energy(moved), energy(x))
    torch.testing.assert_close(moved.abs().flatten(1).sort().values, x.abs().flatten(1).sort().values)
    assert not torch.allclose(moved.abs(), x.abs())


def test_random_turns_are_uniform_over_the_orthogonal_group():
    x = torch.eye(3, dtype=torch.float64).expand(20_000, 3, 3)
    turns = turn_and_permute(x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(turns @ turns.mT, x)
    entries = turns.flatten(1)
    assert entries.mean(0).abs().max() < 0.025
    torch.testing.assert_close(
        entries.square().mean(0), torch.full((9,), 1 / 3, dtype=torch.float64), atol=0.02, rtol=0
    )
    assert abs(torch.linalg.det(turns).mean()) < 0.03, "reflections are as frequent as rotations"


def test_every_sample_is_computed_by_itself_and_in_its_own_precision(drawn):
    energy, x = drawn
    torch.testing.assert_close(energy(x[:1]), energy(x)[:1])
    assert energy(x.float()).dtype == torch.float32
    torch.testing.assert_close(energy(x.float()).double(), energy(x), rtol=1e-3, atol=1e-2)


def test_scale_is_the_rough_extent_of_the_samples(drawn):
    energy, x = drawn
    assert 0.5 < energy.scale / x.std().item() < 2


def test_dw4_is_the_sum_over_pairs_of_the_double_well():
    x = torch.randn(5, 4, 2, dtype=torch.float64) * 3
    beyond = torch.cdist(x, x)[:, *torch.triu_indices(4, 4, 1)] - 4
    torch.testing.assert_close(double_well()(x), (0.9 * beyond**4 - 4 * beyond**2).sum(1))
    torch.testing.assert_close(pair_distances(x) - 4, beyond)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_two_lennard_jones_particles_at_the_minimum(factor):
    x = torch.tensor([[[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0]]], dtype=torch.float64)
    assert lennard_jones(2, pair_factor=factor)(x).item() == pytest.approx(-factor + 0.25)


def test_phi4_of_a_constant_field_and_of_a_chessboard():
    energy = lattice_phi4(4, mass_squared=-4.0, coupling=8.0)
    board = 1.0 - 2 * ((torch.arange(4)[:, None] + torch.arange(4)) % 2)
    assert energy(torch.full((1, 1, 4, 4), 0.5)).item() == pytest.approx(16 * (-4 / 4 + 8 / 16))
    assert energy(board.expand(1, 1, 4, 4)).item() == pytest.approx(16 * (-4 + 8 + 2 * 4))


def test_centred_particles_have_fewer_degrees_of_freedom():
    assert degrees(Particles(4, 2, centred=True)) == 6
    assert degrees(Vector(5)) == 5
    x = centre(Particles(4, 2, centred=True), torch.randn(3, 4, 2))
    assert x.mean(1).abs().max() < 1e-6


def test_fingerprints_tell_energies_apart():
    prints = [named_energy(name).fingerprint for name in ENERGIES]
    prints += [lennard_jones(pair_factor=1.0).fingerprint, double_well(c=0.1).fingerprint]
    assert len(set(prints)) == len(prints)
    assert double_well().fingerprint == double_well().fingerprint
    assert Energy(lambda x: x.sum(1), Vector(2), fingerprint="mine").fingerprint == "mine"


def test_facts_are_related():
    facts = Facts(log_z=3.0, mean_energy=-1.0)
    assert (facts.free_energy, facts.entropy) == (-3.0, 2.0)
    assert Facts(mean_energy=1.0).entropy is None
    assert facts.exact
    assert not Facts(log_z=3.0).exact
    assert Facts(log_z=3.0, log_z_error=0.3, mean_energy=-1.0, mean_energy_error=0.4).entropy_error == pytest.approx(
        0.5
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Energy(3, Vector(2)), "must be a function"),
        (lambda: Energy(lambda x: x, Vector(2), scale=0.0), "scale of an energy"),
        (lambda: Energy(lambda x: x, Vector(2))(torch.zeros(4, 2)), "one energy per sample, shape"),
        (lambda: double_well()(torch.zeros(4, 3)), "dw4 needs samples"),
        (lambda: Energy(lambda x: x.sum(1), Vector(2)).sample(3), "no reference sampler"),
        (lambda: named_energy("dw5"), "did you mean 'dw4'"),
        (lambda: lattice_phi4(mass_squared=-1.0, coupling=0.0), "no finite integral"),
        (lambda: lattice_phi4(1), "at least 2 sites"),
        (lambda: lennard_jones(1), "at least 2 particles"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(call, words):
    with pytest.raises(UsageError, match=words):
        call()


@pytest.mark.parametrize(
    ("record", "fingerprint"),
    [
        ({"kind": "energy", "spec": {"name": "dw4"}}, named_energy("dw4").fingerprint),
        (
            {"kind": "ensemble", "spec": {"data": "lj13", "seed": 0, "members": 9, "pair_factor": 1.0}},
            named_energy("lj13", pair_factor=1.0).fingerprint,
        ),
        ({"kind": "ensemble", "spec": {"data": "two-moons", "seed": 0}}, None),
        ({"kind": "ensemble", "spec": {"data": "ising", "seed": 0}, "parameters": [{"name": "temperature"}]}, None),
        ({"kind": "ensemble", "spec": None}, None),
        ({}, None),
    ],
)
def test_a_run_tells_which_energy_its_members_follow(record, fingerprint):
    found = recorded_energy(record)
    assert (None if found is None else found.fingerprint) == fingerprint
