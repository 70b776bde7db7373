"""Flows of fields: glow, trenf and tarflow."""

from __future__ import annotations

import math

import pytest
import torch
from minimise import minimise

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch, model_class
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.transforms import MaskedAutoregressive

MAP = Field(1, (8, 8), periodic=True)


def random_weights(model, size: float = 0.3):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return model.double().eval()


def gaussian(count: int, seed: int, grid: tuple[int, ...] = (8, 8)) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian fields of power 1 / (1 + k^2)^2, and their exact log-density."""
    generator = torch.Generator().manual_seed(seed)
    axes = [cells * torch.fft.fftfreq(cells, dtype=torch.float64) for cells in grid]
    k = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    amplitude = 1 / (1 + k.square().sum(0))
    noise = torch.randn(count, 1, *grid, generator=generator, dtype=torch.float64)
    dims = tuple(range(2, 2 + len(grid)))
    x = torch.fft.ifftn(amplitude * torch.fft.fftn(noise, dim=dims), dim=dims).real
    cells = math.prod(grid)
    log_prob = -0.5 * noise.square().flatten(1).sum(1) - 0.5 * cells * math.log(2 * math.pi) - amplitude.log().sum()
    return x.float(), log_prob


@pytest.mark.parametrize("grid", [(8, 8), (4, 4, 4)], ids=["2-D", "3-D"])
def test_the_density_of_a_trenf_is_the_same_for_shifted_and_turned_fields(grid):
    model = random_weights(model_class("trenf")(Field(2, grid, periodic=True)))
    x = torch.randn(3, 2, *grid, dtype=torch.float64)
    expected = model.log_prob(x)
    for move in (lambda x: x.roll((1, 3), (2, 3)), lambda x: x.rot90(1, (2, 3)), lambda x: x.flip(2)):
        torch.testing.assert_close(model.log_prob(move(x)), expected)
    assert not torch.allclose(model.log_prob(x.flatten(2).flip(2).roll(1, 2).view_as(x).sort(2).values), expected)


def test_a_trenf_has_the_density_of_gaussian_fields_from_its_first_batch():
    model = model_class("trenf")(MAP)
    x, _ = gaussian(2000, 0)
    model.prepare(Batch(x, None, Draws(0, len(x))))
    fresh, exact = gaussian(2000, 1)
    with torch.no_grad():
        gap = (exact - model.log_prob(fresh)).mean() / 64
    assert 0 < gap < 0.01, f"{gap:.4f} nats a pixel above the entropy"


@pytest.mark.parametrize("name", ["glow", "trenf", "tarflow"])
def test_a_flow_of_fields_learns_how_they_depend_on_a_condition(name):
    """Fields whose amplitude is the condition: the likelihood tells it."""
    kind = model_class(name)
    small = {
        "glow": {"couplings": 2, "width": 16},
        "trenf": {"layers": 2},
        "tarflow": {"transforms": 2, "width": 32, "patch": 4},
    }
    model = kind(MAP, ConditionSpace(1), kind.Settings(**small[name]))

    def batch(seed: int, count: int = 64) -> Batch:
        x, _ = gaussian(count, seed)
        c = 2 * torch.rand(count, 1, generator=torch.Generator().manual_seed(seed)) - 1
        return Batch(x * c.exp()[..., None, None], Condition(c), Draws(seed, count))

    model.prepare(batch(0, 256))
    minimise(model, lambda step: batch(step + 1), 100)
    x, _ = gaussian(200, 999)
    with torch.no_grad():
        at = [model.log_prob(x * math.exp(0.5), Condition(torch.full((200, 1), c))).mean() for c in (-0.5, 0.5)]
    assert at[1] > at[0] + 3, "fields must be likelier at the condition that they were drawn at"


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_glow_of_any_number_of_levels_is_a_bijection(levels):
    kind = model_class("glow")
    model = random_weights(kind(Field(2, (8, 16)), settings=kind.Settings(levels=levels, couplings=2, width=8)), 0.1)
    x = torch.randn(3, 2, 8, 16, dtype=torch.float64)
    with torch.no_grad():
        z = model.encode(x)
        assert z.shape == (3, 256)
        torch.testing.assert_close(model.decode(z), x)


def test_a_glow_of_a_periodic_field_commutes_with_shifts_by_whole_blocks():
    kind = model_class("glow")
    model = random_weights(kind(MAP, settings=kind.Settings(levels=2, couplings=2, width=8)), 0.1)
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(model.log_prob(x.roll((4, 4), (2, 3))), model.log_prob(x))


def test_a_tarflow_samples_alike_in_blocks_of_any_length():
    kind = model_class("tarflow")
    model = random_weights(kind(MAP, settings=kind.Settings(patch=2, transforms=3, width=32)), 0.1)
    samples = []
    for block in (1, 4, 16):
        with torch.no_grad():
            draws = Draws(0, 4, dtype=torch.float64)
            samples.append(model.sample_and_log_prob(draws, sampling=model.Sampling(block=block)))
    for x, log_prob in samples[1:]:
        torch.testing.assert_close(x, samples[0][0])
        torch.testing.assert_close(log_prob, samples[0][1])


def test_a_tarflow_of_tokens_sees_only_those_before():
    kind = model_class("tarflow")
    model = random_weights(kind(Vector(6), settings=kind.Settings(patch=2, transforms=1, width=32)), 0.2)
    transform = next(each for each in model.modules() if isinstance(each, MaskedAutoregressive))
    x = torch.randn(1, 3, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: transform(x)[0], x)[0, :, :, 0]
    assert (jacobian[0, :, 1:] == 0).all()
    assert (jacobian[1, :, 2] == 0).all()
    assert (jacobian[2, :, :2] != 0).all()


@pytest.mark.parametrize("name", ["glow", "trenf"])
def test_a_vector_is_refused_with_what_does_learn_it(name):
    with pytest.raises(UsageError, match="learns fields, not vector data; realnvp and nsf"):
        model_class(name)(Vector(3))
