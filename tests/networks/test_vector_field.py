"""Vector fields whose divergence is computed by hand, beside the same thing by automatic differentiation."""

from __future__ import annotations

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.dynamics import exact_divergence
from pushforward.errors import UsageError
from pushforward.networks import VectorField
from pushforward.spaces import Vector

CASES = [(depth, dim, numbers) for depth in (1, 2, 3) for dim in (1, 2, 5) for numbers in (0, 2)]
cases = pytest.mark.parametrize(("depth", "dim", "numbers"), CASES)


def field_and_points(depth, dim, numbers, awake, count=7):
    field = awake(VectorField(Vector(dim), ConditionSpace(numbers), width=12, depth=depth)).double()
    y = torch.randn(count, dim, dtype=torch.float64)
    condition = Condition(torch.randn(count, numbers, dtype=torch.float64)) if numbers else None
    return field.given(condition), y, torch.rand(count, dtype=torch.float64)


@cases
def test_the_divergence_is_the_trace_of_the_jacobian(depth, dim, numbers, awake):
    field, y, t = field_and_points(depth, dim, numbers, awake)
    jacobian = torch.autograd.functional.jacobian(lambda y: field(t, y).sum(0), y)
    expected = torch.einsum("ibi->b", jacobian)
    value, divergence = field.with_divergence(t, y)
    torch.testing.assert_close(value, field(t, y))
    torch.testing.assert_close(divergence, expected)


@cases
def test_a_time_that_all_samples_share_gives_the_same_as_one_for_each(depth, dim, numbers, awake):
    field, y, _ = field_and_points(depth, dim, numbers, awake)
    shared = torch.tensor([0.3], dtype=torch.float64)
    one, each = (field.with_divergence(t, y) for t in (shared, shared.expand(len(y))))
    torch.testing.assert_close(one, each)
    torch.testing.assert_close(field(shared, y), each[0])


@cases
def test_changes_along_directions_are_products_with_the_jacobian(depth, dim, numbers, awake):
    field, y, t = field_and_points(depth, dim, numbers, awake)
    directions = torch.randn(3, *y.shape, dtype=torch.float64)
    value, changes = field.with_changes(t, y, directions)
    torch.testing.assert_close(value, field(t, y))
    for direction, change in zip(directions, changes, strict=True):
        torch.testing.assert_close(change, torch.func.jvp(lambda y: field(t, y), (y,), (direction,))[1])


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_divergence_has_the_gradients_of_automatic_differentiation(depth, shared, awake):
    network = awake(VectorField(Vector(3), width=8, depth=depth)).double()
    y = torch.randn(6, 3, dtype=torch.float64)
    t = torch.full((1 if shared else 6,), 0.4, dtype=torch.float64)
    ours = network.given().with_divergence(t, y)[1].square().sum()
    theirs = exact_divergence(network.given(), t, y)[1].square().sum()
    weights = list(network.parameters())
    for a, b in zip(*(torch.autograd.grad(loss, weights) for loss in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)


def test_the_field_starts_at_zero_and_ends_up_depending_on_time(awake):
    field = VectorField(Vector(2))
    y = torch.randn(5, 2)
    assert torch.equal(field(y, torch.rand(5)), torch.zeros(5, 2))
    awake(field)
    assert (field(y, torch.zeros(5)) - field(y, torch.ones(5))).abs().max() > 1e-3


def test_one_wave_makes_a_field_without_time(awake):
    field = awake(VectorField(Vector(2), waves=1))
    y = torch.randn(5, 2)
    torch.testing.assert_close(field(y, torch.zeros(5)), field(y, torch.ones(5)))


def test_conditions_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="2 numbers"):
        VectorField(Vector(2), ConditionSpace(2))(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(UsageError, match="2 numbers"):
        VectorField(Vector(2), ConditionSpace(2)).given(Condition(torch.zeros(3, 1)))
    with pytest.raises(UsageError, match="expected no conditions, got"):
        VectorField(Vector(2)).given(Condition(torch.zeros(3, 1)))
