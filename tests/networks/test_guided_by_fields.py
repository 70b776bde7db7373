"""Properties of networks with a condition field, and of those without one."""

from __future__ import annotations

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace, refined
from pushforward.errors import UsageError
from pushforward.networks import Critic, Generator, Transformer, UNet, VectorField, time_network
from pushforward.networks.series_encoder import SeriesEncoder
from pushforward.spaces import Field, Vector

SPACE = Field(1, (8, 8), periodic=True)
FINE, COARSE = Field(2, (8, 8)), Field(2, (4, 2))
OPTIONS = {UNet: {"width": 8}, Transformer: {"width": 32, "depth": 1, "patch": 2}}
takers = pytest.mark.parametrize("kind", OPTIONS)


@takers
@pytest.mark.parametrize("numbers", [0, 3])
def test_the_field_and_the_numbers_matter(kind, numbers, awake):
    network = awake(kind(SPACE, ConditionSpace(numbers, COARSE), **OPTIONS[kind]))
    x, t = torch.randn(2, 1, 8, 8), torch.rand(2)
    condition = Condition(torch.randn(2, numbers) if numbers else None, torch.randn(2, *COARSE.shape))
    y = network(x, t, condition)
    assert y.shape == x.shape
    assert not torch.allclose(y, network(x, t, Condition(condition.numbers, condition.field + 1)), atol=1e-3)
    if numbers:
        assert not torch.allclose(y, network(x, t, Condition(condition.numbers + 1, condition.field)), atol=1e-3)


@takers
def test_a_coarse_field_is_its_refinement(kind, awake):
    coarse, fine = (kind(SPACE, ConditionSpace(0, field), **OPTIONS[kind]) for field in (COARSE, FINE))
    fine.load_state_dict(awake(coarse).state_dict())
    x, t, field = torch.randn(2, 1, 8, 8), torch.rand(2), torch.randn(2, *COARSE.shape)
    assert torch.equal(coarse(x, t, Condition(field=field)), fine(x, t, Condition(field=refined(field, (8, 8)))))


@takers
def test_a_row_that_is_not_told_is_as_no_condition(kind, awake):
    network = awake(kind(SPACE, ConditionSpace(3, COARSE), **OPTIONS[kind]))
    x, t = torch.randn(2, 1, 8, 8), torch.rand(2)
    condition = Condition(torch.randn(2, 3), torch.randn(2, *COARSE.shape))
    mixed = network(x, t, condition.withheld(torch.tensor([True, False])))
    torch.testing.assert_close(mixed[:1], network(x, t)[:1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed[1:], network(x, t, condition)[1:], rtol=1e-4, atol=1e-5)


@takers
def test_a_grid_that_cannot_be_refined_is_refused(kind):
    with pytest.raises(UsageError, match=r"\(3, 4\) cells cannot be refined to a grid of \(8, 8\)"):
        kind(SPACE, ConditionSpace(0, Field(1, (3, 4))), **OPTIONS[kind])


@pytest.mark.parametrize(
    "make",
    [
        lambda condition: time_network(Vector(2), condition),
        lambda condition: Generator(SPACE, 4, condition),
        lambda condition: Generator(Vector(2), 4, condition),
        lambda condition: Critic(SPACE, condition),
        lambda condition: VectorField(Vector(2), condition),
        lambda condition: SeriesEncoder(1, 2, condition=condition),
    ],
)
def test_other_networks_name_those_that_take_a_field(make):
    with pytest.raises(UsageError, match="no field as its condition; networks that can are UNet and Transformer"):
        make(ConditionSpace(0, COARSE))
