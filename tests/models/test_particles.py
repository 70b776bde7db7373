"""Models of particles: densities on the degrees of freedom, and samples that stay centred."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.energies import named_energy
from pushforward.models import Density, model_class
from pushforward.randomness import Draws
from pushforward.spaces import Particles
from pushforward.tensors.subspace import centre
from pushforward.transport import CentredNormal, normal_of

PAIR = Particles(2, 1, centred=True)
FAMILIES = ["flow-matching", "cnf", "edm"]


def test_the_prior_of_centred_particles_is_normal_on_their_degrees_of_freedom():
    space = Particles(4, 2, centred=True)
    prior = normal_of(space)
    assert isinstance(prior, CentredNormal)
    x = prior.draw(Draws(0, 20_000), space.shape)
    assert x.mean(1).abs().max() < 1e-5
    # -E log p = (N - 1) d / 2 (1 + log 2 pi) in nats.
    assert -prior.log_prob(x).mean() == pytest.approx(3 * (1 + math.log(2 * math.pi)), abs=0.05)
    assert normal_of(Particles(4, 2)) != prior


def awake(name, space, seed=0):
    """A small model whose weights are random, as after training."""
    torch.manual_seed(seed)
    kind = model_class(name)
    model = kind(space, settings=kind.Settings(width=16, depth=2)).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    assert isinstance(model, Density)
    return model


@pytest.mark.parametrize("name", FAMILIES)
def test_the_density_of_two_particles_on_a_line_integrates_to_one(name):
    # One degree of freedom, the distance along the unit vector (1, -1) / sqrt 2.
    s = torch.linspace(-8, 8, 401)
    x = torch.stack([s, -s], 1)[..., None] / math.sqrt(2)
    with torch.no_grad():
        mass = awake(name, PAIR).log_prob(x).double().exp().sum() * (s[1] - s[0])
    assert mass == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "space",
    [
        Particles(3, 1, centred=True),
        Particles(2, 2, centred=True),
        Particles(2, 1),
        Particles(2, 1, species=("A", "B")),
    ],
    ids=["three-on-a-line", "two-in-a-plane", "open", "two-species"],
)
def test_densities_of_two_degrees_of_freedom_integrate_to_one(name, space):
    s = torch.linspace(-7, 7, 71)
    grid = torch.cartesian_prod(s, s)
    x = grid @ orthonormal_coordinates(space)
    with torch.no_grad():
        mass = awake(name, space).log_prob(x.unflatten(1, space.shape)).double().exp().sum() * (s[1] - s[0]) ** 2
    assert mass == pytest.approx(1.0, abs=0.01)


def orthonormal_coordinates(space):
    """Rows that span the subspace of the samples, shape (degrees, count * dim)."""
    projected = centre(space, torch.eye(space.size).unflatten(1, space.shape)).flatten(1)
    return torch.linalg.svd(projected)[2][: space.degrees]


@pytest.mark.parametrize("name", FAMILIES)
def test_densities_do_not_change_by_rotation_or_permutation(name):
    space = Particles(3, 2, centred=True)
    model = awake(name, space)
    x = CentredNormal().draw(Draws(0, 5), space.shape)
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    with torch.no_grad():
        plain, turned, swapped = (model.log_prob(each) for each in (x, x @ turn.T, x[:, [2, 0, 1]]))
    torch.testing.assert_close(turned, plain, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(swapped, plain, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_configuration_beside_the_origin_is_scored_as_at_the_origin(name):
    space = Particles(3, 2, centred=True)
    model = awake(name, space)
    x = CentredNormal().draw(Draws(0, 5), space.shape)
    with torch.no_grad():
        torch.testing.assert_close(model.log_prob(x + 3.0), model.log_prob(x), atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(model.encode(x + 3.0), model.encode(x), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", ["flow-matching", "edm", "ddpm"])
@pytest.mark.parametrize(
    "options",
    [
        {"method": "adams"},
        {"method": "ddim", "eta": 1.0},
        {"method": "ancestral"},
        {"method": "sde"},
        {"method": "edm", "S_churn": 10.0},
    ],
    ids=lambda options: options["method"],
)
def test_samples_are_centred_also_where_noise_is_added_on_the_way(name, options):
    model = awake(name, Particles(4, 2, centred=True))
    x = model.sample(Draws(0, 50), None, model.Sampling(steps=10, **options))
    assert x.mean(1).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["flow-matching", "cnf"])
def test_from_members_to_weights(name, tmp_path):
    members = pf.read("dw4", members=400)
    settings = {"width": 16, "depth": 2, "batch_size": 32}
    options = {"out": tmp_path / "run", "settings": settings, "progress": False}
    pf.fit(members, name, steps=4, **options)
    emulator = pf.fit(members, name, steps=8, resume=True, **options)
    samples = pf.Emulator.load(tmp_path / "run").sample(20, seed=0)
    assert samples.shape == (20, 4, 2)
    assert samples.mean(1).abs().max() < 1e-4, "samples stay centred"
    assert torch.equal(samples, emulator.sample(20, seed=0))
    x = members.test.tensor()
    assert emulator.log_prob(x).isfinite().all()
    if name == "cnf":
        weighted = emulator.reweight(50, energy=named_energy("dw4"), seed=0)
        assert 0 < weighted.ess <= 50


def test_network_units_of_particles_are_one_scale():
    members = pf.read("dw4", members=200)
    from pushforward.ensembles import Preprocessing

    preprocessing = Preprocessing.fit(members)
    x = members.tensor()
    z = preprocessing(x)
    assert z.square().mean() == pytest.approx(1.0, abs=1e-3)
    ratio = (x / z).flatten()
    assert ratio.std() < 1e-4 * ratio.mean(), "rotations are rotations in network units"
    np.testing.assert_allclose(preprocessing.log_abs_det(x), -6 * math.log(float(ratio.mean())), rtol=1e-4)
    with pytest.raises(pf.UsageError, match="break the symmetry"):
        Preprocessing.fit(members, "log")
