"""Couplings: against every permutation, against POT, and what they must leave alone."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from pushforward.errors import DataError, UsageError
from pushforward.transport.assignment import entropic_plan, least_cost_assignment
from pushforward.transport.couplings import optimal_transport, pairwise_cost, sinkhorn
from pushforward.transport.translations import best_shift, moved, translated_transport


def points(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def same_rows(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.flatten().sort().values, b.flatten().sort().values)


def test_the_plan_is_the_best_of_all_permutations():
    data, noise = points(2, 6, 2, 2)
    paired = optimal_transport(data, noise)
    best = min(float((data - noise[list(order)]).square().sum()) for order in permutations(range(6)))
    assert float((data - paired).square().sum()) == pytest.approx(best, rel=1e-5)
    assert same_rows(paired, noise)


@pytest.mark.parametrize("rows", [33, 128, 256])
def test_potentials_leave_the_least_cost_where_it_was(rows):
    # Eight far clusters: without good potentials the assignment takes longest here.
    angle = torch.pi / 4 * torch.arange(rows).remainder(8)
    data = 5 * torch.stack([angle.cos(), angle.sin()], 1) + 0.3 * points(rows, 2)
    cost = pairwise_cost(data, points(rows, 2, seed=1)).double()
    order = least_cost_assignment(cost).numpy()
    assert sorted(order) == list(range(rows))
    _, reference = linear_sum_assignment(cost.numpy())
    total, least = (cost.numpy()[np.arange(rows), j].sum() for j in (order, reference))
    assert total == pytest.approx(least, rel=1e-12)


def test_costs_that_are_all_the_same_have_an_assignment():
    assert sorted(least_cost_assignment(torch.zeros(40, 40)).tolist()) == list(range(40))


def test_a_cost_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="not finite"):
        least_cost_assignment(torch.full((3, 3), torch.nan))


def test_rows_are_exchanged_only_within_their_block():
    data, noise = points(10, 2), points(10, 2, seed=1)
    paired = optimal_transport(data, noise, block=5)
    for rows in (slice(0, 5), slice(5, 10)):
        assert torch.equal(paired[rows], optimal_transport(data[rows], noise[rows]))


def test_labels_keep_their_own_noise():
    label = torch.nn.functional.one_hot(torch.arange(60) % 2).float()
    data, noise = points(60, 2) + 3 * label, points(60, 2, seed=1)
    paired = optimal_transport(data, noise, label)
    for value in (0, 1):
        rows = label[:, 1] == value
        assert same_rows(paired[rows], noise[rows])
    assert not torch.equal(paired, noise)


def test_the_noise_of_a_condition_stays_standard_normal():
    """x = 3 c + a little: without the condition in the cost, large c would be sent large noise."""
    with_it, without = [], []
    for seed in range(40):
        condition = points(128, 1, seed=seed)
        data, noise = 3 * condition + 0.3 * points(128, 1, seed=seed + 100), points(128, 1, seed=seed + 200)
        high = condition[:, 0] > 0.5
        with_it.append(optimal_transport(data, noise, condition)[high])
        without.append(optimal_transport(data, noise)[high])
    assert torch.cat(without).mean() > 1
    assert torch.cat(with_it).mean().abs() < 0.06
    assert torch.cat(with_it).std() == pytest.approx(1, abs=0.05)


def test_the_entropic_plan_is_that_of_pot():
    cost = pairwise_cost(points(20, 2), points(20, 2, seed=1)).double()
    plan = entropic_plan(cost, 0.3, tolerance=1e-12, most=5000)
    weights = np.full(20, 1 / 20)
    reference = ot.sinkhorn(weights, weights, cost.numpy(), 0.3, stopThr=1e-13, numItermax=10000)
    np.testing.assert_allclose(plan.numpy(), reference, atol=1e-10)


def test_little_regularisation_draws_the_exact_plan_and_much_draws_anything():
    data, noise = points(32, 2), points(32, 2, seed=1)
    uniform = torch.rand(32, generator=torch.Generator().manual_seed(2))
    exact = optimal_transport(data, noise)
    assert torch.equal(sinkhorn(data, noise, uniform, regularisation=1e-4), exact)
    drawn = sinkhorn(data, noise, uniform, regularisation=1e4)
    assert torch.equal(drawn, noise[(32 * uniform).long()])


def test_a_coupling_refuses_what_it_cannot_pair():
    with pytest.raises(UsageError, match="equally many"):
        optimal_transport(points(3, 2), points(4, 2))
    with pytest.raises(UsageError, match="block of a coupling"):
        optimal_transport(points(3, 2), points(3, 2), block=0)
    with pytest.raises(UsageError, match="must be positive"):
        sinkhorn(points(3, 2), points(3, 2), torch.rand(3), regularisation=0)
    with pytest.raises(UsageError, match="one shape"):
        best_shift(points(3, 2), points(3, 2))


@pytest.mark.parametrize("grid", [(6, 8), (5, 4, 3)])
def test_the_best_shift_brings_a_moved_field_back(grid):
    field = points(3, 2, *grid)
    shift = torch.tensor([[1, 2, 0], [4, 3, 2], [0, 0, 1]])[:, : len(grid)]
    axes = tuple(range(1, field.dim() - 1))
    away = torch.stack([torch.roll(f, tuple(s.tolist()), axes) for f, s in zip(field, shift, strict=True)])
    assert torch.equal(moved(field, shift), away)
    assert torch.equal(moved(field, best_shift(away, field)), away)


def test_translations_find_the_least_distance_over_orders_and_shifts():
    data, noise = points(3, 1, 4, 4), points(3, 1, 4, 4, seed=1)
    paired = translated_transport(data, noise)
    rolled = torch.stack([torch.roll(noise, (i, j), (2, 3)) for i in range(4) for j in range(4)])
    least = min(
        sum(float((data[i] - rolled[:, j]).square().flatten(1).sum(1).min()) for i, j in enumerate(order))
        for order in permutations(range(3))
    )
    assert float((data - paired).square().sum()) == pytest.approx(least, rel=1e-5)
